"""The public sets that are known by name: MedMNIST's 2D sets with one class for each image."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from search.errors import DataError
from spaces.wording import did_you_mean, shorten

SIZES = (28, 64, 128, 224)
UNNAMED_SIZE = 28
"""The size that is not in the name of its file."""


@dataclass(frozen=True, slots=True)
class PublicSet:
    """Facts about a public set, which is the same in all sizes.

    Attributes:
        name: Lower-case letters.
        about: What its images show, in a few words.
        source: The set that it was made from.
        license: The short name of its license.
        channels: 1 or 3.
        counts: Number of images by split.
        classes: Names of labels 0, 1, ...
        md5: Checksum of its file by size, in hexadecimal.
    """

    name: str
    about: str
    source: str
    license: str
    channels: int
    counts: Mapping[str, int]
    classes: tuple[str, ...]
    md5: Mapping[int, str]

    @property
    def n_images(self) -> int:
        """The number of images in all splits."""
        return sum(self.counts.values())

    @property
    def license_url(self) -> str:
        """The address of the license's text."""
        return str(_table()["license_urls"][self.license])

    def to_json(self) -> dict[str, Any]:
        """Return its entry in `data fetch --list --json`."""
        return {
            "name": self.name,
            "about": self.about,
            "source": self.source,
            "classes": list(self.classes),
            "counts": dict(self.counts),
            "channels": self.channels,
            "sizes": list(self.md5),
            "license": self.license,
            "license_url": self.license_url,
        }

    def file_name(self, size: int) -> str:
        """Return the name of its file, as it is published."""
        return f"{self.name}.npz" if size == UNNAMED_SIZE else f"{self.name}_{size}.npz"

    def url(self, size: int, mirror: str | None = None) -> str:
        """Return the address of its file, or that below the address of a mirror."""
        if mirror:
            return f"{mirror.rstrip('/')}/{self.file_name(size)}"
        return f"{_table()['base_url']}/{self.file_name(size)}{_table()['query']}"

    def pixel_bytes(self, size: int) -> int:
        """Return the size of its unpacked pixels, which its file is not above by much."""
        return self.n_images * size**2 * self.channels


@cache
def public_sets() -> Mapping[str, PublicSet]:
    """Return the known sets by name, in the order of the table."""
    return {
        name: PublicSet(
            name=name,
            about=row["about"],
            source=row["source"],
            license=row["license"],
            channels=row["channels"],
            counts=row["counts"],
            classes=tuple(row["classes"]),
            md5={int(size): md5 for size, md5 in row["md5"].items()},
        )
        for name, row in _table()["sets"].items()
    }


def find_public_set(name: str) -> PublicSet:
    """Return the set of a name, in letters of any case.

    Raises:
        DataError: If it is unknown, or no source for a search.
    """
    key = name.strip().lower()
    known, refused = public_sets(), _table()["refused"]
    if key in refused:
        raise DataError(f"{key} cannot be a source: {refused[key]}.")
    if key not in known:
        near = did_you_mean(key, known)
        hint = f"{near[0].upper()}{near[1:]}" if near else f"Known: {', '.join(known)}."
        raise DataError(f"There is no public set {shorten(name, 40)!r}. {hint}")
    return known[key]


def check_size(size: int) -> int:
    """Return a side of images in pixels; raise `DataError` if no set has it."""
    if size not in SIZES:
        raise DataError(f"--size: expected one of {', '.join(map(str, SIZES))}. Received: {size}.")
    return size


def homepage() -> str:
    """Return the address of the publisher."""
    return str(_table()["homepage"])


def citations() -> tuple[str, ...]:
    """Return what the publisher asks to cite, whichever set is used."""
    return tuple(_table()["citations"])


@cache
def _table() -> dict[str, Any]:
    return tomllib.loads(files("search.data").joinpath("public_sets.toml").read_text("utf-8"))
