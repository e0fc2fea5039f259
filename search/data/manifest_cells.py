"""What cells of a manifest mean: numbers of images in files, splits, weights, plain labels."""

from collections.abc import Callable
from typing import TypeVar

from search.data.file_names import split_of
from spaces.wording import shorten

MAX_FRAMES = 1_000_000
MIN_WEIGHT, MAX_WEIGHT = 1e-6, 1e6
T = TypeVar("T")
Parse = Callable[[str, str], T]
"""Called as `parse(cell, column)`; raises `ValueError` that says what came and was expected."""


def parse_frame(cell: str, column: str) -> int:
    """Return the number of an image in its file, from 0."""
    plain = plain_label(cell)
    if not (plain.isascii() and plain.isdigit() and 1 <= int(plain[:9]) <= MAX_FRAMES):
        raise _unexpected("a whole number from 1", plain, column)
    return int(plain) - 1


def parse_split(cell: str, column: str) -> str:
    """Return `train`, `val` or `test`."""
    split = split_of(cell)
    if not split:
        raise _unexpected("train, val or test", cell, column)
    return split


def parse_weight(cell: str, column: str) -> float:
    """Return the weight of an image in training."""
    try:
        weight = float(cell.replace("_", "?"))  # Python reads 1_0 as 10.
    except ValueError:
        weight = 0.0
    if not MIN_WEIGHT <= weight <= MAX_WEIGHT:
        raise _unexpected(f"weights of {MIN_WEIGHT:f} to {MAX_WEIGHT:,.0f}", cell, column)
    return weight


def plain_label(label: str) -> str:
    """Return a whole number that is written as a decimal fraction as a whole number."""
    whole, dot, rest = label.partition(".")
    return whole if dot and whole.removeprefix("-").isdigit() and not rest.strip("0") else label


def _unexpected(expected: str, cell: str, column: str) -> ValueError:
    received = repr(shorten(cell, 60))
    return ValueError(f"Expected {expected} in the column {column!r}. Received: {received}")
