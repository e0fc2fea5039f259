"""A study as the dashboard's page asks for it: JSON whose pieces are made once for each trial."""

import json
import numbers
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.study._frozen import FrozenStudy
from optuna.trial import FrozenTrial, TrialState
from optuna_dashboard._note import note_ver_key
from optuna_dashboard._serializer import (
    serialize_attrs,
    serialize_distribution,
    serialize_frozen_trial,
    serialize_study_detail,
)

from analysis.dashboard.artifacts import list_artifacts
from analysis.dashboard.notes import trial_note
from analysis.dashboard.study_cache import Look
from analysis.dashboard.user_notes import with_own_note
from storage import WatchedTrial, constraints_of

HIDDEN = frozenset({"config", "confusion", "ran_on", "traceback"})
"""Attributes that notes and pictures tell in a way that can be read."""
Range = FloatDistribution | IntDistribution
DIGITS = 6
HUGE = 1e308
"""In the place of an infinite number, which JSON does not have."""


@dataclass(slots=True)
class Contents:
    """What parameters and attributes trials have, gathered trial by trial."""

    n_trials: int = 0
    n_of: dict[str, int] = field(default_factory=dict)
    domains: dict[tuple[str, object], BaseDistribution] = field(default_factory=dict)
    attributes: dict[str, bool] = field(default_factory=dict)
    has_reports: bool = False

    def copy(self) -> "Contents":
        """Gives one that can be added to without changing this."""
        return Contents(
            self.n_trials,
            dict(self.n_of),
            dict(self.domains),
            dict(self.attributes),
            self.has_reports,
        )

    def add(self, trial: WatchedTrial) -> None:
        """Adds what a trial has."""
        for name, value in trial.frozen.user_attrs.items():
            if name not in HIDDEN:
                is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
                self.attributes[name] = self.attributes.get(name, True) and is_number
        if trial.frozen.state is TrialState.FAIL:
            return
        self.n_trials += 1
        self.has_reports |= bool(trial.frozen.intermediate_values)
        for name, distribution in trial.frozen.distributions.items():
            self.n_of[name] = self.n_of.get(name, 0) + 1
            key = (name, _kind(distribution))
            known = self.domains.get(key)
            if known is not distribution:  # Trials share what Optuna wrote alike.
                self.domains[key] = distribution if known is None else _join(known, distribution)

    @property
    def union(self) -> list[tuple[str, BaseDistribution]]:
        """The parameters that any trial has, with all values that they may have had."""
        return sorted(
            ((name, domain) for (name, _), domain in self.domains.items()), key=lambda it: it[0]
        )

    @property
    def intersection(self) -> list[tuple[str, BaseDistribution]]:
        """The parameters that all trials have, those that failed aside."""
        return [it for it in self.union if self.n_of[it[0]] == self.n_trials]


def _kind(distribution: BaseDistribution) -> object:
    if isinstance(distribution, Range):
        return type(distribution), distribution.step, distribution.log
    return type(distribution)


def _join(one: BaseDistribution, other: BaseDistribution) -> BaseDistribution:
    if isinstance(one, CategoricalDistribution):  # Optuna lets no study change its choices.
        return one
    assert isinstance(one, Range)
    assert isinstance(other, Range)
    low, high = min(one.low, other.low), max(one.high, other.high)
    if (low, high) == (one.low, one.high):
        return one
    return type(one)(low, high, step=one.step, log=one.log)  # type: ignore[arg-type]


@dataclass(slots=True)
class Detail:
    """Writes a study's page, again and again; not for several threads at once."""

    max_epochs: int | None = None
    allows_edit: bool = False
    _kept: dict[int, tuple[WatchedTrial, int, bytes]] = field(default_factory=dict)
    _contents: Contents = field(default_factory=Contents)
    _domains: dict[int, tuple[BaseDistribution, str]] = field(default_factory=dict)
    """Distributions with their text, by `id`; they are kept so that no other gets it."""

    def write(
        self,
        look: Look,
        *,
        after: int,
        note: str,
        facts: Mapping[str, str],
        plots: Mapping[str, str],
        artifacts: Sequence[Mapping[str, Any]] = (),
    ) -> bytes:
        """Gives the answer to `GET /api/studies/ID?after=N` as optuna-dashboard gives it.

        Args:
            look: The study.
            after: How many trials the page has already, which are left out.
            note: Ours about the study; what somebody wrote follows it.
            facts: Of the study in a few words, beside its attributes.
            plots: Figures as JSON, by title.
            artifacts: Of the study, as the dashboard describes them.
        """
        pieces, contents = self._write_trials(look)
        head = _write_head(look.study, contents, plots)
        head["note"] = with_own_note(
            note, look.study.system_attrs, None, allows_edit=self.allows_edit
        )
        head["artifacts"] = list(artifacts)
        ours = {k: text for k, text in facts.items() if k not in look.study.user_attrs}
        head["user_attrs"] = [*serialize_attrs(ours), *head["user_attrs"]]
        best = b",".join(pieces[it.row.number] for it in look.best)
        trials = b",".join(pieces[it.row.number] for it in look.trials[after:])
        return b'%s,"best_trials":[%s],"trials":[%s]}' % (_dump(head)[:-1], best, trials)

    def note(self, look: Look, trial: WatchedTrial) -> str:
        """Gives what we say of a trial."""
        is_at_work = trial.row.number in look.at_work if look.is_ours else None
        return trial_note(trial.row, max_epochs=self.max_epochs, is_at_work=is_at_work)

    def _write_trials(self, look: Look) -> tuple[dict[int, bytes], Contents]:
        """Gives each trial's JSON by number; of one that has ended it is made once a note."""
        pieces = {}
        unfinished = []
        if not all(self._knows(trial) for trial in look.trials):
            self._kept, self._contents = {}, Contents()
        for trial in look.trials:
            if trial.frozen.state.is_finished():
                pieces[trial.row.number] = self._kept_piece(look, trial)
            else:
                unfinished.append(trial)
        contents = self._contents.copy()
        for trial in unfinished:
            contents.add(trial)
            pieces[trial.row.number] = self._write_trial(look, trial)
        return pieces, contents

    def _kept_piece(self, look: Look, trial: WatchedTrial) -> bytes:
        trial_id = trial.row.trial_id
        version = look.study.system_attrs.get(note_ver_key(trial_id), 0)
        kept = self._kept.get(trial_id)
        if kept is None:
            self._contents.add(trial)
        if kept is None or kept[1] != version:
            kept = self._kept[trial_id] = trial, version, self._write_trial(look, trial)
        return kept[2]

    def _knows(self, trial: WatchedTrial) -> bool:
        """Whether nothing is kept of another trial by this one's id, as of a study deleted."""
        kept = self._kept.get(trial.row.trial_id)
        return kept is None or kept[0] is trial

    def _write_trial(self, look: Look, trial: WatchedTrial) -> bytes:
        study = look.study
        frozen = copy(trial.frozen)
        frozen._params = {}  # They are most of it, and much alike from trial to trial.
        frozen.user_attrs = {k: v for k, v in frozen.user_attrs.items() if k not in HIDDEN}
        if look.is_ours:
            _shorten(frozen)
        record = serialize_frozen_trial(study._study_id, frozen, {})
        del record["params"]
        constraints = constraints_of(trial.frozen.system_attrs)
        record["constraints"] = [max(-HUGE, min(it, HUGE)) for it in constraints]
        record["artifacts"] = list_artifacts(trial)
        record["note"] = with_own_note(
            self.note(look, trial),
            study.system_attrs,
            trial.row.trial_id,
            allows_edit=self.allows_edit,
        )
        params = self._write_params(trial.frozen, is_short=look.is_ours)
        return b'%s,"params":[%s]}' % (_dump(record)[:-1], params)

    def _write_params(self, trial: FrozenTrial, *, is_short: bool) -> bytes:
        """Gives parameters as optuna-dashboard writes them; each distribution is written once."""
        parts = []
        for name, value in trial.params.items():
            domain = trial.distributions[name]
            known = self._domains.get(id(domain))
            if known is None:
                text = json.dumps(serialize_distribution(domain), separators=(",", ":"))
                known = self._domains[id(domain)] = domain, text
            is_rounded = is_short and isinstance(domain, FloatDistribution)
            about = {
                "name": name,
                "param_internal_value": domain.to_internal_repr(value),
                "param_external_value": str(_round(value) if is_rounded else value),
                "param_external_pytyp": str(type(value)),
            }
            parts.append(f'{json.dumps(about)[:-1]},"distribution":{known[1]}}}')
        return ",".join(parts).encode()


def _shorten(trial: FrozenTrial) -> None:
    """Shortens accuracies and losses, which are shown as they come, to digits that tell."""
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
    study: FrozenStudy, contents: Contents, plots: Mapping[str, str]
) -> dict[str, Any]:
    head: dict[str, Any] = serialize_study_detail(
        study,
        [],
        [],
        contents.intersection,
        contents.union,
        list(contents.attributes.items()),
        contents.has_reports,
        dict(plots),
        [],
    )
    del head["trials"], head["best_trials"]
    return head


def _dump(record: object) -> bytes:
    return json.dumps(record, separators=(",", ":")).encode()
