"""Warnings of used images that are unlike the others, or of which a part is not used."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from statistics import median
from typing import TYPE_CHECKING

from search.data.pixel_values import FROM_FILES, LARGEST_8_BIT
from search.data.selection import Selection
from search.data.settings import DataSettings
from search.data.source_api import ImageInfo, Source
from spaces.wording import first_of, plural

if TYPE_CHECKING:
    from search.data.image_reader import PixelRule

N_NAMES = 3
MIN_LEVELS = 32
"""Grey levels of a class below which its images have little contrast left."""


def describe_unusual_images(
    source: Source, settings: DataSettings, selection: Selection, rule: "PixelRule"
) -> Iterator[str]:
    """Yield a warning of each kind, with how many there are and some names."""
    infos = selection.infos

    def names(indices: Sequence[int]) -> str:
        return first_of([source.items[i].name for i in indices], N_NAMES)

    colored = [i for i, info in infos.items() if info.has_color]
    if settings.color == "auto" and 0 < len(colored) <= len(infos) / 2:
        have, they, are = ("has", "it", "is") if len(colored) == 1 else ("have", "they", "are")
        result = (
            "all images are read as color (--color grey makes them grey)"
            if selection.has_color
            else f"{they} {are} made grey like the others (--color rgb keeps the color)"
        )
        found = f"{len(colored):,} of {len(infos):,} images {have} color"
        yield f"{found}, {names(colored)}: {result}"
    if paged := [i for i, info in infos.items() if info.has_pages]:
        have = "has" if len(paged) == 1 else "have"
        what = plural(len(paged), "file")
        yield f"{what} {have} several pages, of which the first is used: {names(paged)}"
    if unended := [i for i, info in infos.items() if info.lacks_end]:
        lack = "lacks its" if len(unended) == 1 else "lack their"
        was = "was" if len(unended) == 1 else "were"
        what = plural(len(unended), "JPEG file")
        yield f"{what} {lack} end marker and {was} read: {names(unended)}"
    if settings.window == FROM_FILES and isinstance(rule.pixel_range, tuple):
        n_others = sum(info.window != rule.pixel_range for info in infos.values())
        if n_others:
            low, high = rule.pixel_range
            yield (
                f"{low:g} to {high:g}, the window of most files, is not that of"
                f" {plural(n_others, 'image')}: one window is used for all"
            )
    is_8_bit = all(info.pixel_type == "uint8" for info in infos.values())
    if settings.window != "auto" and is_8_bit and not rule.scales_8_bit:
        yield f"--window {settings.window} changes nothing: all images have 8 bits"
    yield from _describe_types(source, infos.values(), [source.items[i].label for i in infos])
    yield from _describe_contrast(source, selection, rule)


def _describe_types(
    source: Source, infos: Iterable[ImageInfo], labels: Sequence[int]
) -> Iterator[str]:
    """Warn if images differ in the type of their pixels: a network could learn it."""
    types: dict[str, Counter[str]] = defaultdict(Counter)
    for info, label in zip(infos, labels, strict=True):
        types[source.classes[label]][info.pixel_type] += 1
    total: Counter[str] = sum(types.values(), Counter())
    if len({frozenset(found) for found in types.values()}) > 1:
        by_class = "; ".join(
            f"{name}: {', '.join(sorted(types[name]))}" for name in sorted(types)[:N_NAMES]
        )
        yield (
            f"the classes differ in the type of their pixels ({by_class}): a network can tell them"
            " by it, so accuracy means little"
        )
    elif len(total) > 1:
        found = ", ".join(f"{n:,} {name}" for name, n in total.most_common())
        yield f"the images differ in the type of their pixels: {found}"


def _describe_contrast(source: Source, selection: Selection, rule: "PixelRule") -> Iterator[str]:
    """Warn of classes whose values are a small part of the range that becomes 0 to 255."""
    if not isinstance(rule.pixel_range, tuple) or rule.pixel_range[0] >= rule.pixel_range[1]:
        return
    low, high = rule.pixel_range
    levels: dict[int, list[float]] = defaultdict(list)
    for i in selection.splits["train"]:
        info = selection.infos[i]
        if info.pixel_type != "uint8":
            part = min(info.high, high) - max(info.low, low)
            levels[source.items[i].label].append(LARGEST_8_BIT * max(0.0, part) / (high - low))
    for label, found in sorted(levels.items()):
        if median(found) < MIN_LEVELS:
            yield (
                f"images of class {source.classes[label]} have about {median(found):.0f} of 256"
                f" grey levels, since {low:g} to {high:g} become 0 to 255 in all classes (--window"
                " image scales each image by itself)"
            )
