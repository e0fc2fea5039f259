"""Opening a store that is not ready yet: commands and workers wait for it, and say so once."""

import logging
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from storage import Store, StoreError, list_studies
from storage.database import engine, opening
from storage.database import store as store_module
from tests.tools.postgres_server import PostgresServer

SCRIPT = str(Path(__file__).with_name("starting_server.py"))


class StartingServer:
    """A server that refuses connections, with a message, until it is `ready`."""

    def __init__(self, server: PostgresServer, message: str, log: Path) -> None:
        self.server = server
        self.log = log
        with log.open("w") as stream:
            self.process = subprocess.Popen(
                [sys.executable, SCRIPT, str(server.port), message],
                stdin=subprocess.PIPE,
                stdout=stream,
                text=True,
            )
        self.port = int(self.wait_for_line(0))

    def url(self, database: str) -> str:
        return self.server.url(database).replace(f":{self.server.port}/", f":{self.port}/")

    def wait_for_line(self, index: int) -> str:
        """Return a line that it printed: its port, or a refusal."""
        deadline = time.monotonic() + 10
        while len(lines := self.log.read_text().splitlines()) <= index:
            assert time.monotonic() < deadline, lines
            time.sleep(0.02)
        return lines[index]

    def ready(self) -> None:
        self.process.stdin.write("ready\n")
        self.process.stdin.flush()


MakeStarting = Callable[[str], StartingServer]


@pytest.fixture
def make_starting(tcp_server: PostgresServer, tmp_path: Path) -> Iterator[MakeStarting]:
    made: list[StartingServer] = []

    def make(message: str) -> StartingServer:
        made.append(StartingServer(tcp_server, message, tmp_path / "starting.log"))
        return made[-1]

    yield make
    for server in made:
        server.process.kill()
        server.process.wait()


@pytest.mark.parametrize("open_store", [Store.open, Store.inspect])
@pytest.mark.parametrize(
    "message", ["the database system is starting up", "das Datenbanksystem startet"]
)
def test_server_that_starts_is_waited_for(
    open_store: Callable[[str], Store],
    message: str,
    make_starting: MakeStarting,
    new_postgres: Callable[[str], str],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(store_module, "LOG_AFTER_S", 0.0)
    new_postgres(name := f"starting-{len(message)}-{open_store.__name__}")
    starting = make_starting(message)
    with ThreadPoolExecutor() as pool, caplog.at_level(logging.WARNING):
        opening_store = pool.submit(open_store, starting.url(name))
        starting.wait_for_line(4)
        assert not opening_store.done()
        starting.ready()
        with closing(opening_store.result(20)) as opened:
            assert list_studies(opened) == []
    assert caplog.text.count("waiting for the store: ") == 1
    assert message in caplog.text
    assert "the store is available again" in caplog.text


def test_server_that_never_starts_is_an_error(
    make_starting: MakeStarting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "RETRY_TIMEOUT_S", 0.5)
    starting = make_starting("the database system is starting up")
    with pytest.raises(StoreError, match=r"is starting up\. Try again in a moment") as error:
        Store.open(starting.url("none"))
    starting.wait_for_line(4)
    assert starting.server.password not in str(error.value)


def test_locked_file_is_waited_for(
    tmp_path: Path, new_sqlite: Callable[[Path], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (engine, opening):
        monkeypatch.setattr(module, "SQLITE_TIMEOUT_S", 0.1)
    url = new_sqlite(tmp_path / "store.db")
    holder = sqlite3.connect(tmp_path / "store.db", check_same_thread=False)
    with closing(holder), ThreadPoolExecutor() as pool:
        holder.execute("PRAGMA locking_mode=EXCLUSIVE")
        holder.execute("BEGIN EXCLUSIVE")
        opened_later = pool.submit(Store.open, url)
        with pytest.raises(TimeoutError):
            opened_later.result(1.5)  # Longer than SQLite itself waits.
        holder.rollback()
        holder.close()
        with closing(opened_later.result(20)) as opened:
            assert list_studies(opened) == []
