"""Authentication by token: where a request may carry it, and the cookie that replaces it.

The token is compared by its digest, in constant time. The cookie is derived from it by a one-way
function, so a new token makes all cookies stale.
"""

import hashlib
import hmac
import logging
from dataclasses import dataclass
from http import HTTPStatus
from math import ceil
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote_to_bytes

from analysis.dashboard.guard.error_pages import HttpError
from analysis.dashboard.guard.rate_limit import RateLimiter
from analysis.dashboard.responses import NO_STORE, Response

if TYPE_CHECKING:
    from analysis.dashboard.guard.requests import Request

logger = logging.getLogger(__name__)

LOGIN = "/login"
HOME = "/dashboard"
MAX_FORM_BYTES = 8192
MAX_COOKIES = 100
COOKIE_DAYS = 30
TOKEN_HINT = (
    "Open the address that `convsearch dashboard` printed, or send the token as "
    "`Authorization: Bearer TOKEN`."
)


@dataclass(frozen=True, slots=True)
class TokenAuth:
    """Admits requests that carry the token or its cookie; `digest` is that of the token."""

    digest: bytes
    cookie: str
    rate_limiter: RateLimiter

    @classmethod
    def make(cls, token: str) -> "TokenAuth":
        """Return the authentication for a token."""
        secret = token.encode()
        # Wrong cookies are not rate-limited, so deriving a cookie from a guessed token is slow.
        cookie = hashlib.scrypt(secret, salt=b"convsearch dashboard", n=2**14, r=8, p=1, dklen=32)
        return cls(hashlib.sha256(secret).digest(), cookie.hex(), RateLimiter())

    def response(self, request: "Request") -> Response | None:
        """Return the response to a request that is not admitted as it is; None admits it.

        Raises:
            HttpError: If it has no token or a wrong one, or its address sent too many wrong ones.
        """
        has_cookie = self._has_cookie(request)
        if request.path.rstrip("/") == LOGIN:
            return self._log_in(request, has_cookie=has_cookie)
        given, query = extract_token(request.environ.get("QUERY_STRING", ""))
        if has_cookie and given is not None and request.is_safe:
            return redirect(_target(request.path, query))
        if has_cookie:
            return None
        bearer = _bearer(request.environ.get("HTTP_AUTHORIZATION", ""))
        if bearer is not None:
            self._check(request, bearer)
            return None
        if not given or not request.is_safe:
            raise _unauthorized(f"A token is needed. {TOKEN_HINT}")
        self._check(request, given)
        return redirect(_target(request.path, query), self._make_cookie(request))

    def _log_in(self, request: "Request", *, has_cookie: bool) -> Response:
        """Respond to the form for the token."""
        if request.method != "POST":
            if has_cookie:
                return redirect(HOME)
            raise _unauthorized(f"A token is needed. {TOKEN_HINT}")
        if not request.is_same_origin:
            raise HttpError(403, "This form was sent by a page of another site.")
        if request.n_body_bytes > MAX_FORM_BYTES:
            raise HttpError(413, "This is longer than any token.")
        body = request.environ["wsgi.input"].read(request.n_body_bytes)
        given, rest = extract_token(body.decode("latin-1"))
        target = safe_target(_field(rest, "next"))
        if has_cookie:
            return redirect(target)
        if not given:
            raise _unauthorized(f"A token is needed. {TOKEN_HINT}")
        self._check(request, given)
        return redirect(target, self._make_cookie(request))

    def _check(self, request: "Request", given: bytes) -> None:
        """Raise an `HttpError` if a token is wrong, or its address sent too many wrong ones."""
        digest = hashlib.sha256(given.strip()).digest()  # A space copied with it is ignored.
        result = self.rate_limiter.check(
            request.address, lambda: hmac.compare_digest(digest, self.digest)
        )
        if result is None:
            logger.warning("wrong token from %s", request.address)
            raise _unauthorized(f"That is not the token of this dashboard. {TOKEN_HINT}")
        if result > 0:
            wait_s = ceil(result)
            raise HttpError(
                429,
                f"Too many wrong tokens. Try again in {wait_s} s.",
                ("Retry-After", str(wait_s)),
            )

    def _has_cookie(self, request: "Request") -> bool:
        """Whether a cookie is valid; stale ones, which browsers keep, do not count as attempts."""
        name, wanted, is_there = _cookie_name(request), self.cookie.encode(), False
        for part in request.environ.get("HTTP_COOKIE", "").split(";", MAX_COOKIES):
            key, _, value = part.partition("=")
            if key.strip() == name:
                found = value.strip().strip('"').encode("latin-1", "replace")
                is_there |= hmac.compare_digest(found, wanted)
        return is_there

    def _make_cookie(self, request: "Request") -> tuple[str, str]:
        secure = "; Secure" if request.is_https else ""
        age_s = COOKIE_DAYS * 24 * 3600
        name = _cookie_name(request)
        return (
            "Set-Cookie",
            f"{name}={self.cookie}; Path=/; Max-Age={age_s}; HttpOnly; SameSite=Lax{secure}",
        )


def redirect(target: str, *headers: tuple[str, str]) -> Response:
    """Send a browser to another address of the dashboard, by GET."""
    return Response(b"", "", HTTPStatus.SEE_OTHER, (("Location", target), *headers), NO_STORE)


def extract_token(query: str) -> tuple[bytes | None, str]:
    """Split a query or a form's fields into the token, or None, and the rest.

    A plus in the token is taken literally, since tokens have no spaces.
    """
    token, left = None, []
    for part in query.split("&"):
        name, _, value = part.partition("=")
        if unquote_to_bytes(name.encode("latin-1", "replace")) == b"token":
            token = unquote_to_bytes(value.encode("latin-1", "replace"))
        else:
            left.append(part)
    return token, "&".join(left)


def strip_token(environ: dict[str, Any]) -> None:
    """Remove the token from what the application sees, and might log."""
    environ["QUERY_STRING"] = extract_token(environ.get("QUERY_STRING", ""))[1]
    for name in ("HTTP_AUTHORIZATION", "HTTP_COOKIE", "HTTP_REFERER", "REQUEST_URI"):
        environ.pop(name, None)


def safe_target(target: str) -> str:
    """Return a quoted address as a path of this dashboard that a header can hold."""
    path, _, query = target.partition("?")
    decoded = unquote_to_bytes(path.encode()).decode("utf-8", "replace")
    return _target(decoded, extract_token(query)[1])


def requested_target(request: "Request") -> str:
    """Return the address to go to after the token was given."""
    if not request.is_safe or request.path.rstrip("/") == LOGIN:
        return HOME
    return _target(request.path, extract_token(request.environ.get("QUERY_STRING", ""))[1])


def _target(path: str, query: str) -> str:
    """Return a path with one leading slash, so that it names no host, in ASCII."""
    clean = "/" + quote(path, safe="/-._~!$&'()*+,;=:@").lstrip("/")
    if clean.rstrip("/") == LOGIN:
        clean = HOME
    kept = quote(query, safe="-._~!$&'()*+,;=:@/?%", encoding="latin-1", errors="replace")
    return f"{clean}?{kept}" if kept else clean


def _field(fields: str, wanted: str) -> str:
    for part in fields.split("&"):
        name, _, value = part.partition("=")
        if name == wanted:
            raw = unquote_to_bytes(value.replace("+", " ").encode("latin-1", "replace"))
            return raw.decode("utf-8", "replace")
    return HOME


def _bearer(header: str) -> bytes | None:
    """Return the token in `Authorization`; other schemes are meant for a proxy."""
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        return None
    return token.strip().encode("latin-1", "replace")


def _cookie_name(request: "Request") -> str:
    """Return the cookie's name, which has the port: browsers send cookies to all ports."""
    return f"convsearch-{request.environ.get('SERVER_PORT', '')}"


def _unauthorized(reason: str) -> HttpError:
    return HttpError(401, reason, ("WWW-Authenticate", 'Bearer realm="convsearch"'))
