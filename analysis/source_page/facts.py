"""The facts of a source's page as data; they have names of files, and pictures."""

from collections.abc import Mapping
from dataclasses import dataclass

from analysis.report.facts import Pixels


@dataclass(frozen=True, slots=True)
class ListedImage:
    """An image by its name, its class, and the split for which a search would use it, or none."""

    name: str
    label: str
    split: str = ""


@dataclass(frozen=True, slots=True)
class ShownImage:
    """An image with its picture."""

    image: ListedImage
    pixels: Pixels


@dataclass(frozen=True, slots=True)
class NearPair:
    """Two images that are nearly the same, with the correlation of their thumbnails."""

    first: ShownImage
    second: ShownImage
    correlation: float
    is_certain: bool


@dataclass(frozen=True, slots=True)
class EqualImages:
    """Some images of equal pixels, thus one picture; `n_images` counts all."""

    pixels: Pixels
    images: tuple[ListedImage, ...]
    n_images: int


@dataclass(frozen=True, slots=True)
class Sheet:
    """Some of the images of a class that a search would use, and how many it would use."""

    label: str
    images: tuple[ShownImage, ...]
    n_images: int


@dataclass(frozen=True, slots=True)
class SourceFacts:
    """The images of a source, and what a search would use of it.

    Attributes:
        name: Last part of the source's path.
        kind: `folder`, `manifest`, `npz` or `demo`.
        found, used: Readable images, and those that a search would use, by split, then by class.
        preparation: How images are prepared, by what is said of it.
        sizes: Number of readable images by class, then by width and height in pixels.
        histograms: Mean histogram of the grey values of some training images, by class: the share
            of pixels in each of several equal parts of 0 to 255.
        baseline: Validation accuracy that intensity statistics alone reach.
        majority: That of always answering the largest class.
        group_sizes: Number of groups by their number of images.
        n_mixed_groups: Number of groups with images of several classes.
        divided, n_divided: Groups that are in several splits: an image of each split for those
            that are shown, and their number.
        near, n_near, n_certain: Pairs that are shown, and numbers of all and of certain ones.
        equal, n_equal: Groups of equal images of one class that are shown, and their number.
        conflicts, n_conflicts: The same of several classes.
        sheets: Of the first classes, or of all.
        warnings, n_warnings: Those that are shown, and their number.
        broken, n_broken: Reasons why images could not be read, by name, and their number.
    """

    name: str
    kind: str
    classes: tuple[str, ...]
    found: Mapping[str, Mapping[str, int]]
    used: Mapping[str, Mapping[str, int]]
    preparation: Mapping[str, str]
    sizes: Mapping[str, Mapping[tuple[int, int], int]]
    histograms: Mapping[str, tuple[float, ...]]
    n_in_histogram: int
    baseline: float
    majority: float
    group_sizes: Mapping[int, int]
    n_mixed_groups: int
    divided: tuple[Mapping[str, str], ...]
    n_divided: int
    near: tuple[NearPair, ...]
    n_near: int
    n_certain: int
    equal: tuple[EqualImages, ...]
    n_equal: int
    conflicts: tuple[EqualImages, ...]
    n_conflicts: int
    sheets: tuple[Sheet, ...]
    warnings: tuple[str, ...]
    n_warnings: int
    broken: Mapping[str, str]
    n_broken: int

    @property
    def n_found(self) -> int:
        """The number of readable images."""
        return sum(sum(counts.values()) for counts in self.found.values())

    @property
    def n_used(self) -> int:
        """The number of images that a search would use."""
        return sum(sum(counts.values()) for counts in self.used.values())

    @property
    def n_groups(self) -> int:
        """The number of groups."""
        return sum(self.group_sizes.values())

    @property
    def distinct_sizes(self) -> frozenset[tuple[int, int]]:
        """All widths and heights that occur."""
        return frozenset(size for counts in self.sizes.values() for size in counts)
