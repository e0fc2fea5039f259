"""The settings of a study's images: the `[data]` table of a study file."""

import re
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from search import defaults
from search.data.pixel_values import FROM_FILES, OWN, parse_window
from search.data.volumes.slices import parse_slices
from search.errors import DataError

DEMO = "demo"
"""The built-in source; a folder of that name is `./demo`."""
Fit = Literal["stretch", "pad", "crop"]
"""How an image that is not square becomes square."""
ALL_PAGES, FIRST_PAGE = "all", "1"
PAGES = r"^(all|[1-9][0-9]{0,3})$"
"""Which page of a TIFF file is an image, or all."""
GroupTag = Literal["auto", "PatientID", "StudyInstanceUID", "SeriesInstanceUID", "none"]
SplitName = Literal["train", "val", "test"]
Name = Annotated[str, Field(min_length=1, max_length=200)]


class DataSettings(BaseModel):
    """Which images a study trains on, and how they are prepared."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str = Field(
        min_length=1,
        description="Path of a folder, a table, an `.npz` or an HDF5 file, or the word `demo`.",
    )
    image_size: int = Field(
        default=defaults.IMAGE_SIZE,
        ge=8,
        le=512,
        strict=True,
        description="Side of the prepared square images in pixels.",
    )
    resize: Literal["auto", "pad", "crop", "stretch"] = Field(
        default=defaults.RESIZE,
        description="How images that are not square become square: `pad` adds black on two sides, "
        "`crop` cuts two sides off, `stretch` changes their proportions. `auto` is `pad` if the "
        "images differ in shape, else `stretch`.",
    )
    color: Literal["auto", "grey", "rgb"] = Field(
        default=defaults.COLOR,
        description="`grey` or `rgb`; `auto` is color if a tenth of the images of some class, and "
        "more than one, have real color.",
    )
    window: str = Field(
        default=defaults.WINDOW,
        max_length=100,
        description="Values of more than 8 bits that become 0 and 255, as center and width, such "
        "as `40/400`, or `lung`, `bone`, `brain` or `soft-tissue` (Hounsfield units). `auto` "
        "takes the 0.5 and 99.5 percentiles of the training images, `image` those of each image, "
        "and `file` the window that most training images propose.",
    )
    classes: tuple[Name, ...] = Field(
        default=(),
        max_length=1000,
        description="Names of the classes to use; all by default. Folders of these names are "
        "classes, whatever they look like.",
    )
    merge: dict[Name, tuple[Name, ...]] = Field(
        default={},
        max_length=1000,
        description='Classes that become one, by its name: `{tumor = ["glioma", "meningioma"]}`.',
    )
    exclude: tuple[Name, ...] = Field(
        default=(),
        max_length=1000,
        description="Patterns of files and folders to leave out, as a shell has them: `*_left.png`"
        ", `Test cases`, `train/unknown`.",
    )
    label_from: str = Field(
        default="",
        max_length=500,
        description="Regular expression that finds the class in the path of an image below a "
        "folder: what its parts in brackets match. By default, top folders are classes.",
    )
    group_from: str = Field(
        default="",
        max_length=500,
        description="Regular expression that finds the group, such as the patient, in the path of "
        "an image below the source: what its parts in brackets match. Images of one group stay in "
        "one split.",
    )
    group_tag: GroupTag = Field(
        default="auto",
        description="DICOM tag by which the images of a folder are grouped; `auto` is the first "
        "of these that tells patients apart.",
    )
    slices: str = Field(
        default=defaults.SLICES,
        max_length=100,
        description="Slices of NIfTI files and MetaImages that are images: `axial`, `coronal` or "
        "`sagittal`, and optionally a range, in percent or by numbers from 1, and a step: "
        "`axial:40%-60%`, `coronal:30-90:every 2`.",
    )
    volume: int = Field(
        default=1,
        ge=1,
        strict=True,
        description="Which volume is used of NIfTI files and MetaImages that have several.",
    )
    pages: str = Field(
        default=FIRST_PAGE,
        description="Which page is used of TIFF files that have several; `all` makes each page an "
        "image.",
    )
    masks: str = Field(
        default="",
        max_length=200,
        description="Pattern of the files with masks of volumes, such as `*_seg.nii.gz` or "
        "`labelsTr/*`. They replace folders of classes: slices are `marked` if any voxel of the "
        "mask is, else `not marked`.",
    )
    path_column: str = Field(
        default="", max_length=200, description="Column of a manifest with the paths of images."
    )
    label_column: str = Field(default="", max_length=200, description="Column with the labels.")
    group_column: str = Field(
        default="",
        max_length=200,
        description="Column with the groups, such as patients, also of a table beside HDF5 files.",
    )
    frame_column: str = Field(
        default="",
        max_length=200,
        description="Column with the number of the image in its file, from 1: a slice, a frame or "
        "a page. By default, all that other settings choose are used.",
    )
    split_column: str = Field(
        default="", max_length=200, description="Column with `train`, `val` or `test`."
    )
    weight_column: str = Field(
        default="",
        max_length=200,
        description="Column with the weight of each image in the loss of training, above 0; "
        "validation and test do not use it.",
    )
    join: str | None = Field(
        default=None,
        max_length=1000,
        description="Table with further columns of a manifest's images, such as their patients; "
        "its rows are found by the column that both tables have.",
    )
    root: str | None = Field(
        default=None,
        max_length=1000,
        description="Folder of a manifest's images; by default that of the manifest.",
    )
    where: tuple[Name, ...] = Field(
        default=(),
        max_length=100,
        description="Rows of a manifest to use, as `COLUMN=VALUE`, or DICOM files of a folder, as "
        "`TAG=VALUE`; all of these must hold.",
    )
    positive: str = Field(
        default="",
        max_length=200,
        description="Label of a manifest that is searched for; all others are one class.",
    )
    separator: str = Field(
        default="",
        max_length=10,
        description="What separates several labels in a cell; needs `positive`.",
    )
    max_images: int = Field(
        default=defaults.MAX_IMAGES,
        ge=1,
        strict=True,
        description="Maximum number of images used, drawn evenly over the classes.",
    )
    own_splits: Literal["use", "ignore"] = Field(
        default="use",
        description="Whether the source's own splits are used, or new ones are made for all.",
    )
    split_list: dict[SplitName, Name] = Field(
        default={},
        description="Text files with a name of an image in each line, by split: "
        '`{test = "test_list.txt"}`. Other images are for training.',
    )
    split: tuple[float, float, float] = Field(
        default=defaults.SPLIT,
        description="Fractions of training, validation and test images, for sources without "
        "splits.",
    )
    seed: int = Field(
        default=defaults.SEED,
        ge=0,
        lt=2**63,
        strict=True,
        description="Seed of the draw and of the splits.",
    )
    strict: bool = Field(
        default=False,
        strict=True,
        description="Whether an image that cannot be read is an error instead of being left out.",
    )

    allow_leaks: bool = Field(
        default=False,
        strict=True,
        description="Whether near duplicates and groups may be in several splits: results are "
        "too good then, and reports say so.",
    )
    fix_leaks: bool = Field(
        default=False,
        strict=True,
        description="Whether near duplicates and groups that the source's own splits divide are "
        "kept in one split only: test if one is there, else validation.",
    )

    @field_validator("window")
    @classmethod
    def _check_window(cls, window: str) -> str:
        if window not in {"auto", OWN, FROM_FILES}:
            parse_window(window)
        return window

    @field_validator("slices")
    @classmethod
    def _check_slices(cls, slices: str) -> str:
        parse_slices(slices)
        return slices

    @field_validator("pages")
    @classmethod
    def _check_pages(cls, pages: str) -> str:
        if not re.fullmatch(PAGES, pages):
            raise ValueError(f"Expected a page from 1 to 9999, or {ALL_PAGES!r}.")
        return pages

    @field_validator("merge")
    @classmethod
    def _check_merged_once(cls, merge: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        names = [name for part in merge.values() for name in part]
        if len(set(names)) < len(names):
            raise ValueError("Expected each class in one part of `merge` only.")
        return merge

    @field_validator("group_from", "label_from")
    @classmethod
    def _check_pattern(cls, pattern: str) -> str:
        try:
            re.compile(pattern)
        except (re.error, RecursionError, OverflowError) as error:
            reason = f"Expected a regular expression: {error}. Received: {pattern!r}."
            raise ValueError(reason) from None
        return pattern

    @field_validator("fix_leaks")
    @classmethod
    def _check_leaks(cls, fix_leaks: bool, info: ValidationInfo) -> bool:
        if fix_leaks and info.data.get("allow_leaks"):
            raise ValueError("Expected `allow_leaks` or `fix_leaks`, not both.")
        return fix_leaks

    @field_validator("split")
    @classmethod
    def _check_fractions(cls, split: tuple[float, float, float]) -> tuple[float, float, float]:
        if not (min(split) > 0 and abs(sum(split) - 1) <= 1e-6):  # NaN fails both
            raise ValueError(
                "Expected three fractions above 0 that sum to 1 (training, validation, test)."
                f" Received: {list(split)}."
            )
        return split


def no_meaning(settings: DataSettings, key: str, why: str = "") -> DataError:
    """Return the error for a setting that says nothing of its kind of source."""
    source = f"{settings.source}, {why}" if why else settings.source
    return DataError(f"--{key.replace('_', '-')} cannot be used with {source}: leave it out.")
