"""A dashboard beside a search: a child process that ends with the search."""

import contextlib
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

from search.dashboard.listener import HOST, PORT, Listener
from search.errors import SettingsError
from search.machine.processes import child_environment, module_command
from storage.file_rights import open_log

AUTO = "auto"
STOP_S = 2.0
PORT_OPTION = "--dashboard="


class DashboardProcess:
    """A dashboard on this machine: its port is bound at once, and served after `start`.

    `port` is a number, or `auto` for the first free one from 8080 on.

    Raises:
        SettingsError: If it is not a port, or is in use.
    """

    def __init__(self, port: str) -> None:
        self._listener = _listen(port)
        self.address = self._listener.address
        self._process: subprocess.Popen[bytes] | None = None
        self.has_exited = False
        """Whether the process ended before `close` was called."""
        self._is_closing = False

    def start(self, store_url: str, log: Path, on_end: Callable[[], None]) -> None:
        """Start serving a store, with errors going to `log`.

        `on_end` is called from a thread if the process ends before `close` is called.
        """
        file = self._listener.socket.fileno()
        command = module_command(
            "search", "dashboard", "--no-browser", "--supervised", "--socket", str(file)
        )
        # The URL may hold a password, which a list of processes must not show.
        environment = child_environment(CONVSEARCH_STORE=store_url)
        environment.pop("CONVSEARCH_TOKEN", None)  # Only this machine reaches it, without a token.
        with open_log(log) as output:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,  # It exits when this closes, also after a kill.
                stdout=subprocess.DEVNULL,
                stderr=output,
                env=environment,
                pass_fds=(file,),
                start_new_session=True,  # Ctrl-C is handled by the search.
            )
        self._listener.socket.close()
        threading.Thread(target=self._watch, args=(self._process, on_end), daemon=True).start()

    def _watch(self, process: "subprocess.Popen[bytes]", on_end: Callable[[], None]) -> None:
        process.wait()
        if not self._is_closing:
            self.has_exited = True
            on_end()

    def close(self) -> None:
        """End the process."""
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
