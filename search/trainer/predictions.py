"""A network's predictions on a split with their heat maps: as arrays, and as bytes."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

FORMAT = 1
MAX_BYTES = 256 * 2**20  # More than the predictions of any split; larger files are refused.
SUM_TOLERANCE = 1e-6
N_MISTAKES = 12  # The most confident mistakes that get a heat map and are shown in a report.

_DTYPES = {
    "format": np.int64,
    "split": np.uint8,
    "labels": np.int64,
    "probabilities": np.float64,
    "heat_images": np.int64,
    "heat": np.uint8,
}


@dataclass(frozen=True, slots=True)
class SplitPredictions:
    """A network's predictions on a split of `n` images.

    Attributes:
        split: `train`, `val` or `test`.
        labels: The true classes, shape `(n,)`.
        probabilities: Of the classes, shape `(n, n_classes)`; each row adds up to 1.
        heat_images: Positions in the split of the images that have a heat map, shape `(k,)`: the
            most confident mistakes, then the most confident correct image of each class.
        heat: Grad-CAM of their predicted classes, 0 to 255, shape `(k, height, width)`; each is
            scaled to its own maximum, and one that is nowhere above zero is black.
    """

    split: str
    labels: NDArray[np.int64]
    probabilities: NDArray[np.float64]
    heat_images: NDArray[np.int64]
    heat: NDArray[np.uint8]

    def to_bytes(self) -> bytes:
        """Return the predictions as a safetensors file."""
        arrays = {
            "format": np.array([FORMAT], np.int64),
            "split": np.frombuffer(self.split.encode(), np.uint8),
            "labels": self.labels,
            "probabilities": self.probabilities,
            "heat_images": self.heat_images,
            "heat": self.heat,
        }
        return save({name: np.ascontiguousarray(array) for name, array in arrays.items()})

    @classmethod
    def from_bytes(cls, data: bytes) -> "SplitPredictions":
        """Read what `to_bytes` returned.

        Raises:
            ValueError: If it is something else, damaged, or too large.
        """
        arrays = _load(data)
        predictions = cls(
            arrays["split"].tobytes().decode(),
            arrays["labels"],
            arrays["probabilities"],
            arrays["heat_images"],
            arrays["heat"],
        )
        _check(predictions)
        return predictions


def _load(data: bytes) -> dict[str, NDArray[Any]]:
    if len(data) > MAX_BYTES:
        raise ValueError(
            f"Expected predictions of at most {MAX_BYTES:,} bytes. Received: {len(data):,} bytes."
        )
    try:
        arrays = load(data)
    except (SafetensorError, KeyError, TypeError) as error:
        raise ValueError(
            f"Expected predictions as a safetensors file. Received: {error}"
        ) from error
    found = {name: array.dtype for name, array in arrays.items()}
    if found != _DTYPES:
        raise ValueError(f"Expected predictions. Received arrays of {sorted(found)}.")
    if arrays["format"].tolist() != [FORMAT]:
        raise ValueError(f"Expected predictions of format {FORMAT}. Received: {arrays['format']}.")
    return arrays


def _check(predictions: SplitPredictions) -> None:
    """Refuse predictions whose arrays do not belong together."""
    labels, probabilities = predictions.labels, predictions.probabilities
    if labels.ndim != 1 or probabilities.ndim != 2 or len(labels) != len(probabilities):
        raise ValueError(
            f"Expected a row of probabilities for each label. Received: {probabilities.shape} for "
            f"{labels.shape}."
        )
    n, n_classes = probabilities.shape
    if not (
        _are_valid_indices(labels, n_classes) and _are_valid_indices(predictions.heat_images, n)
    ):
        raise ValueError("Expected labels of the classes and positions of the images.")
    sums = probabilities.sum(axis=1)
    if (probabilities < 0).any() or not np.allclose(sums, 1, rtol=0, atol=SUM_TOLERANCE):
        raise ValueError("Expected probabilities that add up to 1 for each image.")
    if predictions.heat.ndim != 3 or predictions.heat_images.shape != predictions.heat.shape[:1]:
        raise ValueError(
            f"Expected a heat map for each of its images. Received: {predictions.heat.shape} for "
            f"{predictions.heat_images.shape}."
        )


def _are_valid_indices(indices: NDArray[np.int64], n: int) -> bool:
    return bool((indices >= 0).all() and (indices < n).all())
