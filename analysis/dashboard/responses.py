"""HTTP responses: compressed, and not sent again to a browser that has them already."""

import gzip
import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

JSON = "application/json"
HTML = "text/html; charset=utf-8"
NO_STORE, PRIVATE = "no-store", "private, no-cache"
COMPRESSIBLE_TYPES = (JSON, "text/", "application/javascript")
MIN_GZIP_BYTES = 1000
"""Shorter responses are not compressed."""


@dataclass(frozen=True)
class Response:
    """A whole response, which may be sent many times: its digest and compression are cached."""

    body: bytes = b""
    content_type: str = JSON
    status: HTTPStatus = HTTPStatus.OK
    headers: tuple[tuple[str, str], ...] = ()
    cache_control: str = PRIVATE

    @classmethod
    def error(
        cls, status: int, reason: str, *headers: tuple[str, str], cache_control: str = PRIVATE
    ) -> "Response":
        """Return an error as JSON, whose `reason` the dashboard's page shows."""
        body = json.dumps({"reason": reason}).encode()
        return cls(body, JSON, HTTPStatus(status), headers, cache_control)

    @cached_property
    def etag(self) -> str:
        """The entity tag of the body."""
        return f'"{blake2b(self.body, digest_size=12).hexdigest()}"'

    @property
    def is_compressible(self) -> bool:
        """Whether the body is neither short nor compressed already."""
        is_long = len(self.body) >= MIN_GZIP_BYTES
        return is_long and self.content_type.startswith(COMPRESSIBLE_TYPES)

    @cached_property
    def gzipped(self) -> bytes:
        """The compressed body."""
        return gzip.compress(self.body, compresslevel=1, mtime=0)

    def send(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Send the response; only its status where the browser has the same body already."""
        headers, body = [*self.headers, ("Cache-Control", self.cache_control)], self.body
        if self.status is HTTPStatus.OK:
            headers.append(("ETag", self.etag))
            if self.etag in environ.get("HTTP_IF_NONE_MATCH", ""):
                start_response("304 Not Modified", [("ETag", self.etag)])
                return [b""]
            if self.is_compressible:
                headers.append(("Vary", "Accept-Encoding"))
                if "gzip" in environ.get("HTTP_ACCEPT_ENCODING", ""):
                    headers.append(("Content-Encoding", "gzip"))
                    body = self.gzipped
        if self.content_type:
            headers.append(("Content-Type", self.content_type))
        headers.append(("Content-Length", str(len(body))))
        start_response(f"{self.status.value} {self.status.phrase}", headers)
        return [b"" if environ.get("REQUEST_METHOD") == "HEAD" else body]


def call_app(app: "WSGIApplication", environ: "WSGIEnvironment") -> Response:
    """Call another application and return its whole response."""
    found: list[Any] = []

    def start_response(status: str, headers: list[tuple[str, str]], *_: object) -> Any:
        found[:] = [HTTPStatus(int(status.split(" ", 1)[0])), dict(headers)]
        return lambda _: None

    if environ["REQUEST_METHOD"] == "HEAD":  # The response may be cached, so it has to be whole.
        environ = {**environ, "REQUEST_METHOD": "GET"}
    parts = app(environ, start_response)
    try:
        body = b"".join(parts)
    finally:
        if hasattr(parts, "close"):
            parts.close()
    status, headers = found
    content_type = headers.pop("Content-Type", "application/octet-stream")
    headers.pop("Content-Length", None)
    return Response(body, content_type, status, tuple(headers.items()))
