"""Connections of clients that send or read nothing, on the real server and on stand-ins."""

import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from search.dashboard.connections import ConnectionLimiter, ConnectionLimits
from search.dashboard.listener import HOST, Listener
from search.dashboard.server import Server, _client_of

PATIENCE_S = 20.0
HUGE = 30_000_000
SMALL_WINDOW = 4_096
REQUEST = b"GET /small HTTP/1.1\r\nHost: localhost\r\n\r\n"
UNFINISHED = {
    "nothing": b"",
    "part of the headers": REQUEST[:10],
    "part of a body": b"PUT / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n1",
    "one request": REQUEST,
    "no reading": REQUEST.replace(b"small", b"huge"),
}
"""What a client sends before it stays silent."""
PATIENT: dict[str, Any] = dict.fromkeys(
    ("headers_s", "next_request_s", "body_s", "reader_s"), 1000.0
)
"""Times that do not end during a test."""


@dataclass
class App:
    """A WSGI application; the path `/wait` is answered once `may_answer` is set."""

    is_asked: threading.Event = field(default_factory=threading.Event)
    may_answer: threading.Event = field(default_factory=threading.Event)

    def __call__(self, environ: dict[str, Any], start: Callable[..., object]) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/wait":
            self.is_asked.set()
            self.may_answer.wait(PATIENCE_S)
        size = HUGE if environ["PATH_INFO"] == "/huge" else 2
        start("200 OK", [("Content-Length", str(size))])
        return [b"x" * size]


@dataclass
class Clients:
    """Clients of one server, which are closed with it."""

    port: int
    app: App
    channels: Mapping[int, Any]
    """The server's open connections."""
    sockets: list[socket.socket] = field(default_factory=list)

    def send(self, data: bytes) -> socket.socket:
        """Connect and send some bytes."""
        client = socket.socket()
        self.sockets.append(client)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_WINDOW)
        client.settimeout(PATIENCE_S)
        client.connect((HOST, self.port))
        client.sendall(data)
        return client


Serve = Callable[[ConnectionLimits], Clients]


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    from waitress import wasyncore

    monkeypatch.setattr("search.dashboard.server.ROUND_S", 0.05)
    stops: list[Callable[[], None]] = []

    def start(limits: ConnectionLimits) -> Clients:
        app, listener = App(), Listener.open(HOST, 0, port_option="")
        server = Server(app, listener, limits=limits)
        thread = threading.Thread(target=server.run)
        thread.start()
        clients = Clients(listener.port, app, server._server.active_channels)

        def stop() -> None:
            app.may_answer.set()
            server.stop()
            thread.join()
            wasyncore.close_all(server._sockets)
            for client in clients.sockets:
                client.close()

        stops.append(stop)
        return clients

    yield start
    for stop in stops:
        stop()


def read_all(client: socket.socket) -> bytes:
    """Read until the server closes the connection."""
    parts = []
    try:
        while part := client.recv(1_000_000):
            parts.append(part)
    except ConnectionResetError:  # It closed while there was something to read.
        pass
    return b"".join(parts)


def wait_for(is_so: Callable[[], object]) -> None:
    give_up_at = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < give_up_at
        time.sleep(0.01)


@pytest.mark.parametrize("sent", UNFINISHED.values(), ids=UNFINISHED)
@pytest.mark.parametrize("bound", ["n_total", "n_per_client"])
def test_request_is_answered_where_others_hold_all_connections(
    serve: Serve, bound: str, sent: bytes
) -> None:
    clients = serve(ConnectionLimits(**PATIENT, **{bound: 3}))
    for _ in range(7):
        client = clients.send(sent)
        if sent.startswith(b"GET") and sent.endswith(b"\r\n\r\n"):
            client.recv(1)
        wait_for(lambda: not any(it.requests for it in list(clients.channels.values())))
    assert clients.send(REQUEST).recv(15) == b"HTTP/1.1 200 OK"


@pytest.mark.parametrize(
    ("limit", "kind"),
    [
        ("headers_s", "nothing"),
        ("headers_s", "part of the headers"),
        ("body_s", "part of a body"),
    ],
)
def test_unfinished_request_is_closed_after_its_time(serve: Serve, limit: str, kind: str) -> None:
    clients = serve(ConnectionLimits(**PATIENT | {limit: 0.1}))
    assert read_all(clients.send(UNFINISHED[kind])) == b""


def test_idle_connection_is_closed_after_its_time(serve: Serve) -> None:
    clients = serve(ConnectionLimits(**PATIENT | {"next_request_s": 0.1}))
    assert read_all(clients.send(REQUEST)).endswith(b"xx")


def test_connection_of_a_client_that_does_not_read_is_closed(serve: Serve) -> None:
    clients = serve(ConnectionLimits(**PATIENT | {"reader_s": 0.1}))
    reader = clients.send(UNFINISHED["no reading"])
    wait_for(lambda: clients.channels)
    wait_for(lambda: not clients.channels)
    assert len(read_all(reader)) < HUGE


def test_headers_sent_byte_by_byte_have_no_more_time(serve: Serve) -> None:
    clients = serve(ConnectionLimits(**PATIENT | {"headers_s": 0.3}))
    client = clients.send(b"GET / HTTP/1.1\r\nX: ")
    client.settimeout(0.02)
    for _ in range(500):
        try:
            client.sendall(b"x")
            if client.recv(1) == b"":
                return
        except TimeoutError:
            continue
        except OSError:
            return
    pytest.fail("The connection is still open.")


def test_connection_whose_response_is_being_made_is_kept(serve: Serve) -> None:
    clients = serve(ConnectionLimits(headers_s=0.1, next_request_s=0.1, body_s=0.1))
    slow = clients.send(REQUEST.replace(b"small", b"wait"))
    assert clients.app.is_asked.wait(PATIENCE_S)
    assert read_all(clients.send(b"")) == b""  # Its time is over, and that of the other, too.
    clients.app.may_answer.set()
    assert read_all(slow).endswith(b"xx")


@dataclass(eq=False)
class Channel:
    """A stand-in of waitress' channel: one that has sent nothing yet, and knows if it is open."""

    address: str
    requests: Sequence[object] = ()
    last_activity: float = 0.0
    total_outbufs_len: int = 0
    creation_time: float = 0.0
    request: object = None
    is_open: bool = True

    @property
    def addr(self) -> tuple[str, int]:
        return self.address, 1

    def handle_close(self) -> None:
        self.is_open = False


def open_after(
    channels: list[Channel], limits: ConnectionLimits, *, proxy: str | None = None
) -> list[bool]:
    """Apply limits while the connections come one by one, a second each."""
    now = 0.0
    there: dict[int, Channel] = {}
    limiter = ConnectionLimiter(there, _client_of(proxy), limits, lambda: now)
    for number, channel in enumerate(channels):
        now += 1
        there[number] = channel
        limiter.apply()
        for closed in [key for key, it in there.items() if not it.is_open]:
            del there[closed]
    return [it.is_open for it in channels]


LIMITS = ConnectionLimits(n_total=100, n_per_client=2, **PATIENT)


def test_client_with_too_many_connections_loses_its_own_oldest() -> None:
    channels = [Channel(it) for it in ("10.0.0.9", *["10.0.0.1"] * 4, "10.0.0.2")]
    assert open_after(channels, LIMITS) == [True, False, False, True, True, True]


def test_client_has_no_more_connections_while_responses_are_made_on_all() -> None:
    channels = [Channel("10.0.0.1", requests=[object()]) for _ in range(2)]
    assert open_after([*channels, Channel("10.0.0.1")], LIMITS) == [True, True, False]


def test_addresses_of_one_ipv6_network_are_one_client() -> None:
    channels = [Channel(f"2001:db8::{it}") for it in range(3)]
    assert open_after([*channels, Channel("2001:db8:0:1::1")], LIMITS) == [False, *[True] * 3]


def test_named_proxy_may_have_more_connections_than_one_client() -> None:
    channels = [Channel("127.0.0.1") for _ in range(5)]
    assert open_after(channels, LIMITS, proxy="127.0.0.1") == [True] * 5
    assert open_after(channels, LIMITS, proxy="10.0.0.1").count(True) == 2


def test_newest_connection_waits_where_responses_are_made_on_all_others() -> None:
    channels = [Channel(f"10.0.0.{it}", requests=[object()]) for it in range(3)]
    limits = ConnectionLimits(n_total=3)
    assert open_after([*channels, Channel("10.0.0.9")], limits) == [True] * 4


def test_silent_connection_makes_room_before_the_idle_one_of_a_proxy() -> None:
    idle = Channel("127.0.0.1", last_activity=0.5)
    limits = ConnectionLimits(n_total=2)
    channels = [idle, Channel("10.0.0.1"), Channel("10.0.0.2"), Channel("10.0.0.3")]
    assert open_after(channels, limits, proxy="127.0.0.1") == [True, False, False, True]


@pytest.mark.parametrize(("n_requests", "is_kept"), [(0, True), (2, False)])
def test_slow_reader_is_kept_unless_it_keeps_a_thread(n_requests: int, is_kept: bool) -> None:
    now = 0.0
    reader = Channel("10.0.0.1", requests=[object()] * n_requests, total_outbufs_len=1)
    limiter = ConnectionLimiter({1: reader}, str, ConnectionLimits(reader_s=3), lambda: now)
    for second in range(10):
        now = reader.last_activity = float(second)  # It reads a little every second.
        if reader.is_open:
            limiter.apply()
    assert reader.is_open is is_kept
