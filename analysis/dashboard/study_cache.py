"""Cache of the studies of a store, shared by all requests: read at most once a second."""

import itertools
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from analysis.confirmation.trainings import is_confirmation_of
from analysis.confirmation_study import confirmation_name
from analysis.dashboard.lru_dict import LruDict
from analysis.dashboard.optuna_dashboard_internals import get_pareto_front_trials
from analysis.results.families import best_complete
from analysis.results.status import StudyStatus
from storage import (
    CREATED_BY,
    Store,
    StoreError,
    StudyNotFoundError,
    StudyRecord,
    StudyWatch,
    WatchedTrial,
    find_study,
    list_workers,
    load_study,
)
from storage.optuna_internals import FrozenStudy, study_id_of

CACHE_S = 1.0
"""How long a value that was read is reused."""
RETRY_AFTER_S = 2.0
"""How long a store that failed is not read again."""
RETRY_TIMEOUT_S = 3.0
"""How long a page waits for the store."""
MAX_CACHED_STUDIES = 16
"""Maximum number of studies in memory; the least recently used one is dropped."""
T = TypeVar("T")


class CachedValue(Generic[T]):
    """A value read from the store by one thread at a time, and reused for a while."""

    def __init__(self, read: Callable[[], T]) -> None:
        self._read = read
        self._lock = threading.Lock()
        self._expires_at = 0.0
        self._generation = self._read_generation = 0
        self._found: T | None = None
        self._error: StoreError | None = None

    def get(self) -> T:
        """Return the value, read again if it is outdated.

        Raises:
            StoreError: If the store fails, or has failed a moment ago.
        """
        with self._lock:
            if time.monotonic() >= self._expires_at or self._read_generation != self._generation:
                self._find()
            if self._error is not None:
                raise self._error
            assert self._found is not None
            return self._found

    def invalidate(self) -> None:
        """Make the next `get` read the value again."""
        self._generation += 1

    def _find(self) -> None:
        # Taken before reading: a change during the read makes the value outdated again.
        self._read_generation = self._generation
        try:
            self._found, self._error = self._read(), None
        except StoreError as error:
            self._error = error
        pause_s = CACHE_S if self._error is None else RETRY_AFTER_S
        self._expires_at = time.monotonic() + pause_s


@dataclass(frozen=True, slots=True)
class StudySnapshot:
    """A study at one moment, with all trials by number.

    `version` rises with every change of the trials. `status` is None for a multi-objective study.
    `best` is the best trial, or the Pareto front of several objectives, and empty for a
    confirmation; `confirmation` is the id of the study's confirmation.
    """

    study: FrozenStudy
    trials: tuple[WatchedTrial, ...]
    version: int
    status: StudyStatus | None
    best: tuple[WatchedTrial, ...] = ()
    confirmation: int | None = None

    @property
    def is_convsearch(self) -> bool:
        """Whether convsearch created it, not plain Optuna."""
        return self.status is not None and not self.status.record.is_optuna_only

    @property
    def active_trials(self) -> frozenset[int | None]:
        """The numbers of the trials that a live worker holds."""
        workers = () if self.status is None else self.status.workers
        return frozenset(worker.trial_number for worker in workers)

    def n_epochs(self, trial_id: int | None) -> int:
        """Return the number of epochs of a trial; 0 for an unknown trial."""
        found = (it.row.curve.n_epochs for it in self.trials if it.row.trial_id == trial_id)
        return next(found, 0)


def find_best(
    study: FrozenStudy, trials: Sequence[WatchedTrial], status: StudyStatus | None
) -> tuple[WatchedTrial, ...]:
    """Return the best feasible trial as ranked, or the Pareto front of several objectives.

    optuna-dashboard ignores constraints. A confirmation has no best trial: that would be the
    luckiest seed.
    """
    if status is not None and status.is_confirmation:
        return ()
    kept = [it for it in trials if it.row.is_feasible]
    if status is None:
        front = get_pareto_front_trials([it.frozen for it in kept], study.directions)
        numbers = {trial.number for trial in front}
    else:
        best = best_complete((it.row for it in kept), status.record.direction)
        numbers = set() if best is None else {best.number}
    return tuple(it for it in kept if it.row.number in numbers)


@dataclass(slots=True, eq=False)
class CachedStudy:
    """A study in the cache."""

    store: Store
    study: FrozenStudy
    serial: int = field(default_factory=itertools.count().__next__)
    """Unique within this process."""
    _watch: StudyWatch = field(init=False)
    _snapshot_cache: CachedValue[StudySnapshot] = field(init=False)
    _best: tuple[int, tuple[WatchedTrial, ...]] | None = None

    def __post_init__(self) -> None:
        self._watch = StudyWatch(self.store, self.study_id)
        self._snapshot_cache = CachedValue(self._read)

    @property
    def study_id(self) -> int:
        """The id of the study."""
        return study_id_of(self.study)

    def snapshot(self) -> StudySnapshot:
        """Return the study as it is now, or was a second ago."""
        return self._snapshot_cache.get()

    def invalidate(self) -> None:
        """Make the next snapshot read the study again."""
        self._snapshot_cache.invalidate()

    def _read(self) -> StudySnapshot:
        trials, version = self._watch.read(), self._watch.version
        status = self._status(trials)
        if self._best is None or self._best[0] != version:
            self._best = version, find_best(self.study, trials, status)
        confirmation = None if status is None else self._find_confirmation(status.record)
        return StudySnapshot(self.study, trials, version, status, self._best[1], confirmation)

    def _find_confirmation(self, record: StudyRecord) -> int | None:
        if record.is_optuna_only:
            return None
        store = self.store
        try:
            found = store.retry.call(lambda: load_study(store, confirmation_name(record.name)))
        except StudyNotFoundError:
            return None
        return found.study_id if is_confirmation_of(found, record) else None

    def _status(self, trials: tuple[WatchedTrial, ...]) -> StudyStatus | None:
        store, name = self.store, self.study.study_name
        try:
            record = store.retry.call(lambda: find_study(store, name))
        except StudyNotFoundError:
            return None
        workers = [] if store.is_optuna_only else list_workers(store, record.study_id)
        alive = tuple(worker for worker in workers if worker.is_alive)
        return StudyStatus(record, tuple(it.row for it in trials), alive)


class StudyCache:
    """The studies of a store, each cached from its first request on.

    Methods that read raise a `StoreError` if the store fails.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        store.retry.timeout_s = RETRY_TIMEOUT_S
        self._study_list = CachedValue(store.optuna_storage.get_all_studies)
        self._cached_studies: LruDict[int, CachedStudy] = LruDict(MAX_CACHED_STUDIES)
        self._lock = threading.Lock()

    def all(self) -> list[FrozenStudy]:
        """Return all studies by id."""
        return sorted(self._study_list.get(), key=study_id_of)

    def find(self, study_id: int) -> CachedStudy | None:
        """Return the study with an id; None if there is none."""
        study = next((it for it in self.all() if study_id_of(it) == study_id), None)
        with self._lock:
            if study is None:
                self._cached_studies.pop(study_id, None)
                return None
            cached_study = self._cached_studies.get(study_id)
            if cached_study is None or _identity(cached_study.study) != _identity(study):
                cached_study = CachedStudy(self.store, study)
            cached_study.study = study
            self._cached_studies[study_id] = cached_study
            return cached_study

    def contains(self, cached_study: CachedStudy) -> bool:
        """Whether a study is still in memory."""
        return self._cached_studies.get(cached_study.study_id) is cached_study

    def invalidate(self) -> None:
        """Make everything read again after a change of the store."""
        self._study_list.invalidate()
        with self._lock:
            for cached_study in self._cached_studies.values():
                cached_study.invalidate()


def _identity(study: FrozenStudy) -> tuple[object, ...]:
    """Return what identifies a study: SQLite reuses the ids of deleted ones."""
    return study.study_name, tuple(study.directions), study.system_attrs.get(CREATED_BY)
