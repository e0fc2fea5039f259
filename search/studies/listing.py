"""The list of a store's studies, with the size of their files."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from analysis.confirmation_study import CONFIRMATION_SUFFIX
from search.artifacts import Artifacts
from search.artifacts.database import DatabaseArtifacts, sizes_by_folder
from search.errors import ArtifactError, StudyMismatchError
from search.settings.stored import StudySettings
from storage import Store, StudyOverview, list_overviews


@dataclass(frozen=True, slots=True)
class StudyListing:
    """A study in a list; `n_bytes` is the size of its files, None if unknown."""

    overview: StudyOverview
    n_bytes: int | None

    @property
    def best(self) -> float | None:
        """The best value; None for a confirmation, where it would be the luckiest seed."""
        found = self.overview
        is_confirmation = found.is_ours and found.name.endswith(CONFIRMATION_SUFFIX)
        return None if is_confirmation else found.best

    def to_json(self) -> dict[str, Any]:
        """Return the study as `study list --json` shows it."""
        return {**self.overview.to_json(), "best": self.best, "bytes": self.n_bytes}


def list_with_sizes(store: Store) -> list[StudyListing]:
    """Return all studies of a store, by name."""
    in_database = cache(lambda: sizes_by_folder(store))  # By one query for all studies.
    return [StudyListing(it, _size(store, it, in_database)) for it in list_overviews(store)]


def _size(
    store: Store, found: StudyOverview, in_database: Callable[[], Counter[str]]
) -> int | None:
    if not found.is_ours:
        return None
    try:
        settings = StudySettings.read(found.settings)
        artifacts = Artifacts.of_study(settings, store, found.name)
        if isinstance(artifacts.store, DatabaseArtifacts):
            return in_database()[artifacts.name]
        return sum(artifacts.store.sizes(artifacts.name).values())
    except (StudyMismatchError, ArtifactError):
        return None
