"""Groups of images that belong together, such as those of a patient, by the names of files."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from search.data.group_quality import describe_unlikely_groups, why_no_groups
from search.errors import DataError
from spaces.wording import shorten

_EXAMPLES = 3
_PROPOSALS = (
    r"(?i)((?:patient|pat|subject|subj|sub|case|person|lesion)[ _-]?[0-9]{1,12})",
    r"/([^/]+)/[^/]+$",
    r"/([^/]*[0-9][^/]*)/[^/]+/[^/]+$",
    r"/([^/]*[0-9][^/]*)/[^/]+/[^/]+/[^/]+$",
    r"([^/]+)[ _-][0-9]{1,4}\.[^./]+$",
)
"""Patterns that are tried: a word with a number, the folder of an image or one around it, a
numbered stem."""
N_SAMPLED = 5_000
"""Names, evenly spaced, in which patterns are tried first."""
MIN_IMAGES, MAX_SHARE = 2.0, 0.25
"""Of a likely pattern: the images of a group on average, and the share of all in the largest."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """A pattern that finds groups in names, their number, and that of images in the largest."""

    pattern: str
    n_groups: int
    n_largest: int


def find_groups(names: Sequence[str], pattern: str, option: str = "--group-from") -> list[str]:
    """Return the group of each name: what the parts in brackets of a regular expression match.

    `option` gave the pattern; classes may be found like groups.

    Raises:
        DataError: If the pattern does not match some names.
    """
    compiled = re.compile(pattern)
    found = [_group_in(name, compiled) for name in names]
    unmatched = [name for name, group in zip(names, found, strict=True) if not group]
    if unmatched:
        shown = ", ".join(unmatched[:_EXAMPLES])
        raise DataError(
            f"{option} matches {len(names) - len(unmatched):,} of {len(names):,} names, but"
            f" not {shorten(shown, 150)}. Change the pattern, or leave these files out with"
            " --exclude."
        )
    return found


def _group_in(name: str, pattern: re.Pattern[str]) -> str:
    """Return what the parts in brackets match, or all if there are none; empty if nothing does."""
    match = pattern.search(name)
    if match is None:
        return ""
    parts = [part for part in match.groups() if part]
    return "/".join(parts) if pattern.groups else match[0]


def describe_found_groups(groups: Sequence[str], labels: Sequence[object]) -> Iterator[str]:
    """Yield what may be wrong with groups that a pattern found."""
    if reason := why_no_groups(groups, labels, "names"):
        yield f"the group that --group-from finds {reason}: it does not tell patients apart"
    yield from describe_unlikely_groups(groups, labels, "image", "change --group-from")


def propose_pattern(names: Sequence[str], n_classes: int) -> Proposal | None:
    """Return a pattern that finds groups in all names; None if there is no likely one."""
    for pattern in _PROPOSALS:
        compiled = re.compile(pattern)
        some = names[:: max(1, len(names) // N_SAMPLED)]
        if not all(_is_likely(name, compiled) for name in some):
            continue
        sizes = Counter(_group_in(name, compiled) for name in names)
        if pattern.startswith("/") and _recur(names, compiled, len(sizes) * n_classes):
            continue
        proposal = Proposal(pattern, len(sizes), max(sizes.values()))
        is_many = proposal.n_largest <= max(MIN_IMAGES, MAX_SHARE * len(names))
        is_all = "" not in sizes and len(sizes) > n_classes
        if is_all and is_many and len(names) >= MIN_IMAGES * len(sizes):
            return proposal
    return None


def _recur(names: Sequence[str], pattern: re.Pattern[str], most: int) -> bool:
    """Whether folders are in more than `most` places, as `T1` is in that of every patient."""
    places = {name[: match.end(1)] for name in names if (match := pattern.search(name))}
    return len(places) > most


def _is_likely(name: str, pattern: re.Pattern[str]) -> bool:
    """Whether a group with a number is found, or a folder."""
    group = _group_in(name, pattern)
    return any(map(str.isdigit, group)) or (bool(group) and f"/{group}/" in name)
