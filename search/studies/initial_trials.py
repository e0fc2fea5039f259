"""What a new study tries first: known-good configs, and before them the best of an earlier one."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from search.data import PreparedSet
from search.settings.plan import StudyTable
from search.settings.stored import StudySettings
from search.studies.prior_trials import Params, PriorStudy, drop_duplicates, select_best_fitting
from spaces import SearchSpace
from storage import Store, StoreError, list_studies, load_study, opened_store

KNOWN_GOOD_SHARE = 3
"""At most every third trial of the budget is a known-good config; the rest is searched. Of several
families each begins with as many as its fair start has trials."""


@dataclass(frozen=True, slots=True)
class NewStudy:
    """A study that is about to be created, with its budget of trials, None for no bound."""

    store: Store
    name: str
    settings: StudySettings
    space: SearchSpace
    data: Mapping[str, PreparedSet]
    n_trials: int | None


@dataclass(frozen=True, slots=True)
class InitialTrials:
    """What a new study tries first, and lines about it."""

    queue: Sequence[Params]
    notes: tuple[str, ...] = ()


InitialTrialsSource = Callable[[NewStudy], InitialTrials]
"""What is done before a new study is there for workers."""


def known_good(new_study: NewStudy) -> list[dict[str, Any]]:
    """Return the space's known-good configs, as many as the budget leaves room for."""
    n_trials, family_trials = new_study.n_trials, new_study.settings.family_trials
    if family_trials:
        return new_study.space.known_good(family_trials)[:n_trials]
    configs = [params for params in new_study.space.known_good() if params]
    return configs if n_trials is None else configs[: max(1, n_trials // KNOWN_GOOD_SHARE)]


def check_warm_start(table: StudyTable, url: str, name: str) -> None:
    """Make sure, before anything is spent, that the study to begin with is there.

    One that exists by the name has begun already, and is resumed without.

    Args:
        table: Names the study to begin with.
        url: The new study's store, which need not be there yet.
        name: The new study's.

    Raises:
        StoreError: If the earlier study's store cannot be used, or has no such study.
        StudyMismatchError: If its settings cannot be read.
    """
    if table.warm_start is None or _study_exists(url, name):
        return
    with opened_store(table.warm_start_store or url) as store:
        StudySettings.read(load_study(store, table.warm_start).settings)


def _study_exists(url: str, name: str) -> bool:
    try:
        with opened_store(url) as store:
            return name in list_studies(store)
    except StoreError:  # There is none yet: that it can be made was checked before.
        return False


def initial_trials_source(table: StudyTable) -> InitialTrialsSource:
    """Return the prelude of a plan: the best configs of the study that `warm_start` names."""

    def choose_initial_trials(new_study: NewStudy) -> InitialTrials:
        if table.warm_start is None:
            return InitialTrials(known_good(new_study))
        with opened_store(table.warm_start_store or new_study.store) as store:
            prior = PriorStudy.load(store, table.warm_start)
        return _initial_trials_from(prior, new_study, table.warm_start_trials)

    return choose_initial_trials


def _initial_trials_from(prior: PriorStudy, new_study: NewStudy, n: int) -> InitialTrials:
    first, skipped = select_best_fitting(prior, new_study.space, prior.best, n)
    line = f"begins with {len(first)} of the best configs of {prior.name}"
    queue = drop_duplicates(new_study.space, [*first, *known_good(new_study)])
    return InitialTrials(queue, (line, *skipped))
