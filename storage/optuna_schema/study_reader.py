"""Optuna's studies, read by plain SQL: equal to those of Optuna's own storage."""

from collections import defaultdict
from typing import Any

import sqlalchemy as sa
from optuna.study import StudyDirection

from storage.optuna_internals import FrozenStudy, make_frozen_study
from storage.optuna_schema.tables import (
    directions,
    studies,
    study_attributes,
    study_user_attributes,
)
from storage.stored_values import parse_json


def load_frozen_studies(connection: sa.Connection) -> list[FrozenStudy]:
    """Return all studies in the order of their ids, plain Optuna studies too."""
    rows = connection.execute(sa.select(studies).order_by(studies.c.study_id)).all()
    user, system = (_read(connection, it) for it in (study_user_attributes, study_attributes))
    study_directions: dict[int, list[StudyDirection]] = defaultdict(list)
    for row in connection.execute(sa.select(directions).order_by(directions.c.objective)):
        study_directions[row.study_id].append(StudyDirection[row.direction])
    return [
        make_frozen_study(
            study_id=row.study_id,
            name=row.study_name,
            directions=study_directions[row.study_id],
            user_attrs=user[row.study_id],
            system_attrs=system[row.study_id],
        )
        for row in rows
        if row.study_id in study_directions  # Otherwise it is being deleted or created.
    ]


def _read(connection: sa.Connection, table: sa.TableClause) -> dict[int, dict[str, Any]]:
    found: dict[int, dict[str, Any]] = defaultdict(dict)
    for study_id, key, text in connection.execute(sa.select(table)):
        found[study_id][key] = parse_json(text)
    return found
