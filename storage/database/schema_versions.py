"""The tables of a database: Optuna's and ours, and their versions."""

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from storage import tables
from storage.errors import StoreError, StoreVersionError
from storage.optuna_schema import tables as optuna_tables
from storage.stored_values import damaged_value


@dataclass(frozen=True, slots=True)
class DatabaseSchema:
    """All tables of a database, and the versions of ours and of Optuna's, None without them."""

    names: frozenset[str] = frozenset()
    ours: int | None = None
    optuna: str | None = None

    @property
    def has_studies(self) -> bool:
        """Whether Optuna's tables are there."""
        return "studies" in self.names

    def check(self, shown_url: str) -> None:
        """Refuse a database of another program, or of a newer convsearch, before it is changed.

        Raises:
            StoreError: If it holds other tables, and none of Optuna's.
            StoreVersionError: If a newer convsearch wrote it.
        """
        others = self.names - optuna_tables.TABLE_NAMES - tables.metadata.tables.keys()
        if others and "version_info" not in self.names:
            raise StoreError(f"{shown_url} holds something else. Name another store with --store.")
        if self.ours is not None and self.ours < 1:
            raise damaged_value(self.ours, f"in {tables.versions.name}")
        if self.ours is not None and self.ours > tables.SCHEMA_VERSION:
            raise StoreVersionError(
                f"{shown_url} was written by a newer convsearch (schema {self.ours}, this one "
                f"supports {tables.SCHEMA_VERSION}). Install the newer one, or name another store "
                "with --store."
            )

    @property
    def is_optuna_only(self) -> bool:
        """Whether it is a store of Optuna alone."""
        return self.has_studies and self.ours is None

    @property
    def is_current(self) -> bool:
        """Whether all tables are there, in the versions of this convsearch and this Optuna."""
        return (
            self.ours == tables.SCHEMA_VERSION
            and self.optuna == optuna_tables.REVISION
            and self.names.issuperset(tables.metadata.tables)
        )


def read_schema(engine: Engine) -> DatabaseSchema:
    """Read which tables a database has."""
    ours = optuna = None
    with engine.connect() as connection:
        names = frozenset(sa.inspect(connection).get_table_names())
        if tables.versions.name in names:
            ours = connection.execute(sa.select(tables.versions.c.schema_version)).scalar()
        if optuna_tables.versions.name in names:
            optuna = connection.execute(sa.select(optuna_tables.versions)).scalar()
    return DatabaseSchema(names, ours, optuna)
