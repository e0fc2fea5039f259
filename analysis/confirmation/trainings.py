"""The trainings of a confirmation: a study's best configs, each trained again from other seeds.

They are trials of a study of their own, so that neither sampler nor ranking of the study that
they confirm knows of them.
"""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from analysis.confirmation.comparison import MIN_SEEDS, Candidate, Confirmation, compare_configs
from analysis.confirmation_study import CONFIRMS_ATTRIBUTE, confirmation_name, origin_of_training
from analysis.results.families import n_parameters
from storage import Store, StudyNotFoundError, StudyRecord, TrialRow, TrialTable, load_study


@dataclass(frozen=True, slots=True)
class Training:
    """A training of a config again.

    `number` is its own in the study of confirmation, `trial` that of the trial which found the
    config, `seed` counts the config's trainings from 0. `value` is None until it is complete.
    """

    number: int
    trial: int
    seed: int
    value: float | None
    parameters: int | None
    has_failed: bool = False
    """Whether it came to no value: it diverged, ran out of memory or time, or failed."""


@dataclass(frozen=True, slots=True)
class Trainings:
    """All trainings of a study's confirmation, and whether any is still to come.

    `n_left` are still to be trained, and `n_skipped` were not, since their configs are clearly
    behind.
    """

    record: StudyRecord
    trainings: tuple[Training, ...]
    is_over: bool
    n_left: int = 0
    n_skipped: int = 0

    @property
    def has_enough_seeds(self) -> bool:
        """Whether each config was trained often enough to say which is to be taken."""
        n_wanted = 1 + max((it.seed for it in self.trainings), default=0)
        n_values = Counter(it.trial for it in self.trainings if it.value is not None)
        n_enough = min(MIN_SEEDS, n_wanted)
        return self.is_over or all(n_values[it.trial] >= n_enough for it in self.trainings)

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """The configs that have a value, in the order of the trials that found them."""
        found: dict[int, list[Training]] = {}
        for it in self.trainings:
            found.setdefault(it.trial, []).append(it)
        return tuple(
            Candidate(
                trial,
                next(it.parameters for it in those if it.value is not None),
                tuple(it.value for it in those if it.value is not None),
                len(_failed_seeds(those)),
            )
            for trial, those in sorted(found.items())
            if any(it.value is not None for it in those)
        )

    @property
    def failed_configs(self) -> tuple[int, ...]:
        """The trials of whose config no training came to a value, though some were tried."""
        with_value = {it.trial for it in self.trainings if it.value is not None}
        failed = {it.trial for it in self.trainings if it.has_failed}
        return tuple(sorted(failed - with_value))

    def compare_configs(self, resolution: float) -> Confirmation | None:
        """Compare the configs; None where none has a value yet.

        Args:
            resolution: One image's share of the validation split.
        """
        candidates = self.candidates
        return compare_configs(candidates, resolution=resolution) if candidates else None

    def median(self, trial: int) -> Training:
        """Return a config's training of median value, the lower one of two.

        Raises:
            ValueError: If none of its trainings has a value.
        """
        done = [it for it in self.trainings if it.trial == trial and it.value is not None]
        if not done:
            raise ValueError(f"Expected a config that was trained again. Received: {trial}.")
        ordered = sorted(done, key=lambda it: (it.value or 0.0, it.number))
        return ordered[(len(ordered) - 1) // 2]


def load_trainings(store: Store, study: str) -> Trainings | None:
    """Load the trainings of a study's confirmation; None where it has none.

    One of an earlier study of that name is none of it.

    Args:
        store: The store.
        study: The study that is confirmed.
    """
    try:
        confirmed = load_study(store, study)
        record = load_study(store, confirmation_name(study))
    except StudyNotFoundError:
        return None
    if not is_confirmation_of(record, confirmed):
        return None
    attributes = (CONFIRMS_ATTRIBUTE, "parameters")
    rows = TrialTable(store, record.study_id, params=(), attributes=attributes).read()
    return gather_trainings(record, rows)


def gather_trainings(record: StudyRecord, rows: Sequence[TrialRow]) -> Trainings:
    """Return the trainings that the trials of a confirmation are."""
    ours = [row for row in rows if origin_of_training(row) is not None]
    trainings = tuple(map(_training_of, ours))
    states = {row.state for row in rows}
    is_waited_for = "WAITING" in states and record.end_reason is None
    is_over = "RUNNING" not in states and not is_waited_for
    n_left = 0 if is_over else sum(row.state in {"WAITING", "RUNNING"} for row in ours)
    n_skipped = sum(row.kind == "rejected" for row in ours)
    return Trainings(record, trainings, is_over, n_left, n_skipped)


def is_confirmation_of(record: StudyRecord, confirmed: StudyRecord) -> bool:
    """Whether a study confirms another one, and not an earlier one that had its name."""
    theirs, ours = json.loads(record.settings), json.loads(confirmed.settings)
    known = theirs.get("confirms_creation")
    return isinstance(known, str) and known == ours.get("creation")


def _failed_seeds(trainings: Sequence[Training]) -> set[int]:
    """Return the seeds from which no training came to a value, though one was tried."""
    done = {it.seed for it in trainings if it.value is not None}
    return {it.seed for it in trainings if it.has_failed} - done


def _training_of(row: TrialRow) -> Training:
    origin: dict[str, Any] = row.attributes[CONFIRMS_ATTRIBUTE]
    value = row.value if row.state == "COMPLETE" else None
    return Training(
        row.number,
        origin["trial"],
        origin["seed"],
        value,
        n_parameters(row),
        has_failed=row.kind in {"unfit", "fail"},
    )
