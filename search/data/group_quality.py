"""Whether groups tell patients apart: identifiers that were replaced or left empty do not."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

MAX_SHARE = 0.5
"""Of all images in one group: above it, the group is perhaps no patient."""


def why_no_groups(values: Sequence[str], labels: Sequence[object], what: str) -> str:
    """Return why values, empty where there is none, do not tell patients apart; empty if they may.

    `what` has the values: `files` or `rows`.
    """
    known = [value for value in values if value]
    if not known:
        return f"has no value in any of the {what}"
    if len(set(known)) == 1 and len(known) == len(values) > 1:
        return f"is the same in all {what}"
    by_class = defaultdict(set)
    for value, label in zip(values, labels, strict=True):
        if value:
            by_class[label].add(value)
    is_one_each = all(len(its) == 1 for its in by_class.values())
    if len(by_class) > 1 and is_one_each and len(set(known)) > 1:
        return "has one value for each class"
    return ""


def why_not_to_guess(values: Sequence[str], labels: Sequence[object]) -> str:
    """Return why a guessed column of groups is not used: it tells no patients apart, or all."""
    if differs_everywhere(values):
        return "has a different value in every row"
    return why_no_groups(values, labels, "rows")


def differs_everywhere(values: Sequence[str]) -> bool:
    """Whether each image has a value of its own, so that no two are together."""
    return len(values) > 1 and "" not in values and len(set(values)) == len(values)


def describe_unlikely_groups(
    groups: Sequence[str], labels: Sequence[object], what: str, advice: str
) -> Iterator[str]:
    """Yield why groups, empty for none, are perhaps not those of patients.

    `what` is one of what has the groups, such as `image`; `advice` names other groups.
    """
    sizes = Counter(group for group in groups if group)
    if differs_everywhere(groups):
        yield (
            f"each {what} is a group of its own: if several are of one patient, results are too"
            f" good ({advice})"
        )
    elif len(sizes) > 2 and max(sizes.values()) > MAX_SHARE * len(groups):
        largest = max(sizes, key=lambda group: sizes[group])
        its_labels = {
            label for group, label in zip(groups, labels, strict=True) if group == largest
        }
        of_all = " and all classes" if its_labels == set(labels) else ""
        yield (
            f"one group has {sizes[largest]:,} of {len(groups):,} {what}s{of_all}: its identifier"
            f" perhaps stands for no patient ({advice})"
        )
