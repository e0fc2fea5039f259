"""The list of a store's studies, with the size of their files."""

from dataclasses import dataclass
from typing import Any

from analysis.confirmation_study import CONFIRMATION_SUFFIX
from search.artifacts import Artifacts
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
    return [StudyListing(found, _size(store, found)) for found in list_overviews(store)]


def _size(store: Store, found: StudyOverview) -> int | None:
    if not found.is_ours:
        return None
    try:
        settings = StudySettings.load(store, found.name)
        artifacts = Artifacts.of_study(settings, store, found.name)
        return sum(artifacts.store.sizes(artifacts.name).values())
    except (StudyMismatchError, ArtifactError):
        return None
