"""The images in files of volumes: the slices that a rule chooses, one group for each file."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from search.data.parallel_map import map_each
from search.data.settings import DataSettings
from search.data.source_api import Progress, UnreadableImage
from search.data.volumes.slices import AXES, Slice, parse_slices
from search.data.volumes.volume import VOLUME_ERRORS, Volume, describe_volume_error, read_volume
from search.errors import DataError
from spaces.wording import first_of, plural


class SliceImage(NamedTuple):
    """An image: the position of its file, the slice, None if the file is broken, and its group."""

    position: int
    slice: Slice | None
    group: str = ""


@dataclass(slots=True)
class Slices:
    """The slices that are images, and notes on how they were chosen."""

    images: list[SliceImage] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def find_slices(
    paths: Sequence[str],
    names: Sequence[str],
    settings: DataSettings,
    progress: Progress | None = None,
) -> Slices:
    """Read the headers of files, in parallel, and return the slices that are used.

    A file without a header that can be read stays an image, so that it is counted as broken.

    Raises:
        DataError: If no volume has such slices.
    """
    rule, volume = parse_slices(settings.slices), settings.volume - 1
    found = Slices()
    headers: dict[int, Volume] = {}
    without: list[str] = []
    for position, header in enumerate(map_each(_read_header, paths, progress)):
        if isinstance(header, UnreadableImage):
            found.images.append(SliceImage(position, None))
            continue
        headers[position] = header
        numbers = rule.numbers(header.n_slices(rule.axis))
        if not numbers or volume >= header.n_volumes:
            without.append(names[position])
        found.images += [
            SliceImage(position, Slice(rule.axis, number, volume), f"volume #{position + 1}")
            for number in numbers
            if volume < header.n_volumes
        ]
    if without:
        what = f"--slices {settings.slices}" + f" --volume {volume + 1}" * (volume > 0)
        found.notes.append(f"{plural(len(without), 'volume')} without {what}: {first_of(without)}")
    if not found.images:
        raise DataError(f"Expected volumes that have the slices. Received: {found.notes[0]}.")
    found.notes += _describe(headers, len(found.images), settings)
    return found


def _read_header(path: str) -> Volume | UnreadableImage:
    try:
        return read_volume(path)
    except VOLUME_ERRORS as error:
        return UnreadableImage(describe_volume_error(error))


def _describe(
    headers: Mapping[int, Volume], n_images: int, settings: DataSettings
) -> Iterator[str]:
    axis = AXES[parse_slices(settings.slices).axis]
    if headers:
        yield (
            f"{plural(len(headers), 'volume')}: {plural(n_images, f'{axis} slice')} of them are"
            f" images (--slices {settings.slices})"
        )
    if n := sum(it.n_volumes > 1 for it in headers.values()):
        yield (
            f"{plural(n, 'file')} with several volumes: number {settings.volume} is used"
            " (--volume)"
        )
    if n := sum(not it.has_orientation for it in headers.values()):
        yield f"{plural(n, 'volume')} without an orientation: that of their format is assumed"
