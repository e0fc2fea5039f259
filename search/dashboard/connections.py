"""Limits on the server's connections, so that clients that send or read nothing cannot fill it.

A connection waits for its client in one of four ways, each with a time limit. Where there is no
room, those that have used most of their time are closed, so a new one comes last. One whose
response is being made is never closed.

Of waitress it uses, besides documented names, `active_channels` of a server; `addr`, `request`,
`requests`, `total_outbufs_len`, `creation_time`, `last_activity`, and `handle_close` of a channel;
and `headers_finished` of a request. waitress' own `channel_timeout` begins anew with each byte,
does not end a connection whose client reads nothing, and makes no room for others.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any


class Wait(IntEnum):
    """What a connection waits for."""

    HEADERS = 0
    NEXT_REQUEST = 1
    BODY = 2
    READER = 3


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """Numbers of connections, and seconds that one may wait.

    `headers_s` is for the first byte of a new connection, and again for the rest of the headers.
    `reader_s` is for a client that reads nothing of its response.
    """

    n_total: int = 200
    n_per_client: int = 50
    headers_s: float = 10.0
    next_request_s: float = 60.0
    body_s: float = 30.0
    reader_s: float = 30.0

    def timeout_s(self, wait: Wait) -> float:
        """Return how long a connection may wait."""
        return (self.headers_s, self.next_request_s, self.body_s, self.reader_s)[wait]


class ConnectionLimiter:
    """Closes connections that wait too long, and those that have to make room.

    `channels` are waitress' open connections. `client_of` names the client of an IP address, whose
    connections are counted together; None is not counted, such as a proxy, which connects for
    many. `clock` returns seconds.
    """

    def __init__(
        self,
        channels: Mapping[int, Any],
        client_of: Callable[[str], str | None],
        limits: ConnectionLimits,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._channels = channels
        self._client_of = client_of
        self._limits = limits
        self._clock = clock
        self._waits: dict[Any, tuple[tuple[Wait, object], float]] = {}
        """What each waiting connection waits for, and since when."""
        self._shares: dict[Any, float] = {}
        """The share of its time that each waiting connection has used."""

    def apply(self) -> None:
        """Close what has to be closed; called between rounds of the server's loop, in its thread.

        If responses are being made on all connections that a client may have, its further ones are
        closed. If they are being made on all of the server's, the newest one waits.
        """
        now = self._clock()
        self._observe(now)
        for channel in [it for it, share in self._shares.items() if share > 1]:
            self._close(channel)
        if len(self._channels) > self._limits.n_per_client:
            for channels in self._by_client().values():
                self._make_room(channels, self._limits.n_per_client)
        *others, _newest = self._channels.values() or [None]
        self._make_room(others, self._limits.n_total - 1)

    def _observe(self, now: float) -> None:
        """Note what each connection waits for, since when, and the share of its time."""
        waits = {}
        for channel in list(self._channels.values()):
            wait = _wait_of(channel)
            if wait is not None:
                before, since = self._waits.get(channel, (None, now))
                waits[channel] = wait, since if wait == before else now
        self._waits = waits
        self._shares = {
            channel: (now - since) / self._limits.timeout_s(wait)
            for channel, ((wait, _), since) in waits.items()
        }

    def _by_client(self) -> Mapping[str, list[Any]]:
        channels = defaultdict(list)
        for channel in self._channels.values():
            client = self._client_of(channel.addr[0])
            if client is not None:
                channels[client].append(channel)
        return channels

    def _make_room(self, channels: Sequence[Any], n_most: int) -> None:
        """Close the connections that have used most of their time until there are `n_most`."""
        waiting = [it for it in channels if it in self._shares]
        waiting.sort(key=lambda it: self._shares[it], reverse=True)
        for channel in waiting[: max(0, len(channels) - n_most)]:
            self._close(channel)

    def _close(self, channel: Any) -> None:
        del self._shares[channel]
        channel.handle_close()


def _wait_of(channel: Any) -> tuple[Wait, object] | None:
    """Return what a connection waits for, and an object that changes when a new wait begins.

    None if a response is being made. A client that reads slowly begins a new wait with each part
    that it reads, but not where it sent more requests meanwhile: a thread may be kept for these.
    """
    is_responding = bool(channel.requests)  # Read first: threads add output, then end requests.
    if channel.total_outbufs_len:
        return Wait.READER, None if is_responding else channel.last_activity
    if is_responding:
        return None
    request = channel.request
    if request is not None:
        return Wait.BODY if request.headers_finished else Wait.HEADERS, request
    is_new = channel.last_activity == channel.creation_time
    return (Wait.HEADERS, None) if is_new else (Wait.NEXT_REQUEST, channel.last_activity)
