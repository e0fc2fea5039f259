"""What an exported model says of images: `predict`.

TensorFlow is loaded by a trainer's process, which gets the model only once it is found safe.
"""

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from search.data import Progress
from search.data.decode import EXTENSIONS, strict_pillow_warnings
from search.data.inference_images import PreparedImage, prepare_image
from search.data.parallel import map_chunks
from search.data.source_api import UnreadableImage
from search.errors import DataError, ModelError, TrialRecordError
from search.exported_models.archive import MODEL, read_model_file
from search.exported_models.metadata import ModelFacts
from search.trainer.process import Trainer, temporary_trainer
from search.trainer.protocol import Predict, Predicted

CHUNK = 16
"""Images that are read before progress is told."""
MAX_BYTES = 2 * 2**30
"""Of all images together as the network takes them."""
MAX_REASON = 300

OptionalProgress = Progress | None
FoundImage = tuple[Path, UnreadableImage | None]


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a model says of one image.

    Attributes:
        image: The path, as it was given.
        probabilities: By class, adding up to 1; empty where the image could not be read.
        notes: What had to be done to the image, in words.
        error: Why it could not be read, None where it could.
    """

    image: str
    probabilities: Mapping[str, float]
    notes: tuple[str, ...] = ()
    error: str | None = None

    @property
    def predicted_class(self) -> str | None:
        """The most probable class, None where the image could not be read."""
        return max(self.probabilities, key=self.probabilities.__getitem__, default=None)

    def to_json(self) -> dict[str, Any]:
        """Return its part of the document of `predict --json`."""
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
    """What a model says of images, in the order in which they were given."""

    model: str
    facts: ModelFacts
    images: tuple[Prediction, ...]
    notes: tuple[str, ...] = ()
    """What was not looked at, in words."""

    @property
    def n_unreadable(self) -> int:
        """How many images could not be read."""
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
    """Return class probabilities of images by an exported model.

    Images are prepared as those were that the model was trained on. One that cannot be read is
    told in its place, and does not keep the others from being predicted.

    Args:
        model: A `.keras` file that convsearch wrote, the record beside it, or a report's folder.
        images: Files, and folders of which all images are taken, sorted by name, but none of
            their sub-folders.
        n_threads: Of the process that predicts.
        progress: Told how many images are read, then predicted.
        on_step: Told what begins, in words.

    Raises:
        ModelError: If the model cannot be loaded, or is not one of ours.
        DataError: If there are more images than fit into memory.
    """
    model = _find_model(model)
    facts = read_model_file(model)
    found = [it for path in images for it in _find(path)]
    _check_size(len(found), facts)
    on_step(f"Reading {_count(len(found))}")
    fitted = list(_read_images(found, facts, progress))
    pixels = [it.pixels for it in fitted if isinstance(it, PreparedImage)]
    if pixels:
        on_step(f"Asking the network about {_count(len(pixels))}")
    predictions = iter(
        _predict(model, np.stack(pixels), facts, n_threads, progress) if pixels else ()
    )
    return Predictions(
        str(model),
        facts,
        tuple(
            Prediction(str(path), {}, error=it.reason)
            if isinstance(it, UnreadableImage)
            else Prediction(
                str(path), dict(zip(facts.classes, next(predictions), strict=True)), it.notes
            )
            for (path, _), it in zip(found, fitted, strict=True)
        ),
        tuple(_skipped_folders(images)),
    )


def _find_model(path: Path) -> Path:
    """Return the model of a report's folder, or the one that a record lies beside."""
    if path.is_dir():
        return path / MODEL
    return path.with_suffix(".keras") if path.suffix == ".json" else path


def _skipped_folders(paths: Sequence[Path]) -> Iterator[str]:
    for path in paths:
        with suppress(OSError):
            n = len(_folders_in(path))
            if n:
                yield f"{path}: {n:,} sub-folder{' was' if n == 1 else 's were'} not entered"


def _folders_in(path: Path) -> list[Path]:
    if not path.is_dir():
        return []
    return [it for it in path.iterdir() if it.is_dir() and not it.name.startswith(".")]


def _count(n_images: int) -> str:
    return f"{n_images:,} image{'' if n_images == 1 else 's'}"


def _find(path: Path) -> Iterator[FoundImage]:
    """Return a file as it is, and the images of a folder; a folder without any is broken."""
    if not path.is_dir():
        yield path, None
        return
    try:
        inside = sorted(it for it in path.iterdir() if _is_image(it))
    except OSError as error:
        yield path, UnreadableImage(error.strerror or str(error))
        return
    if not inside:
        yield path, UnreadableImage("a folder without PNG, JPEG, BMP or TIFF images")
    for file in inside:
        yield file, None


def _is_image(path: Path) -> bool:
    has_image_suffix = path.suffix.lower() in EXTENSIONS and not path.name.startswith(".")
    return has_image_suffix and path.is_file()


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
            broken or prepare_image(path, size, channels, facts.color) for path, broken in chunk
        ]

    n_done = 0
    chunks = [found[start : start + CHUNK] for start in range(0, len(found), CHUNK)]
    with strict_pillow_warnings():
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
        link.symlink_to(model.resolve())  # Keras loads a file of this ending only.
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
