"""Rights of the files and folders that convsearch makes: they hold images of patients.

A SQLite store, and the top folder of a cache or of artifacts, is made for its owner alone. All in
such a folder has the rights of the folder it is in, at most, so a top folder that was there with
other rights shares its files.
This module imports the standard library only.
"""

import os
import stat
from contextlib import suppress
from errno import ENOTDIR
from pathlib import Path
from typing import BinaryIO

SHARED_VARIABLE = "CONVSEARCH_SHARED"
"""Set to 1, new stores and top folders get the usual rights, by the user's umask."""
ALL, OWNER, READ_WRITE, READ_OTHERS = 0o777, 0o700, 0o666, 0o044


def share_new_folders() -> None:
    """Give new stores and top folders the usual rights from now on, in child processes too."""
    os.environ[SHARED_VARIABLE] = "1"


def make_top_folder(folder: Path) -> None:
    """Make the top folder of a cache or of artifacts if it is missing.

    Raises:
        OSError: If it cannot be made.
    """
    _make(folder.parent, ALL, parents=True)
    _make(folder, ALL & _new_rights())


def make_private_file(path: Path) -> None:
    """Make an empty file for a store or a page, unless there is one: it may have images.

    Raises:
        OSError: If it cannot be made.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    with suppress(FileExistsError):
        os.close(os.open(path, flags, READ_WRITE & _new_rights()))


def make_file_beside(store: Path, path: Path) -> None:
    """Make an empty file with the rights of a store's file, or of a new one, unless there is one.

    Raises:
        OSError: If it cannot be made.
    """
    with suppress(FileExistsError):
        rights = READ_WRITE & (rights_of(store) if store.exists() else _new_rights())
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, rights))


def make_folder(folder: Path) -> None:
    """Make a folder, and those that it is in, with the rights of the first that exists.

    Raises:
        OSError: If it cannot be made.
    """
    if not folder.is_dir():
        make_folder(folder.parent)
        _make(folder, rights_of(folder.parent) & ALL)


def _new_rights() -> int:
    """Return the rights that something new may have at most, before the umask."""
    return ALL if os.environ.get(SHARED_VARIABLE) == "1" else OWNER


def _make(folder: Path, rights: int, *, parents: bool = False) -> None:
    try:
        folder.mkdir(rights, parents=parents, exist_ok=True)
    except FileExistsError as error:
        raise NotADirectoryError(ENOTDIR, os.strerror(ENOTDIR), str(folder)) from error


def limit_rights(file: Path) -> None:
    """Take from a new file the rights that its folder does not have.

    A file with other links keeps its rights, since they are those of the other links too.
    """
    found = file.stat()
    rights = stat.S_IMODE(found.st_mode)
    limited = rights & rights_of(file.parent)
    if found.st_nlink == 1 and limited != rights:
        file.chmod(limited)


def is_readable_as(file: Path, folder: Path) -> bool:
    """Whether all who can read a folder's files can read a file, once it is linked there."""
    others = rights_of(folder) & READ_OTHERS
    return rights_of(file) & others == others


def open_log(path: Path) -> BinaryIO:
    """Open a log file for appending; a new one has the rights of its folder, at most.

    Its folder is made again if it was removed.
    """
    make_folder(path.parent)
    rights = rights_of(path.parent) & READ_WRITE
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, rights), "ab")


def rights_of(path: Path) -> int:
    """Return the rights of a file or folder as bits."""
    return stat.S_IMODE(path.stat().st_mode)
