"""The settings of a study's images: the `[data]` table of a study file."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from search import defaults

DEMO = "demo"
"""The built-in source; a folder of that name is `./demo`."""
Fit = Literal["stretch", "pad", "crop"]
"""How an image that is not square becomes square."""


class DataSettings(BaseModel):
    """Which images a study trains on, and how they are prepared."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str = Field(
        min_length=1, description="Path of a folder or an `.npz`, or the word `demo`."
    )
    image_size: int = Field(
        default=defaults.IMAGE_SIZE,
        ge=8,
        le=512,
        strict=True,
        description="Side of the prepared square images in pixels.",
    )
    resize: Literal["auto"] | Fit = Field(
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
    max_images: int = Field(
        default=defaults.MAX_IMAGES,
        ge=1,
        strict=True,
        description="Maximum number of images used, drawn evenly over the classes.",
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

    @field_validator("split")
    @classmethod
    def _check_fractions(cls, split: tuple[float, float, float]) -> tuple[float, float, float]:
        if not (min(split) > 0 and abs(sum(split) - 1) <= 1e-6):  # NaN fails both
            raise ValueError(
                "Expected three fractions above 0 that sum to 1 (training, validation, test)."
                f" Received: {list(split)}."
            )
        return split
