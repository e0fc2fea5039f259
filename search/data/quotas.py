"""How many images of each class a study uses, if it does not use all."""

from collections import Counter
from collections.abc import Collection, Sequence

from search.data.settings import DataSettings
from search.data.source_api import Source


def class_quotas(
    source: Source, settings: DataSettings, left_out: Collection[int] = ()
) -> dict[tuple[str, int], int]:
    """Return the maximum number of images by split and class, within `max_images`.

    Args:
        source: The images.
        settings: They have `max_images`.
        left_out: Positions of images that are not used.
    """
    usable = [item for i, item in enumerate(source.items) if i not in left_out]
    counts = Counter((item.split, item.label) for item in usable)
    sizes = Counter(item.split for item in usable)
    names = sorted(sizes)
    totals = proportional_quotas([sizes[name] for name in names], settings.max_images)
    quotas = {}
    for name, total in zip(names, totals, strict=True):
        labels = range(len(source.classes))
        levels = even_quotas([counts[name, label] for label in labels], total)
        quotas.update({(name, label): level for label, level in enumerate(levels)})
    return quotas


def proportional_quotas(sizes: Sequence[int], total: int) -> list[int]:
    """Divide `total` in proportion to `sizes`, at most their sum; largest remainders first."""
    whole = sum(sizes)
    if total >= whole:
        return list(sizes)
    exact = [size * total / whole for size in sizes]
    parts = [int(part) for part in exact]
    by_remainder = sorted(range(len(sizes)), key=lambda i: (parts[i] - exact[i], i))
    for i in by_remainder[: total - sum(parts)]:
        parts[i] += 1
    return parts


def even_quotas(counts: Sequence[int], total: int) -> list[int]:
    """Divide `total` as evenly as `counts` allow: the rest of small classes goes to the others."""
    quotas = [0] * len(counts)
    left = total
    by_size = sorted(range(len(counts)), key=lambda i: (counts[i], i))
    for position, i in enumerate(by_size):
        quotas[i] = min(counts[i], left // (len(counts) - position))
        left -= quotas[i]
    return quotas
