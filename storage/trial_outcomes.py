"""How a trial ended, and what follows: its state in Optuna, and whether it counts."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Literal

from optuna.trial import TrialState

from storage.stored_values import damaged_value, parse_object

OutcomeKind = Literal["complete", "pruned", "unfit", "rejected", "repeat", "fail"]

STATES: Mapping[OutcomeKind, TrialState] = {
    "complete": TrialState.COMPLETE,
    "pruned": TrialState.PRUNED,
    "unfit": TrialState.PRUNED,
    "rejected": TrialState.PRUNED,
    "repeat": TrialState.FAIL,
    "fail": TrialState.FAIL,
}
"""TPE learns from PRUNED trials and ignores FAIL ones: it must learn to avoid configs that do not
fit, and must not learn to avoid the best config because it was drawn again."""

COUNTED_KINDS: frozenset[OutcomeKind] = frozenset({"complete", "pruned", "unfit"})


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of a trial.

    `kind` is `complete`; `pruned` (by the pruner); `unfit` (NaN, out of memory, out of time);
    `rejected` (over a limit before anything was built); `repeat` (a config already tried); or
    `fail`. `value` is the best epoch's validation accuracy; `metrics` are other numbers by name.
    `is_free` means that the trial does not count for the budget: it was copied from another study.
    """

    kind: OutcomeKind
    reason: str = ""
    value: float | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    is_free: bool = False

    @property
    def state(self) -> TrialState:
        """The state of the trial in Optuna."""
        return STATES[self.kind]

    @property
    def counts(self) -> bool:
        """Whether the trial counts for the budget."""
        return self.kind in COUNTED_KINDS and not self.is_free

    def to_json(self) -> str:
        """Return the outcome as JSON."""
        record = asdict(self)
        if not self.is_free:  # Older versions of convsearch can read the others.
            del record["is_free"]
        return json.dumps(record)

    @classmethod
    def from_json(cls, text: str) -> "Outcome":
        """Read what `to_json` wrote.

        Raises:
            StoreDamagedError: If it is something else.
        """
        record = parse_object(text)
        try:
            outcome = cls(**record)
            _ = outcome.state
        except (TypeError, LookupError) as error:
            raise damaged_value(text, "as an outcome") from error
        is_sound = isinstance(outcome.reason, str) and isinstance(outcome.metrics, dict)
        if not is_sound or not isinstance(outcome.value, int | float | None):
            raise damaged_value(text, "as an outcome")
        return outcome
