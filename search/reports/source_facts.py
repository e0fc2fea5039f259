"""Facts about a source for its page, from its images after all of them were read."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

from analysis.source_page.facts import (
    EqualImages,
    ListedImage,
    NearPair,
    Sheet,
    ShownImage,
    SourceFacts,
)
from search.data import ExaminedSource
from search.data.near_duplicates import Twins
from search.data.source_api import SPLITS
from search.reports.source_choice import choose_images
from search.reports.source_pixels import SourcePixels, measure_pixels
from spaces.wording import plural, shorten

MAX_WARNINGS, MAX_BROKEN, MAX_LISTED = 40, 20, 5
"""Warnings, unreadable images, and equal images of a group that are named."""
MAX_DIVIDED = 10
"""Groups in several splits that are named."""
MAX_WARNING = 400
"""Characters of a warning."""
_FITS = {
    "pad": "black is added at two sides",
    "crop": "two sides are cut off",
    "stretch": "stretched to squares",
}


def gather_source_facts(found: ExaminedSource) -> SourceFacts:
    """Return the facts of a source's page; some of its images are read again for that.

    Raises:
        DataError: If one of them cannot be read any more.
    """
    chosen = choose_images(found)
    pixels = measure_pixels(found, chosen.pictured())
    lister, summary, classes = _Lister(found, pixels), found.summary, found.source.classes
    used = summary.used
    sizes = _sizes(found)
    members = _group_members(found)
    divided = () if found.settings.fix_leaks else summary.divided_groups
    return SourceFacts(
        name=Path(found.settings.source).name or found.settings.source,
        kind=summary.kind,
        classes=classes,
        found=summary.counts,
        used=used,
        preparation=dict(_preparation(found)),
        sizes=sizes,
        histograms={
            classes[it]: tuple(map(float, pixels.histograms[it])) for it in pixels.histograms
        },
        n_in_histogram=pixels.n_in_histogram,
        baseline=pixels.baseline,
        majority=max(used["val"].values()) / sum(used["val"].values()),
        group_sizes=Counter(len(labels) for labels in members),
        n_mixed_groups=sum(len(set(labels)) > 1 for labels in members),
        divided=divided[:MAX_DIVIDED],
        n_divided=len(divided),
        near=tuple(map(lister.pair, chosen.near)),
        n_near=len(found.twins),
        n_certain=sum(it.is_certain for it in found.twins),
        equal=tuple(map(lister.equal, chosen.equal)),
        n_equal=chosen.n_equal,
        conflicts=tuple(map(lister.equal, chosen.conflicts)),
        n_conflicts=chosen.n_conflicts,
        sheets=tuple(
            Sheet(
                classes[label],
                tuple(map(lister.shown, indices)),
                sum(counts[classes[label]] for counts in used.values()),
            )
            for label, indices in chosen.sheets.items()
        ),
        warnings=tuple(shorten(it, MAX_WARNING) for it in summary.warnings[:MAX_WARNINGS]),
        n_warnings=len(summary.warnings),
        broken=dict(islice(summary.broken.items(), MAX_BROKEN)),
        n_broken=len(summary.broken),
    )


class _Lister:
    """Names images with their classes and splits, and gives them their pictures."""

    def __init__(self, found: ExaminedSource, pixels: SourcePixels) -> None:
        self._source = found.source
        self._split_of = found.split_of()
        self._pictures = pixels.pictures

    def listed(self, index: int) -> ListedImage:
        item = self._source.items[index]
        label = self._source.classes[item.label]
        return ListedImage(item.name, label, self._split_of.get(index, ""))

    def shown(self, index: int) -> ShownImage:
        return ShownImage(self.listed(index), self._pictures[index])

    def pair(self, twins: Twins) -> NearPair:
        first, second = self.shown(twins.first), self.shown(twins.second)
        return NearPair(first, second, twins.correlation, twins.is_certain)

    def equal(self, group: Sequence[int]) -> EqualImages:
        listed = tuple(map(self.listed, group[:MAX_LISTED]))
        return EqualImages(self._pictures[group[0]], listed, len(group))


def _preparation(found: ExaminedSource) -> Iterator[tuple[str, str]]:
    """Yield what a search would do with the images, by what that is; options in backticks."""
    settings, summary = found.settings, found.summary
    yield "Size", f"{settings.image_size} × {settings.image_size} pixels (`--image-size`)"
    yield "Color", "grey" if summary.used_channels == 1 else "red, green, blue"
    types = (f"{name} ({plural(n, 'image')})" for name, n in summary.pixel_types.items())
    yield "Pixels", ", ".join(types)
    yield "Values", _values(found)
    if not summary.is_square:
        yield "Shape", f"{_FITS[summary.resize]} (`--resize {summary.resize}`)"
    yield "Splits", _splits(found)


def _values(found: ExaminedSource) -> str:
    chosen = found.summary.pixel_range
    if chosen is None:
        return "0 to 255, as they are"
    if isinstance(chosen, tuple):
        return f"{chosen[0]:g} to {chosen[1]:g} become 0 to 255 (`--window`)"
    return "each image is scaled by itself (`--window image`)"


def _splits(found: ExaminedSource) -> str:
    own, seed = {item.split for item in found.source.items}, found.settings.seed
    if set(SPLITS) <= own:
        return "those of the source"
    if own != {""}:
        return f"those of the source, missing ones drawn with seed {seed}"
    train, val, test = (f"{share:.0%}" for share in found.settings.split)
    return f"{train} training, {val} validation, {test} test, drawn with seed {seed}"


def _sizes(found: ExaminedSource) -> Mapping[str, Mapping[tuple[int, int], int]]:
    counts: dict[str, Counter[tuple[int, int]]] = {it: Counter() for it in found.source.classes}
    for i, info in found.infos.items():
        name = found.source.classes[found.source.items[i].label]
        counts[name][info.width, info.height] += 1
    return counts


def _group_members(found: ExaminedSource) -> list[list[int]]:
    """Return the labels of the images of each group."""
    members: dict[str, list[int]] = defaultdict(list)
    for item in found.source.items:
        if item.group:
            members[item.group].append(item.label)
    return list(members.values())
