"""What a new study tries first: known-good configs, and before them the best of an earlier one."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from search.data import PreparedSet
from search.settings.plan import StudyTable
from search.settings.stored import StudySettings
from search.studies.prior_trials import EarlierStudy, Params, fit_best, without_repeats
from spaces import SearchSpace
from storage import Store, StoreError, list_studies, load_study, using

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
class Beginning:
    """What a new study tries first, and lines about it."""

    queue: Sequence[Params]
    notes: tuple[str, ...] = ()


Prelude = Callable[[NewStudy], Beginning]
"""What is done before a new study is there for workers."""


def known_good(draft: NewStudy) -> list[dict[str, Any]]:
    """Gives the space's known-good configs, as many as the budget leaves room for."""
    n_trials, family_trials = draft.n_trials, draft.settings.family_trials
    if family_trials:
        return draft.space.known_good(family_trials)[:n_trials]
    configs = [params for params in draft.space.known_good() if params]
    return configs if n_trials is None else configs[: max(1, n_trials // KNOWN_GOOD_SHARE)]


def check_warm_start(table: StudyTable, url: str, name: str) -> None:
    """Makes sure, before anything is spent, that the study to begin with is there.

    One that exists by the name has begun already, and is resumed without.

    Args:
        table: Names the study to begin with.
        url: The new study's store, which need not be there yet.
        name: The new study's.

    Raises:
        StoreError: If the earlier study's store cannot be used, or has no such study.
        StudyMismatchError: If its settings cannot be read.
    """
    if table.warm_start is None or _has_begun(url, name):
        return
    with using(table.warm_start_store or url) as store:
        StudySettings.read(load_study(store, table.warm_start).settings)


def _has_begun(url: str, name: str) -> bool:
    try:
        with using(url) as store:
            return name in list_studies(store)
    except StoreError:  # There is none yet: that it can be made was checked before.
        return False


def prelude_of(table: StudyTable) -> Prelude:
    """Gives the prelude of a plan: the best configs of the study that `warm_start` names."""

    def begin(draft: NewStudy) -> Beginning:
        if table.warm_start is None:
            return Beginning(known_good(draft))
        with using(table.warm_start_store or draft.store) as store:
            earlier = EarlierStudy.load(store, table.warm_start)
        return _begin_with(earlier, draft, table.warm_start_trials)

    return begin


def _begin_with(earlier: EarlierStudy, draft: NewStudy, n: int) -> Beginning:
    first, skipped = fit_best(earlier, draft.space, earlier.best, n)
    line = f"begins with {len(first)} of the best configs of {earlier.name}"
    queue = without_repeats(draft.space, [*first, *known_good(draft)])
    return Beginning(queue, (line, *skipped))
