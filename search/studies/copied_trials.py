"""Copying trials of an older study into a fork, with curves, outcomes and checkpoints.

A trial is copied if the new space contains its config and its value stays comparable: equal
images, weights and training settings. Otherwise, only the best configs are tried again first.
"""

from collections import Counter
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import optuna
from optuna.trial import FrozenTrial

from search.artifacts import Artifacts, trial_numbers_to_keep
from search.data import Progress
from search.settings.stored import StudySettings
from search.studies.initial_trials import InitialTrials, NewStudy, known_good
from search.studies.prior_trials import (
    MappedConfig,
    PriorStudy,
    drop_duplicates,
    map_config,
    select_best_fitting,
)
from spaces import SpaceError, find_family, predict_cost
from storage import Outcome, TrialCopy, TrialRow, copy_trials, find_study_id, load_optuna_study
from storage.optuna_internals import FIXED_PARAMS

N_INITIAL_CONFIGS = 10
"""Maximum number of configs tried again first, of trials whose values are not comparable."""
COPIED_FROM = "taken_from"
"""Attribute of a copied trial: its original study and trial."""


@dataclass(frozen=True, slots=True)
class _MappedTrial:
    """A finished trial of the old study that the new space contains."""

    row: TrialRow
    outcome: Outcome
    mapped: MappedConfig

    @property
    def is_complete(self) -> bool:
        """Whether the trial was trained to its end."""
        return self.row.state == "COMPLETE"

    @property
    def image_set(self) -> str:
        """The image set that the trial is trained on."""
        return find_family(self.mapped.config.family).image_set


@dataclass(slots=True)
class TrialCopier:
    """Copies trials of an older study into one that `create` creates in Optuna.

    With `count_taken`, copied trials count toward the new budget; `n_queued` configs are tried
    again first.
    """

    prior: PriorStudy
    count_taken: bool
    create: Callable[[NewStudy], optuna.Study]
    progress: Progress | None
    n_copied: int = 0
    n_queued: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    """Numbers of trials neither copied nor tried again, by the reason."""

    def choose_initial_trials(self, new_study: NewStudy) -> InitialTrials:
        """Copy the comparable trials, and return the configs to try first."""
        found = self._map_all(new_study)
        old, new = self.prior.settings, new_study.settings
        comparable = [it for it in found if are_comparable(old, new, it.image_set)]
        self._copy(new_study, comparable)
        copied = {it.row.number for it in comparable}
        others = [it.row for it in found if it.row.number not in copied and it.is_complete]
        first, _ = select_best_fitting(self.prior, new_study.space, others, N_INITIAL_CONFIGS)
        self.n_copied, self.n_queued = len(comparable), len(first)
        self.skipped["of other images or training settings"] += (
            len(found) - len(copied) - len(first)
        )
        known = {it.mapped.config.family for it in comparable}
        queue = [it for it in known_good(new_study) if _family_of(new_study, it) not in known]
        return InitialTrials(drop_duplicates(new_study.space, [*first, *queue]))

    def _map_all(self, new_study: NewStudy) -> list[_MappedTrial]:
        """Return the trials that the new space contains, in copying order."""
        rows, found = self.prior.instructive, []
        for n_done, row in enumerate(rows, start=1):
            mapped = self._map(new_study, row)
            if isinstance(mapped, str):
                self.skipped[mapped] += 1
            else:
                found.append(mapped)
            self._report(n_done, len(rows), "trials fitted")
        return found

    def _map(self, new_study: NewStudy, row: TrialRow) -> _MappedTrial | str:
        """Return a trial if the new study may have it, else why not."""
        config = row.attributes.get("config", {})
        mapped = map_config(new_study.space, self.prior.params_of(row), config)
        if mapped is None or row.outcome is None:
            return "not in its space"
        found = _MappedTrial(row, row.outcome, mapped)
        data, limits = new_study.data[found.image_set], new_study.settings.limits[found.image_set]
        try:
            cost = predict_cost(mapped.config, data.image_shape, data.n_classes)
        except SpaceError:
            return "of networks that its images do not fit"
        return found if limits.excess(cost) is None else "above its limits"

    def _copy(self, new_study: NewStudy, found: Sequence[_MappedTrial]) -> None:
        store, name = new_study.store, new_study.plan.name
        study = self.create(new_study)
        old_study = load_optuna_study(store, self.prior.name)
        trials = {trial.number: trial for trial in old_study.get_trials(deepcopy=False)}
        copies = (self._copy_of(it, trials[it.row.number]) for it in found)
        numbers = copy_trials(
            store, study, copies, lambda n: self._report(n, len(found), "trials copied")
        )
        kept = trial_numbers_to_keep(store, find_study_id(store, name))
        self._copy_checkpoints(new_study, kept, found, numbers)

    def _copy_of(self, found: _MappedTrial, trial: FrozenTrial) -> TrialCopy:
        source = {"study": self.prior.name, "trial": trial.number}
        ended_at = trial.datetime_complete
        return TrialCopy(
            trial=FrozenTrial(
                number=-1,
                trial_id=-1,
                state=trial.state,
                value=None,
                values=trial.values,
                datetime_start=trial.datetime_start,
                datetime_complete=ended_at,
                params=dict(found.mapped.params),
                distributions=dict(found.mapped.distributions),
                user_attrs={**trial.user_attrs, COPIED_FROM: source},
                system_attrs={k: v for k, v in trial.system_attrs.items() if k != FIXED_PARAMS},
                intermediate_values=trial.intermediate_values,
            ),
            outcome=replace(found.outcome, is_free=not self.count_taken),
            config_key=found.mapped.config.key(),
            source_trial_id=found.row.trial_id,
            ended_at=0.0 if ended_at is None else ended_at.timestamp(),
        )

    def _copy_checkpoints(
        self,
        new_study: NewStudy,
        kept: Container[int],
        found: Sequence[_MappedTrial],
        numbers: Sequence[int],
    ) -> None:
        """Copy the files of the complete trials whose files the new study keeps."""
        old = Artifacts.of_study(self.prior.settings, new_study.store, self.prior.name)
        new = Artifacts.of_study(new_study.settings, new_study.store, new_study.plan.name)
        for it, number in zip(found, numbers, strict=True):
            if it.is_complete and number in kept:
                new.copy_checkpoint(old, it.row.number, number)

    def _report(self, n_done: int, n: int, what: str) -> None:
        if self.progress is not None:
            self.progress(n_done, n, what)


def are_comparable(old: StudySettings, new: StudySettings, image_set: str) -> bool:
    """Whether values are comparable: equal images, weights and training settings."""
    there, here = old.images.get(image_set), new.images.get(image_set)
    if there is None or here is None or there.fingerprint != here.fingerprint:
        return False
    if image_set == "transfer" and _weights_of(old) != _weights_of(new):
        return False
    return old.training.rules() == new.training.rules()


def _weights_of(settings: StudySettings) -> tuple[Any, ...] | None:
    weights = settings.weights
    return None if weights is None else (weights.digest, weights.mode)


def _family_of(new_study: NewStudy, params: Mapping[str, Any]) -> str:
    return str(params.get("family", new_study.space.families[0]))
