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

from search.artifacts import Artifacts, fetch_prepared, numbers_to_keep
from search.data import PreparedSet, Progress
from search.errors import ArtifactError, DataError, SettingsError, StudyMismatchError
from search.settings.plan import StudyPlan
from search.settings.stored import StudySettings
from search.studies.initial_trials import Beginning, NewStudy, known_good
from search.studies.prior_trials import EarlierStudy, Refit, fit_best, refit, without_repeats
from search.studies.submission import Submission, submit
from spaces import SpaceError, find_family, predict_cost
from storage import (
    Copy,
    Outcome,
    Store,
    TrialRow,
    copy_trials,
    delete_strays,
    delete_study,
    list_all_studies,
    list_studies,
    load_optuna_study,
)
from storage.outcomes import Kind

TAKEN: frozenset[Kind] = frozenset({"complete", "pruned", "unfit"})
"""What a study learns from. Refusals depend on limits, failures on what may be mended by now."""
N_TRIED_FIRST = 10
"""Of a study whose values cannot be compared, so many configs are tried again first."""
FORKED_FROM = "forked_from"
TAKEN_FROM = "taken_from"
"""Attributes of the study and of its trials: where they come from."""
WAITS = ("trial_timeout", "silence_timeout")
"""Settings of training that do not change what a trial that ended by itself came to."""


@dataclass(frozen=True, slots=True)
class Fork:
    """A forked study: how many trials it took over, tries again first, and left behind."""

    submission: Submission
    n_taken: int
    n_tried_first: int
    n_left: int
    counts_taken: bool

    def to_json(self) -> dict[str, Any]:
        """Gives the document of `study fork --json`."""
        record = self.submission.record
        return {
            "study": record.name,
            "taken": self.n_taken,
            "tried_first": self.n_tried_first,
            "left": self.n_left,
            "budget": {"trials": record.n_trials, "timeout_s": record.timeout_s},
        }


@dataclass(frozen=True, slots=True)
class _Found:
    """A finished trial of the old study that the new space can draw."""

    row: TrialRow
    outcome: Outcome
    refit: Refit

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
    """Creates the study of a plan from an older one of the same store.

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
    _is_left_over(store, name)
    earlier = EarlierStudy.load(store, old)
    if earlier.settings.confirms:
        raise SettingsError(
            f"{old} only trains configs of {earlier.settings.confirms} again: fork that one."
        )
    taker = _Taker(earlier, old, count_taken=count_taken, progress=progress)
    submission = submit(
        plan, progress=progress, prepared=_prepared(earlier, store, plan), prelude=taker.begin
    )
    study = load_optuna_study(submission.store, name)
    study.set_user_attr(FORKED_FROM, {"study": old, "is_whole": True})
    n_left = sum(
        row.outcome is not None and row.outcome.kind in TAKEN for row in earlier.trials
    ) - (taker.n_taken + taker.n_tried_first)
    return Fork(submission, taker.n_taken, taker.n_tried_first, n_left, count_taken)


@dataclass(slots=True)
class _Taker:
    """Takes trials over from an older study into one that is about to be created."""

    earlier: EarlierStudy
    old: str
    count_taken: bool
    progress: Progress | None
    n_taken: int = 0
    n_tried_first: int = 0

    def begin(self, draft: NewStudy) -> Beginning:
        """Writes the trials whose values hold, and gives the configs that are tried again."""
        found = self._fit_all(draft)
        holding = [it for it in found if self._holds(draft, it)]
        study = _create_study(draft, self.old)
        numbers = self._copy(draft, study, holding)
        self._keep_weights(draft, numbers_to_keep(draft.store, study._study_id), holding, numbers)
        held = {it.row.number for it in holding}
        others = [it.row for it in found if it.row.number not in held and it.is_complete]
        first, _ = fit_best(self.earlier, draft.space, others, N_TRIED_FIRST)
        self.n_taken, self.n_tried_first = len(holding), len(first)
        known = {it.refit.config.family for it in holding}
        queue = [it for it in known_good(draft) if _family_of(draft, it) not in known]
        return Beginning(without_repeats(draft.space, [*first, *queue]))

    def _in_order(self) -> list[TrialRow]:
        """Gives the complete trials, best first, then the others that a study learns from."""
        best = self.earlier.best
        numbers = {row.number for row in best}
        others = [
            row
            for row in self.earlier.trials
            if row.outcome is not None and row.outcome.kind in TAKEN and row.number not in numbers
        ]
        return [*best, *others]

    def _fit_all(self, draft: NewStudy) -> list[_Found]:
        """Gives the trials that the new space can draw, in the order in which it takes them."""
        rows = self._in_order()
        tell = self._tell(len(rows), "trials fitted")
        found = []
        for n_done, row in enumerate(rows, start=1):
            fitting = self._fit(draft, row)
            found += [] if fitting is None else [fitting]
            tell(n_done)
        return found

    def _fit(self, draft: NewStudy, row: TrialRow) -> _Found | None:
        config = row.attributes.get("config", {})
        found = refit(draft.space, self.earlier.params_of(row), config)
        if found is None or row.outcome is None:
            return None
        image_set = find_family(found.config.family).image_set
        data, limits = draft.data[image_set], draft.settings.limits[image_set]
        try:
            cost = predict_cost(found.config, data.image_shape, data.n_classes)
        except SpaceError:
            return None
        return _Found(row, row.outcome, found) if limits.excess(cost) is None else None

    def _holds(self, draft: NewStudy, found: _Found) -> bool:
        image_set = find_family(found.refit.config.family).image_set
        return are_comparable(self.earlier.settings, draft.settings, image_set)

    def _copy(self, draft: NewStudy, study: optuna.Study, found: list[_Found]) -> list[int]:
        old_study = load_optuna_study(draft.store, self.old)
        trials = {trial.number: trial for trial in old_study.get_trials(deepcopy=False)}
        copies = (self._copy_of(it, trials[it.row.number]) for it in found)
        return copy_trials(draft.store, study, copies, self._tell(len(found), "trials taken over"))

    def _copy_of(self, found: _Found, trial: FrozenTrial) -> Copy:
        source = {"study": self.old, "trial": trial.number}
        return Copy(
            trial=FrozenTrial(
                number=-1,
                trial_id=-1,
                state=trial.state,
                value=None,
                values=trial.values,
                datetime_start=trial.datetime_start,
                datetime_complete=trial.datetime_complete,
                params=dict(found.refit.params),
                distributions=dict(found.refit.distributions),
                user_attrs={**trial.user_attrs, TAKEN_FROM: source},
                system_attrs={k: v for k, v in trial.system_attrs.items() if k != "fixed_params"},
                intermediate_values=trial.intermediate_values,
            ),
            outcome=replace(found.outcome, is_free=not self.count_taken),
            config_key=found.refit.config.key(),
            source_trial_id=found.row.trial_id,
            ended_at=_seconds(trial.datetime_complete),
        )

    def _tell(self, n: int, what: str) -> Callable[[int], None]:
        def tell(n_done: int) -> None:
            if self.progress is not None:
                self.progress(n_done, n, what)

        return tell

    def _keep_weights(
        self, draft: NewStudy, kept: Container[int], found: list[_Found], numbers: list[int]
    ) -> None:
        """Gives the new study the files of the complete trials that it keeps them of."""
        old = Artifacts.of_study(self.earlier.settings, draft.store, self.old)
        new = Artifacts.of_study(draft.settings, draft.store, draft.name)
        for it, number in zip(found, numbers, strict=True):
            if it.is_complete and number in kept:
                new.take_checkpoint(old, it.row.number, number)


def are_comparable(old: StudySettings, new: StudySettings, image_set: str) -> bool:
    """Whether a trial's value would mean the same: equal images, weights and rules of training."""
    there, here = old.images.get(image_set), new.images.get(image_set)
    if there is None or here is None or there.fingerprint != here.fingerprint:
        return False
    if image_set == "transfer" and _weights_of(old) != _weights_of(new):
        return False
    rules = [it.training.model_dump(exclude=set(WAITS)) for it in (old, new)]
    return bool(rules[0] == rules[1])


def _weights_of(settings: StudySettings) -> tuple[Any, ...] | None:
    weights = settings.weights
    return None if weights is None else (weights.digest, weights.mode)


def _create_study(draft: NewStudy, old: str) -> optuna.Study:
    """Creates the study as Optuna's; workers see it once our record of it is written.

    What a fork that was cut off has left is deleted.
    """
    if _is_left_over(draft.store, draft.name):
        delete_study(draft.store, draft.name)
    delete_strays(draft.store)
    study = optuna.create_study(
        storage=draft.store.optuna_storage,
        study_name=draft.name,
        direction="maximize",
        load_if_exists=True,  # Where only the answer to its creation was lost.
    )
    study.set_user_attr(FORKED_FROM, {"study": old, "is_whole": False})
    return study


def _is_left_over(store: Store, name: str) -> bool:
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


def _prepared(earlier: EarlierStudy, store: Store, plan: StudyPlan) -> dict[str, PreparedSet]:
    """Gives the images of the old study that are the new one's too, where they can be had."""
    settings = earlier.settings
    if plan.data != settings.data:
        return {}
    artifacts = Artifacts.of_study(settings, store, earlier.name)
    is_size_same = plan.transfer.image_size == settings.transfer.image_size
    found = {}
    for name, images in settings.images.items():
        if name != "transfer" or is_size_same:
            with suppress(DataError, StudyMismatchError, ArtifactError):
                found[name] = fetch_prepared(artifacts.store, images)
    return found


def _family_of(draft: NewStudy, params: Mapping[str, Any]) -> str:
    return str(params.get("family", draft.space.families[0]))


def _seconds(at: datetime | None) -> float:
    return 0.0 if at is None else at.timestamp()
