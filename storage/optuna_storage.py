"""Optuna's storage as a fleet needs it: one pool of connections a process, for either store."""

import os
from collections.abc import Container
from pathlib import Path
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa
from optuna.distributions import BaseDistribution, check_distribution_compatibility
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.engine import URL

from storage.engine import connect_args, real_url
from storage.errors import StoreVersionError
from storage.frozen_trials import load_frozen_trials, read_distribution
from storage.optuna_tables import params, studies, trials
from storage.patience import Patience, patient


class FleetStorage(RDBStorage):
    """Optuna's own storage, on its own tables; its trials are read by plain SQL.

    It waits for a store that is away. Where the tables are there, it loads what `RDBStorage` needs
    when something of that is used: SQLAlchemy's ORM and Alembic take as long to load as a study
    takes to be shown.
    """

    def __init__(
        self,
        url: URL,
        engine_kwargs: dict[str, Any],
        *,
        are_there: bool = False,
        any_version: bool = False,
    ) -> None:
        self._any_version = any_version
        self.patience = Patience()
        self._distributions: dict[tuple[int, str], BaseDistribution] = {}
        self._engine_kwargs = engine_kwargs
        # RDBStorage runs str.format on the URL, so its braces are doubled.
        text = real_url(url).render_as_string(hide_password=False)
        self._template = text.replace("{", "{{").replace("}", "}}")
        if are_there:
            self.engine = sa.create_engine(real_url(url), **engine_kwargs)
        else:
            super().__init__(self._template, engine_kwargs)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or "scoped_session" in self.__dict__:
            raise AttributeError(name)
        self._load()
        return getattr(self, name)

    def _load(self) -> None:
        """Makes what `RDBStorage` has beside an engine.

        Raises:
            StoreVersionError: If another Optuna wrote the store.
        """
        engine = self.engine
        options = {
            "poolclass": sa.pool.NullPool,
            "connect_args": self._engine_kwargs["connect_args"],
        }
        try:
            super().__init__(
                self._template,
                options,
                skip_compatibility_check=self._any_version,
                skip_table_creation=True,
            )
        except RuntimeError as error:
            raise StoreVersionError(str(error)) from error
        self.engine = engine
        self.scoped_session.remove()
        self.scoped_session.configure(bind=engine)

    def remove_session(self) -> None:
        """Closes the session of this thread, where there is one."""
        if "scoped_session" in self.__dict__:
            super().remove_session()

    def read(self) -> sa.Connection:
        """Opens a connection for queries, each of them a transaction of its own."""
        return self.engine.execution_options(isolation_level="AUTOCOMMIT").connect()

    def get_trial(self, trial_id: int) -> FrozenTrial:
        """Gives a trial.

        Raises:
            KeyError: If there is none of that id.
        """
        with self.read() as connection:
            found = load_frozen_trials(connection, trials.c.trial_id == trial_id)
        if not found:
            raise KeyError(f"There is no trial with the id {trial_id}.")
        return found[0]

    def check_distribution(self, study_id: int, name: str, distribution: BaseDistribution) -> None:
        """Makes sure, as Optuna does, that a study's parameter stays of one kind.

        Raises:
            ValueError: If an earlier trial drew it from a distribution of another kind, or of
                other choices.
        """
        key = (study_id, name)
        if key not in self._distributions:
            self._distributions[key] = self._first_distribution(study_id, name) or distribution
        check_distribution_compatibility(self._distributions[key], distribution)

    def forget_study(self, study_id: int) -> None:
        """Forgets what is known of a study: SQLite gives the id of a deleted one to another."""
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

    def _get_trials(
        self,
        study_id: int,
        states: Container[TrialState] | None,
        included_trial_ids: set[int],
        trial_id_greater_than: int,
    ) -> list[FrozenTrial]:
        """Gives a study's trials as `RDBStorage` does: those listed, and those after an id."""
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


VERBS = ("create_", "delete_", "get_", "set_")
OF_THE_CACHE = ("_create_new_trial", "_get_trials", "_set_trial_param", "_get_best_trial_id")
"""What Optuna's cache calls, beside its public methods."""
for _name in (
    *(name for name in vars(RDBStorage) if name.startswith(VERBS)),
    *OF_THE_CACHE,
    "_first_distribution",
):
    setattr(FleetStorage, _name, patient(getattr(FleetStorage, _name)))


def _has_study(connection: sa.Connection, study_id: int) -> bool:
    query = sa.select(studies.c.study_id).where(studies.c.study_id == study_id)
    return connection.execute(query).first() is not None


def open_optuna_storage(
    url: URL, *, are_there: bool = False, is_plain: bool = False
) -> FleetStorage:
    """Opens Optuna's storage at a URL, and makes its tables unless they `are_there`.

    A store of Optuna alone, `is_plain`, keeps SQLite's way of journaling that it has.
    """
    options: dict[str, Any] = {"connect_args": connect_args(url)}
    if url.get_backend_name() != "sqlite":
        options |= {"pool_size": 2, "max_overflow": 2, "pool_pre_ping": True}
    storage = FleetStorage(url, options, are_there=are_there)
    if url.get_backend_name() == "sqlite" and not is_plain:
        sa.event.listen(storage.engine, "connect", _set_sqlite_pragmas)
        storage.remove_session()
        storage.engine.dispose()
    return storage


def open_for_reading(url: URL, *, any_version: bool = False) -> FleetStorage:
    """Opens Optuna's storage as it stands: whatever is asked of it, nothing can be written."""
    url, options = reading_options(url)
    return FleetStorage(url, options, are_there=True, any_version=any_version)


def upgrade(url: URL) -> None:
    """Brings Optuna's tables of an older Optuna up to this one's."""
    options = {"connect_args": connect_args(url)}
    storage = FleetStorage(url, options, are_there=True, any_version=True)
    storage.upgrade()
    storage.remove_session()
    storage.engine.dispose()


def reading_options(url: URL) -> tuple[URL, dict[str, Any]]:
    """Gives the URL and the options of an engine that cannot write."""
    arguments = connect_args(url)
    if url.get_backend_name() == "sqlite":
        path = Path(str(url.database)).absolute()
        query = {"mode": "ro", "uri": "true"}
        if not os.access(path.parent, os.W_OK):
            query["immutable"] = "1"  # There is no room for the file that readers share.
        url = url.set(database=f"file:{quote(str(path))}", query=query)
    else:
        arguments["options"] += " -c default_transaction_read_only=on"
    return real_url(url), {"poolclass": sa.pool.NullPool, "connect_args": arguments}


def _set_sqlite_pragmas(connection: Any, _record: object) -> None:
    """Readers and a writer at once, and a sync a checkpoint rather than a transaction."""
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.close()
