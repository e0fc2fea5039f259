"""What a new study tries first: known-good configs, and before them the best of an earlier one."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from search.data import PreparedSet
from search.earlier import EarlierStudy, Params, fit_best, without_repeats
from search.settings import StudySettings, StudyTable
from spaces import SearchSpace
from storage import Store, using


@dataclass(frozen=True, slots=True)
class NewStudy:
    """A study that is about to be created, and the configs that it would try first."""

    store: Store
    name: str
    settings: StudySettings
    space: SearchSpace
    data: Mapping[str, PreparedSet]
    queue: Sequence[Params]


@dataclass(frozen=True, slots=True)
class Beginning:
    """What a new study tries first instead, and lines that say so."""

    queue: Sequence[Params]
    notes: tuple[str, ...] = ()


Prelude = Callable[[NewStudy], Beginning]
"""What is done before a new study is there for workers."""


def prelude_of(table: StudyTable) -> Prelude:
    """Gives the prelude of a plan: the best configs of the study that `warm_start` names."""

    def begin(draft: NewStudy) -> Beginning:
        if table.warm_start is None:
            return Beginning(draft.queue)
        with using(table.warm_start_store or draft.store) as store:
            earlier = EarlierStudy.load(store, table.warm_start)
        return _begin_with(earlier, draft, table.warm_start_trials)

    return begin


def _begin_with(earlier: EarlierStudy, draft: NewStudy, n: int) -> Beginning:
    first, skipped = fit_best(earlier, draft.space, earlier.best, n)
    line = f"begins with {len(first)} of the best configs of {earlier.name}"
    queue = without_repeats(draft.space, [*first, *draft.queue])
    return Beginning(queue, (line, *skipped))
