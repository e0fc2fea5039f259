"""Requests to web servers over HTTP and HTTPS alone, with failures as sentences."""

import ssl
from http.client import HTTPException, HTTPMessage, HTTPResponse, InvalidURL
from typing import IO
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import (
    HTTPDefaultErrorHandler,
    HTTPErrorProcessor,
    HTTPHandler,
    HTTPRedirectHandler,
    HTTPSHandler,
    OpenerDirector,
    ProxyHandler,
    Request,
    UnknownHandler,
)

from spaces.errors import DownloadError
from spaces.wording import shorten

TIMEOUT_S = 30.0
"""Timeout of a silent server; without it, a download could wait forever."""
SCHEMES = ("http", "https")
BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Answers of a server that may have the file a little later."""
PARTIAL, NO_MORE = 206, 416


class Dropped(Exception):  # noqa: N818  an answer that ends early is no error yet
    """A connection that ended early; the message is the reason.

    Attributes:
        is_worth_another_try: Whether another may succeed, even if nothing came over this one.
        retry_after_s: Seconds that the server asks to wait.
    """

    def __init__(
        self, reason: str, *, is_worth_another_try: bool = False, retry_after_s: float = 0.0
    ) -> None:
        super().__init__(reason)
        self.is_worth_another_try = is_worth_another_try
        self.retry_after_s = retry_after_s


def open_url(url: str, start: int = 0) -> HTTPResponse:
    """Open a file of a web server, from a byte on if the server can do that.

    Proxies are those of the environment, as in `$https_proxy`.

    Returns:
        The response: of status 206 from `start`, of 200 from the first byte, or of 416 if there
        is nothing at `start`.

    Raises:
        Dropped: If there is no connection, or the server is busy.
        DownloadError: If another request would fail too.
    """
    check_url(url)
    headers = {"User-Agent": "convsearch", "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    try:
        response: HTTPResponse = _opener().open(Request(url, headers=headers), timeout=TIMEOUT_S)
    except HTTPError as error:
        if error.code == NO_MORE and start:
            return error  # type: ignore[return-value]  # it has the status and the headers
        with error:
            raise _refusal(error) from error
    except URLError as error:
        if isinstance(error.reason, ssl.SSLCertVerificationError):
            reason = f"its certificate is refused ({error.reason.verify_message})"
            raise DownloadError(reason) from error
        raise Dropped(f"no connection: {_words(error.reason)}") from error
    except (InvalidURL, UnicodeError) as error:
        raise DownloadError(f"this is no URL: {shorten(str(error), 80)}") from error
    except TimeoutError as error:
        raise Dropped(f"the server did not answer within {TIMEOUT_S:g} s") from error
    except (OSError, HTTPException) as error:
        raise Dropped("the connection was cut", is_worth_another_try=True) from error
    return response


def check_url(url: str) -> None:
    """Check that a URL is one of a web server, without a user's name or password.

    Raises:
        DownloadError: If not.
    """
    try:
        parts = urlsplit(url)
        is_usable = parts.scheme in SCHEMES and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_usable = False
    if not is_usable or "@" in parts.netloc:
        raise DownloadError("expected an address such as https://HOST/FOLDER, without a password")


class _WebRedirects(HTTPRedirectHandler):
    """Follows redirects to other web servers, and never from HTTPS to HTTP."""

    def redirect_request(  # noqa: PLR0917  urllib's signature
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        is_downgrade = req.type == "https" and urlsplit(newurl).scheme != "https"
        if is_downgrade or urlsplit(newurl).scheme not in SCHEMES:
            raise HTTPError(newurl, code, "not followed", headers, fp)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener() -> OpenerDirector:
    """Return an opener without urllib's handlers of files, FTP and data."""
    opener = OpenerDirector()
    for handler in (
        ProxyHandler,
        HTTPHandler,
        HTTPSHandler,
        _WebRedirects,
        HTTPDefaultErrorHandler,
        HTTPErrorProcessor,
        UnknownHandler,
    ):
        opener.add_handler(handler())
    return opener


def _refusal(error: HTTPError) -> Exception:
    if error.code in BUSY:
        after = error.headers.get("Retry-After", "")
        wait_s = float(after) if after.isascii() and after.isdigit() and len(after) < 9 else 0.0
        return Dropped(
            f"the server is busy ({error.code})", is_worth_another_try=True, retry_after_s=wait_s
        )
    if 300 <= error.code < 400:
        place = shorten(error.headers.get("Location", ""), 80)
        return DownloadError(f"the server redirects to {place!r}, which is not followed")
    return DownloadError(f"the server answered {error.code} {shorten(str(error.reason), 80)}")


def _words(reason: object) -> str:
    """Return why there is no connection."""
    if isinstance(reason, TimeoutError):
        return f"no answer within {TIMEOUT_S:g} s"
    return shorten(getattr(reason, "strerror", None) or str(reason), 80)
