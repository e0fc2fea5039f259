"""Requests to a WSGI application as a browser sends them, without a server."""

import gzip
import io
import json
from dataclasses import dataclass
from typing import Any
from wsgiref.util import setup_testing_defaults


@dataclass(frozen=True)
class Answer:
    """A response of an application; header names are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The JSON document in the body, which may be compressed."""
        is_zipped = self.headers.get("content-encoding") == "gzip"
        return json.loads(gzip.decompress(self.body) if is_zipped else self.body)


def ask(app: Any, path: str, *, method: str = "GET", body: bytes = b"", **headers: str) -> Answer:
    """Request a path with its query; headers are named like `if_none_match`."""
    path, _, query = path.partition("?")
    environ: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "CONTENT_LENGTH": str(len(body)),
        "CONTENT_TYPE": "application/json",
        "wsgi.input": io.BytesIO(body),
        **{f"HTTP_{name.upper()}": value for name, value in headers.items()},
    }
    setup_testing_defaults(environ)
    found: list[Any] = []

    def start_response(status: str, headers: list[tuple[str, str]], *_: Any) -> Any:
        by_name = {name.lower(): value for name, value in headers}
        found[:] = [int(status.split(maxsplit=1)[0]), by_name]
        return lambda _: None

    parts = app(environ, start_response)
    content = b"".join(parts)
    return Answer(*found, content)
