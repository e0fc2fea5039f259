"""Keras' own ImageNet weights: in Keras' cache, or downloaded into it."""

import contextlib
import hashlib
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import fasteners

from spaces.errors import SpaceError
from spaces.models.backbones.catalog import Backbone, WeightsFile
from spaces.models.backbones.weight_files import first_line

TIMEOUT_S = 30.0
"""Timeout of a silent server; without it, a download could wait forever."""


def imagenet_file(backbone: Backbone, image_size: tuple[int, int]) -> WeightsFile:
    """Return the file of weights for a size of images; most backbones have one for all sizes."""
    height, width = image_size
    for file in backbone.imagenet:
        if height == width == file.image_size:
            return file
    return next(file for file in backbone.imagenet if file.image_size is None)


def imagenet_path(file: WeightsFile) -> Path:
    """Return the path in `~/.keras/models`, or in `models` of `$KERAS_HOME`."""
    return _keras_home() / "models" / file.name


def fetch_imagenet_weights(backbone: Backbone, image_size: tuple[int, int]) -> Path:
    """Return the path of Keras' weights of a backbone, downloaded if they are missing.

    Raises:
        SpaceError: If they cannot be downloaded or arrive broken; the message names the file, its
            URL, and where to put it.
    """
    file = imagenet_file(backbone, image_size)
    path = imagenet_path(file)
    if is_intact(path, file.hash):
        return path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with fasteners.InterProcessLock(path.with_name(f".{file.name}.lock")):
            if not is_intact(path, file.hash):  # another process may have downloaded it
                _download(file, path)
    except Exception as error:  # Keras raises plain `Exception`
        found = "a broken file is there, and " if path.exists() else ""
        raise SpaceError(
            f"Expected the ImageNet weights of {backbone.name} at {path}: {found}the download "
            f"from {file.url} failed ({_reason(error)}).\n"
            f"Bring that file there, or name one with --backbones {backbone.name} --weights PATH."
        ) from error
    return path


def has_imagenet_weights(backbone: Backbone, image_size: tuple[int, int]) -> bool:
    """Whether Keras' own weights of a backbone are in its cache and intact."""
    file = imagenet_file(backbone, image_size)
    return is_intact(imagenet_path(file), file.hash)


def is_intact(path: Path, expected_hash: str | None) -> bool:
    """Whether a file exists and is complete, by its hash or, without one, by its structure."""
    import h5py

    if not path.is_file():
        return False
    if expected_hash is not None:
        algorithm = "sha256" if len(expected_hash) == 64 else "md5"
        with path.open("rb") as file:
            return hashlib.file_digest(file, algorithm).hexdigest() == expected_hash
    try:
        with h5py.File(path, "r"):
            return True
    except OSError:
        return False


def _download(file: WeightsFile, path: Path) -> None:
    """Download to a temporary name and rename, so that files in Keras' cache are complete."""
    import keras

    with _socket_timeout(), contextlib.redirect_stdout(sys.stderr):
        part = keras.utils.get_file(
            f"{file.name}.part",
            origin=file.url,
            file_hash=file.hash,
            cache_subdir="models",
            cache_dir=str(_keras_home()),
            force_download=True,
        )
    if not is_intact(Path(part), file.hash):
        Path(part).unlink()
        raise OSError("the file came incomplete")
    Path(part).replace(path)


@contextlib.contextmanager
def _socket_timeout() -> Iterator[None]:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(TIMEOUT_S)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _keras_home() -> Path:
    return Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras").expanduser()


def _reason(error: Exception) -> str:
    """Return the first line of an error without the URL that Keras puts before it."""
    return first_line(error).rsplit(" -- ", 1)[-1]
