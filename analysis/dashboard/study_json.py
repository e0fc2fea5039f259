"""A study as JSON for the dashboard's page; the JSON of each ended trial is cached."""

import json
import math
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import FrozenTrial, TrialState

from analysis.dashboard.artifacts import list_artifacts
from analysis.dashboard.notes import trial_note
from analysis.dashboard.optuna_dashboard_internals import (
    note_ver_key,
    serialize_attrs,
    serialize_distribution,
    serialize_frozen_trial,
    serialize_study_detail,
)
from analysis.dashboard.study_cache import StudySnapshot
from analysis.dashboard.user_notes import merge_user_note
from storage import WatchedTrial, constraint_values
from storage.optuna_internals import FrozenStudy, study_id_of

HIDDEN_ATTRIBUTES = frozenset({"config", "confusion", "ran_on", "traceback"})
"""Attributes that notes and pictures show in readable form."""
OWN_STATES = frozenset({"rejected", "repeat"})
"""Outcomes of configs that were never trained, which Optuna records as pruned or failed.

The page shows any state, and plots those of Optuna only.
"""
NumericDistribution = FloatDistribution | IntDistribution
DIGITS = 6
MAX_JSON_FLOAT = 1e308
"""Replaces infinity, which JSON does not have."""


@dataclass(slots=True)
class SearchSpaceSummary:
    """The parameters and attributes of trials, gathered trial by trial."""

    n_trials: int = 0
    n_trials_with: dict[str, int] = field(default_factory=dict)
    domains: dict[tuple[str, object], BaseDistribution] = field(default_factory=dict)
    seen: dict[tuple[str, int], BaseDistribution] = field(default_factory=dict)
    """The distributions of `domains` before they were joined, by name and `id`."""
    attributes: dict[str, bool] = field(default_factory=dict)
    has_reports: bool = False

    def copy(self) -> "SearchSpaceSummary":
        """Return a copy that can be added to."""
        return replace(
            self,
            n_trials_with=dict(self.n_trials_with),
            domains=dict(self.domains),
            seen=dict(self.seen),
            attributes=dict(self.attributes),
        )

    def add(self, trial: WatchedTrial) -> None:
        """Add the parameters and attributes of a trial."""
        for name, value in trial.frozen.user_attrs.items():
            if name not in HIDDEN_ATTRIBUTES:
                is_number = isinstance(value, int | float) and not isinstance(value, bool)
                self.attributes[name] = self.attributes.get(name, True) and is_number
        if trial.frozen.state is TrialState.FAIL:
            return
        self.n_trials += 1
        self.has_reports |= bool(trial.frozen.intermediate_values)
        for name, distribution in trial.frozen.distributions.items():
            self.n_trials_with[name] = self.n_trials_with.get(name, 0) + 1
            if self.seen.get((name, id(distribution))) is distribution:
                continue  # Trials share equal distributions.
            self.seen[name, id(distribution)] = distribution
            key = (name, _kind(distribution))
            known = self.domains.get(key)
            self.domains[key] = distribution if known is None else _join(known, distribution)

    @property
    def union(self) -> list[tuple[str, BaseDistribution]]:
        """The parameters of any trial, with the union of their ranges."""
        return sorted(
            ((name, domain) for (name, _), domain in self.domains.items()), key=lambda it: it[0]
        )

    @property
    def intersection(self) -> list[tuple[str, BaseDistribution]]:
        """The parameters of all trials that did not fail."""
        return [it for it in self.union if self.n_trials_with[it[0]] == self.n_trials]


def _kind(distribution: BaseDistribution) -> object:
    if isinstance(distribution, NumericDistribution):
        return type(distribution), distribution.step, distribution.log
    return type(distribution)


def _join(one: BaseDistribution, other: BaseDistribution) -> BaseDistribution:
    if isinstance(one, CategoricalDistribution):  # Choices of a study are fixed.
        return one
    assert isinstance(one, NumericDistribution)
    assert isinstance(other, NumericDistribution)
    low, high = min(one.low, other.low), max(one.high, other.high)
    if (low, high) == (one.low, one.high):
        return one
    return type(one)(low, high, step=one.step, log=one.log)  # type: ignore[arg-type]


@dataclass(slots=True)
class StudyJsonWriter:
    """Writes the JSON of a study, caching ended trials; not thread-safe."""

    max_epochs: int | None = None
    allows_edit: bool = False
    _cache: dict[int, tuple[WatchedTrial, int, bytes]] = field(default_factory=dict)
    _summary: SearchSpaceSummary = field(default_factory=SearchSpaceSummary)
    _domains: dict[int, tuple[BaseDistribution, str]] = field(default_factory=dict)
    """Distributions with their JSON, by `id`; they are kept so that the id stays theirs."""
    _params: dict[tuple[object, ...], str] = field(default_factory=dict)
    """The JSON of parameters that are not floats, of which many trials have the same."""

    def write(
        self,
        snapshot: StudySnapshot,
        *,
        after: int,
        note: str,
        facts: Mapping[str, str],
        plots: Mapping[str, str],
        artifacts: Sequence[Mapping[str, Any]] = (),
    ) -> bytes:
        """Return the response to `GET /api/studies/ID?after=N` in optuna-dashboard's form.

        The first `after` trials, which the page has already, are omitted. `facts` are shown with
        the study's user attributes; `plots` are figures as JSON, by title.
        """
        pieces, summary = self._write_trials(snapshot)
        head = _write_head(snapshot.study, summary, plots)
        head["note"] = merge_user_note(
            note, snapshot.study.system_attrs, None, allows_edit=self.allows_edit
        )
        head["artifacts"] = list(artifacts)
        generated = {k: text for k, text in facts.items() if k not in snapshot.study.user_attrs}
        head["user_attrs"] = [*serialize_attrs(generated), *head["user_attrs"]]
        best = b",".join(pieces[it.row.number] for it in snapshot.best)
        trials = b",".join(pieces[it.row.number] for it in snapshot.trials[after:])
        return b'%s,"best_trials":[%s],"trials":[%s]}' % (_dump(head)[:-1], best, trials)

    def note(self, snapshot: StudySnapshot, trial: WatchedTrial) -> str:
        """Return the generated note of a trial."""
        is_active = trial.row.number in snapshot.active_trials if snapshot.is_convsearch else None
        return trial_note(trial.row, max_epochs=self.max_epochs, is_active=is_active)

    def _write_trials(
        self, snapshot: StudySnapshot
    ) -> tuple[dict[int, bytes], SearchSpaceSummary]:
        """Return the JSON of each trial by number, and a summary of all of them."""
        pieces = {}
        unfinished = []
        if not all(self._is_current(trial) for trial in snapshot.trials):
            self._cache, self._summary = {}, SearchSpaceSummary()
        for trial in snapshot.trials:
            if trial.frozen.state.is_finished():
                pieces[trial.row.number] = self._cached_json(snapshot, trial)
            else:
                unfinished.append(trial)
        summary = self._summary.copy()
        for trial in unfinished:
            summary.add(trial)
            pieces[trial.row.number] = self._write_trial(snapshot, trial)
        return pieces, summary

    def _cached_json(self, snapshot: StudySnapshot, trial: WatchedTrial) -> bytes:
        trial_id = trial.row.trial_id
        version = snapshot.study.system_attrs.get(note_ver_key(trial_id), 0)
        cached = self._cache.get(trial_id)
        if cached is None:
            self._summary.add(trial)
        if cached is None or cached[1] != version:
            cached = self._cache[trial_id] = trial, version, self._write_trial(snapshot, trial)
        return cached[2]

    def _is_current(self, trial: WatchedTrial) -> bool:
        """Whether the cache holds no other trial of this id, such as one of a deleted study."""
        cached = self._cache.get(trial.row.trial_id)
        return cached is None or cached[0] is trial

    def _write_trial(self, snapshot: StudySnapshot, trial: WatchedTrial) -> bytes:
        study = snapshot.study
        frozen = copy(trial.frozen)
        # Parameters and reports are written below: they are most of the JSON.
        frozen.params = {}
        frozen.user_attrs = {
            k: v for k, v in frozen.user_attrs.items() if k not in HIDDEN_ATTRIBUTES
        }
        if snapshot.is_convsearch:
            _round_values(frozen)
        reports, frozen.intermediate_values = frozen.intermediate_values, {}
        record = serialize_frozen_trial(study_id_of(study), frozen, {})
        record["intermediate_values"] = [
            {"step": step, "value": value if math.isfinite(value) else str(float(value))}
            for step, value in sorted(reports.items())
        ]
        del record["params"]
        if trial.row.kind in OWN_STATES:
            record["state"] = trial.row.kind.capitalize()
        constraints = constraint_values(trial.frozen.system_attrs)
        record["constraints"] = [
            max(-MAX_JSON_FLOAT, min(it, MAX_JSON_FLOAT)) for it in constraints
        ]
        record["artifacts"] = list_artifacts(trial)
        record["note"] = merge_user_note(
            self.note(snapshot, trial),
            study.system_attrs,
            trial.row.trial_id,
            allows_edit=self.allows_edit,
        )
        params = self._write_params(trial.frozen, is_short=snapshot.is_convsearch)
        return b'%s,"params":[%s]}' % (_dump(record)[:-1], params)

    def _write_params(self, trial: FrozenTrial, *, is_short: bool) -> bytes:
        """Return parameters in optuna-dashboard's form; each distribution is serialized once."""
        parts = []
        for name, value in trial.params.items():
            domain = trial.distributions[name]
            if isinstance(domain, FloatDistribution):
                parts.append(self._write_param(name, value, domain, is_short=is_short))
                continue
            key = name, id(domain), type(value), value
            written = self._params.get(key)
            if written is None:
                written = self._params[key] = self._write_param(name, value, domain)
            parts.append(written)
        return ",".join(parts).encode()

    def _write_param(
        self, name: str, value: Any, domain: BaseDistribution, *, is_short: bool = False
    ) -> str:
        known = self._domains.get(id(domain))
        if known is None:
            text = _encode(serialize_distribution(domain))
            known = self._domains[id(domain)] = domain, text
        fields = {
            "name": name,
            "param_internal_value": domain.to_internal_repr(value),
            "param_external_value": str(_round(value) if is_short else value),
            "param_external_pytyp": str(type(value)),
        }
        return f'{_encode(fields)[:-1]},"distribution":{known[1]}}}'


def _round_values(trial: FrozenTrial) -> None:
    """Round accuracies and losses, which the page shows as they are."""
    if trial.values is not None:
        trial.values = [_round(value) for value in trial.values]
    trial.intermediate_values = {k: _round(v) for k, v in trial.intermediate_values.items()}
    trial.user_attrs = {
        key: _round(value) if isinstance(value, float) else value
        for key, value in trial.user_attrs.items()
    }


def _round(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")


def _write_head(
    study: FrozenStudy, summary: SearchSpaceSummary, plots: Mapping[str, str]
) -> dict[str, Any]:
    head: dict[str, Any] = serialize_study_detail(
        study,
        [],
        [],
        summary.intersection,
        summary.union,
        list(summary.attributes.items()),
        summary.has_reports,
        dict(plots),
        [],
    )
    del head["trials"], head["best_trials"]
    return head


_encode = json.JSONEncoder(separators=(",", ":")).encode


def _dump(record: object) -> bytes:
    return _encode(record).encode()
