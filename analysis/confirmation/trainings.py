"""The trainings of a confirmation: a study's best configs, each trained again from other seeds.

They belong to a study of their own, and so do not affect the confirmed one's sampler and ranking.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from analysis.confirmation.comparison import MIN_SEEDS, Candidate, Confirmation, compare_configs
from analysis.confirmation_study import CONFIRMS_ATTRIBUTE, confirmation_name, origin_of_training
from analysis.results.families import n_parameters
from spaces.wording import plural
from storage import (
    Store,
    StudyNotFoundError,
    StudyRecord,
    TrialRow,
    TrialTable,
    load_study,
    parse_object,
)


@dataclass(frozen=True, slots=True)
class Training:
    """One more training of a config, trial `number` of the confirmation.

    `trial` is the number of the search's trial that found the config, and `seed` counts the
    trainings of the config from 0. `value` is the validation accuracy, None until complete.
    `has_failed` means that it diverged, ran out of memory or time, or failed.
    """

    number: int
    trial: int
    seed: int
    value: float | None
    parameters: int | None
    has_failed: bool = False


@dataclass(frozen=True, slots=True)
class Trainings:
    """A study's confirmation; `n_skipped` trainings were left out, of clearly worse configs."""

    record: StudyRecord
    trainings: tuple[Training, ...]
    is_over: bool
    n_left: int = 0
    n_skipped: int = 0

    @property
    def has_enough_seeds(self) -> bool:
        """Whether each config was trained often enough to recommend one."""
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
        """The trials whose configs have only failed trainings."""
        with_value = {it.trial for it in self.trainings if it.value is not None}
        failed = {it.trial for it in self.trainings if it.has_failed}
        return tuple(sorted(failed - with_value))

    def compare_configs(self, resolution: float) -> Confirmation | None:
        """Compare the configs; None without values. `resolution` is the accuracy of one image."""
        candidates = self.candidates
        return compare_configs(candidates, resolution=resolution) if candidates else None

    def median(self, trial: int) -> Training:
        """Return the training with the median value of a config, the lower one of two.

        Raises:
            ValueError: If none of its trainings has a value.
        """
        done = [it for it in self.trainings if it.trial == trial and it.value is not None]
        if not done:
            raise ValueError(f"Expected a config that was trained again. Received: {trial}.")
        ordered = sorted(done, key=lambda it: (it.value or 0.0, it.number))
        return ordered[(len(ordered) - 1) // 2]

    def describe_recommendation(self, found: Confirmation) -> str:
        """Say which config is recommended, or how many trainings are left until one is."""
        if self.is_over:
            return _recommendation(found)
        left = f"{plural(self.n_left, 'training')} left"
        if not self.has_enough_seeds:
            leader = found.leader.trial
            return f"So far: trial {leader} leads, too few trainings to recommend; {left}."
        return f"So far, with {left}: {_recommendation(found)}"


def _recommendation(found: Confirmation) -> str:
    best = found.recommended
    equals = [it for it in found.standings if not it.is_separable and it is not best]
    if len(found.standings) == 1:
        return f"Recommended: trial {best.trial}, the only one that was trained again."
    if not equals:
        return f"Recommended: trial {best.trial}, distinguishable from all others."
    names = ", ".join(str(it.trial) for it in equals)
    why = {
        "leader": "",
        "smaller": ", smaller than the leader",
        "steadier": ", of which no training failed",
    }
    return f"Recommended: trial {best.trial}{why[found.reason]}. Not distinguishable: {names}."


def load_trainings(store: Store, study: str) -> Trainings | None:
    """Load a study's confirmation; None without one, or if it confirms an earlier namesake."""
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
    """Return the trainings of a confirmation from its trials."""
    ours = [row for row in rows if origin_of_training(row) is not None]
    trainings = tuple(map(_training_of, ours))
    states = {row.state for row in rows}
    is_waited_for = "WAITING" in states and record.end_reason is None
    is_over = "RUNNING" not in states and not is_waited_for
    n_left = 0 if is_over else sum(row.state in {"WAITING", "RUNNING"} for row in ours)
    n_skipped = sum(row.kind == "rejected" for row in ours)
    return Trainings(record, trainings, is_over, n_left, n_skipped)


def is_confirmation_of(record: StudyRecord, confirmed: StudyRecord) -> bool:
    """Whether a study confirms another one, rather than an earlier one of its name."""
    theirs, ours = parse_object(record.settings), parse_object(confirmed.settings)
    known = theirs.get("confirms_creation")
    return isinstance(known, str) and known == ours.get("creation")


def _failed_seeds(trainings: Sequence[Training]) -> set[int]:
    """Return the seeds that have only failed trainings."""
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
