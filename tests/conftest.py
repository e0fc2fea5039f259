"""Fixtures for all tests: real image sets, and a store of each kind."""

import gc
import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory

from search.machine.cores import n_cores
from spaces.families import registry
from spaces.user_families import _loaded
from storage import Store
from tests.tools.postgres_server import PostgresServer, new_server

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


@pytest.fixture(scope="session")
def tcp_server() -> Iterator[PostgresServer]:
    """A PostgreSQL server on loopback that requires passwords."""
    with new_server() as server:
        yield server


@pytest.fixture(scope="session")
def postgres_url(tcp_server: PostgresServer) -> Callable[[str], str]:
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
    tcp_server: PostgresServer, postgres_url: Callable[[str], str]
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
