"""Predictions of trained networks, one file for each trial and split."""

import sqlalchemy as sa

from storage.database.retry import with_retry
from storage.database.store import Store
from storage.studies.records import lock_study
from storage.tables import predictions

MAX_BYTES = 64 * 2**20
"""Enough for the probabilities of all images and a few heat maps."""


@with_retry
def save_predictions(
    store: Store, study_id: int, trial_number: int, split: str, data: bytes
) -> None:
    """Save a trial's predictions on a split, replacing earlier ones.

    Raises:
        ValueError: If they are too large.
        StudyNotFoundError: If the study was deleted.
    """
    if len(data) > MAX_BYTES:
        raise ValueError(
            f"Expected at most {MAX_BYTES} bytes of predictions. Received: {len(data)}."
        )
    with store.write() as connection:
        lock_study(connection, study_id)
        connection.execute(predictions.delete().where(_is_key(study_id, trial_number, split)))
        connection.execute(
            predictions.insert().values(
                study_id=study_id, trial_number=trial_number, split=split, data=data
            )
        )


@with_retry
def load_predictions(store: Store, study_id: int, trial_number: int, split: str) -> bytes | None:
    """Load a trial's predictions on a split; None if there are none."""
    query = sa.select(predictions.c.data).where(_is_key(study_id, trial_number, split))
    with store.read() as connection:
        return connection.execute(query).scalar()


def _is_key(study_id: int, trial_number: int, split: str) -> sa.ColumnElement[bool]:
    return sa.and_(
        predictions.c.study_id == study_id,
        predictions.c.trial_number == trial_number,
        predictions.c.split == split,
    )
