"""A local web server of one file, which answers each request as a test says."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

WAIT_S = 20.0
"""An answer that a test holds back comes after this time at the latest."""


class FileServer(ThreadingHTTPServer):
    """Serves `content` under every path.

    Attributes:
        answers: How the next requests are answered, in turn; later ones get the file.
        paths, ranges: Path and header `Range` of each request so far.
    """

    daemon_threads = True

    def __init__(self, content: bytes) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.content = content
        self.answers: list[Answer] = []
        self.paths: list[str] = []
        self.ranges: list[str | None] = []
        self.released = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, *_: Any) -> None:
        """Say nothing of clients that are gone."""


class _Handler(BaseHTTPRequestHandler):
    server: FileServer

    def do_GET(self) -> None:
        self.server.paths.append(self.path)
        self.server.ranges.append(self.headers.get("Range"))
        answer = self.server.answers.pop(0) if self.server.answers else whole
        answer(self)

    def log_message(self, *_: object) -> None:
        pass

    def start(self) -> int:
        """Return the first byte that is asked for."""
        asked = self.headers.get("Range", "bytes=0-")
        return int(asked.removeprefix("bytes=").removesuffix("-"))

    def head(self, code: int, **headers: object) -> None:
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()

    def part_head(self) -> bytes:
        """Send the headers of the part that is asked for, and return its content."""
        content, start = self.server.content, self.start()
        if not start:
            self.head(200, Content_Length=len(content))
        elif start >= len(content):
            self.head(416, Content_Range=f"bytes */{len(content)}", Content_Length=0)
        else:
            place = f"bytes {start}-{len(content) - 1}/{len(content)}"
            self.head(206, Content_Length=len(content) - start, Content_Range=place)
        return content[start:]


Answer = Callable[[_Handler], object]


def whole(handler: _Handler) -> None:
    """Send the file from the byte that is asked for."""
    handler.wfile.write(handler.part_head())


def without_ranges(handler: _Handler) -> None:
    """Send all of the file, whatever is asked for."""
    handler.head(200, Content_Length=len(handler.server.content))
    handler.wfile.write(handler.server.content)


def cut_after(n_bytes: int) -> Answer:
    """Close the connection after some bytes of the part that is asked for."""
    return lambda handler: handler.wfile.write(handler.part_head()[:n_bytes])


def drop(_: _Handler) -> None:
    """Close the connection without an answer."""


def status(code: int, **headers: object) -> Answer:
    """Answer with a status."""
    return lambda handler: handler.head(code, Content_Length=0, **headers)


def silent_after(n_bytes: int) -> Answer:
    """Send some bytes and then nothing until the test is over; for 0, not even headers."""

    def answer(handler: _Handler) -> None:
        if n_bytes:
            handler.wfile.write(handler.part_head()[:n_bytes])
        handler.server.released.wait(WAIT_S)

    return answer


def drip(handler: _Handler) -> None:
    """Send a byte every few milliseconds."""
    for byte in handler.part_head():
        handler.wfile.write(bytes([byte]))
        time.sleep(0.01)


def endless(handler: _Handler) -> None:
    """Send zeros for ever, without saying how many."""
    handler.head(200)
    while not handler.server.released.is_set():
        handler.wfile.write(bytes(10_000))


def held_back(handler: _Handler) -> None:
    """Send the file once the test allows it."""
    handler.server.released.wait(WAIT_S)
    whole(handler)


@contextmanager
def serve_file(content: bytes) -> Iterator[FileServer]:
    """Run a server of a file."""
    with FileServer(content) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.released.set()
            server.shutdown()
            thread.join()
