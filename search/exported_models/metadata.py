"""The metadata of an exported model, inside its file and beside it."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from search import defaults
from search.data.settings import FIRST_PAGE, PAGES
from search.data.volumes.slices import parse_slices

PACKAGES = ("convsearch", "keras", "tensorflow")
"""Packages whose versions a model records."""

Text = Annotated[str, Field(max_length=1000)]
Side = Annotated[int, Field(ge=1, le=4096, strict=True)]
Color = Literal["auto", "grey", "rgb"]
Value = Annotated[float, Field(allow_inf_nan=False)]
Probability = Annotated[float, Field(ge=0, le=1)]


class ModelFacts(BaseModel):
    """The origin of a network, its input and its output; fields of later versions are ignored.

    Attributes:
        classes: Class names, in the order of the probabilities.
        image_shape: Height, width and channels of the input.
        color: `auto` makes images without color grey.
        pixels: The input in words.
        pixel_range: The values of the training images that became 0 and 255; `image` if those of
            each were the percentiles of its own, None if they had 8 bits.
        resize: How images that are not square became square.
        slices, volume: Which slices of NIfTI files and MetaImages are images.
        pages: Which page of TIFF files is, or `all`.
        fingerprint: That of the training images.
        val_accuracy: None if it is not known.
        versions: Those of the packages that wrote it.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    format: Literal[1] = 1
    study: Text
    trial: Annotated[int, Field(ge=0, strict=True)]
    family: Text
    classes: Annotated[tuple[Text, ...], Field(min_length=1, max_length=10_000)]
    image_shape: tuple[Side, Side, Side]
    color: Color = "auto"
    pixels: Text
    pixel_range: tuple[Value, Value] | Literal["image"] | None = None
    resize: Literal["stretch", "pad", "crop"] = "stretch"
    slices: Annotated[str, Field(max_length=100)] = defaults.SLICES
    volume: Annotated[int, Field(ge=1, strict=True)] = 1
    pages: Annotated[str, Field(pattern=PAGES)] = FIRST_PAGE
    fingerprint: Text
    val_accuracy: Probability | None = None
    versions: Annotated[dict[Text, Text], Field(max_length=100)] = {}

    @field_validator("slices")
    @classmethod
    def _check_slices(cls, slices: str) -> str:
        parse_slices(slices)
        return slices

    @model_validator(mode="after")
    def _check_classes_and_shape(self) -> "ModelFacts":
        if len(set(self.classes)) < len(self.classes):
            raise ValueError("Expected classes of different names.")
        height, width, channels = self.image_shape
        if height != width or channels not in (1, 3):
            raise ValueError("Expected square images of 1 or 3 channels.")
        return self


def describe_pixels(image_shape: tuple[int, int, int]) -> str:
    """Describe the input of a network in words."""
    height, width, channels = image_shape
    color = "grey" if channels == 1 else "red, green, blue"
    return f"0 to 255, {color} ({height}, {width}, {channels})"
