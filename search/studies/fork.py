"""Forks: a new study with another space, other data or settings, and what an old one found out.

A trial is taken over, with its curve and its outcome, where the new space can draw its config and
its value would mean the same: equal images, weights and rules of training. Elsewhere only configs
are taken, and the best of them are tried first.
"""

from collections.abc import Callable, Container, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import optuna
from optuna.trial import FrozenTrial

from search.artifacts import Artifacts, fetch_prepared, trial_numbers_to_keep
from search.data import PreparedSet, Progress
from search.errors import ArtifactError, DataError, SettingsError, StudyMismatchError
from search.settings.plan import StudyPlan
from search.settings.stored import StudySettings
from search.studies.initial_trials import InitialTrials, NewStudy, known_good
from search.studies.prior_trials import (
    MappedConfig,
    PriorStudy,
    drop_duplicates,
    map_config,
    select_best_fitting,
)
from search.studies.submission import Submission, submit
from spaces import SpaceError, find_family, predict_cost
from storage import (
    Outcome,
    Store,
    TrialCopy,
    TrialRow,
    copy_trials,
    delete_orphans,
    delete_study,
    list_all_studies,
    list_studies,
    load_optuna_study,
)
from storage.outcomes import OutcomeKind

COPIED_KINDS: frozenset[OutcomeKind] = frozenset({"complete", "pruned", "unfit"})
"""What a study learns from. Refusals depend on limits, failures on what may be mended by now."""
N_INITIAL_CONFIGS = 10
"""Of a study whose values cannot be compared, so many configs are tried again first."""
FORKED_FROM = "forked_from"
COPIED_FROM = "taken_from"
"""Attributes of the study and of its trials: where they come from."""
TIMEOUT_SETTINGS = ("trial_timeout", "silence_timeout")
"""Settings of training that do not change what a trial that ended by itself came to."""


@dataclass(frozen=True, slots=True)
class Fork:
    """A forked study: how many trials it took over, tries again first, and left behind."""

    submission: Submission
    n_copied: int
    n_queued: int
    n_skipped: int
    counts_taken: bool

    def to_json(self) -> dict[str, Any]:
        """Return the document of `study fork --json`."""
        record = self.submission.record
        return {
            "study": record.name,
            "taken": self.n_copied,
            "tried_first": self.n_queued,
            "left": self.n_skipped,
            "budget": {"trials": record.n_trials, "timeout_s": record.timeout_s},
        }


@dataclass(frozen=True, slots=True)
class _MappedTrial:
    """A finished trial of the old study that the new space can draw."""

    row: TrialRow
    outcome: Outcome
    mapped: MappedConfig

    @property
    def is_complete(self) -> bool:
        """Whether it was trained to its end."""
        return self.row.state == "COMPLETE"


def fork(
    store: Store,
    old: str,
    plan: StudyPlan,
    *,
    count_taken: bool = False,
    progress: Progress | None = None,
) -> Fork:
    """Create the study of a plan from an older one of the same store.

    Args:
        store: The store of both.
        old: The study to take over from.
        plan: The new one's.
        count_taken: Whether the trials that are taken over count for the new budget; by default
            that is spent on new trials.
        progress: Told how far the preparation of images is, then the fitting and the taking over
            of trials.

    Raises:
        SettingsError: If a study of the new name exists.
        SearchError, SpaceError, StoreError: As `submit` does.
    """
    name = str(plan.study.name)
    _is_unfinished_fork(store, name)
    prior = PriorStudy.load(store, old)
    if prior.settings.confirms:
        raise SettingsError(
            f"{old} only trains configs of {prior.settings.confirms} again: fork that one."
        )
    copier = _TrialCopier(prior, old, count_taken=count_taken, progress=progress)
    submission = submit(
        plan,
        progress=progress,
        prepared=_prepared(prior, store, plan),
        initial_trials=copier.choose_initial_trials,
    )
    study = load_optuna_study(submission.store, name)
    study.set_user_attr(FORKED_FROM, {"study": old, "is_whole": True})
    n_skipped = sum(
        row.outcome is not None and row.outcome.kind in COPIED_KINDS for row in prior.trials
    ) - (copier.n_copied + copier.n_queued)
    return Fork(submission, copier.n_copied, copier.n_queued, n_skipped, count_taken)


@dataclass(slots=True)
class _TrialCopier:
    """Takes trials over from an older study into one that is about to be created."""

    prior: PriorStudy
    old: str
    count_taken: bool
    progress: Progress | None
    n_copied: int = 0
    n_queued: int = 0

    def choose_initial_trials(self, new_study: NewStudy) -> InitialTrials:
        """Write the trials whose values hold, and return the configs that are tried again."""
        found = self._map_all(new_study)
        comparable = [it for it in found if self._is_comparable(new_study, it)]
        study = _create_study(new_study, self.old)
        numbers = self._copy(new_study, study, comparable)
        self._copy_checkpoints(
            new_study, trial_numbers_to_keep(new_study.store, study._study_id), comparable, numbers
        )
        copied = {it.row.number for it in comparable}
        others = [it.row for it in found if it.row.number not in copied and it.is_complete]
        first, _ = select_best_fitting(self.prior, new_study.space, others, N_INITIAL_CONFIGS)
        self.n_copied, self.n_queued = len(comparable), len(first)
        known = {it.mapped.config.family for it in comparable}
        queue = [it for it in known_good(new_study) if _family_of(new_study, it) not in known]
        return InitialTrials(drop_duplicates(new_study.space, [*first, *queue]))

    def _in_order(self) -> list[TrialRow]:
        """Return the complete trials, best first, then the others that a study learns from."""
        best = self.prior.best
        numbers = {row.number for row in best}
        others = [
            row
            for row in self.prior.trials
            if row.outcome is not None
            and row.outcome.kind in COPIED_KINDS
            and row.number not in numbers
        ]
        return [*best, *others]

    def _map_all(self, new_study: NewStudy) -> list[_MappedTrial]:
        """Return the trials that the new space can draw, in the order in which it takes them."""
        rows = self._in_order()
        report_progress = self._report_progress(len(rows), "trials fitted")
        found = []
        for n_done, row in enumerate(rows, start=1):
            mapped = self._map(new_study, row)
            found += [] if mapped is None else [mapped]
            report_progress(n_done)
        return found

    def _map(self, new_study: NewStudy, row: TrialRow) -> _MappedTrial | None:
        config = row.attributes.get("config", {})
        found = map_config(new_study.space, self.prior.params_of(row), config)
        if found is None or row.outcome is None:
            return None
        image_set = find_family(found.config.family).image_set
        data, limits = new_study.data[image_set], new_study.settings.limits[image_set]
        try:
            cost = predict_cost(found.config, data.image_shape, data.n_classes)
        except SpaceError:
            return None
        return _MappedTrial(row, row.outcome, found) if limits.excess(cost) is None else None

    def _is_comparable(self, new_study: NewStudy, found: _MappedTrial) -> bool:
        image_set = find_family(found.mapped.config.family).image_set
        return are_comparable(self.prior.settings, new_study.settings, image_set)

    def _copy(
        self, new_study: NewStudy, study: optuna.Study, found: list[_MappedTrial]
    ) -> list[int]:
        old_study = load_optuna_study(new_study.store, self.old)
        trials = {trial.number: trial for trial in old_study.get_trials(deepcopy=False)}
        copies = (self._copy_of(it, trials[it.row.number]) for it in found)
        return copy_trials(
            new_study.store, study, copies, self._report_progress(len(found), "trials taken over")
        )

    def _copy_of(self, found: _MappedTrial, trial: FrozenTrial) -> TrialCopy:
        source = {"study": self.old, "trial": trial.number}
        return TrialCopy(
            trial=FrozenTrial(
                number=-1,
                trial_id=-1,
                state=trial.state,
                value=None,
                values=trial.values,
                datetime_start=trial.datetime_start,
                datetime_complete=trial.datetime_complete,
                params=dict(found.mapped.params),
                distributions=dict(found.mapped.distributions),
                user_attrs={**trial.user_attrs, COPIED_FROM: source},
                system_attrs={k: v for k, v in trial.system_attrs.items() if k != "fixed_params"},
                intermediate_values=trial.intermediate_values,
            ),
            outcome=replace(found.outcome, is_free=not self.count_taken),
            config_key=found.mapped.config.key(),
            source_trial_id=found.row.trial_id,
            ended_at=_seconds(trial.datetime_complete),
        )

    def _report_progress(self, n: int, what: str) -> Callable[[int], None]:
        def report_progress(n_done: int) -> None:
            if self.progress is not None:
                self.progress(n_done, n, what)

        return report_progress

    def _copy_checkpoints(
        self,
        new_study: NewStudy,
        kept: Container[int],
        found: list[_MappedTrial],
        numbers: list[int],
    ) -> None:
        """Return the new study the files of the complete trials that it keeps them of."""
        old = Artifacts.of_study(self.prior.settings, new_study.store, self.old)
        new = Artifacts.of_study(new_study.settings, new_study.store, new_study.name)
        for it, number in zip(found, numbers, strict=True):
            if it.is_complete and number in kept:
                new.copy_checkpoint(old, it.row.number, number)


def are_comparable(old: StudySettings, new: StudySettings, image_set: str) -> bool:
    """Whether a trial's value would mean the same: equal images, weights and rules of training."""
    there, here = old.images.get(image_set), new.images.get(image_set)
    if there is None or here is None or there.fingerprint != here.fingerprint:
        return False
    if image_set == "transfer" and _weights_of(old) != _weights_of(new):
        return False
    rules = [it.training.model_dump(exclude=set(TIMEOUT_SETTINGS)) for it in (old, new)]
    return bool(rules[0] == rules[1])


def _weights_of(settings: StudySettings) -> tuple[Any, ...] | None:
    weights = settings.weights
    return None if weights is None else (weights.digest, weights.mode)


def _create_study(new_study: NewStudy, old: str) -> optuna.Study:
    """Create the study as Optuna's; workers see it once our record of it is written.

    What a fork that was cut off has left is deleted.
    """
    if _is_unfinished_fork(new_study.store, new_study.name):
        delete_study(new_study.store, new_study.name)
    delete_orphans(new_study.store)
    study = optuna.create_study(
        storage=new_study.store.optuna_storage,
        study_name=new_study.name,
        direction="maximize",
        load_if_exists=True,  # Where only the answer to its creation was lost.
    )
    study.set_user_attr(FORKED_FROM, {"study": old, "is_whole": False})
    return study


def _is_unfinished_fork(store: Store, name: str) -> bool:
    """Whether a fork that was cut off has left a study of that name: with our mark, and no record.

    Raises:
        SettingsError: If the name is that of another study.
    """
    if name in list_studies(store):
        raise SettingsError(f"A study {name!r} exists already. Give the fork another name.")
    if name not in list_all_studies(store):
        return False
    if load_optuna_study(store, name).user_attrs.get(FORKED_FROM, {}).get("is_whole", True):
        raise SettingsError(
            f"An Optuna study {name!r} exists already. Give the fork another name."
        )
    return True


def _prepared(prior: PriorStudy, store: Store, plan: StudyPlan) -> dict[str, PreparedSet]:
    """Return the images of the old study that are the new one's too, where they can be had."""
    settings = prior.settings
    if plan.data != settings.data:
        return {}
    artifacts = Artifacts.of_study(settings, store, prior.name)
    is_size_same = plan.transfer.image_size == settings.transfer.image_size
    found = {}
    for name, images in settings.images.items():
        if name != "transfer" or is_size_same:
            with suppress(DataError, StudyMismatchError, ArtifactError):
                found[name] = fetch_prepared(artifacts.store, images)
    return found


def _family_of(new_study: NewStudy, params: Mapping[str, Any]) -> str:
    return str(params.get("family", new_study.space.families[0]))


def _seconds(at: datetime | None) -> float:
    return 0.0 if at is None else at.timestamp()
