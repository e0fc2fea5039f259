"""The guard: every request and every response passes through it."""

import logging
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from analysis.dashboard.guard.error_pages import HttpError, render_error
from analysis.dashboard.guard.permissions import (
    CHANGING,
    MAX_BODY_BYTES,
    NOT_ALLOWED,
    SAFE,
    Access,
    check_change,
)
from analysis.dashboard.guard.requests import Request
from analysis.dashboard.guard.security_headers import secure_headers
from analysis.dashboard.guard.tokens import TokenAuth, requested_target, strip_token
from analysis.dashboard.responses import Response
from storage import hide_passwords

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

logger = logging.getLogger(__name__)

FOREIGN_HOST = (
    "Without a token this dashboard is only for this machine, under the name localhost. Behind "
    "a proxy, or under another name, start it with --token."
)


class Guard:
    """WSGI middleware that passes on allowed requests, and secures all responses.

    Raises:
        ValueError: If neither a token nor a list of host names restricts access.
    """

    def __init__(self, app: "WSGIApplication", access: Access) -> None:
        if access.token is None and access.hosts is None:
            raise ValueError("Expected a token, or the names of hosts. Received: neither.")
        self._app = app
        self._access = access
        self._auth = None if access.token is None else TokenAuth.make(access.token)

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        """Respond to a request, or pass it on to the application."""
        request = None
        try:
            request = Request.read(environ)
            response = self._respond(request)
        except HttpError as http_error:
            response = _render_error(http_error, request)
        start = self._with_secure_headers(start_response, request)
        if response is None:
            if self._auth is not None:
                strip_token(environ)
            return self._call(environ, start)
        return response.send(environ, start)

    def _respond(self, request: Request) -> Response | None:
        """Return the guard's own response to a request; None passes it on to the application."""
        if request.method not in (*SAFE, *CHANGING, *NOT_ALLOWED):
            raise HttpError(501, "This method is not implemented.")
        if self._access.hosts is not None and not request.names_any_of(self._access.hosts):
            raise HttpError(403, FOREIGN_HOST)
        if request.is_embedded:
            raise HttpError(403, "Pages of other sites may link to this dashboard, not embed it.")
        if self._auth is not None:
            response = self._auth.response(request)
            if response is not None:
                return response
        if not request.is_safe:
            check_change(request, allows_edit=self._access.allows_edit)
        if request.n_body_bytes > MAX_BODY_BYTES:
            raise HttpError(413, f"Expected at most {MAX_BODY_BYTES:,} bytes.")
        return None

    def _call(self, environ: "WSGIEnvironment", start: "StartResponse") -> Iterable[bytes]:
        """Call the application; an exception is logged in one line."""
        environ["wsgi.errors"] = _ErrorLog()
        try:
            return self._app(environ, start)
        except Exception as error:
            method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
            logger.error("%s %r: %s", method, path, _describe(error))  # noqa: TRY400  one line
            http_error = HttpError(500, "Internal error of the dashboard; see its log.")
            return http_error.as_json().send(environ, start)

    def _with_secure_headers(
        self, start_response: "StartResponse", request: Request | None
    ) -> "StartResponse":
        """Return a `start_response` that adds the security headers."""
        is_private = self._auth is not None

        def start(
            status: str, headers: list[tuple[str, str]], exc_info: Any = None, /
        ) -> Callable[[bytes], object]:
            secured = secure_headers(headers, request, status, is_private=is_private)
            if exc_info is None:
                return start_response(status, secured)
            return start_response(status, secured, exc_info)

        return start


class _ErrorLog:
    """The stream for the application's tracebacks, of which only the last line is logged."""

    def write(self, text: str) -> int:
        lines = text.strip().splitlines()
        if lines:
            logger.error("%s", hide_passwords(lines[-1]))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        self.write("".join(lines))

    def flush(self) -> None:
        """Do nothing: lines are logged at once."""


def _render_error(http_error: HttpError, request: Request | None) -> Response:
    """Return an error as JSON for the page's own requests, else as a page."""
    is_login = request is not None and request.segments == ("login",)
    if request is None or request.is_api or not (request.is_safe or is_login):
        return http_error.as_json()
    return render_error(
        http_error, requested_target(request) if http_error.status == 401 else None
    )


def _describe(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [""]
    return hide_passwords(f"{type(error).__name__}: {lines[0]}")
