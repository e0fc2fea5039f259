"""A file from a web server, which appears whole or not at all.

What has come is kept in a part beside the file, so that a later connection continues there. The
server is not trusted: it is limited in size, time and places that it redirects to, and the file is
checked before it gets its name.
"""

import hashlib
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from io import FileIO
from pathlib import Path
from time import monotonic, sleep

from spaces.downloads import requests
from spaces.downloads.requests import NO_MORE, PARTIAL, Dropped, open_url
from spaces.errors import DownloadError

WAITS_S = (1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0)
"""Seconds before each further connection, after one that was dropped."""
MAX_RETRY_AFTER_S = 60.0
"""Longest wait that a server may ask for."""
LOCK_WAIT_S = 1.0
SLOW_S = 60.0
"""Seconds in which a server must send `MIN_BYTES`, however it divides them."""
MIN_BYTES = 60 * 1024
CHUNK_BYTES = 2**18
USUAL_RIGHTS = 0o666
Progress = Callable[[int, int, str], None]
"""Called as `progress(done, total, what)` in bytes; the total is 0 if it is unknown."""


@dataclass(frozen=True, slots=True)
class Download:
    """What to download, and to which path.

    Attributes:
        is_intact: Whether a file at a path exists and is the one that was meant.
        max_bytes: More than these are not received.
        rights: Of the files that are made, before the umask.
        progress: Called for each piece that has come.
        say: Called with a sentence when something is waited for or done again.
    """

    url: str
    path: Path
    is_intact: Callable[[Path], bool]
    max_bytes: int
    rights: int = USUAL_RIGHTS
    progress: Progress = lambda *_: None
    say: Callable[[str], None] = lambda _: None

    @property
    def part(self) -> Path:
        """The path of what has come so far."""
        return self.path.with_name(f"{self.path.name}.part")


def has_hash(path: Path, expected: str) -> bool:
    """Whether a file exists and has an MD5 or a SHA-256, given in hexadecimal."""
    if not path.is_file():
        return False
    algorithm = "sha256" if len(expected) == 64 else "md5"
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest() == expected.lower()


def download(wanted: Download) -> bool:
    """Download a file unless it is there and intact; return whether that was necessary.

    Several processes may do so at once: one downloads, and the others wait for it.

    Raises:
        DownloadError: If the file does not come whole; the message is the reason. What has come
            is kept and continued by the next call, unless it is not what was meant.
        OSError: If the folder cannot be read or written to.
    """
    import fasteners

    if wanted.is_intact(wanted.path):
        return False
    lock_path = wanted.path.with_name(f".{wanted.path.name}.lock")
    os.close(os.open(lock_path, os.O_RDONLY | os.O_CREAT, wanted.rights))
    lock = fasteners.InterProcessLock(lock_path)
    while not lock.acquire(blocking=True, timeout=LOCK_WAIT_S):
        wanted.say(f"Waiting for another process that downloads {wanted.path.name}.")
    try:
        if wanted.is_intact(wanted.path):  # Another process may have downloaded it.
            return False
        _download_alone(wanted)
    finally:
        lock.release()
    return True


def _download_alone(wanted: Download) -> None:
    wanted.say(f"Downloading {wanted.url}")
    was_begun = wanted.part.exists() and wanted.part.stat().st_size > 0
    is_intact = _receive_and_check(wanted)
    if was_begun and not is_intact:
        wanted.say("The part of an earlier download was of another file: starting anew.")
        is_intact = _receive_and_check(wanted)
    if not is_intact:
        raise DownloadError(
            "what came is damaged or another file, by its checksum or structure, and was deleted"
        )
    wanted.part.replace(wanted.path)


def _receive_and_check(wanted: Download) -> bool:
    """Fill the part and return whether it is intact; one that is not is deleted."""
    flags = os.O_WRONLY | os.O_CREAT
    with os.fdopen(os.open(wanted.part, flags, wanted.rights), "wb", buffering=0) as file:
        try:
            file.seek(0, os.SEEK_END)
            _receive(wanted, file)
        except DownloadError:
            if file.tell() == 0:
                wanted.part.unlink()
            raise
    if wanted.is_intact(wanted.part):
        return True
    wanted.part.unlink()
    return False


def _receive(wanted: Download, file: FileIO) -> None:
    """Receive a file over several connections, if some are dropped."""
    is_begun = False
    for wait_s in (*WAITS_S, None):
        try:
            _receive_once(wanted, file)
        except Dropped as dropped:
            is_begun |= dropped.is_worth_another_try
            if wait_s is None or not is_begun:
                raise DownloadError(f"{dropped}{_kept(file)}") from dropped
            seconds = max(wait_s, min(dropped.retry_after_s, MAX_RETRY_AFTER_S))
            wanted.say(f"{_capitalized(str(dropped))}: trying again in {seconds:g} s.")
            sleep(seconds)
        else:
            return


def _receive_once(wanted: Download, file: FileIO) -> None:
    """Receive the rest of a file, or all of it from a server that cannot send a part."""
    start = file.tell()
    with open_url(wanted.url, start) as response:
        if response.status == NO_MORE and _announced_total(response) == start:
            return
        if response.status == NO_MORE or not _continues(response, start):
            _start_anew(file)
            raise Dropped("the server has another file now", is_worth_another_try=True)
        if response.status != PARTIAL:
            _start_anew(file)
        total = _total(response, file.tell())
        _check_total(wanted, total, file.tell())
        _copy(wanted, response, file, total)


def _copy(wanted: Download, response: HTTPResponse, file: FileIO, total: int) -> None:
    """Append what a server sends, as long as it sends enough and not too much."""
    start = n_then = file.tell()
    slow_from = monotonic()
    limit = total or wanted.max_bytes
    while chunk := _read(response, has_begun=file.tell() > start):
        if file.tell() + len(chunk) > limit:
            _start_anew(file)
            raise DownloadError(f"the server sends more than {_size(limit)}")
        _write(file, chunk, wanted)
        wanted.progress(file.tell(), total, "download")
        if monotonic() - slow_from > SLOW_S:
            if file.tell() - n_then < MIN_BYTES:
                reason = f"the server sent less than {_size(MIN_BYTES)} in {SLOW_S:g} s"
                raise Dropped(reason, is_worth_another_try=True)
            slow_from, n_then = monotonic(), file.tell()
    if file.tell() < total:
        reason = f"the connection was cut after {_size(file.tell())} of {_size(total)}"
        raise Dropped(reason, is_worth_another_try=True)


def _read(response: HTTPResponse, *, has_begun: bool) -> bytes:
    """Return the next piece as soon as there is one; empty at the end."""
    try:
        return response.read1(CHUNK_BYTES)
    except TimeoutError as error:
        reason = f"the server sent nothing for {requests.TIMEOUT_S:g} s"
        raise Dropped(reason, is_worth_another_try=has_begun) from error
    except (OSError, HTTPException) as error:
        raise Dropped("the connection was cut", is_worth_another_try=True) from error


def _write(file: FileIO, chunk: bytes, wanted: Download) -> None:
    try:
        while chunk:
            chunk = chunk[file.write(chunk) :]
    except OSError as error:
        raise DownloadError(f"cannot write to {wanted.part}: {error.strerror}") from error


def _start_anew(file: FileIO) -> None:
    if file.tell():
        file.seek(0)
        file.truncate()


def _continues(response: HTTPResponse, start: int) -> bool:
    """Whether an answer is the whole file, or begins where the part ends."""
    if response.status != PARTIAL:
        return True
    return response.headers.get("Content-Range", "").lower().startswith(f"bytes {start}-")


def _announced_total(response: HTTPResponse) -> int:
    """Return the size of the whole file by `Content-Range`; 0 if it is not said."""
    total = response.headers.get("Content-Range", "").rpartition("/")[2].strip()
    return int(total) if total.isascii() and total.isdigit() and len(total) < 20 else 0


def _total(response: HTTPResponse, start: int) -> int:
    """Return the size that the file will have; 0 if the server does not say."""
    if response.status == PARTIAL and (total := _announced_total(response)):
        return total
    return start + response.length if response.length else 0


def _check_total(wanted: Download, total: int, start: int) -> None:
    """Refuse before anything is received what is too large or would fill the disk."""
    if total > wanted.max_bytes:
        raise DownloadError(
            f"the server announces {_size(total)}, and expected are at most"
            f" {_size(wanted.max_bytes)}"
        )
    free = shutil.disk_usage(wanted.path.parent).free
    if total - start > free:
        raise DownloadError(
            f"{_size(total - start)} are needed in {wanted.path.parent}, and {_size(free)} are"
            " free"
        )


def _kept(file: FileIO) -> str:
    n_bytes = file.tell()
    return f"; {_size(n_bytes)} are kept, and the next download continues there" * (n_bytes > 0)


def _size(n_bytes: int) -> str:
    """Return bytes as people read them, such as `4.2 MB`."""
    for unit, word in ((10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if n_bytes >= unit:
            return f"{n_bytes / unit:,.1f} {word}"
    return f"{n_bytes} bytes"


def _capitalized(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}"
