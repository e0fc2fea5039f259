"""Training of a trial again from its record, to check that its curve is the same.

A training depends only on config, seed, images and settings: on the same kind of processor the
curve is the same to the last digit. On others rounding errors differ and grow.
"""

import itertools
from dataclasses import asdict, dataclass
from typing import Any

from search.data import Progress
from search.errors import TrialRecordError
from search.studies.open_study import OpenStudy
from search.studies.training_task import make_task
from search.studies.trial_record import TrialRecord
from search.trainer.process import Trainer, temporary_trainer
from search.trainer.protocol import Busy, Epoch, Failed, Finished, Task, Unfit
from spaces import Config
from storage import EpochRow, Store, load_curve

MEASURES = ("train_loss", "train_accuracy", "val_loss", "val_accuracy", "learning_rate")
"""The values of an epoch that must be the same, unlike time and memory."""


@dataclass(frozen=True, slots=True)
class Reproduction:
    """Epochs of a trial, recorded and repeated."""

    study: str
    trial: int
    recorded: tuple[EpochRow, ...]
    repeated: tuple[EpochRow, ...]

    @property
    def is_identical(self) -> bool:
        """Whether all epochs are equal to the last digit."""
        return self.first_difference is None

    @property
    def first_difference(self) -> int | None:
        """The first epoch that differs, or that only one training has."""
        pairs = itertools.zip_longest(self.recorded, self.repeated)
        for epoch, (row, other) in enumerate(pairs, start=1):
            if row is None or other is None or _measures(row) != _measures(other):
                return epoch
        return None

    @property
    def largest_differences(self) -> dict[str, float]:
        """The largest difference of each measure over the epochs of both trainings."""
        pairs = list(zip(self.recorded, self.repeated, strict=False))
        return {
            name: max(abs(getattr(row, name) - getattr(other, name)) for row, other in pairs)
            for name in (MEASURES if pairs else ())
        }

    def to_json(self) -> dict[str, Any]:
        """Return the document of `reproduce --json`."""
        return {
            "study": self.study,
            "trial": self.trial,
            "identical": self.is_identical,
            "first_difference": self.first_difference,
            "largest_differences": self.largest_differences,
            "recorded": [asdict(row) for row in self.recorded],
            "again": [asdict(row) for row in self.repeated],
        }


def reproduce(
    store: Store,
    study: str,
    number: int,
    *,
    n_threads: int = 1,
    trust_modules: bool = False,
    progress: Progress | None = None,
) -> Reproduction:
    """Train a trial again, for as many epochs as it has, and save nothing.

    `n_threads` affects rounding; `trust_modules` allows to run modules that the study names;
    `progress` is called with the number of trained epochs.

    Raises:
        StudyNotFoundError: If the store has no such study.
        TrialRecordError: If there is no such trial, it has no epoch, or it cannot be trained.
        SearchError, SpaceError: If the study's images, weights or modules are not available.
    """
    record = TrialRecord.load(store, study, number)
    recorded = tuple(load_curve(store, record.trial_id))
    if not recorded:
        raise TrialRecordError(f"Trial {number} of {study} has no epoch to compare with.")
    opened = OpenStudy.load(store, study, trust_modules=trust_modules)
    task = make_task(opened, Config.from_json(record.config), seed=record.seed)
    with temporary_trainer(n_threads) as trainer:
        repeated = _train(trainer, task, len(recorded), progress)
    return Reproduction(study, number, recorded, tuple(repeated))


def _measures(row: EpochRow) -> list[float]:
    return [getattr(row, name) for name in MEASURES]


def _train(
    trainer: Trainer, task: Task, n_epochs: int, progress: Progress | None
) -> list[EpochRow]:
    rows: list[EpochRow] = []
    for message in trainer.converse(task):
        match message:
            case Epoch(row):
                rows.append(row)
                is_enough = len(rows) == n_epochs
                if progress is not None:
                    progress(len(rows), n_epochs, "epochs")
                trainer.send("stop" if is_enough else "go_on")
                if is_enough:
                    break
            case Busy(done, total) if progress is not None:
                progress(done, total, "features")
            case Finished() | Unfit():
                break
            case Failed(reason):
                raise TrialRecordError(f"The trial cannot be trained again: {reason}")
    return rows
