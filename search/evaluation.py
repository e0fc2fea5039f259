"""A trial's network at work: its answers on images, and the network as a file.

TensorFlow is loaded by a trainer's process, not by this one.
"""

import tempfile
from pathlib import Path
from typing import Any

from search.answers import Answers
from search.data import PreparedSet
from search.errors import ModelError, TrialRecordError
from search.model_facts import ModelFacts, describe_pixels, versions_here
from search.model_file import cannot_write, folder_beside, publish
from search.open_study import OpenStudy
from search.training.process import Trainer
from search.training.protocol import Evaluate, Evaluated, Failed, Unfit
from search.training.task import make_task
from search.trial_record import TrialRecord, lone_trainer
from spaces import Config

__all__ = ["Answers", "answer", "save_model"]

POLL_S = 1.0


def answer(opened: OpenStudy, number: int, split: str, *, n_threads: int = 1) -> Answers:
    """Has a trial's best network answer on a split, and show where it looked.

    Args:
        opened: The study.
        number: The trial's number.
        split: `train`, `val` or `test`.
        n_threads: Of the process that does it.

    Raises:
        TrialRecordError: If the trial is not there, its weights are not kept any more, or its
            answers cannot be written where temporary files go.
        ArtifactError: If the artifact store cannot be used.
    """
    record = TrialRecord.load(opened.store, opened.name, number)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "answers.safetensors"
        done = _evaluate(opened, record, n_threads, split=split, answers=str(path))
        if done.unwritten:
            raise TrialRecordError(f"Cannot write temporary files in {folder}: {done.unwritten}.")
        return Answers.from_bytes(path.read_bytes())


def save_model(opened: OpenStudy, number: int, path: Path) -> None:
    """Saves a trial's best network as a `.keras` file that takes raw pixels.

    Bare Keras loads it in safe mode. The network's record, such as the names of its classes, is
    inside, and beside it as a JSON file of the same name; files of these names are replaced.

    Raises:
        TrialRecordError: If the trial is not there, or its weights are not kept any more.
        ArtifactError: If the artifact store cannot be used.
        ModelError: If the file cannot be written.
    """
    path = path.absolute()
    record = TrialRecord.load(opened.store, opened.name, number)
    data = opened.data_of(record.config["family"])
    with folder_beside(path) as folder:
        written = folder / "model.keras"
        done = _evaluate(opened, record, 1, model=str(written))
        if done.unwritten:
            raise ModelError(cannot_write(path, done.unwritten))
        publish(written, path, _facts(opened.name, record, data))


def _facts(study: str, record: TrialRecord, data: PreparedSet) -> ModelFacts:
    return ModelFacts(
        study=study,
        trial=record.number,
        family=record.config["family"],
        classes=data.classes,
        image_shape=data.image_shape,
        color=data.metadata["settings"]["color"],
        pixels=describe_pixels(data.image_shape),
        fingerprint=data.fingerprint,
        val_accuracy=record.val_accuracy,
        versions=versions_here(),
    )


def _evaluate(opened: OpenStudy, record: TrialRecord, n_threads: int, **wishes: Any) -> Evaluated:
    checkpoint = opened.artifacts.load(record.number)
    if checkpoint is None:
        raise TrialRecordError(
            f"The weights of trial {record.number} of {opened.name} are not kept: only those of "
            f"the best trials are. `convsearch reproduce {opened.name} {record.number}` trains it "
            "again."
        )
    config = Config.from_json(record.config)
    task = make_task(opened, config, seed=record.seed, checkpoint=checkpoint)
    with lone_trainer(n_threads) as trainer:
        return _ask(trainer, Evaluate(task, **wishes))


def _ask(trainer: Trainer, wish: Evaluate) -> Evaluated:
    trainer.send(wish)
    while True:
        match trainer.receive(POLL_S):
            case Evaluated() as done:
                return done
            case Failed(reason) | Unfit(reason):
                raise TrialRecordError(f"The network cannot be built again: {reason}")
