"""Fixtures for all tests: real image sets, and a store of each kind."""

import gc
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil
import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory

from search.machine.cores import n_cores
from spaces.families import registry
from spaces.user_families import _loaded
from storage import Store
from storage.embedded_postgres import data_folder

# Tests in the background may have been started with these signals ignored. Child processes inherit
# that, and would ignore them as under nohup.
if threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, lambda *_: None)

CHROMIUMS = ("chromium", "chromium-browser", "google-chrome")
OPTIONS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
FOR_TESTS = "-c fsync=off -c full_page_writes=off -c autovacuum=off"
"""Options of PostgreSQL. Autovacuum starts a process for each database in turn, of hundreds."""
SERVER_FOLDER = "convsearch-pg-"
SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Return one more than there are cores: tests of processes often wait."""
    return n_cores() + 1


def pytest_collection_finish() -> None:
    """Leave what was imported out of garbage collections, a tenth of the time of many tests."""
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def _load_migrations_once() -> Iterator[None]:
    """Load Optuna's migrations once, instead of twice for each store that is opened."""
    load = ScriptDirectory.from_config
    loaded: dict[str | None, ScriptDirectory] = {}

    def from_config(config: Config) -> ScriptDirectory:
        location = config.get_main_option("script_location")
        if location not in loaded:
            loaded[location] = load(config)
        return loaded[location]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ScriptDirectory, "from_config", from_config)
        yield


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real image sets, which a user's checkout does not have."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"the real image sets are not at {SHARED_DATA}")
    return SHARED_DATA


@pytest.fixture
def public_folder() -> Iterator[Path]:
    """A folder that another user may enter, unlike those of pytest."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture
def clean_registry() -> Iterator[None]:
    """Remove the families and modules that a test registers."""
    before, loaded = dict(registry._families), dict(_loaded)
    yield
    registry._families.clear()
    registry._families.update(before)
    _loaded.clear()
    _loaded.update(loaded)


@dataclass(frozen=True, slots=True)
class TcpServer:
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
    for folder in place.glob(f"{SERVER_FOLDER}*"):
        if psutil.pid_exists(int(folder.name.removeprefix(SERVER_FOLDER).split("-")[0])):
            continue
        with suppress(OSError, psutil.Error):
            server = psutil.Process(
                int((folder / "data" / "postmaster.pid").read_text().split()[0])
            )
            if str(folder / "data") in server.cmdline():
                server.send_signal(signal.SIGQUIT)
                server.wait(10)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def tcp_server() -> Iterator[TcpServer]:
    """A PostgreSQL server on loopback that requires passwords."""
    _remove_leftovers(place := Path(folder_in_memory() or tempfile.gettempdir()))
    folder = tempfile.TemporaryDirectory(prefix=f"{SERVER_FOLDER}{os.getpid()}-", dir=place)
    with folder as name, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        server = TcpServer(Path(name), probe.getsockname()[1])
        probe.close()
        user = data_folder.find_server_user()
        as_user = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        options: dict[str, Any] = {"cwd": "/", **(as_user if os.geteuid() == 0 else {})}
        password = server.folder / "password"
        password.write_text(server.password)
        for path in (server.folder, password):
            os.chown(path, user.pw_uid, user.pw_gid)
        programs, data = data_folder.find_programs(server.folder), str(server.folder / "data")
        auth = ["--auth-local=trust", "--auth-host=scram-sha-256", "--pwfile", str(password)]
        initdb = [programs / "initdb", "--no-sync", "-D", data, "-U", "owner", *auth]
        subprocess.run(initdb, check=True, stdout=subprocess.DEVNULL, **options)
        how = (
            f"-c port={server.port} -c listen_addresses=127.0.0.1 {FOR_TESTS} "
            f"-c unix_socket_directories={server.folder} -c max_connections=300"
        )
        pg_ctl = [programs / "pg_ctl", "-D", data, "-l", str(server.folder / "log"), "--silent"]
        subprocess.run([*pg_ctl, "start", "-o", how], check=True, **options)
        try:
            server.execute(f"CREATE USER guest PASSWORD '{server.guest_password}'")
            yield server
        finally:
            subprocess.run([*pg_ctl, "stop", "-m", "immediate"], check=True, **options)


@pytest.fixture(scope="session")
def postgres_url(tcp_server: TcpServer) -> Callable[[str], str]:
    """Make an empty database on a real PostgreSQL server, and return its URL."""

    def create_database(name: str) -> str:
        tcp_server.execute(f'CREATE DATABASE "{name}"')
        return tcp_server.socket_url(name)

    return create_database


@pytest.fixture(scope="session")
def new_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], str]:
    """Copy a new store to a path, which is faster than making its tables; return its URL."""
    new = tmp_path_factory.mktemp("new") / "store.db"
    Store.open(f"sqlite:///{new}").close()

    def copy(path: Path) -> str:
        shutil.copyfile(new, path)
        return f"sqlite:///{path}"

    return copy


@pytest.fixture(scope="session")
def new_postgres(
    tcp_server: TcpServer, postgres_url: Callable[[str], str]
) -> Callable[[str], str]:
    """Copy a new store to a database of a name, and return its URL."""
    Store.open(postgres_url("new")).close()

    def copy(name: str) -> str:
        tcp_server.execute(f'CREATE DATABASE "{name}" TEMPLATE new')
        return tcp_server.socket_url(name)

    return copy


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'store.db'}"
    url: str = request.getfixturevalue("postgres_url")(tmp_path.name)
    return url


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a new store; each test that uses it runs on every kind of store."""
    kind, place = {
        "sqlite": ("new_sqlite", tmp_path / "store.db"),
        "postgresql": ("new_postgres", tmp_path.name),
    }[request.param]
    url: str = request.getfixturevalue(kind)(place)
    return url


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    """A new store of each kind."""
    opened = Store.open(store_url)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """A real headless Chromium; without one, tests are skipped unless they were requested."""
    found = next(filter(None, map(shutil.which, CHROMIUMS)), None)
    if found is None:
        if os.environ.get("CONVSEARCH_NEEDS_BROWSER") == "1":
            pytest.fail(f"Expected one of {', '.join(CHROMIUMS)} on the path.")
        pytest.skip("no Chromium is installed")
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=found, args=list(OPTIONS))
        yield chromium
        chromium.close()
