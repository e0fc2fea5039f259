"""The trained network of a trial: its predictions and its export, in a trainer process."""

import tempfile
from contextlib import ExitStack
from pathlib import Path
from shlex import quote
from typing import Any, Self

from search import defaults
from search.data import PreparedSet
from search.data.settings import FIRST_PAGE
from search.errors import ModelError, TrialRecordError, WeightsNotFoundError
from search.exported_models.archive import describe_write_error, publish_model, staging_folder
from search.exported_models.metadata import PACKAGES, Color, ModelFacts, describe_pixels
from search.machine.package_versions import find_versions
from search.studies.open_study import OpenStudy
from search.studies.training_task import make_task
from search.studies.trial_record import TrialRecord
from search.trainer.predictions import SplitPredictions
from search.trainer.process import Trainer, temporary_trainer
from search.trainer.protocol import Evaluate, Evaluated
from spaces import Config


class Evaluator:
    """The trained network of a trial, in a trainer process that starts with the first request.

    A `with` statement ends the process.

    Raises:
        TrialRecordError: If there is no such trial, or it was never trained.
    """

    def __init__(self, opened: OpenStudy, number: int, *, n_threads: int = 1) -> None:
        self.opened = opened
        self._record = TrialRecord.load(opened.store, opened.name, number)
        self._n_threads = n_threads
        self._stack = ExitStack()
        self._trainer: Trainer | None = None
        self._checkpoint: Path | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: Any) -> None:
        self._trainer = None
        self._stack.__exit__(*error)

    @property
    def data(self) -> PreparedSet:
        """The images of the training."""
        return self.opened.data_of(self._record.config["family"])

    def prepare(self) -> None:
        """Load the weights and start the trainer.

        Raises:
            WeightsNotFoundError: If the weights are no longer kept.
            TrialRecordError: If the trainer ends by itself.
            ArtifactError: If the artifact store cannot be used.
        """
        if self._checkpoint is None:
            self._checkpoint = self.opened.artifacts.load(self._record.number)
        if self._checkpoint is None:
            name, number = self.opened.name, self._record.number
            raise WeightsNotFoundError(
                f"The weights of trial {number} of {name} are not kept: only those of the best "
                f"trials are. `convsearch reproduce {quote(name)} {number}` trains it again."
            )
        if self._trainer is None:
            self._trainer = self._stack.enter_context(temporary_trainer(self._n_threads))

    def predict(self, split: str) -> SplitPredictions:
        """Return the predictions on a split: `train`, `val` or `test`.

        Raises:
            TrialRecordError: If the weights are no longer kept, or no temporary file can be made.
            ArtifactError: If the artifact store cannot be used.
        """
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "answers.safetensors"
            done = self._request(split=split, predictions=str(path))
            if done.write_error:
                raise TrialRecordError(
                    f"Cannot write temporary files in {folder}: {done.write_error}."
                )
            return SplitPredictions.from_bytes(path.read_bytes())

    def save_model(self, path: Path) -> None:
        """Save the network as a `.keras` file that takes raw pixels, and loads in safe mode.

        Its metadata, such as class names, are inside and in a JSON file of the same name; existing
        files are replaced.

        Raises:
            TrialRecordError: If the weights are no longer kept.
            ArtifactError: If the artifact store cannot be used.
            ModelError: If the file cannot be written.
        """
        path = path.absolute()
        with staging_folder(path) as folder:
            written = folder / "model.keras"
            done = self._request(model=str(written))
            if done.write_error:
                raise ModelError(describe_write_error(path, done.write_error))
            publish_model(written, path, _facts(self.opened.name, self._record, self.data))

    def _request(self, **options: Any) -> Evaluated:
        self.prepare()
        assert self._trainer is not None
        config = Config.from_json(self._record.config)
        task = make_task(self.opened, config, seed=self._record.seed, checkpoint=self._checkpoint)
        answer = self._trainer.request(Evaluate(task, **options), Evaluated)
        if not isinstance(answer, Evaluated):
            raise TrialRecordError(f"The network cannot be built again: {answer.reason}")
        return answer


def _facts(study: str, record: TrialRecord, data: PreparedSet) -> ModelFacts:
    return ModelFacts(
        study=study,
        trial=record.number,
        family=record.config["family"],
        classes=data.classes,
        image_shape=data.image_shape,
        color=_color(data),
        pixels=describe_pixels(data.image_shape),
        pixel_range=data.pixel_range,
        resize=data.fit,
        slices=data.metadata["settings"].get("slices", defaults.SLICES),
        volume=data.metadata["settings"].get("volume", 1),
        pages=data.metadata["settings"].get("pages", FIRST_PAGE),
        fingerprint=data.fingerprint,
        val_accuracy=record.val_accuracy,
        versions=find_versions(PACKAGES),
    )


def _color(data: PreparedSet) -> Color:
    """Return the color mode of the preparation or, for arrays, of the pixels."""
    is_older = "resize" not in data.metadata  # Arrays were not made grey one by one then.
    if is_older and data.metadata["kind"] in {"npz", "demo"}:
        return "grey" if data.image_shape[-1] == 1 else "rgb"
    color: Color = data.metadata["settings"]["color"]
    return color
