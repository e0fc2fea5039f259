"""Summary of a source and of what a search would use of it."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from shlex import quote
from statistics import median
from typing import TYPE_CHECKING, Any

from search.data.duplicates import group_duplicates
from search.data.groups import Proposal, propose_pattern
from search.data.leaks import find_torn_groups, name_by_split, twins_among
from search.data.manifest_columns import NONE
from search.data.near_duplicates import Twins
from search.data.pixel_values import PixelRange
from search.data.selection import Selection, n_channels
from search.data.settings import DataSettings
from search.data.shortcuts import describe_shortcuts
from search.data.source_api import SPLITS, ImageInfo, Source, UnreadableImage
from search.data.unusual_images import describe_unusual_images
from search.errors import DataError

if TYPE_CHECKING:
    from search.data.image_reader import PixelRule

SUMMARY_VERSION = 3
"""Of what a summary says of a source: kept ones of other versions are not shown."""
NO_GROUPS = "the images have no groups"
_HOW_TO_GROUP = {
    "folder": "--group-from finds patients in names",
    "manifest": "--group-from finds patients in names, --group-column names their column",
    "npz": "a table of image files can have a column of patients",
    "hdf5": "if each split is a file with a table beside it, --group-column names its column",
}
MIN_VAL_IMAGES = 50
MAX_CLASS_RATIO = 3.0


@dataclass(frozen=True, slots=True)
class Sizes:
    """Smallest, median and largest width and height of images in pixels."""

    min_width: int
    min_height: int
    median_width: float
    median_height: float
    max_width: int
    max_height: int


@dataclass(frozen=True, slots=True)
class SourceSummary:
    """Summary of a source.

    Attributes:
        kind: `folder`, `manifest`, `npz`, `hdf5` or `demo`.
        counts: Readable images by split (`all` if the source has none), then by class.
        color: `grey` or `rgb`: whether any image has color.
        balance: Ratio of the largest to the smallest class, at least 1.
        n_duplicates: Number of images whose pixels equal those of an earlier one.
        conflicts: Groups of images with the same pixels and different classes.
        broken: Unreadable images, with the reason.
        used: Images that a search would use by split, then by class.
        used_channels: 1 or 3.
        pixel_types: Number of readable images by numpy's type of their pixels.
        pixel_range: Values that a search would make 0 and 255, `image` if each image has its own;
            None if 8-bit images stay as they are.
        resize: How a search would make images square.
        is_square: Whether all readable images are.
        n_groups, n_largest_group: Number of groups, and of images in the largest; 0 if there are
            none.
        guessed: Settings that were guessed from the source, such as the columns of a manifest.
        twins: Pairs of images that are nearly the same, with the correlation of their pictures;
            exact duplicates are not among them.
        divided_groups: An image of each split, by split, of each group that is in several of the
            source's own splits.
        group_proposal: A pattern for `--group-from` that finds groups; empty if none is likely.
    """

    kind: str
    classes: tuple[str, ...]
    counts: dict[str, dict[str, int]]
    sizes: Sizes
    color: str
    balance: float
    n_duplicates: int
    conflicts: tuple[tuple[str, ...], ...]
    broken: dict[str, str]
    used: dict[str, dict[str, int]]
    used_channels: int
    pixel_types: dict[str, int]
    pixel_range: PixelRange
    resize: str
    is_square: bool
    n_groups: int
    n_largest_group: int
    guessed: dict[str, str]
    twins: tuple[tuple[str, str, float], ...]
    divided_groups: tuple[dict[str, str], ...]
    group_proposal: str
    warnings: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the document of `data inspect --json`."""
        return asdict(self)


def summarize(
    source: Source,
    settings: DataSettings,
    infos: Sequence[ImageInfo | UnreadableImage],
    selection: Selection,
    *,
    rule: "PixelRule",
    twins: Sequence[Twins],
    notes: Sequence[str],
) -> SourceSummary:
    """Summarize a source whose images were all described, in the order of its items.

    `notes` are those of `describe_images`.
    """
    readable = {i: info for i, info in enumerate(infos) if isinstance(info, ImageInfo)}
    duplicate_groups = group_duplicates(readable, readable)
    conflicts = [
        tuple(source.items[i].name for i in group)
        for group in duplicate_groups
        if len({source.items[i].label for i in group}) > 1
    ]
    per_class = _by_class(source, list(readable)).values()
    broken = {
        source.items[i].name: info.reason
        for i, info in enumerate(infos)
        if isinstance(info, UnreadableImage)
    }
    groups = Counter(item.group for item in source.items if item.group)
    names = [item.name for item in source.items]
    files = list(dict.fromkeys(item.file for item in source.items))
    proposal = None
    if _may_group_files(source, settings, files):
        proposal = propose_pattern(files, len(source.classes))
    summary = SourceSummary(
        kind=source.kind,
        classes=source.classes,
        counts=_counts(source, readable),
        sizes=_sizes(list(readable.values())),
        color="rgb" if any(info.has_color for info in readable.values()) else "grey",
        balance=max(per_class) / min(per_class),
        n_duplicates=sum(len(group) - 1 for group in duplicate_groups),
        conflicts=tuple(conflicts),
        broken=broken,
        used={split: _by_class(source, selection.splits[split]) for split in SPLITS},
        used_channels=n_channels(settings, selection),
        pixel_types=dict(Counter(info.pixel_type for info in readable.values())),
        pixel_range=rule.pixel_range,
        resize=rule.fit,
        is_square=all(info.width == info.height for info in readable.values()),
        n_groups=len(groups),
        n_largest_group=max(groups.values(), default=0),
        guessed=dict(source.guessed),
        twins=tuple((names[it.first], names[it.second], round(it.correlation, 5)) for it in twins),
        divided_groups=tuple(
            name_by_split(its, source.items) for its in find_torn_groups(source.items)
        ),
        group_proposal=proposal.pattern if proposal else "",
        warnings=(),
    )
    found = (
        *source.warnings,
        *_describe_grouping(source, proposal, has_groups=bool(groups)),
        *notes,
        *_warnings(summary),
        *selection.leak_warnings,
    )
    return replace(summary, warnings=found)


def find_all_twins(
    source: Source, infos: Mapping[int, ImageInfo], selection: Selection
) -> tuple[Twins, ...]:
    """Return the near duplicates among all images, also among those that a search leaves out.

    There are none if the images are too much alike to look for them.
    """
    has_all = selection.n_drawn == len(source.items)
    if has_all and not selection.duplicates and not selection.conflicts:
        return tuple(selection.twins)
    try:
        return tuple(twins_among(infos, source.items))
    except DataError:
        return ()


def describe_images(
    source: Source, settings: DataSettings, selection: Selection, rule: "PixelRule"
) -> list[str]:
    """Return notes on the images that are used: what is unusual, and what tells their classes."""
    return [
        *describe_unusual_images(source, settings, selection, rule),
        *describe_shortcuts(source, selection),
    ]


def _counts(source: Source, indices: Iterable[int]) -> dict[str, dict[str, int]]:
    splits = sorted({item.split for item in source.items}, key=("", *SPLITS).index)
    return {
        split or "all": _by_class(source, [i for i in indices if source.items[i].split == split])
        for split in splits
    }


def _by_class(source: Source, indices: Sequence[int]) -> dict[str, int]:
    counts = Counter(source.items[i].label for i in indices)
    return {name: counts[label] for label, name in enumerate(source.classes)}


def _sizes(infos: Sequence[ImageInfo]) -> Sizes:
    widths, heights = [info.width for info in infos], [info.height for info in infos]
    return Sizes(
        min(widths), min(heights), median(widths), median(heights), max(widths), max(heights)
    )


def _may_group_files(source: Source, settings: DataSettings, files: Sequence[str]) -> bool:
    """Whether there are no groups, or one for each file, and the settings name no others."""
    is_named = (
        settings.group_from
        or settings.group_column not in {"", NONE}
        or settings.group_tag not in {"auto", NONE}
    )
    if is_named or source.kind not in {"folder", "manifest"}:
        return False
    pairs = {(item.group, item.file) for item in source.items}
    groups = {group for group, _ in pairs if group}
    return not groups or len(groups) == len(files) == len(pairs)


def _describe_grouping(
    source: Source, proposal: Proposal | None, *, has_groups: bool
) -> Iterator[str]:
    """Yield what is said if no images of several files belong together, so far as is known."""
    if proposal is not None:
        state = "each file is a group of its own" if has_groups else NO_GROUPS
        yield (
            f"{state}. --group-from {quote(proposal.pattern)} finds"
            f" {proposal.n_groups:,}, the largest of {proposal.n_largest:,} images: if those are"
            " patients, use it, since results are too good otherwise"
        )
    elif (
        not has_groups
        and source.kind in _HOW_TO_GROUP
        and not any(it.startswith(NO_GROUPS) for it in source.warnings)
    ):
        yield (
            f"{NO_GROUPS}: if several are of one patient, they can be in training and test, and"
            f" results are too good ({_HOW_TO_GROUP[source.kind]})"
        )


def _warnings(summary: SourceSummary) -> Iterator[str]:
    if n_broken := len(summary.broken):
        are = "image cannot be read and is" if n_broken == 1 else "images cannot be read and are"
        yield f"{n_broken:,} {are} left out"
    if summary.n_duplicates:
        are = "exact duplicate" if summary.n_duplicates == 1 else "exact duplicates"
        yield f"{summary.n_duplicates:,} {are}: equal images are kept in one split"
    for names in summary.conflicts:
        yield f"left out, the same pixels in different classes: {', '.join(names)}"
    if summary.balance > MAX_CLASS_RATIO:
        yield f"the largest class has {summary.balance:.1f} times the images of the smallest"
    n_val = sum(summary.used["val"].values())
    if n_val < MIN_VAL_IMAGES:
        anew = " (--own-splits ignore makes new splits)" if "val" in summary.counts else ""
        yield f"only {n_val} validation images: accuracies come in steps of {1 / n_val:.2f}{anew}"
