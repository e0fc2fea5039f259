"""Keras' own ImageNet weights: in Keras' cache, or downloaded into it."""

import os
from pathlib import Path

from spaces.downloads import Download, download, has_hash
from spaces.errors import DownloadError, SpaceError
from spaces.models.backbones.catalog import Backbone, WeightsFile
from spaces.models.backbones.weight_files import first_line

MAX_BYTES = 4 * 2**30
"""The largest backbone has weights of 1.4 GB."""


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
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        download(Download(file.url, path, lambda it: is_intact(it, file.hash), MAX_BYTES))
    except (DownloadError, OSError) as error:
        found = "a broken file is there, and " if path.exists() else ""
        raise SpaceError(
            f"Expected the ImageNet weights of {backbone.name} at {path}: {found}the download "
            f"from {file.url} failed ({first_line(error)}).\n"
            f"Bring that file there, or name one with --backbones {backbone.name} --weights PATH."
        ) from error
    return path


def has_imagenet_weights(backbone: Backbone, image_size: tuple[int, int]) -> bool:
    """Whether Keras' own weights of a backbone are in its cache and intact."""
    file = imagenet_file(backbone, image_size)
    return is_intact(imagenet_path(file), file.hash)


def is_intact(path: Path, expected_hash: str | None) -> bool:
    """Whether a file exists and is complete, by its hash or, without one, by its structure."""
    if expected_hash is not None:
        return has_hash(path, expected_hash)
    if not path.is_file():
        return False
    import h5py

    try:
        with h5py.File(path, "r"):
            return True
    except OSError:
        return False


def _keras_home() -> Path:
    return Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras").expanduser()
