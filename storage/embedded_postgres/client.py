"""A client of an embedded PostgreSQL, which registers as a user and ensures that it runs.

The server belongs to no client: a supervisor process (`supervisor`) starts and stops it.
"""

import logging
import os
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

from storage.embedded_postgres import data_folder
from storage.embedded_postgres.supervisor import try_lock
from storage.errors import StoreError

logger = logging.getLogger(__name__)

START_S = 90.0
"""A first start takes about 2 s on an idle machine; a start after a crash replays a log."""
POLL_S = 0.05


class EmbeddedServer:
    """The server in a folder, which runs at least until `close` or the end of the process."""

    def __init__(self, folder: Path, *, create: bool = True) -> None:
        """Start the server unless it runs; raise `StoreError` if the folder cannot be used."""
        data_folder.check_folder(folder, create=create)
        data_folder.make_folder(folder)
        self.folder = folder
        self._supervisor: subprocess.Popen[bytes] | None = None
        self._was_ready = False
        self._lock = (folder / "users.lock").open("rb")
        try:
            _lock_shared(self._lock, folder)
            self.ensure_running()
            self._was_ready = True
        except BaseException:
            self.close()
            raise

    def ensure_running(self, is_shutting_down: Callable[[], bool] = lambda: False) -> None:
        """Start the server unless it runs: it, or its supervisor, may have been killed.

        Raises:
            StoreError: If it does not start, with the last line of its log; or if files of its
                folder were deleted, which are not made again: nothing may hide that it is lost.
        """
        deadline = time.monotonic() + START_S
        try:
            while not self._is_ready():
                if not self._is_supervised():
                    self._start_supervisor()
                if time.monotonic() > deadline or is_shutting_down():
                    raise StoreError(
                        f"The PostgreSQL in {self.folder} does not answer. It serves the machine"
                        f" that started it ({self._supervisor_name()}); its log is"
                        f" {self.folder / 'server.log'}."
                    )
                time.sleep(POLL_S)
        except FileNotFoundError as error:
            raise StoreError(f"{error.filename} was deleted while it was in use.") from error

    def close(self) -> None:
        """Unregister; the server stops soon after its last user."""
        self._lock.close()

    def _is_supervised(self) -> bool:
        with (self.folder / "guardian.lock").open("rb") as file:
            return not try_lock(file.fileno(), shared=True)

    def _is_ready(self) -> bool:
        """Whether the server is ready and alive; a killed server leaves its files behind."""
        try:
            lines = (self.folder / "data" / "postmaster.pid").read_text().splitlines()
            if not lines[7:] or not lines[7].startswith("ready") or not self._is_supervised():
                return False
            with socket.socket(socket.AF_UNIX) as probe:
                name = f".s.PGSQL.{data_folder.PORT}"
                probe.connect(str(data_folder.socket_folder(self.folder) / name))
        except OSError:
            return False
        return True

    def _start_supervisor(self) -> None:
        log = self.folder / "guardian.log"
        if self._supervisor is not None and self._supervisor.poll():
            self._supervisor = None
            lines = log.read_text(errors="replace").strip().splitlines() or [f"see {log}"]
            raise StoreError(f"Cannot start the PostgreSQL in {self.folder}: {lines[-1]}")
        if self._supervisor is not None and self._supervisor.poll() is None:
            return  # It has not taken its lock yet.
        may_create = not self._was_ready
        if not may_create and not (data := self.folder / "data").exists():
            raise StoreError(f"{data} was deleted while it was in use.")
        logger.info("starting the PostgreSQL in %s", self.folder)
        data_folder.make_socket_folder(self.folder)
        with log.open("ab") as output:
            self._supervisor = subprocess.Popen(
                data_folder.supervisor_command(self.folder, create=may_create),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=output,
                env=_environment(),
                cwd="/",
                start_new_session=True,
            )

    def _supervisor_name(self) -> str:
        return (self.folder / "guardian.lock").read_text().strip() or "unknown"


def _lock_shared(file: IO[bytes], folder: Path) -> None:
    """Register as a user, once a server that is stopping has stopped."""
    deadline = time.monotonic() + START_S
    while not try_lock(file.fileno(), shared=True):
        if time.monotonic() > deadline:
            raise StoreError(
                f"The PostgreSQL in {folder} has been stopping for {START_S:.0f} s. "
                f"Its log is {folder / 'server.log'}."
            )
        time.sleep(POLL_S)


def _environment() -> dict[str, str]:
    """Return an environment in English, without variables of libpq and of convsearch."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("PG") and name != "CONVSEARCH_STORE"
    }
    return {**kept, "LC_ALL": "C"}
