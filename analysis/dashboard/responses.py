"""Answers of the dashboard: short on the wire, and nothing again that a browser has already."""

import gzip
import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

JSON = "application/json"
COMPRESSIBLE_TYPES = (JSON, "text/", "application/javascript")
MIN_GZIP_BYTES = 1000
"""A shorter answer is sent as it is."""


@dataclass(frozen=True)
class Response:
    """An answer that may be given many times; what is costly of it is made once."""

    body: bytes
    content_type: str = JSON
    status: HTTPStatus = HTTPStatus.OK
    headers: tuple[tuple[str, str], ...] = ()

    @classmethod
    def error(cls, status: HTTPStatus, reason: str, *headers: tuple[str, str]) -> "Response":
        """Return an answer that says why there is no other; the dashboard shows its `reason`."""
        return cls(json.dumps({"reason": reason}).encode(), JSON, status, headers)

    @cached_property
    def etag(self) -> str:
        """What the answer is known by."""
        return f'"{blake2b(self.body, digest_size=12).hexdigest()}"'

    @cached_property
    def gzipped(self) -> bytes | None:
        """The body compressed, where that is worth it."""
        if len(self.body) < MIN_GZIP_BYTES or not self.content_type.startswith(COMPRESSIBLE_TYPES):
            return None
        return gzip.compress(self.body, compresslevel=1, mtime=0)

    def respond(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        """Answer a request: with a few bytes where the browser has this answer already."""
        headers = [*self.headers, ("Cache-Control", "private, no-cache")]
        if self.status is not HTTPStatus.OK:
            return self._send(environ, start_response, self.status, self.body, headers)
        headers.append(("ETag", self.etag))
        if self.etag in environ.get("HTTP_IF_NONE_MATCH", ""):
            start_response("304 Not Modified", [("ETag", self.etag)])
            return [b""]
        body = self.body
        if self.gzipped is not None:
            headers.append(("Vary", "Accept-Encoding"))
            if "gzip" in environ.get("HTTP_ACCEPT_ENCODING", ""):
                headers.append(("Content-Encoding", "gzip"))
                body = self.gzipped
        return self._send(environ, start_response, self.status, body, headers)

    def _send(
        self,
        environ: "WSGIEnvironment",
        start_response: "StartResponse",
        status: HTTPStatus,
        body: bytes,
        headers: list[tuple[str, str]],
    ) -> Iterable[bytes]:
        content_headers = [("Content-Type", self.content_type), ("Content-Length", str(len(body)))]
        start_response(f"{status.value} {status.phrase}", [*content_headers, *headers])
        return [b""] if environ["REQUEST_METHOD"] == "HEAD" else [body]


def call_app(app: "WSGIApplication", environ: "WSGIEnvironment") -> Response:
    """Make another application answer, as one whole answer."""
    found: list[Any] = []

    def start_response(status: str, headers: list[tuple[str, str]], *_: object) -> Any:
        found[:] = [HTTPStatus(int(status.split(" ", 1)[0])), dict(headers)]
        return lambda _: None

    if environ["REQUEST_METHOD"] == "HEAD":  # The answer may be kept, so it has to be whole.
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
