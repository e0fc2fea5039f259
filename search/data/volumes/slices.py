"""Which slices of a volume are images: `axial`, `axial:40%-60%`, `coronal:30-90:every 2`."""

import re
from typing import NamedTuple

AXES = ("sagittal", "coronal", "axial")
"""What is fixed in a slice of these: from left to right, from back to front, from feet to head."""
_RULE = re.compile(
    r"(?P<axis>[a-z]+)"
    r"(?::(?P<first>\d{1,6})(?P<percent>%?)(?:-(?P<last>\d{1,6})(?P=percent))?)?"
    r"(?::every (?P<step>\d{1,6}))?"
)


class Slice(NamedTuple):
    """A slice of a volume: the axis that is fixed in it, its number, and that of the volume.

    Numbers begin with 0, and count along the axis in the direction that `AXES` says.
    """

    axis: int
    number: int
    volume: int = 0


class SliceRule(NamedTuple):
    """The slices of a volume that are images.

    Attributes:
        axis: Position in `AXES`.
        first, last: Numbers from 1, ends included, or percent of the volume.
        is_percent: Whether they are percent.
        step: 1 for every slice, 2 for every second one, ...
    """

    axis: int
    first: int
    last: int
    is_percent: bool
    step: int

    def numbers(self, n_slices: int) -> range:
        """Return the numbers, from 0, of the slices of a volume that has `n_slices`."""
        first, end = self.first - 1, self.last
        if self.is_percent:
            first = min(n_slices * self.first // 100, n_slices - 1)
            end = max(n_slices * self.last // 100, first + 1)
        return range(first, min(end, n_slices), self.step)


def parse_slices(text: str) -> SliceRule:
    """Return the rule that a text says.

    Raises:
        ValueError: If it says none.
    """
    found = _RULE.fullmatch(text.strip().lower())
    if found and found["axis"] in AXES:
        is_percent = found["percent"] == "%" or found["first"] is None
        first = int(found["first"] or 0)
        last = int(found["last"] or (first if found["first"] else 100))
        step = int(found["step"] or 1)
        reason = _why_not(first, last, step, is_percent=is_percent)
        if not reason:
            return SliceRule(AXES.index(found["axis"]), first, last, is_percent, step)
        raise ValueError(f"{reason} Received: {text!r}.")
    raise ValueError(
        f"Expected axial, coronal or sagittal, and optionally a range and a step, such as"
        f" axial:40%-60% or coronal:30-90:every 2. Received: {text!r}."
    )


def _why_not(first: int, last: int, step: int, *, is_percent: bool) -> str:
    """Return why numbers are no rule; empty if they are one."""
    if first > last:
        return "Expected a range whose end is not before its beginning."
    if is_percent and last > 100:
        return "Expected at most 100 %."
    if not is_percent and first < 1:
        return "Expected numbers of slices from 1."
    return "Expected a step of at least 1." if step < 1 else ""
