"""What an earlier study found: the configs of its best trials, for another one to begin with."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from search.refit import fixed_values, refit
from search.settings import StudySettings
from spaces import SearchSpace
from spaces.trials import GuidedTrial
from storage import Store, TrialRow, load_study, load_trials

Params = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class EarlierStudy:
    """The finished trials of a study, and what its space fixed."""

    name: str
    settings: StudySettings
    fixed: Params
    trials: tuple[TrialRow, ...]

    @classmethod
    def load(cls, store: Store, name: str) -> "EarlierStudy":
        """Loads a study of ours.

        Raises:
            StudyNotFoundError: If the store has no such study.
            StudyMismatchError: If its settings cannot be read.
        """
        record = load_study(store, name)
        settings = StudySettings.read(record.settings)
        rows = load_trials(store, record.study_id)
        ended = tuple(row for row in rows if row.outcome is not None and row.finished is not None)
        return cls(name, settings, fixed_values(settings.space), ended)

    @property
    def best(self) -> list[TrialRow]:
        """The complete trials, best first."""
        complete = [
            row for row in self.trials if row.state == "COMPLETE" and row.value is not None
        ]
        return sorted(complete, key=lambda row: (-(row.value or 0.0), row.number))

    def params_of(self, row: TrialRow) -> dict[str, Any]:
        """Gives all that a trial's config was drawn from."""
        return {**self.fixed, **row.params}


def fit_best(
    earlier: EarlierStudy, space: SearchSpace, rows: Iterable[TrialRow], n: int
) -> tuple[list[Params], list[str]]:
    """Gives what draws the first `n` configs that fit a space, and a line about the others."""
    fitting: list[Params] = []
    skipped = []
    for row in rows:
        if len(fitting) == n:
            break
        found = refit(space, earlier.params_of(row), row.attributes.get("config", {}))
        if found is None:
            skipped.append(str(row.number))
        else:
            fitting.append(found.params)
    lines = []
    if skipped:
        which = "trial" if len(skipped) == 1 else "trials"
        lines = [f"{which} {', '.join(skipped)} of {earlier.name}: not in this space, skipped"]
    return fitting, lines


def without_repeats(space: SearchSpace, queue: Sequence[Params]) -> list[Params]:
    """Gives the queue without configs that come twice; the first one stays."""
    by_key: dict[str, Params] = {}
    for params in queue:
        by_key.setdefault(space.suggest(GuidedTrial(params)).key(), params)
    return list(by_key.values())
