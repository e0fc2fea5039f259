"""The transfer network: a pretrained backbone whose top is fine-tuned."""

from dataclasses import dataclass
from typing import Annotated, TypeVar

from pydantic import Field

from spaces.models.layers import Layers
from spaces.network_settings import Count
from spaces.wording import format_value, plural

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class TransferNetwork:
    """A backbone of `keras.applications` without its top.

    First a head is trained on the frozen backbone. Then `unfrozen_layers` of its layers with
    kernels, counted from the top, are trained together with the head, at `fine_tuning_rate` times
    the learning rate. Source: Yosinski et al., "How transferable are features in deep neural
    networks?", https://arxiv.org/abs/1411.1792.
    """

    backbone: str
    unfrozen_layers: Count
    fine_tuning_rate: Annotated[float, Field(gt=0, le=1)]

    def build(self, x: T, layers: Layers[T]) -> T:
        """Return the feature maps of the images `x`, raw pixels from 0 to 255."""
        return layers.backbone(x, self.backbone, self.unfrozen_layers)

    def summary(self) -> str:
        """Return `mobilenet_v2, 25 layers unfrozen`."""
        return f"{self.backbone}, {plural(self.unfrozen_layers, 'layer')} unfrozen"

    def describe(self) -> str:
        """Return `mobilenet_v2, 25 layers unfrozen at 0.1 of the learning rate`."""
        return f"{self.summary()} at {format_value(self.fine_tuning_rate)} of the learning rate"
