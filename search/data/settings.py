"""What a study says about its images: the `[data]` table of a study file."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

DEMO = "demo"
"""The source that is built in; a folder of that name is given as `./demo`."""


class DataSettings(BaseModel):
    """Which images a study trains on, and how they are prepared.

    Attributes:
        source: Path of a folder or an `.npz`, or the word `demo`.
        image_size: Side of the prepared square images in pixels, 8 to 512; images of another
            shape are stretched to it, as Keras' `Resizing` does when the model predicts.
        color: `grey` or `rgb`; `auto` is grey unless an image that is used has real colour.
        max_images: The most images that are used, drawn evenly over the classes; at least 1.
        split: Fractions of training, validation and test images, for sources without splits.
        seed: Of the draw and of the splits, 0 or more.
        strict: Whether an image that cannot be read is an error instead of being left out.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: Annotated[str, Field(min_length=1)]
    image_size: Annotated[int, Field(ge=8, le=512, strict=True)] = 32
    color: Literal["auto", "grey", "rgb"] = "auto"
    max_images: Annotated[int, Field(ge=1, strict=True)] = 3000
    split: tuple[float, float, float] = (0.7, 0.15, 0.15)
    seed: Annotated[int, Field(ge=0, lt=2**63, strict=True)] = 0
    strict: Annotated[bool, Field(strict=True)] = False

    @field_validator("split")
    @classmethod
    def _check_fractions(cls, split: tuple[float, float, float]) -> tuple[float, float, float]:
        if not (min(split) > 0 and abs(sum(split) - 1) <= 1e-6):  # NaN fails both
            raise ValueError(
                "Expected three fractions above 0 that sum to 1 (training, validation, test)."
                f" Received: {list(split)}."
            )
        return split
