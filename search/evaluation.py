"""A trial's network at work: its answers on images, and the network as a file.

TensorFlow is loaded by a trainer's process, not by this one.
"""

import tempfile
from pathlib import Path
from typing import Any

from search.answers import Answers
from search.errors import TrialRecordError
from search.open_study import OpenStudy
from search.training.process import Trainer
from search.training.protocol import Evaluate, Evaluated, Failed
from search.training.task import make_task
from search.trial_record import TrialRecord, lone_trainer
from spaces import Config

__all__ = ["Answers", "answer", "save_model"]

POLL_S = 1.0


def answer(opened: OpenStudy, number: int, split: str, *, n_threads: int = 1) -> Answers:
    """Has a trial's best network answer on a split.

    Args:
        opened: The study.
        number: The trial's number.
        split: `train`, `val` or `test`.
        n_threads: Of the process that does it.

    Raises:
        TrialRecordError: If the trial is not there, or its weights are not kept any more.
        ArtifactError: If the artifact store cannot be used.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "answers.safetensors"
        _evaluate(opened, number, n_threads, split=split, answers=str(path))
        return Answers.from_bytes(path.read_bytes())


def save_model(opened: OpenStudy, number: int, path: Path) -> None:
    """Saves a trial's best network as a `.keras` file that takes raw pixels.

    Bare Keras loads it in safe mode.

    Raises:
        TrialRecordError: If the trial is not there, or its weights are not kept any more.
        ArtifactError: If the artifact store cannot be used.
    """
    _evaluate(opened, number, 1, model=str(path.absolute()))


def _evaluate(opened: OpenStudy, number: int, n_threads: int, **wishes: Any) -> Any:
    record = TrialRecord.load(opened.store, opened.name, number)
    checkpoint = opened.artifacts.load(number)
    if checkpoint is None:
        raise TrialRecordError(
            f"The weights of trial {number} of {opened.name} are not kept: only those of the best "
            f"trials are. `convsearch reproduce {opened.name} {number}` trains it again."
        )
    config = Config.from_json(record.config)
    task = make_task(opened, config, seed=record.seed, checkpoint=checkpoint)
    with lone_trainer(n_threads) as trainer:
        _ask(trainer, Evaluate(task, **wishes))
    return task


def _ask(trainer: Trainer, wish: Evaluate) -> None:
    trainer.send(wish)
    while True:
        match trainer.receive(POLL_S):
            case Evaluated():
                return
            case Failed(reason):
                raise TrialRecordError(f"The network cannot be built again: {reason}")
