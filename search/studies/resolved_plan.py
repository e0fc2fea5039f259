"""A plan with its name, store, budget and artifacts resolved."""

import secrets
from dataclasses import dataclass
from pathlib import Path

from search import defaults
from search.artifacts import read_artifacts_url
from search.artifacts.names import folder_name
from search.artifacts.stores import DATABASE
from search.settings.plan import StudyPlan
from search.settings.store_url import store_url
from storage import Store


@dataclass(frozen=True, slots=True)
class ResolvedPlan:
    """The input of `submit`.

    A budget of None, in trials or in seconds with a worker at work, is unlimited.
    `artifacts_folder` is the study's folder in `artifacts`.
    """

    tables: StudyPlan
    name: str
    store_url: str
    n_trials: int | None
    timeout_s: float | None
    artifacts: str
    artifacts_folder: str


def resolve_plan(tables: StudyPlan) -> ResolvedPlan:
    """Fill in what a plan does not set, from its source and the environment.

    Raises:
        SettingsError: If the artifacts URL cannot be used.
        StoreError: If the store's URL cannot be used.
    """
    name = tables.study.name or Path(tables.data.source).absolute().stem
    url = store_url(tables.store.url)
    n_trials, timeout_s = tables.budget.trials, tables.budget.timeout
    if n_trials is None and timeout_s is None:
        n_trials = defaults.N_TRIALS
    artifacts, folder = _default_artifacts_url(url), folder_name(name)
    if tables.store.artifacts is not None:
        artifacts = read_artifacts_url(tables.store.artifacts)
        if artifacts != DATABASE:  # Other stores may use the place, too.
            folder = f"{folder}-{secrets.token_hex(4)}"
    return ResolvedPlan(tables, name, url, n_trials, timeout_s, artifacts, folder)


def _default_artifacts_url(url: str) -> str:
    """Return the place beside a SQLite file, or in a server's database."""
    file = Store.file_of(url)
    return str(file.parent.resolve() / "convsearch_artifacts") if file else DATABASE
