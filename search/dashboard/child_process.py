"""A dashboard beside a search: a process of its own, that ends with the one that searches."""

import contextlib
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from search.dashboard.listener import HOST, PORT, Listener
from search.errors import SettingsError
from search.machine.processes import child_environment

AUTO = "auto"
STOP_S = 2.0
PORT_OPTION = "--dashboard="


class DashboardProcess:
    """A dashboard of this machine. Its port is held from now on, and served once it is started.

    Args:
        port: A port, or `auto` for the first that is free from 8080 on.

    Raises:
        SettingsError: If it is no port, or is taken.
    """

    def __init__(self, port: str) -> None:
        self._listener = _listen(port)
        self.address = self._listener.address
        """Where a browser finds it."""
        self._process: subprocess.Popen[bytes] | None = None
        self.has_exited = False
        """Whether it ended before `close` was called."""
        self._is_closing = False

    def start(self, store_url: str, log: Path, on_end: Callable[[], None]) -> None:
        """Start serving a store.

        Args:
            store_url: Of the store, maybe with its password.
            log: Where what goes wrong is told.
            on_end: Called by a thread if it ends before `close` is called.
        """
        file = self._listener.socket.fileno()
        command = [
            sys.executable, "-m", "search", "dashboard", "--no-browser", "--supervised",
            "--socket", str(file),
        ]  # fmt: skip
        # The URL may hold a password, so it goes where a list of processes does not show it.
        environment = child_environment(CONVSEARCH_STORE=store_url)
        environment.pop("CONVSEARCH_TOKEN", None)  # This machine's alone, it asks for none.
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,  # It leaves when this closes: when we are gone.
                stdout=subprocess.DEVNULL,
                stderr=output,
                env=environment,
                pass_fds=(file,),
                start_new_session=True,  # Ctrl-C is for the search to answer.
            )
        self._listener.socket.close()
        threading.Thread(target=self._watch, args=(self._process, on_end), daemon=True).start()

    def _watch(self, process: "subprocess.Popen[bytes]", on_end: Callable[[], None]) -> None:
        process.wait()
        if not self._is_closing:
            self.has_exited = True
            on_end()

    def close(self) -> None:
        """End it."""
        self._is_closing = True
        self._listener.socket.close()
        process = self._process
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdin is not None:
            process.stdin.close()


def _listen(port: str) -> Listener:
    if port == AUTO:
        return Listener.open_next_free(HOST, PORT, port_option=PORT_OPTION)
    if not port.isascii() or not port.isdigit() or not 0 < int(port) < 65_536:
        raise SettingsError(
            f"--dashboard: expected a port, as {PORT_OPTION}{PORT}. Received: {port}"
        )
    return Listener.open(HOST, int(port), port_option=PORT_OPTION)
