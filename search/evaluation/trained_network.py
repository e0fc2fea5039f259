"""A trial's network at work: its answers on images, and the network as a file.

TensorFlow is loaded by a trainer's process, not by this one.
"""

import tempfile
from contextlib import ExitStack
from pathlib import Path
from shlex import quote
from typing import Any, Self

from search.data import PreparedSet
from search.errors import ModelError, TrialRecordError, WeightsGoneError
from search.exported_models.archive import cannot_write, folder_beside, publish
from search.exported_models.metadata import Color, ModelFacts, describe_pixels, versions_here
from search.studies.open_study import OpenStudy
from search.studies.training_task import make_task
from search.studies.trial_record import TrialRecord
from search.trainer.predictions import Answers
from search.trainer.process import Trainer, lone_trainer
from search.trainer.protocol import Evaluate, Evaluated, Failed, Unfit
from spaces import Config

POLL_S = 1.0


class Evaluator:
    """A trial's network at work: in one trainer, which starts with the first wish.

    To be used in a `with` statement, which ends the trainer.

    Args:
        opened: The study.
        number: The trial's number.
        n_threads: Of the trainer.

    Raises:
        TrialRecordError: If the trial is not there, or was never trained.
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
        """The images that the network was trained on."""
        return self.opened.data_of(self._record.config["family"])

    def prepare(self) -> None:
        """Makes sure that the weights are here, and starts the trainer.

        Raises:
            WeightsGoneError: If the weights are not kept any more.
            TrialRecordError: If the trainer ends by itself.
            ArtifactError: If the artifact store cannot be used.
        """
        if self._checkpoint is None:
            self._checkpoint = self.opened.artifacts.load(self._record.number)
        if self._checkpoint is None:
            name, number = self.opened.name, self._record.number
            raise WeightsGoneError(
                f"The weights of trial {number} of {name} are not kept: only those of the best "
                f"trials are. `convsearch reproduce {quote(name)} {number}` trains it again."
            )
        if self._trainer is None:
            self._trainer = self._stack.enter_context(lone_trainer(self._n_threads))

    def answer(self, split: str) -> Answers:
        """Has the network answer on a split: `train`, `val` or `test`.

        Raises:
            TrialRecordError: If its weights are not kept any more, or its answers cannot be
                written where temporary files go.
            ArtifactError: If the artifact store cannot be used.
        """
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "answers.safetensors"
            done = self._ask(split=split, answers=str(path))
            if done.unwritten:
                raise TrialRecordError(
                    f"Cannot write temporary files in {folder}: {done.unwritten}."
                )
            return Answers.from_bytes(path.read_bytes())

    def save_model(self, path: Path) -> None:
        """Saves the network as a `.keras` file that takes raw pixels.

        Bare Keras loads it in safe mode. The network's record, such as the names of its classes,
        is inside, and beside it as a JSON file of the same name; files of these names are
        replaced.

        Raises:
            TrialRecordError: If its weights are not kept any more.
            ArtifactError: If the artifact store cannot be used.
            ModelError: If the file cannot be written.
        """
        path = path.absolute()
        with folder_beside(path) as folder:
            written = folder / "model.keras"
            done = self._ask(model=str(written))
            if done.unwritten:
                raise ModelError(cannot_write(path, done.unwritten))
            publish(written, path, _facts(self.opened.name, self._record, self.data))

    def _ask(self, **wishes: Any) -> Evaluated:
        self.prepare()
        assert self._trainer is not None
        config = Config.from_json(self._record.config)
        task = make_task(self.opened, config, seed=self._record.seed, checkpoint=self._checkpoint)
        return _ask(self._trainer, Evaluate(task, **wishes))


def _facts(study: str, record: TrialRecord, data: PreparedSet) -> ModelFacts:
    return ModelFacts(
        study=study,
        trial=record.number,
        family=record.config["family"],
        classes=data.classes,
        image_shape=data.image_shape,
        color=_color(data),
        pixels=describe_pixels(data.image_shape),
        fingerprint=data.fingerprint,
        val_accuracy=record.val_accuracy,
        versions=versions_here(),
    )


def _color(data: PreparedSet) -> Color:
    """How images were prepared; arrays are taken as they are, whatever `auto` does in a folder."""
    if data.metadata["kind"] != "folder":
        return "grey" if data.image_shape[-1] == 1 else "rgb"
    color: Color = data.metadata["settings"]["color"]
    return color


def _ask(trainer: Trainer, wish: Evaluate) -> Evaluated:
    trainer.send(wish)
    while True:
        match trainer.receive(POLL_S):
            case Evaluated() as done:
                return done
            case Failed(reason) | Unfit(reason):
                raise TrialRecordError(f"The network cannot be built again: {reason}")
