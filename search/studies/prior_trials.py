"""Trials of an earlier study, and their mapping into the space of another one."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from search.settings.stored import StudySettings
from spaces import Config, SearchSpace, SpaceError
from spaces.families.registry import is_builtin
from spaces.parameters.domain_types import Value, domain_from_json
from spaces.parameters.stub_trials import PreferredTrial
from storage import Store, TrialRow, find_study_id, load_trials
from storage.trial_outcomes import OutcomeKind

logger = logging.getLogger(__name__)

Params = Mapping[str, Any]
COPIED_KINDS: frozenset[OutcomeKind] = frozenset({"complete", "pruned", "unfit"})
"""Outcomes that another study learns from; rejections depend on limits, failures may not recur."""


@dataclass(frozen=True, slots=True)
class PriorStudy:
    """The finished trials of a study, and the parameters that its space fixes."""

    name: str
    settings: StudySettings
    fixed: Params
    trials: tuple[TrialRow, ...]

    @classmethod
    def load(cls, store: Store, name: str) -> "PriorStudy":
        """Load a study of convsearch; errors are those of `StudySettings.load`."""
        settings = StudySettings.load(store, name)
        rows = load_trials(store, find_study_id(store, name))
        ended = tuple(row for row in rows if row.outcome is not None and row.finished is not None)
        return cls(name, settings, fixed_values(settings.space), ended)

    @property
    def best(self) -> list[TrialRow]:
        """The complete trials, best first."""
        rows = [row for row in self.trials if row.state == "COMPLETE" and row.value is not None]
        return sorted(rows, key=lambda row: (-(row.value or 0.0), row.number))

    @property
    def instructive(self) -> list[TrialRow]:
        """The complete trials, best first, then the others of `COPIED_KINDS`."""
        best = self.best
        known = {row.number for row in best}
        others = [
            row
            for row in self.trials
            if row.outcome and row.outcome.kind in COPIED_KINDS and row.number not in known
        ]
        return [*best, *others]

    def params_of(self, row: TrialRow) -> dict[str, Any]:
        """Return all parameters of a trial's config, fixed ones included."""
        return {**self.fixed, **row.params}


def select_best_fitting(
    prior: PriorStudy, space: SearchSpace, rows: Iterable[TrialRow], n: int
) -> tuple[list[Params], list[str]]:
    """Return parameters of the first `n` configs that fit a space, and a line on the skipped."""
    fitting: list[Params] = []
    skipped = []
    for row in rows:
        if len(fitting) == n:
            break
        found = map_config(space, prior.params_of(row), row.attributes.get("config", {}))
        if found is None:
            skipped.append(str(row.number))
        else:
            fitting.append(found.params)
    if not skipped:
        return fitting, []
    which = "trial" if len(skipped) == 1 else "trials"
    return fitting, [f"{which} {', '.join(skipped)} of {prior.name}: not in this space, skipped"]


def drop_duplicates(space: SearchSpace, queue: Sequence[Params]) -> list[Params]:
    """Return the queue without repeated configs."""
    by_key: dict[str, Params] = {}
    for params in queue:
        by_key.setdefault(space.suggest(PreferredTrial(params)).key(), params)
    return list(by_key.values())


@dataclass(frozen=True, slots=True)
class MappedConfig:
    """A config with its parameters and distributions, as in an Optuna trial."""

    config: Config
    params: Mapping[str, Value]
    distributions: Mapping[str, BaseDistribution]


def map_config(
    space: SearchSpace, params: Mapping[str, Any], record: Mapping[str, Any]
) -> MappedConfig | None:
    """Map a config (`record` is its JSON) into a space; None if the space does not contain it.

    `params` include the `fixed_values` of the original space. Parameters without effect on the
    config may differ: inactive ones, and those that one of the spaces fixes.
    """
    trial = _RecordingTrial({**params, "family": record.get("family", "")})
    try:
        config = space.suggest(trial)
    except SpaceError:
        return None
    except Exception:
        if all(map(is_builtin, space.families)):
            raise
        logger.warning("a user's family raised for the config %s", dict(params), exc_info=True)
        return None
    if config.to_json() != record:
        return None
    return MappedConfig(config, trial.suggested, trial.distributions)


def fixed_values(space: Mapping[str, Any]) -> dict[str, Value]:
    """Return the parameters that a space (as JSON) fixes, which its trials lack."""
    domains = {name: domain_from_json(record) for name, record in space["domains"].items()}
    return {name: domain.first for name, domain in domains.items() if domain.is_fixed}


class _RecordingTrial(PreferredTrial):
    """A `PreferredTrial` that records distributions as Optuna would."""

    def __init__(self, preferred: Mapping[str, Value]) -> None:
        super().__init__(preferred)
        self.distributions: dict[str, BaseDistribution] = {}

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        self.distributions[name] = CategoricalDistribution(tuple(choices))
        return super().suggest_categorical(name, choices)

    def suggest_int(
        self, name: str, low: int, high: int, *, step: int = 1, log: bool = False
    ) -> int:
        self.distributions[name] = IntDistribution(low, high, log=log, step=step)
        return super().suggest_int(name, low, high, step=step, log=log)

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        self.distributions[name] = FloatDistribution(low, high, log=log)
        return super().suggest_float(name, low, high, log=log)
