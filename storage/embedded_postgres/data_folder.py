"""The folder of an embedded PostgreSQL: its layout, its owner, and whether it can be used.

The data are in `data`, the socket in `socket`; users hold a lock on `users.lock`, the supervisor
on `guardian.lock`. PostgreSQL refuses to run as root, and then gets a user of its own; permissions
of folders above this one are never changed for it.
"""

import hashlib
import os
import pwd
import re
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from storage.embedded_postgres import supervisor
from storage.embedded_postgres.programs import (
    find_closed,
    find_server_user,
    find_startable_programs,
)
from storage.errors import StoreError, StoreMissingError

SUPERUSER = "convsearch"
PORT = 5432
MAX_CONNECTIONS = 400
"""64 workers with four connections each at most, other commands, and some to spare."""
FILES = ("users.lock", "guardian.lock", "guardian.log", "server.log")
MAX_SOCKET_FOLDER = 85
"""The path of a socket may have at least 103 characters, of which its name takes 14."""


def check_folder(folder: Path, *, create: bool) -> None:
    """Raise a `StoreError`, before anything is written, if no server could run in a folder."""
    if folder.exists():
        _check_contents(folder)
    elif create and not folder.parent.is_dir():
        raise StoreError(f"Cannot make {folder}: there is no folder {folder.parent}.")
    if not create and not (folder / "data").is_dir():
        raise StoreMissingError(f"There is no store at {folder}. Name another one with --store.")
    there = folder if folder.exists() else folder.parent
    if not os.access(there, os.W_OK | os.X_OK):
        raise StoreError(
            f"Cannot write to {there}: permission denied. Name another folder with --store."
        )
    if os.geteuid() == 0:
        _check_access(folder)
    find_startable_programs(folder)


def make_folder(folder: Path) -> None:
    """Make the folder and its missing files, owned by the user that the server runs as."""
    with _explained(folder):
        if not folder.exists():
            folder.mkdir(mode=0o700, exist_ok=True)
        user = find_server_user()
        _chown(folder, user)
        for name in FILES:
            (folder / name).touch(mode=0o600)
            _chown(folder / name, user)
    make_socket_folder(folder)


def make_socket_folder(folder: Path) -> None:
    """Make the folder of the socket of the server in `folder`, which must be there."""
    with _explained(folder):
        _make_socket_folder(socket_folder(folder), find_server_user())


def socket_folder(folder: Path) -> Path:
    """Return the folder of the socket: `folder`, or one in /tmp if that path is unfit.

    Commas and colons have a meaning in names of hosts. `$TMPDIR` may differ between users.
    """
    inside = folder / "socket"
    if len(os.fsencode(inside)) <= MAX_SOCKET_FOLDER and re.fullmatch(r"[\w/. +-]+", str(inside)):
        return inside
    return Path("/tmp", f"convsearch-{hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]}")


def supervisor_command(folder: Path, *, create: bool) -> list[str]:
    """Return the command of the supervisor, which imports only its own file of convsearch.

    It makes new data only with `create`: missing data of a store that was open were deleted.
    """
    return [
        sys.executable, "-P", str(supervisor.__file__), str(folder),
        "--programs", str(find_startable_programs(folder)),
        "--socket", str(socket_folder(folder)),
        "--port", str(PORT),
        "--superuser", SUPERUSER,
        "--max-connections", str(MAX_CONNECTIONS),
        *(["--create"] if create else []),
    ]  # fmt: skip


@contextmanager
def _explained(folder: Path) -> Iterator[None]:
    """Turn an error of the file system into one that says what to do."""
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"Cannot make {error.filename or folder}: {error.strerror}. "
            "Name another folder with --store."
        ) from error


def _check_contents(folder: Path) -> None:
    if not folder.is_dir():
        raise StoreError(f"Expected a folder after postgres:. Received a file: {folder}")
    owner = folder.stat().st_uid
    if owner not in {os.geteuid(), find_server_user().pw_uid}:
        # Not for root either: through links, the owner could make root write anywhere.
        raise StoreError(
            f"{folder} belongs to another user (number {owner}). Run as that one, or name another "
            "folder with --store."
        )
    names = {path.name for path in folder.iterdir()}
    if names and "users.lock" not in names:
        what = "the data of another PostgreSQL" if "PG_VERSION" in names else "something else"
        raise StoreError(f"{folder} holds {what}. Name another folder with --store.")


def _check_access(folder: Path) -> None:
    """Refuse a folder that the server's user cannot enter."""
    user = find_server_user()
    if closed := find_closed(user, list(folder.parents)):
        raise StoreError(
            f"PostgreSQL does not run as root, and its user {user.pw_name} may not enter {closed}."
            "\nName a folder elsewhere, as postgres:/var/lib/convsearch, or run as another user."
        )


def _make_socket_folder(folder: Path, user: pwd.struct_passwd) -> None:
    try:
        folder.mkdir(mode=0o700)
        _chown(folder, user)
    except FileExistsError:
        found = folder.lstat()
        is_ours = stat.S_ISDIR(found.st_mode) and found.st_uid in {user.pw_uid, os.geteuid()}
        if not is_ours or found.st_mode & 0o077:
            raise StoreError(
                f"{folder} must be a folder that only {user.pw_name} may enter. Delete it."
            ) from None
        _chown(folder, user)


def _chown(path: Path, user: pwd.struct_passwd) -> None:
    if os.geteuid() == 0 and path.lstat().st_uid != user.pw_uid:
        os.chown(path, user.pw_uid, user.pw_gid, follow_symlinks=False)
