"""How the images of a study were made and chosen, as data for its report.

No name of a file, folder, person or column is in it: of settings that hold some, only that they
were used.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Scaling = Literal["none", "set", "image", "unknown"]


@dataclass(frozen=True, slots=True)
class Preparation:
    """How images became what networks see, and the choices that differ from the defaults.

    Attributes:
        scaling: Which pixels become black and white: `none` for 8-bit images as stored, `set` for
            `pixel_range`, `image` if each deeper image has its own range, or `unknown`.
        pixel_range: Values that become 0 and 255 in all images; None unless `scaling` is `set`.
        window: The setting: `auto`, `image`, `file`, a name, or center and width.
        resize: How images that are not square became square: `pad`, `crop` or `stretch`; None if
            it is not recorded.
        color: The setting: `auto`, `grey` or `rgb`.
        n_groups: Number of groups, such as patients, among the images used.
        n_divided_groups: Number of them that are in several splits.
        n_without_group: Number of images used that have no group, if others have one.
        groups_from: Where groups come from: `paths`, `column`, `source`, or a DICOM tag; empty if
            there are none.
        chosen_classes: Classes that were chosen; empty for all.
        merged_classes: Classes that became one, by its name.
        positive: The class against which all others are one; empty if there is none.
        labels_from: `paths` or `masks`; empty if labels are as the source has them.
        slices: Which slices of volumes are images; empty for all axial ones.
        volume: Which volume is used of files with several, from 1.
        pages: Which page is used of files with several, or `all`.
        ignores_own_splits: Whether the source's own splits were not used.
        has_split_lists: Whether lists of images name the splits.
        leaks: What happened to near duplicates and groups in different splits: `allowed`, `fixed`,
            or empty.
        max_images: Maximum number of images; None if it left none out.
        n_conditions: Number of conditions by which images were chosen.
        n_exclusions: Number of patterns by which images were left out.
    """

    scaling: Scaling = "unknown"
    pixel_range: tuple[float, float] | None = None
    window: str = "auto"
    resize: str | None = None
    color: str = "auto"
    n_groups: int = 0
    n_divided_groups: int = 0
    n_without_group: int = 0
    groups_from: str = ""
    chosen_classes: tuple[str, ...] = ()
    merged_classes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    positive: str = ""
    labels_from: str = ""
    slices: str = ""
    volume: int = 1
    pages: str = "1"
    ignores_own_splits: bool = False
    has_split_lists: bool = False
    leaks: str = ""
    max_images: int | None = None
    n_conditions: int = 0
    n_exclusions: int = 0
