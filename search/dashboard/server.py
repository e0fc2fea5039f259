"""The dashboard's server: the application behind its guard, on waitress.

Besides the documented `create_server`, it uses waitress' `wasyncore.loop`, `pull_trigger` and
`task_dispatcher.shutdown`, which stop a server within a second of a signal, and its loggers
`waitress` and `waitress.queue`. `connections` uses more of it.
"""

import logging
import re
import secrets
import sys
import threading
import warnings
from collections.abc import Callable
from functools import lru_cache
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from search.dashboard.connections import ConnectionLimiter, ConnectionLimits
from search.dashboard.listener import Listener
from search.errors import SettingsError
from search.machine.hidden_packages import hide_packages
from search.machine.processes import call_when_stdin_closes
from search.machine.signals import stop_on_signal
from storage import Store, hide_passwords

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

    from analysis.dashboard.guard import Access

MIN_TOKEN, MAX_TOKEN = 16, 512
N_THREADS = 8
MAX_HEADER_BYTES = 65_536
"""First line and all headers: other servers on this machine may have set cookies."""
ROUND_S = 1.0
"""How often the limits on connections are applied at least."""
LIMITS = ConnectionLimits()
N_INTERNAL_SOCKETS = 3
"""The server's own two, which waitress counts as connections, and the newest, which may wait."""
MAX_CACHED_CLIENTS = 1_000
SHUTDOWN_TIMEOUT_S = 0.5
"""How long open requests may take after a signal to stop."""


def choose_token(given: str | None, *, is_needed: bool) -> str | None:
    """Return the user's token or, if one is needed, a new one; else None.

    Raises:
        SettingsError: If the given one is too short, too long or has spaces. The message does not
            show it.
    """
    if given is None:
        return secrets.token_urlsafe(24) if is_needed else None
    if re.fullmatch(rf"[!-~]{{{MIN_TOKEN},{MAX_TOKEN}}}", given) is None:
        raise SettingsError(
            f"--token, or $CONVSEARCH_TOKEN: expected {MIN_TOKEN} to {MAX_TOKEN} letters, digits "
            f"and signs of ASCII, without spaces. Received: {len(given)} characters."
        )
    return given


def with_token(address: str, token: str) -> str:
    """Add the token to an address."""
    return f"{address}?token={quote(token, safe='')}"


def check_proxy(address: str | None) -> str | None:
    """Normalize the address of a proxy.

    Raises:
        SettingsError: If it is not an IP address.
    """
    try:
        return None if address is None else str(ip_address(address))
    except ValueError:
        raise SettingsError(
            "--behind-proxy: expected the IP address that the proxy connects from, 127.0.0.1 for "
            f"one on this machine. Received: {address}"
        ) from None


def serve(
    store: Store,
    listener: Listener,
    access: "Access",
    *,
    proxy: str | None = None,
    is_supervised: bool = False,
) -> list[int]:
    """Serve the dashboard of a store until a signal comes, and return the signals.

    The store is only read unless `access` allows edits. `proxy` is the address of a trusted proxy,
    which names the clients. A supervised server stops when its standard input ends, which is when
    the parent process ends.
    """
    # Optuna loads them for importances and artifacts of kinds that the dashboard does not have.
    with hide_packages(["boto3", "sklearn"]):
        from analysis.dashboard.app import Dashboard
    from analysis.dashboard.guard import Guard
    from search.reports.dataset_facts import load_dataset_facts
    from search.studies.deletion import remove_study

    app = Dashboard(
        store,
        allows_edit=access.allows_edit,
        load_dataset_facts=load_dataset_facts,
        remove_study=remove_study if access.allows_edit else None,
    )
    threading.Thread(target=app.warm_up, daemon=True).start()
    server = Server(Guard(app, access), listener, proxy=proxy)
    if is_supervised:
        call_when_stdin_closes(server.stop)
    with stop_on_signal(server.stop) as signals:
        server.run()
    return signals


class Server:
    """waitress, which serves an application on a listener until it is stopped."""

    def __init__(
        self,
        app: "WSGIApplication",
        listener: Listener,
        *,
        proxy: str | None = None,
        limits: ConnectionLimits = LIMITS,
    ) -> None:
        from waitress.server import create_server

        self._sockets: dict[int, Any] = {}
        options = _options(listener, proxy, limits)
        server: Any = create_server(app, map=self._sockets, **options)
        self._limiter = ConnectionLimiter(server.active_channels, _client_of(proxy), limits)
        self._server = server
        self._is_over = threading.Event()

    def run(self) -> None:
        """Serve until `stop` is called."""
        from waitress import wasyncore

        while not self._is_over.is_set():
            wasyncore.loop(timeout=ROUND_S, use_poll=True, map=self._sockets, count=1)
            self._limiter.apply()
        logging.getLogger("waitress").setLevel(logging.ERROR)  # About threads that are cut off.
        self._server.task_dispatcher.shutdown(timeout=SHUTDOWN_TIMEOUT_S)

    def stop(self) -> None:
        """Make `run` return; also from a handler of signals, or another thread."""
        self._is_over.set()
        self._server.pull_trigger()


def log_one_line_errors() -> None:
    """Log warnings and errors to standard error, in one line each."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_OneLineFormatter("%(asctime)s %(levelname)s %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    warnings.simplefilter("ignore")  # About importances of few trials.
    # A page sends many requests at once.
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)


def _client_of(proxy: str | None) -> Callable[[str], str | None]:
    """Return a function that names the client of an IP address; a proxy connects for many."""
    from analysis.dashboard.guard import client_network

    trusted = None if proxy is None else client_network(proxy)

    @lru_cache(MAX_CACHED_CLIENTS)
    def client_of(address: str) -> str | None:
        client = client_network(address)
        return None if client == trusted else client

    return client_of


def _options(listener: Listener, proxy: str | None, limits: ConnectionLimits) -> dict[str, Any]:
    """Return waitress' options; waitress also refuses bodies of exactly the maximum size."""
    from analysis.dashboard.guard import MAX_BODY_BYTES

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
        "connection_limit": limits.n_total + N_INTERNAL_SOCKETS,
        "max_request_header_size": MAX_HEADER_BYTES,
        "max_request_body_size": MAX_BODY_BYTES + 1,
        "clear_untrusted_proxy_headers": True,
        "log_socket_errors": False,
        "ident": None,
    }


class _OneLineFormatter(logging.Formatter):
    """Shows the first lines of a message and of its exception, without the traceback."""

    def format(self, record: logging.LogRecord) -> str:
        words = [record.getMessage().partition("\n")[0]]
        if record.exc_info and record.exc_info[1] is not None:
            error = record.exc_info[1]
            words.append(f"{type(error).__name__}: {error}".partition("\n")[0])
        line = logging.makeLogRecord({**vars(record), "exc_info": None, "exc_text": None})
        line.msg, line.args = hide_passwords(": ".join(words)), None
        return super().format(line)
