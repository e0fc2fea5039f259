"""Uses of a test split: each is recorded before it happens, by the fingerprint of its images."""

from collections.abc import Collection
from dataclasses import dataclass

import sqlalchemy as sa

from storage.database.retry import with_retry
from storage.database.store import Store
from storage.optuna_schema.writes import insert_missing
from storage.tables import test_uses


@dataclass(frozen=True, slots=True)
class TestUseRow:
    """A use of a test split: by what command, when (seconds since 1970), and for which network.

    `fingerprint` is of the prepared images, `creation` of the study whose trial it is.
    """

    fingerprint: str
    study: str
    trial_number: int
    creation: str
    command: str
    used_at: float

    __test__ = False  # Not a test, whatever pytest makes of the name.


@with_retry
def record_test_use(
    store: Store,
    fingerprint: str,
    *,
    study: str,
    trial_number: int,
    creation: str,
    command: str,
) -> None:
    """Record, before it happens, that a network answers on a test split; the first time stays.

    Args:
        store: The store.
        fingerprint: Of the prepared images.
        study: Whose trial the network is.
        trial_number: The trial's number.
        creation: What tells the study from others of that name.
        command: What asks for it.
    """
    with store.write() as connection:
        row = {
            "fingerprint": fingerprint,
            "study": study,
            "trial_number": trial_number,
            "creation": creation,
            "command": command,
            "used_at": store.now(connection),
        }
        insert_missing(connection, test_uses, row)


@with_retry
def list_test_uses(store: Store, fingerprints: Collection[str]) -> list[TestUseRow]:
    """Return the uses of the test splits of some prepared images, the first one first."""
    with store.read() as connection:
        rows = connection.execute(
            sa.select(test_uses)
            .where(test_uses.c.fingerprint.in_(list(fingerprints)))
            .order_by(test_uses.c.used_at, test_uses.c.study, test_uses.c.trial_number)
        )
        return [TestUseRow(**row._mapping) for row in rows]
