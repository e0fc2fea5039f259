"""Optuna's storage for many workers: one pool of connections for each process, and retries."""

import functools
from collections.abc import Callable, Container
from contextlib import closing
from typing import Any, Concatenate, ParamSpec, TypeVar

import sqlalchemy as sa
from optuna.distributions import BaseDistribution, check_distribution_compatibility
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.engine import URL

from storage.database.engine import connect_args, read_only_options, sqlalchemy_url
from storage.database.retry import RetryPolicy, with_retry
from storage.errors import StoreVersionError
from storage.optuna_internals import CACHE_METHODS, LIST_TRIALS_METHOD, FrozenStudy
from storage.optuna_schema.study_reader import load_frozen_studies
from storage.optuna_schema.tables import params, studies, trials
from storage.optuna_schema.trial_reader import load_frozen_trials, read_distribution


class PooledRDBStorage(RDBStorage):
    """Optuna's storage on existing tables, which reads trials by plain SQL and retries all calls.

    `RDBStorage` is initialized at its first use: loading SQLAlchemy's ORM and Alembic takes as
    long as showing a study.
    """

    def __init__(
        self, url: URL, engine_kwargs: dict[str, Any], *, any_version: bool = False
    ) -> None:
        self.retry = RetryPolicy()
        self.engine = sa.create_engine(url, **engine_kwargs)
        self._url = url
        option_names = ("connect_args", "creator")
        self._connect_options = {
            option: engine_kwargs[option] for option in option_names if option in engine_kwargs
        }
        self._any_version = any_version
        self._is_loaded = False
        self._distributions: dict[tuple[int, str], BaseDistribution] = {}

    def load(self) -> None:
        """Initialize `RDBStorage` once; raise `StoreVersionError` on tables of another Optuna."""
        if self._is_loaded:
            return
        engine = self.engine
        try:
            super().__init__(
                escape_braces(self._url),
                {"poolclass": sa.pool.NullPool, **self._connect_options},
                skip_compatibility_check=self._any_version,
                skip_table_creation=True,
            )
        except RuntimeError as error:
            raise StoreVersionError(str(error)) from error
        finally:
            self.engine = engine
        self.scoped_session.remove()
        self.scoped_session.configure(bind=engine)
        self._is_loaded = True

    def remove_session(self) -> None:
        """Close the session of this thread, if there is one."""
        if self._is_loaded:
            super().remove_session()

    def close(self) -> None:
        """Close all connections."""
        self.remove_session()
        self.engine.dispose()

    def read(self) -> sa.Connection:
        """Open a connection for queries, each of them a transaction of its own."""
        return self.engine.execution_options(isolation_level="AUTOCOMMIT").connect()

    def get_all_studies(self) -> list[FrozenStudy]:
        """Return all studies by their ids."""
        with self.read() as connection:
            return load_frozen_studies(connection)

    def get_trial(self, trial_id: int) -> FrozenTrial:
        """Return a trial."""
        with self.read() as connection:
            found = load_frozen_trials(connection, trials.c.trial_id == trial_id)
        if not found:
            raise KeyError(f"There is no trial with the id {trial_id}.")
        return found[0]

    def check_distribution(self, study_id: int, name: str, distribution: BaseDistribution) -> None:
        """Check, as Optuna does, that a parameter of a study keeps its kind of distribution.

        Raises:
            ValueError: If an earlier trial drew it from another kind, or from other choices.
        """
        key = (study_id, name)
        if key not in self._distributions:
            self._distributions[key] = self._first_distribution(study_id, name) or distribution
        check_distribution_compatibility(self._distributions[key], distribution)

    def forget_study(self, study_id: int) -> None:
        """Forget the distributions of a study: SQLite reuses the id of a deleted one."""
        for key in [key for key in self._distributions if key[0] == study_id]:
            del self._distributions[key]

    def _first_distribution(self, study_id: int, name: str) -> BaseDistribution | None:
        with self.read() as connection:
            text = connection.execute(
                sa.select(params.c.distribution_json)
                .join(trials, trials.c.trial_id == params.c.trial_id)
                .where(trials.c.study_id == study_id, params.c.param_name == name)
                .limit(1)
            ).scalar()
        return None if text is None else read_distribution(text)

    def list_trials(
        self,
        study_id: int,
        states: Container[TrialState] | None,
        included_trial_ids: set[int],
        trial_id_greater_than: int,
    ) -> list[FrozenTrial]:
        """Return the listed trials of a study, and those after an id, as `RDBStorage` does."""
        conditions: list[sa.ColumnElement[bool]] = [trials.c.study_id == study_id]
        if states is not None:
            conditions.append(trials.c.state.in_([s for s in TrialState if s in states]))
        if trial_id_greater_than > -1:
            is_new = trials.c.trial_id > trial_id_greater_than
            listed = [it for it in included_trial_ids if it <= trial_id_greater_than]
            conditions.append(sa.or_(is_new, trials.c.trial_id.in_(listed)))
        with self.read() as connection:
            found = load_frozen_trials(connection, *conditions)
            if not found and not _has_study(connection, study_id):
                raise KeyError(f"There is no study with the id {study_id}.")
        return found


P = ParamSpec("P")
R = TypeVar("R")


def _loaded_and_retried(
    method: Callable[Concatenate[PooledRDBStorage, P], R],
) -> Callable[Concatenate[PooledRDBStorage, P], R]:
    """Load `RDBStorage` before a method of it, and retry the method."""

    @functools.wraps(method)
    def call(storage: PooledRDBStorage, /, *args: P.args, **kwargs: P.kwargs) -> R:
        storage.load()
        return method(storage, *args, **kwargs)

    return with_retry(call)


METHOD_PREFIXES = ("create_", "delete_", "get_", "set_", "record_")
for _name in (
    *(name for name in vars(RDBStorage) if name.startswith(METHOD_PREFIXES)),
    *CACHE_METHODS,
    "upgrade",
):
    if hasattr(RDBStorage, _name) and _name not in vars(PooledRDBStorage):
        setattr(PooledRDBStorage, _name, _loaded_and_retried(getattr(RDBStorage, _name)))
for _name in ("get_all_studies", "get_trial", "list_trials", "_first_distribution"):
    setattr(PooledRDBStorage, _name, with_retry(getattr(PooledRDBStorage, _name)))
setattr(PooledRDBStorage, LIST_TRIALS_METHOD, PooledRDBStorage.list_trials)


def _has_study(connection: sa.Connection, study_id: int) -> bool:
    query = sa.select(studies.c.study_id).where(studies.c.study_id == study_id)
    return connection.execute(query).first() is not None


def open_optuna_storage(url: URL, *, is_optuna_only: bool = False) -> PooledRDBStorage:
    """Open Optuna's storage on existing tables; a store of Optuna alone keeps its journal mode."""
    options: dict[str, Any] = {"connect_args": connect_args(url, use_wal=not is_optuna_only)}
    if url.get_backend_name() != "sqlite":
        options |= {"pool_size": 2, "max_overflow": 2, "pool_pre_ping": True}
    return PooledRDBStorage(sqlalchemy_url(url), options)


def open_read_only(url: URL) -> PooledRDBStorage:
    """Open Optuna's storage for reading only, in any version of its tables."""
    url, options = read_only_options(url)
    return PooledRDBStorage(url, options, any_version=True)


def create_optuna_tables(url: URL) -> None:
    """Let Optuna create missing tables; it raises `RuntimeError` on those of another version."""
    options = {"poolclass": sa.pool.NullPool, "connect_args": connect_args(url, use_wal=True)}
    RDBStorage(escape_braces(sqlalchemy_url(url)), options).remove_session()


def upgrade(url: URL) -> None:
    """Migrate the tables of an older Optuna to the installed version."""
    options = {"poolclass": sa.pool.NullPool, "connect_args": connect_args(url)}
    with closing(PooledRDBStorage(sqlalchemy_url(url), options, any_version=True)) as storage:
        storage.upgrade()


def escape_braces(url: URL) -> str:
    """Return a URL as `RDBStorage` takes it: it runs `str.format` on it, so braces are doubled."""
    return url.render_as_string(hide_password=False).replace("{", "{{").replace("}", "}}")
