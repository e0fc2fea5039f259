"""Answers of trained networks on a split, and a record of each use of the test split.

The record outlives the studies in it: images that were looked at are not unseen any more because
a study is deleted.
"""

from collections.abc import Collection
from dataclasses import dataclass

import sqlalchemy as sa

from storage.errors import StudyNotFoundError
from storage.optuna_writes import insert_missing
from storage.patience import patient
from storage.store import Store
from storage.tables import answers, studies, test_uses

MAX_BYTES = 64 * 2**20
"""Of one network's answers: probabilities of all images, and a few heat maps."""


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


@patient
def save_answers(store: Store, study_id: int, trial_number: int, split: str, data: bytes) -> None:
    """Keeps a trial's answers on a split, in the place of those that are there.

    Raises:
        ValueError: If they are too large.
        StudyNotFoundError: If the study was deleted.
    """
    if len(data) > MAX_BYTES:
        raise ValueError(f"Expected at most {MAX_BYTES} bytes of answers. Received: {len(data)}.")
    key = {"study_id": study_id, "trial_number": trial_number, "split": split}
    is_it = sa.and_(*(answers.c[name] == value for name, value in key.items()))
    with store.write() as connection:
        known = sa.select(studies.c.study_id).where(studies.c.study_id == study_id)
        if connection.execute(known.with_for_update()).first() is None:
            raise StudyNotFoundError("The study was deleted from the store.")
        connection.execute(answers.delete().where(is_it))
        connection.execute(answers.insert().values(**key, data=data))


@patient
def load_answers(store: Store, study_id: int, trial_number: int, split: str) -> bytes | None:
    """Gives a trial's answers on a split, if they are kept."""
    with store.read() as connection:
        return connection.execute(
            sa.select(answers.c.data).where(
                answers.c.study_id == study_id,
                answers.c.trial_number == trial_number,
                answers.c.split == split,
            )
        ).scalar()


@patient
def record_test_use(
    store: Store,
    fingerprint: str,
    *,
    study: str,
    trial_number: int,
    creation: str,
    command: str,
) -> None:
    """Records, before it happens, that a network answers on a test split; the first time stays.

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


@patient
def list_test_uses(store: Store, fingerprints: Collection[str]) -> list[TestUseRow]:
    """Gives the uses of the test splits of some prepared images, the first one first."""
    with store.read() as connection:
        rows = connection.execute(
            sa.select(test_uses)
            .where(test_uses.c.fingerprint.in_(list(fingerprints)))
            .order_by(test_uses.c.used_at, test_uses.c.study, test_uses.c.trial_number)
        )
        return [TestUseRow(**row._mapping) for row in rows]
