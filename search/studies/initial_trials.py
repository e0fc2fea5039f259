"""The first trials of a new study: the best of an earlier one, then known-good configs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from search.data import PreparedSet
from search.settings.stored import StudySettings
from search.studies.prior_trials import Params, PriorStudy, drop_duplicates, select_best_fitting
from search.studies.resolved_plan import ResolvedPlan
from spaces import SearchSpace
from storage import Store, StoreError, list_studies, opened_store

KNOWN_GOOD_SHARE = 3
"""At most every third trial of the budget is a known-good config; with several families, at most
the trials granted to each."""


@dataclass(frozen=True, slots=True)
class NewStudy:
    """A study that is about to be created; `data` is by image set."""

    store: Store
    plan: ResolvedPlan
    settings: StudySettings
    space: SearchSpace
    data: Mapping[str, PreparedSet]


@dataclass(frozen=True, slots=True)
class InitialTrials:
    """The first trials of a new study, and lines about them."""

    queue: Sequence[Params]
    notes: tuple[str, ...] = ()


InitialTrialsSource = Callable[[NewStudy], InitialTrials]
"""Called before workers can see a new study."""


def known_good(new_study: NewStudy) -> list[dict[str, Any]]:
    """Return known-good configs of the space, limited by the budget."""
    n_trials, family_trials = new_study.plan.n_trials, new_study.settings.family_trials
    if family_trials:
        return new_study.space.known_good(family_trials)[:n_trials]
    configs = [params for params in new_study.space.known_good() if params]
    return configs if n_trials is None else configs[: max(1, n_trials // KNOWN_GOOD_SHARE)]


def check_warm_start(plan: ResolvedPlan) -> None:
    """Check that the study to warm-start from can be read, unless `plan` resumes a study."""
    table = plan.tables.study
    if table.warm_start is None or _study_exists(plan.store_url, plan.name):
        return
    with opened_store(table.warm_start_store or plan.store_url) as store:
        StudySettings.load(store, table.warm_start)


def _study_exists(url: str, name: str) -> bool:
    try:
        with opened_store(url) as store:
            return name in list_studies(store)
    except StoreError:  # The store does not exist yet, and can be created.
        return False


def choose_initial_trials(new_study: NewStudy) -> InitialTrials:
    """Return the best configs of the study that `warm_start` names, then known-good ones."""
    table = new_study.plan.tables.study
    if table.warm_start is None:
        return InitialTrials(known_good(new_study))
    with opened_store(table.warm_start_store or new_study.store) as store:
        prior = PriorStudy.load(store, table.warm_start)
    first, skipped = select_best_fitting(
        prior, new_study.space, prior.best, table.warm_start_trials
    )
    line = f"begins with {len(first)} of the best configs of {prior.name}"
    queue = drop_duplicates(new_study.space, [*first, *known_good(new_study)])
    return InitialTrials(queue, (line, *skipped))
