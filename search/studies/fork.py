"""Forks: new studies with changed settings that reuse the trials of an older one."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import optuna

from search.artifacts import Artifacts, fetch_prepared
from search.data import PreparedSet, Progress
from search.errors import ArtifactError, DataError, SettingsError, StudyMismatchError
from search.settings.plan import StudyPlan
from search.studies.copied_trials import TrialCopier
from search.studies.initial_trials import NewStudy
from search.studies.prior_trials import PriorStudy
from search.studies.resolved_plan import ResolvedPlan
from search.studies.submission import Submission, submit
from storage import (
    Store,
    delete_orphans,
    delete_study,
    list_all_studies,
    list_studies,
    load_optuna_study,
)

FORKED_FROM = "forked_from"
"""Attribute of a fork: the older study, and whether the fork is complete."""


@dataclass(frozen=True, slots=True)
class Fork:
    """A forked study, with the numbers of trials copied, and of configs tried again first.

    `skipped` are the numbers of the other trials, by the reason in words.
    """

    submission: Submission
    n_copied: int
    n_queued: int
    skipped: Mapping[str, int]
    counts_taken: bool

    @property
    def n_skipped(self) -> int:
        """Number of trials neither copied nor tried again."""
        return sum(self.skipped.values())

    def to_json(self) -> dict[str, Any]:
        """Return the document of `study fork --json`."""
        record = self.submission.record
        return {
            "study": record.name,
            "taken": self.n_copied,
            "tried_first": self.n_queued,
            "left": self.n_skipped,
            "left_because": dict(self.skipped),
            "budget": {"trials": record.n_trials, "timeout_s": record.timeout_s},
        }


def fork(
    store: Store,
    old: str,
    plan: ResolvedPlan,
    *,
    count_taken: bool = False,
    progress: Progress | None = None,
) -> Fork:
    """Create the study of a plan from the older study `old` of the same store.

    The budget is spent on new trials; with `count_taken`, copied trials count toward it.

    Raises:
        SettingsError: If a study of the new name exists.
        SearchError, SpaceError, StoreError: As in `submit`.
    """
    _is_unfinished_fork(store, plan.name)
    prior = PriorStudy.load(store, old)
    if prior.settings.confirms:
        raise SettingsError(
            f"{old} only trains configs of {prior.settings.confirms} again: fork that one."
        )
    copier = TrialCopier(prior, count_taken, lambda new: _create_study(new, old), progress)
    submission = submit(
        plan,
        progress=progress,
        prepared=_prepared(prior, store, plan.tables),
        initial_trials=copier.choose_initial_trials,
    )
    study = load_optuna_study(submission.store, plan.name)
    study.set_user_attr(FORKED_FROM, {"study": old, "is_whole": True})
    skipped = {reason: n for reason, n in copier.skipped.items() if n}
    return Fork(submission, copier.n_copied, copier.n_queued, skipped, count_taken)


def _create_study(new_study: NewStudy, old: str) -> optuna.Study:
    """Create the Optuna study, replacing an unfinished fork; workers see only recorded studies."""
    if _is_unfinished_fork(new_study.store, new_study.plan.name):
        delete_study(new_study.store, new_study.plan.name)
    delete_orphans(new_study.store)
    study = optuna.create_study(
        storage=new_study.store.optuna_storage,
        study_name=new_study.plan.name,
        direction="maximize",
        load_if_exists=True,  # The response to an earlier attempt may be lost.
    )
    study.set_user_attr(FORKED_FROM, {"study": old, "is_whole": False})
    return study


def _is_unfinished_fork(store: Store, name: str) -> bool:
    """Whether an interrupted fork has left a study of that name; refuse other studies."""
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
    """Return the available images of the old study that the new one uses as well."""
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
