"""Uses of a test split, recorded before they happen by the fingerprint of its images.

The records outlive the studies: images that were used stay used when a study is deleted.
"""

from collections.abc import Collection
from dataclasses import dataclass

import sqlalchemy as sa

from storage.database.retry import with_retry
from storage.database.store import Store
from storage.optuna_schema.writes import insert_missing
from storage.tables import test_uses


@dataclass(frozen=True, slots=True)
class TestUseRow:
    """A use of a test split: by which command, when (seconds since 1970), and for which network.

    `fingerprint` identifies the prepared images, `creation` the study among others of its name.
    """

    fingerprint: str
    study: str
    trial_number: int
    creation: str
    command: str
    used_at: float

    __test__ = False  # pytest would collect the class for its name.


@with_retry
def record_test_use(
    store: Store, fingerprint: str, *, study: str, trial_number: int, creation: str, command: str
) -> None:
    """Record that a network is about to be evaluated on a test split; the first record stays."""
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
    """Return the uses of the test splits of some prepared images, the earliest first."""
    with store.read() as connection:
        rows = connection.execute(
            sa.select(test_uses)
            .where(test_uses.c.fingerprint.in_(list(fingerprints)))
            .order_by(test_uses.c.used_at, test_uses.c.study, test_uses.c.trial_number)
        )
        return [TestUseRow(**row._mapping) for row in rows]
