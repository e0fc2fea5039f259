# ruff: noqa: E402
"""Everything undocumented of optuna-dashboard that is used here, checked by a contract test.

- `_serializer.serialize_*`: the JSON that its page reads; there is no public way to make it, and
  its own answer serializes all trials again for each request.
- `_note.get_note_from_system_attrs`, `_note.note_ver_key`: the notes that users wrote, and their
  versions, which are kept in several attributes of a study.
- `_pareto_front.get_pareto_front_trials`: the best trials of several objectives, as its page
  marks them.
- `_importance.param_importance_cache` and `_inmemory_cache` of its Bottle application: caches by
  study id, which would outlive a deleted study or hide a trial that has just ended.
- `USER_ATTRIBUTE_PREFIX`, `PREFERENTIAL_ATTRIBUTE`: names of attributes of a study.
- By convention: the routes in `app` and `guard.permissions`, the elements of its page that
  `page.css` and `read_only.css` select, and `</head>` in its main page. The page shows any word as
  the state of a trial, and draws no importance from an empty list.

Of Bottle itself only documented names are used; of waitress see `search.dashboard.server`.
"""

from importlib.metadata import version
from typing import Any

from analysis.errors import DashboardVersionError

TESTED_VERSION = "0.21"

if not version("optuna-dashboard").startswith(f"{TESTED_VERSION}."):
    raise DashboardVersionError(
        f"Expected optuna-dashboard {TESTED_VERSION}, the version that convsearch was tested "
        f"with. Received: {version('optuna-dashboard')}. Install it with "
        f'`pip install "optuna-dashboard=={TESTED_VERSION}.*"`.'
    )

from optuna_dashboard._importance import param_importance_cache
from optuna_dashboard._note import get_note_from_system_attrs, note_ver_key
from optuna_dashboard._pareto_front import get_pareto_front_trials
from optuna_dashboard._serializer import (
    serialize_attrs,
    serialize_distribution,
    serialize_frozen_trial,
    serialize_study_detail,
)

__all__ = [
    "PREFERENTIAL_ATTRIBUTE",
    "USER_ATTRIBUTE_PREFIX",
    "clear_caches",
    "get_note_from_system_attrs",
    "get_pareto_front_trials",
    "note_ver_key",
    "serialize_attrs",
    "serialize_distribution",
    "serialize_frozen_trial",
    "serialize_study_detail",
]

USER_ATTRIBUTE_PREFIX = "dashboard:"
"""Prefix of a study's attributes that hold what users wrote in the dashboard."""
PREFERENTIAL_ATTRIBUTE = "preference:is_preferential"


def clear_caches(app: Any) -> None:
    """Make an application of optuna-dashboard read trials and compute importances again."""
    param_importance_cache.clear()
    app._inmemory_cache.clear()
