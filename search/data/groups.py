"""Groups of images that belong together, such as those of a patient, by the names of files."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from search.errors import DataError
from spaces.wording import shorten

_EXAMPLES = 3
_PROPOSALS = (
    r"((?:patient|pat|subject|subj|sub|case|person|lesion)[ _-]?[0-9]+)",
    r"/([^/]+)/[^/]+$",
    r"([^/]*[0-9][^/]*?)[ _-][0-9]{1,4}\.[^./]+$",
)
"""Patterns that are tried: a word with a number, the folder below the class, a numbered stem."""
MIN_IMAGES, MAX_SHARE = 2.0, 0.25
"""Of a likely pattern: the images of a group on average, and the share of all in the largest."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """A pattern that finds groups in names, their number, and that of images in the largest."""

    pattern: str
    n_groups: int
    n_largest: int


def find_groups(names: Sequence[str], pattern: str) -> list[str]:
    """Return the group of each name: what the parts in brackets of a regular expression match.

    Raises:
        DataError: If the pattern does not match some names.
    """
    compiled = re.compile(pattern)
    found = [compiled.search(name) for name in names]
    unmatched = [name for name, match in zip(names, found, strict=True) if match is None]
    if unmatched:
        shown = ", ".join(unmatched[:_EXAMPLES])
        raise DataError(
            f"--group-from matches {len(names) - len(unmatched):,} of {len(names):,} names, but"
            f" not {shorten(shown, 150)}. Change the pattern, or leave these files out with"
            " --exclude."
        )
    return [
        "/".join(part or "" for part in match.groups()) or match[0] for match in found if match
    ]


def propose_pattern(names: Sequence[str]) -> Proposal | None:
    """Return a pattern that finds groups in all names; None if there is no likely one."""
    for pattern in _PROPOSALS:
        compiled = re.compile(pattern, re.IGNORECASE)
        found = [match[1] for match in map(compiled.search, names) if match]
        sizes = Counter(found)
        if len(found) < len(names) or not sizes:
            continue
        proposal = Proposal(pattern, len(sizes), max(sizes.values()))
        is_many = proposal.n_largest <= max(MIN_IMAGES, MAX_SHARE * len(names))
        if is_many and len(names) >= MIN_IMAGES * len(sizes):
            return proposal
    return None
