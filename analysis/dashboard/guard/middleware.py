"""The guard: every request passes it, and every answer."""

import logging
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from analysis.dashboard.guard.access import MAX_BODY_BYTES, Access
from analysis.dashboard.guard.refusals import HttpError, Response, html_response, json_response
from analysis.dashboard.guard.requests import CHANGING, NOT_ALLOWED, SAFE, Request
from analysis.dashboard.guard.security_headers import secure_headers
from analysis.dashboard.guard.tokens import TokenAuth, requested_target, strip_token
from storage import hide_passwords

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

logger = logging.getLogger(__name__)

READ_ONLY = "This dashboard is read-only: start it with --allow-edit to change the store."
NO_RENAME = (
    "Renaming here would copy the study, delete it, and so take it from its workers. "
    "`convsearch study fork` makes one of another name."
)
NO_UPGRADE = (
    "Tables are not upgraded from here: stop the workers, then run `convsearch doctor --fix`."
)
NO_FILES = "Pictures are drawn here when somebody looks: files can be neither added nor deleted."
FOREIGN_HOST = (
    "Without a token this dashboard is for this machine alone, under the name localhost. Behind "
    "a proxy, or under another name, start it with --token."
)


class Guard:
    """WSGI middleware that lets through what is allowed, and makes all answers safe.

    Args:
        app: The application, which needs to ask nobody who they are.
        access: Who may do what.

    Raises:
        ValueError: If neither a token nor names of hosts keep strangers out.
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
        """Answer a request, or has the application answer it."""
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
        return response.send(start, is_head=environ.get("REQUEST_METHOD") == "HEAD")

    def _respond(self, request: Request) -> Response | None:
        """Return what a request gets from us; None passes it on.

        Raises:
            Refused: If it gets nothing.
        """
        if request.method not in (*SAFE, *CHANGING, *NOT_ALLOWED):
            raise HttpError(501, "This method is not known here.")
        if self._access.hosts is not None and not request.names_any_of(self._access.hosts):
            raise HttpError(403, FOREIGN_HOST)
        if request.is_embedded:
            raise HttpError(403, "Pages of other sites may link to this dashboard, not embed it.")
        if self._auth is not None:
            response = self._auth.response(request)
            if response is not None:
                return response
        if not request.is_safe:
            self._check_change(request)
        self._check_size(request)
        return None

    def _check_change(self, request: Request) -> None:
        """Refuse changes that nobody may make, or that this request may not.

        Raises:
            Refused: With the reason.
        """
        if not self._access.allows_edit:
            raise HttpError(403, READ_ONLY)
        if request.method in NOT_ALLOWED:
            raise HttpError(
                405, "This method is not allowed.", ("Allow", ", ".join((*SAFE, *CHANGING)))
            )
        if not request.is_same_origin:
            raise HttpError(403, "Only pages of this dashboard may change the store.")
        if request.segments[:2] == ("api", "artifacts"):
            raise HttpError(403, NO_FILES)
        if request.segments[-1] == "rename":
            raise HttpError(403, NO_RENAME)
        if request.segments[0] == "incompatible-rdb-schema":
            raise HttpError(403, NO_UPGRADE)

    def _check_size(self, request: Request) -> None:
        """Refuse a body that is larger than any that is meant to come.

        Raises:
            Refused: If it is.
        """
        if request.n_body_bytes > MAX_BODY_BYTES:
            raise HttpError(413, f"Expected at most {MAX_BODY_BYTES:,} bytes.")

    def _call(self, environ: "WSGIEnvironment", start: "StartResponse") -> Iterable[bytes]:
        """Call the application; what it fails with is told in the log, in one line."""
        environ["wsgi.errors"] = _ErrorLog()
        try:
            return self._app(environ, start)
        except Exception as error:
            method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
            logger.error("%s %r: %s", method, path, _describe(error))  # noqa: TRY400  one line
            http_error = HttpError(500, "The dashboard failed here; its log says why.")
            return json_response(http_error).send(start, is_head=method == "HEAD")

    def _with_secure_headers(
        self, start_response: "StartResponse", request: Request | None
    ) -> "StartResponse":
        """Return what starts an answer with our headers."""
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
    """Where the application writes tracebacks: their last line is logged."""

    def write(self, text: str) -> int:
        lines = text.strip().splitlines()
        if lines:
            logger.error("%s", hide_passwords(lines[-1]))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        self.write("".join(lines))

    def flush(self) -> None:
        """Make nothing to do."""


def _render_error(http_error: HttpError, request: Request | None) -> Response:
    """Tell a refusal to whom it concerns: a page's program, or a reader."""
    is_login = request is not None and request.segments == ("login",)
    if request is None or request.is_api or not (request.is_safe or is_login):
        return json_response(http_error)
    return html_response(
        http_error, requested_target(request) if http_error.status == 401 else None
    )


def _describe(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [""]
    return hide_passwords(f"{type(error).__name__}: {lines[0]}")
