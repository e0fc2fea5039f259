"""The record of a trial, from which it can be trained again."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from search.errors import TrialRecordError
from search.settings.stored import StudySettings
from search.strategy.seeds import TRAINING, derive_seed
from search.studies.copied_trials import COPIED_FROM
from storage import Store, StudyNotFoundError, TrialRow, load_study, load_trials


@dataclass(frozen=True, slots=True)
class TrialRecord:
    """A trial's config, training seed and best validation accuracy (None while it is open)."""

    trial_id: int
    number: int
    config: dict[str, Any]
    seed: int
    val_accuracy: float | None

    @classmethod
    def load(cls, store: Store, study: str, number: int) -> "TrialRecord":
        """Load the record of a trial.

        Raises:
            StudyNotFoundError: If the store has no such study.
            TrialRecordError: If the trial is unknown, was never trained, or was copied from a
                study that is gone.
        """
        row = _find_trial(store, study, number)
        seed = _seed_of(store, study, row)
        return cls(row.trial_id, number, row.attributes["config"], seed, row.value)


def _find_trial(store: Store, study: str, number: int) -> TrialRow:
    rows: Sequence[TrialRow] = load_trials(store, load_study(store, study).study_id)
    for row in rows:
        if row.number == number:
            if "config" not in row.attributes:
                raise TrialRecordError(
                    f"Trial {number} of {study} has no config: it was never trained."
                )
            return row
    known = f"0 to {len(rows) - 1}" if rows else "none"
    raise TrialRecordError(f"There is no trial {number} in {study}. Trials there: {known}.")


def _seed_of(store: Store, study: str, row: TrialRow) -> int:
    """Return the seed that a trial, or its original in another study, was trained from."""
    source = row.attributes.get(COPIED_FROM)
    if source is None:
        return derive_seed(StudySettings.load(store, study).search.seed, row.number, TRAINING)
    try:
        there = _find_trial(store, source["study"], source["trial"])
    except StudyNotFoundError as error:
        raise TrialRecordError(
            f"Trial {row.number} was trained in study {source['study']}, which is not in this "
            "store any more; its seed is not known without that."
        ) from error
    return _seed_of(store, source["study"], there)
