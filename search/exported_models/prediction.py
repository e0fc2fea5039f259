"""`predict`: predictions of an exported model, which is checked before a trainer loads it."""

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from search.data import Progress
from search.data.decode import decoder_warnings
from search.data.file_names import extension_of
from search.data.inference_images import PreparedImage, prepare_image
from search.data.listing import ImageFile
from search.data.masks import drop_masks
from search.data.parallel_map import map_chunks
from search.data.read_image import (
    EXTENSIONS,
    KINDS,
    Frame,
    frame_name,
    frames_in,
    is_dicom,
    may_be_dicom,
)
from search.data.source_api import UnreadableImage
from search.errors import DataError, ModelError, TrialRecordError
from search.exported_models.archive import MODEL, read_model_file
from search.exported_models.metadata import ModelFacts
from search.trainer.process import Trainer, temporary_trainer
from search.trainer.protocol import Predict, Predicted
from spaces.wording import plural

CHUNK = 16
"""Number of images between reports of progress."""
MAX_BYTES = 2 * 2**30
"""Limit of all prepared images together."""
MAX_REASON = 300
OptionalProgress = Progress | None


class FoundImage(NamedTuple):
    """An image to predict: its file, which image of it, or why there is none."""

    path: Path
    frame: Frame = None
    error: UnreadableImage | None = None

    @property
    def name(self) -> str:
        """The path, with the number of a frame or slice."""
        return frame_name(str(self.path), self.frame)


@dataclass(frozen=True, slots=True)
class Prediction:
    """The prediction for one image: probabilities by class, or why it could not be read.

    `notes` say in words how the image was adapted.
    """

    image: str
    probabilities: Mapping[str, float]
    notes: tuple[str, ...] = ()
    error: str | None = None

    @property
    def predicted_class(self) -> str | None:
        """The most probable class; None if the image could not be read."""
        return max(self.probabilities, key=self.probabilities.__getitem__, default=None)

    def to_json(self) -> dict[str, Any]:
        """Return the prediction's part of the document of `predict --json`."""
        if self.error is not None:
            return {"image": self.image, "error": self.error}
        return {
            "image": self.image,
            "class": self.predicted_class,
            "probabilities": dict(self.probabilities),
            "notes": list(self.notes),
        }


@dataclass(frozen=True, slots=True)
class Predictions:
    """The predictions of a model, in the order of its images; `notes` name skipped folders."""

    model: str
    facts: ModelFacts
    images: tuple[Prediction, ...]
    notes: tuple[str, ...] = ()

    @property
    def n_unreadable(self) -> int:
        """Number of images that could not be read."""
        return sum(image.error is not None for image in self.images)

    def to_json(self) -> dict[str, Any]:
        """Return the document of `predict --json`."""
        return {
            "model": self.model,
            "classes": list(self.facts.classes),
            "images": [image.to_json() for image in self.images],
            "notes": list(self.notes),
        }


def predict(
    model: Path,
    images: Sequence[Path],
    *,
    n_threads: int = 1,
    progress: OptionalProgress = None,
    on_step: Callable[[str], None] = lambda _: None,
) -> Predictions:
    """Predict class probabilities of images with an exported model.

    Images are prepared like the model's training images; unreadable ones are reported in place.

    Args:
        model: A `.keras` file of convsearch, the metadata beside it, or a report's folder.
        images: Files, and folders whose images are used, sorted by name, without subfolders.
        n_threads: Number of threads of the trainer process.
        progress: Called with the number of images read, then predicted.
        on_step: Called with the description of a step when it begins.

    Raises:
        ModelError: If the model cannot be loaded, or was not exported by convsearch.
        DataError: If there are more images than fit into memory.
    """
    model = _find_model(model)
    facts = read_model_file(model)
    found = [it for path in images for it in _find(path, facts)]
    _check_size(len(found), facts)
    on_step(f"Reading {plural(len(found), 'image')}")
    fitted = list(_read_images(found, facts, progress))
    pixels = [it.pixels for it in fitted if isinstance(it, PreparedImage)]
    if pixels:
        on_step(f"Predicting {plural(len(pixels), 'image')}")
    predictions = iter(
        _predict(model, np.stack(pixels), facts, n_threads, progress) if pixels else ()
    )
    return Predictions(
        str(model),
        facts,
        tuple(
            Prediction(image.name, {}, error=it.reason)
            if isinstance(it, UnreadableImage)
            else Prediction(
                image.name, dict(zip(facts.classes, next(predictions), strict=True)), it.notes
            )
            for image, it in zip(found, fitted, strict=True)
        ),
        tuple(_skipped_folders(images)),
    )


def _find_model(path: Path) -> Path:
    """Return the model of a report's folder or of a metadata file."""
    if path.is_dir():
        return path / MODEL
    return path.with_suffix(".keras") if path.suffix == ".json" else path


def _skipped_folders(paths: Sequence[Path]) -> Iterator[str]:
    for path in paths:
        with suppress(OSError):
            inside = list(path.iterdir()) if path.is_dir() else []
            n = sum(it.is_dir() and not it.name.startswith(".") for it in inside)
            if n:
                yield f"{path}: {n:,} subfolder{' was' if n == 1 else 's were'} not entered"
            images = [it for it in inside if _is_image(it)]
            if n := len(images) - len(_without_masks(images)):
                yield f"{path}: {plural(n, 'mask')} left out"


def _find(path: Path, facts: ModelFacts) -> Iterator[FoundImage]:
    """Yield a file, or the images of a folder; a folder without images is unreadable."""
    if not path.is_dir():
        yield from _images_in(path, facts)
        return
    try:
        inside = _without_masks(sorted(it for it in path.iterdir() if _is_image(it)))
    except OSError as error:
        yield FoundImage(path, error=UnreadableImage(error.strerror or str(error)))
        return
    if not inside:
        yield FoundImage(path, error=UnreadableImage(f"a folder without {KINDS} images"))
    for file in inside:
        yield from _images_in(file, facts)


def _images_in(path: Path, facts: ModelFacts) -> Iterator[FoundImage]:
    """Yield the images of a file: frames of DICOM, and the slices that were used in training."""
    frames = frames_in(str(path), facts.slices, facts.volume, facts.pages)
    for frame in frames:
        yield FoundImage(path, frame)
    if not frames:
        reason = f"it has none of the slices that training used ({facts.slices})"
        yield FoundImage(path, error=UnreadableImage(reason))


def _without_masks(files: Sequence[Path]) -> list[Path]:
    """Leave out the masks that lie beside images, which training leaves out too."""
    kept, _ = drop_masks([ImageFile((it.name,), 0, 0, extension_of(it.name)) for it in files])
    names = {it.name for it in kept}
    return [it for it in files if it.name in names]


def _is_image(path: Path) -> bool:
    if path.name.startswith(".") or not path.is_file():
        return False
    return extension_of(path.name) in EXTENSIONS or (
        may_be_dicom(path.name) and is_dicom(str(path))
    )


def _check_size(n_images: int, facts: ModelFacts) -> None:
    height, width, channels = facts.image_shape
    most = MAX_BYTES // (height * width * channels)
    if n_images > most:
        raise DataError(
            f"Expected at most {most:,} images for this model at once. Received: {n_images:,}."
        )


def _read_images(
    found: Sequence[FoundImage], facts: ModelFacts, progress: OptionalProgress
) -> Iterator[PreparedImage | UnreadableImage]:
    _, size, channels = facts.image_shape

    def fit(chunk: Sequence[FoundImage]) -> list[PreparedImage | UnreadableImage]:
        return [
            image.error
            or prepare_image(
                image.path,
                size,
                channels,
                facts.color,
                facts.pixel_range,
                fit=facts.resize,
                frame=image.frame,
            )
            for image in chunk
        ]

    n_done = 0
    chunks = [found[start : start + CHUNK] for start in range(0, len(found), CHUNK)]
    with decoder_warnings():
        for fitted in map_chunks(fit, chunks):
            yield from fitted
            n_done += len(fitted)
            if progress is not None:
                progress(n_done, len(found), "images read")


def _predict(
    model: Path,
    pixels: NDArray[np.uint8],
    facts: ModelFacts,
    n_threads: int,
    progress: OptionalProgress,
) -> list[list[float]]:
    """Return a row of probabilities for each image."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        link, images, predictions = (folder / it for it in ("model.keras", "images", "answers"))
        link.symlink_to(model.resolve())  # Keras requires this suffix.
        save_file({"images": pixels}, images)
        request = Predict(str(link), str(images), str(predictions))
        try:
            with temporary_trainer(n_threads) as trainer:
                _request(trainer, request, model, progress)
        except TrialRecordError as error:
            raise ModelError(f"{model} cannot be used. {error}") from error
        probabilities = load_file(predictions)["probabilities"]
    if probabilities.shape != (len(pixels), len(facts.classes)):
        raise ModelError(
            f"{model} is damaged: it gives {probabilities.shape[1]} probabilities, and its record "
            f"names {len(facts.classes)} classes."
        )
    rows: list[list[float]] = probabilities.tolist()
    return rows


def _request(trainer: Trainer, request: Predict, model: Path, progress: OptionalProgress) -> None:
    def on_busy(done: int, total: int) -> None:
        if progress is not None:
            progress(done, total, "images predicted")

    answer = trainer.request(request, Predicted, on_busy)
    if not isinstance(answer, Predicted):
        message = answer.reason.replace(request.model, str(model))[:MAX_REASON]
        raise ModelError(f"{model} cannot be loaded: {message}")
