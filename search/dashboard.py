"""The dashboard's server: a store's application behind its guard, on waitress.

Who the clients are, how many there may be and how much they may send is bounded here.
"""

import errno
import logging
import os
import re
import secrets
import socket
import sys
import threading
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from search.errors import ArtifactError, SearchError, SettingsError
from search.signals import stopping_when_asked
from storage import Store, StoreError, hide_passwords

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

    from analysis.dashboard.guard import Access
    from analysis.report.facts import DataFacts

logger = logging.getLogger(__name__)
HOST, PORT = "127.0.0.1", 8080
MIN_TOKEN, MAX_TOKEN = 16, 512
PORTS_TRIED = 100
N_THREADS = 8
MAX_CONNECTIONS = 200
MAX_HEADER_BYTES = 65_536
"""Of the first line and all headers: other servers of this machine's name may leave cookies."""
SILENT_S = 60
"""How long a connection may stay silent."""
LEAVE_S = 0.5
"""How long requests get to be answered once the server is to leave."""
WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1"}


@dataclass(frozen=True, slots=True)
class Listener:
    """A socket that takes connections, before anybody answers them.

    Attributes:
        socket: It listens.
        host: As it was asked for.
    """

    socket: socket.socket
    host: str

    @classmethod
    def open(cls, host: str, port: int, *, advice: str) -> "Listener":
        """Listens at an address.

        Args:
            host: A name or an address of this machine.
            port: 0 takes any that is free.
            advice: What to write before another port, in place of one that is taken.

        Raises:
            SettingsError: If the port is taken, or the address is none of this machine.
        """
        try:
            return cls(_listen(host, port), host)
        except (socket.gaierror, UnicodeError):
            raise SettingsError(f"--host: no machine is called {host}.") from None
        except OverflowError:
            raise SettingsError(f"Expected a port from 0 to 65535. Received: {port}") from None
        except PermissionError:
            raise SettingsError(
                f"Port {port} is not for everybody: name one above 1023, as {advice}{PORT}."
            ) from None
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise SettingsError(
                    f"--host: cannot listen at {host}: {error.strerror or error}."
                ) from None
            raise SettingsError(_describe_taken(host, port, advice)) from None

    @classmethod
    def open_next(cls, host: str, port: int, *, advice: str) -> "Listener":
        """Listens at the first port that is free, from one on.

        Raises:
            SettingsError: If none is.
        """
        free = _next_free(host, port)
        return cls.open(host, port if free is None else free, advice=advice)

    @classmethod
    def inherit(cls, file: int) -> "Listener":
        """Takes over a socket that listens, from whoever started this process.

        Raises:
            SettingsError: If it is none.
        """
        try:
            inherited = socket.socket(fileno=file)
            return cls(inherited, inherited.getsockname()[0])
        except (OSError, IndexError) as error:
            raise SettingsError(f"--socket: {file} is no socket: {error}") from None

    @property
    def port(self) -> int:
        """The port, also where any was asked for."""
        return int(self.socket.getsockname()[1])

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine reaches it."""
        return ip_address(self.socket.getsockname()[0].partition("%")[0]).is_loopback

    @property
    def address(self) -> str:
        """The address as others write it; of a server at all addresses, by the machine's name."""
        return self._address(socket.gethostname() if self.host in WILDCARDS else self.host)

    @property
    def own_address(self) -> str:
        """The address as this machine's browser reaches it."""
        return self._address(WILDCARDS.get(self.host, self.host))

    def _address(self, host: str) -> str:
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}/"


def choose_token(given: str | None, *, is_needed: bool) -> str | None:
    """Gives the token that clients have to know; None where nobody has to know one.

    Args:
        given: By the user.
        is_needed: Whether others than this machine reach the server: one is made, then.

    Raises:
        SettingsError: If the given one is too short, or has spaces. It is not told.
    """
    if given is None:
        return secrets.token_urlsafe(24) if is_needed else None
    if re.fullmatch(rf"[!-~]{{{MIN_TOKEN},{MAX_TOKEN}}}", given) is None:
        raise SettingsError(
            f"--token, or $CONVSEARCH_TOKEN: expected {MIN_TOKEN} or more of ASCII's letters, "
            f"digits and signs, without spaces. Received: {len(given)} characters."
        )
    return given


def with_token(address: str, token: str) -> str:
    """Gives an address that lets its reader in."""
    return f"{address}?token={quote(token, safe='')}"


def check_proxy(address: str | None) -> str | None:
    """Gives a proxy's address as connections from it show it.

    Raises:
        SettingsError: If it is none.
    """
    try:
        return None if address is None else str(ip_address(address))
    except ValueError:
        raise SettingsError(
            "--behind-proxy: expected the proxy's IP address as we see it, 127.0.0.1 for one on "
            f"this machine. Received: {address}"
        ) from None


def serve(
    store: Store,
    listener: Listener,
    access: "Access",
    *,
    proxy: str | None = None,
    is_supervised: bool = False,
) -> list[int]:
    """Serves the dashboard of a store until a signal comes, and gives the signals.

    Args:
        store: Only read, unless `access` allows more.
        listener: Where clients connect.
        access: Who may do what.
        proxy: The address of a proxy before us, whose word is taken for who the clients are.
        is_supervised: Whether the end of standard input says that whoever started us is gone.
    """
    from analysis.dashboard.app import make_app
    from analysis.dashboard.guard import Guard
    from search.removal import remove_study

    app = make_app(
        store,
        allows_edit=access.allows_edit,
        about_data=about_data,
        remove_study=remove_study if access.allows_edit else None,
    )
    threading.Thread(target=app.warm_up, daemon=True).start()
    return serve_app(
        Guard(app, access),
        listener,
        max_body_bytes=access.max_body_bytes,
        proxy=proxy,
        is_supervised=is_supervised,
    )


def about_data(store: Store, study: str) -> "DataFacts | None":
    """Tells of a study's images; None where they cannot be had here.

    Raises:
        StoreError: If the store does not answer.
        ArtifactError: If the images are elsewhere, and that does not answer.
    """
    from search.gather import Gathering
    from search.open_study import OpenStudy
    from spaces import SpaceError

    try:
        return Gathering(OpenStudy.load(store, study)).about_data()
    except (StoreError, ArtifactError):
        raise
    except (SearchError, SpaceError, OSError) as error:
        logger.warning("the images of %s are not shown: %s", study, error)
        return None


def serve_app(
    app: "WSGIApplication",
    listener: Listener,
    *,
    max_body_bytes: int,
    proxy: str | None = None,
    is_supervised: bool = False,
) -> list[int]:
    """Serves an application until a signal comes, and gives the signals; see `serve`."""
    from waitress import wasyncore
    from waitress.server import create_server

    connections: dict[int, Any] = {}
    server: Any = create_server(app, map=connections, **_options(listener, max_body_bytes, proxy))
    is_over = threading.Event()

    def stop() -> None:
        is_over.set()
        server.pull_trigger()

    if is_supervised:
        threading.Thread(target=_wait_for_end, args=(stop,), daemon=True).start()
    with stopping_when_asked(stop) as signals:
        while not is_over.is_set():
            wasyncore.loop(timeout=30.0, use_poll=True, map=connections, count=1)
        server.task_dispatcher.shutdown(timeout=LEAVE_S)
    return signals


def log_in_lines() -> None:
    """Sends what goes wrong to standard error, a line each, and no line for what goes well."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_OneLine("%(asctime)s %(levelname)s %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    warnings.simplefilter("ignore")  # Of importances, of few trials: nobody here can act on them.
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)  # A page asks for much at once.


def _options(listener: Listener, max_body_bytes: int, proxy: str | None) -> dict[str, Any]:
    """Gives waitress' options; it refuses bodies of as much as it is told, not only of more."""
    trusted: dict[str, Any] = {}
    if proxy is not None:
        trusted = {
            "trusted_proxy": proxy,
            "trusted_proxy_count": 1,
            "trusted_proxy_headers": {"x-forwarded-for", "x-forwarded-proto"},
        }
    return trusted | {
        "sockets": [listener.socket],
        "threads": N_THREADS,
        "connection_limit": MAX_CONNECTIONS,
        "channel_timeout": SILENT_S,
        "max_request_header_size": MAX_HEADER_BYTES,
        "max_request_body_size": max_body_bytes + 1,
        "clear_untrusted_proxy_headers": True,
        "log_socket_errors": False,
        "ident": None,
    }


def _listen(host: str, port: int) -> socket.socket:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, kind, protocol, _, place = found[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(place)
        listener.listen()  # At once: two sockets may be bound to one port until one listens.
    except BaseException:
        listener.close()
        raise
    return listener


def _next_free(host: str, port: int) -> int | None:
    """Gives the first port that is free, from one on."""
    for candidate in range(port, min(port + PORTS_TRIED, 65_536)):
        try:
            _listen(host, candidate).close()
        except OSError:
            continue
        return candidate
    return None


def _describe_taken(host: str, port: int, advice: str) -> str:
    free = _next_free(host, port + 1)
    if free is None:
        return f"Port {port} is taken, and so are those after it. Name another one."
    return f"Port {port} is taken: `{advice}{free}` is free."


def _wait_for_end(stop: Callable[[], None]) -> None:
    while os.read(sys.stdin.fileno(), 1024):
        continue
    stop()


class _OneLine(logging.Formatter):
    """The first line of a message, and what an exception says, without its traceback."""

    def format(self, record: logging.LogRecord) -> str:
        words = [record.getMessage().partition("\n")[0]]
        if record.exc_info and record.exc_info[1] is not None:
            error = record.exc_info[1]
            words.append(f"{type(error).__name__}: {error}".partition("\n")[0])
        line = logging.makeLogRecord({**vars(record), "exc_info": None, "exc_text": None})
        line.msg, line.args = hide_passwords(": ".join(words)), None
        return super().format(line)
