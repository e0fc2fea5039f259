"""Warnings of used images that are unlike the others: those with color, and unended JPEG files."""

from collections.abc import Iterator, Sequence

from search.data.selection import Selection
from search.data.settings import DataSettings
from spaces.wording import plural

N_NAMES = 3


def describe_unusual_images(settings: DataSettings, selection: Selection) -> Iterator[str]:
    """Yield a warning of each kind, with how many there are and some names."""
    n, n_colored = sum(map(len, selection.splits.values())), len(selection.colored)
    if settings.color == "auto" and 0 < n_colored <= n / 2:
        have, they, are = ("has", "it", "is") if n_colored == 1 else ("have", "they", "are")
        result = (
            "all images are read as color (--color grey makes them grey)"
            if selection.has_color
            else f"{they} {are} made grey like the others (--color rgb keeps the color)"
        )
        yield f"{n_colored:,} of {n:,} images {have} color, {_names(selection.colored)}: {result}"
    if selection.unended:
        what = plural(len(selection.unended), "JPEG file")
        lack = (
            "lacks its end marker and was"
            if len(selection.unended) == 1
            else ("lack their end marker and were")
        )
        yield f"{what} {lack} read: {_names(selection.unended)}"


def _names(names: Sequence[str]) -> str:
    return ", ".join(names[:N_NAMES]) + (", ..." if len(names) > N_NAMES else "")
