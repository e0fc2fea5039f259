"""Answers of trained networks on a split, and a record of each use of the test split.

The record outlives the studies in it: images that were looked at are not unseen any more because
a study is deleted.
"""

import sqlalchemy as sa

from storage.database.retry import with_retry
from storage.database.store import Store
from storage.errors import StudyNotFoundError
from storage.tables import predictions, studies

MAX_BYTES = 64 * 2**20
"""Of one network's answers: probabilities of all images, and a few heat maps."""


@with_retry
def save_predictions(
    store: Store, study_id: int, trial_number: int, split: str, data: bytes
) -> None:
    """Keep a trial's answers on a split, in the place of those that are there.

    Raises:
        ValueError: If they are too large.
        StudyNotFoundError: If the study was deleted.
    """
    if len(data) > MAX_BYTES:
        raise ValueError(f"Expected at most {MAX_BYTES} bytes of answers. Received: {len(data)}.")
    key = {"study_id": study_id, "trial_number": trial_number, "split": split}
    is_it = sa.and_(*(predictions.c[name] == value for name, value in key.items()))
    with store.write() as connection:
        known = sa.select(studies.c.study_id).where(studies.c.study_id == study_id)
        if connection.execute(known.with_for_update()).first() is None:
            raise StudyNotFoundError("The study was deleted from the store.")
        connection.execute(predictions.delete().where(is_it))
        connection.execute(predictions.insert().values(**key, data=data))


@with_retry
def load_predictions(store: Store, study_id: int, trial_number: int, split: str) -> bytes | None:
    """Return a trial's answers on a split, if they are kept."""
    with store.read() as connection:
        return connection.execute(
            sa.select(predictions.c.data).where(
                predictions.c.study_id == study_id,
                predictions.c.trial_number == trial_number,
                predictions.c.split == split,
            )
        ).scalar()
