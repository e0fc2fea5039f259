"""A real PostgreSQL server of the tests' own, which requires passwords on its port."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil

from storage.embedded_postgres.programs import find_server_user, find_startable_programs

FOR_TESTS = "-c fsync=off -c full_page_writes=off -c autovacuum=off"
"""Options of PostgreSQL. Autovacuum starts a process for each database in turn, of hundreds."""
FOLDER_PREFIX = "convsearch-pg-"


@dataclass(frozen=True, slots=True)
class PostgresServer:
    """A PostgreSQL server on loopback that requires passwords, of its owner and of `guest`.

    On its socket in `folder` it requires none.
    """

    folder: Path
    port: int
    password: str = "own3r:p@ss/{%}wörd"
    guest_password: str = "gu3st-secret"

    def url(self, database: str, *, user: str = "owner", password: str | None = None) -> str:
        """Return a store's URL with a password, by default the right one of the user."""
        known = {"owner": self.password, "guest": self.guest_password}
        given = quote(password if password is not None else known[user], safe="")
        return f"postgresql://{user}:{given}@127.0.0.1:{self.port}/{database}"

    def socket_url(self, database: str) -> str:
        """Return a store's URL that needs no password."""
        return f"postgresql://owner@/{database}?host={self.folder}&port={self.port}"

    def execute(self, *statements: str, database: str = "postgres") -> None:
        """Execute SQL as the owner, who has all rights."""
        import psycopg

        url = self.url(database)
        with psycopg.connect(url, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement)

    def create(self) -> None:
        """Make the data, and a database of no tables."""
        user = find_server_user()
        password = self.folder / "password"
        password.write_text(self.password)
        for path in (self.folder, password):
            os.chown(path, user.pw_uid, user.pw_gid)
        auth = ["--auth-local=trust", "--auth-host=scram-sha-256", "--pwfile", str(password)]
        self._run("initdb", "--no-sync", "-D", str(self.folder / "data"), "-U", "owner", *auth)

    def start(self) -> None:
        """Start the server, and wait until it is ready."""
        how = (
            f"-c port={self.port} -c listen_addresses=127.0.0.1 {FOR_TESTS} "
            f"-c unix_socket_directories={self.folder} -c max_connections=300"
        )
        self._control("start", "-l", str(self.folder / "log"), "-o", how)

    def stop(self, mode: str = "fast") -> None:
        """Stop the server; `fast` disconnects its users."""
        self._control("stop", "-m", mode)

    def _control(self, action: str, *options: str) -> None:
        self._run("pg_ctl", action, "-D", str(self.folder / "data"), "--silent", *options)

    def _run(self, program: str, *arguments: str) -> None:
        user = find_server_user()
        as_user = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        options: dict[str, Any] = as_user if os.geteuid() == 0 else {}
        command = [str(find_startable_programs(self.folder) / program), *arguments]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd="/", **options)


@contextmanager
def new_server() -> Iterator[PostgresServer]:
    """Yield a new server that runs; its folder is removed at the end."""
    _remove_leftovers(place := Path(folder_in_memory() or tempfile.gettempdir()))
    folder = tempfile.TemporaryDirectory(prefix=f"{FOLDER_PREFIX}{os.getpid()}-", dir=place)
    with folder as name:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            server = PostgresServer(Path(name), probe.getsockname()[1])
        server.create()
        server.start()
        try:
            server.execute(f"CREATE USER guest PASSWORD '{server.guest_password}'")
            yield server
        finally:
            server.stop("immediate")


def folder_in_memory() -> str | None:
    """Return a folder for many small files, which a disk takes minutes to write and delete.

    The usual folder for temporary files is used if it has too little room or runs no programs.
    """
    folder = "/dev/shm"
    if not Path(folder).is_dir() or os.statvfs(folder).f_flag & os.ST_NOEXEC:
        return None
    return folder if shutil.disk_usage(folder).free > 4 << 30 else None


def _remove_leftovers(place: Path) -> None:
    """Stop the servers of killed test runs, and remove their folders."""
    for folder in place.glob(f"{FOLDER_PREFIX}*"):
        if psutil.pid_exists(int(folder.name.removeprefix(FOLDER_PREFIX).split("-")[0])):
            continue
        with suppress(OSError, psutil.Error):
            server = psutil.Process(
                int((folder / "data" / "postmaster.pid").read_text().split()[0])
            )
            if str(folder / "data") in server.cmdline():
                server.send_signal(signal.SIGQUIT)
                server.wait(10)
        shutil.rmtree(folder, ignore_errors=True)
