"""Artifacts of trials and studies: pictures that are drawn on request."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from optuna.artifacts.exceptions import ArtifactNotFound

from analysis.dashboard.pictures import draw_architecture, draw_confusion, draw_curve, draw_samples
from analysis.dashboard.study_cache import StudySnapshot
from analysis.report.facts import DataFacts
from spaces import Config, SpaceError, draw_network
from spaces.families import find_family
from storage import Store, WatchedTrial, load_curve

CURVE, CONFUSION, ARCHITECTURE, SAMPLES = "1", "2", "3", "4"
"""The first part of an artifact's id; its version follows after a dash."""
NAMES = {
    CURVE: "learning_curve.png",
    CONFUSION: "confusion_on_validation.png",
    ARCHITECTURE: "architecture.png",
    SAMPLES: "sample_images.png",
}
PNG = "image/png"


class EmptyArtifactStore:
    """The artifact store given to optuna-dashboard: always empty, since pictures are drawn."""

    def open_reader(self, artifact_id: str) -> Any:
        """Refuse: the store is empty."""
        raise ArtifactNotFound(artifact_id)

    def write(self, artifact_id: str, content_body: Any) -> None:
        """Refuse: files cannot be added."""
        raise PermissionError(f"Artifacts are drawn here: {artifact_id} cannot be added.")

    def remove(self, artifact_id: str) -> None:
        """Refuse: the store is empty."""
        raise ArtifactNotFound(artifact_id)


def list_artifacts(trial: WatchedTrial) -> list[dict[str, Any]]:
    """Return the pictures of a trial, as the dashboard describes artifacts."""
    return [_describe(artifact_id) for artifact_id in _ids(trial)]


def study_artifacts(data: DataFacts | None) -> list[dict[str, Any]]:
    """Return the pictures of a study."""
    return [_describe(SAMPLES)] if data is not None and data.samples else []


def _ids(trial: WatchedTrial) -> Iterator[str]:
    """Return the ids of the pictures; a new version makes the page request one again."""
    attributes = trial.row.attributes
    if trial.row.curve.n_epochs:
        yield f"{CURVE}-{trial.row.curve.n_epochs}"
    if _matrix(trial) is not None:
        yield f"{CONFUSION}-{trial.row.curve.best_epoch or 0}"
    if isinstance(attributes.get("config"), dict):
        yield ARCHITECTURE


def _matrix(trial: WatchedTrial) -> list[list[int]] | None:
    """Return a trial's confusion matrix, or None if it has no valid one."""
    found = trial.row.attributes.get("confusion")
    if not isinstance(found, list) or not found or not trial.row.curve.n_epochs:
        return None
    is_square = all(isinstance(row, list) and len(row) == len(found) for row in found)
    return found if is_square and all(type(n) is int for row in found for n in row) else None


def _describe(artifact_id: str) -> dict[str, Any]:
    name = NAMES[artifact_id.partition("-")[0]]
    return {"artifact_id": artifact_id, "filename": name, "mimetype": PNG, "encoding": None}


@dataclass(frozen=True, slots=True)
class Drawing:
    """Draws the pictures of a study, some of which need facts about its data."""

    store: Store
    snapshot: StudySnapshot
    data: DataFacts | None

    def draw(self, trial_id: int | None, kind: str) -> bytes | None:
        """Return a picture of a trial, or of the study if `trial_id` is None, as PNG, or None."""
        if trial_id is None:
            return self._draw_samples() if kind == SAMPLES else None
        trial = next((it for it in self.snapshot.trials if it.row.trial_id == trial_id), None)
        draw = _OF_TRIALS.get(kind)
        return None if trial is None or draw is None else draw(self, trial)

    def _draw_samples(self) -> bytes | None:
        if self.data is None or not self.data.samples:
            return None
        return draw_samples(
            self.data.samples, title=f"Training images of {self.snapshot.study.study_name}"
        )

    def _draw_curve(self, trial: WatchedTrial) -> bytes | None:
        if not trial.row.curve.n_epochs:
            return None
        return draw_curve(load_curve(self.store, trial.row.trial_id), title=_title(trial))

    def _draw_confusion(self, trial: WatchedTrial) -> bytes | None:
        matrix = _matrix(trial)
        if matrix is None:
            return None
        known = () if self.data is None else self.data.classes
        classes = known if len(known) == len(matrix) else [str(n) for n in range(len(matrix))]
        return draw_confusion(matrix, classes, title=f"{_title(trial)}: validation")

    def _draw_architecture(self, trial: WatchedTrial) -> bytes | None:
        record = trial.row.attributes.get("config")
        if self.data is None or not isinstance(record, dict):
            return None
        try:
            config = Config.from_json(record)
            shape = self.data.image_shapes[find_family(config.family).image_set]
            layers = draw_network(config, shape, len(self.data.classes))
        except (SpaceError, KeyError):  # For example, of an unknown family.
            return None
        return draw_architecture(layers, title=_title(trial))


_OF_TRIALS: Mapping[str, Callable[[Drawing, WatchedTrial], bytes | None]] = {
    CURVE: Drawing._draw_curve,
    CONFUSION: Drawing._draw_confusion,
    ARCHITECTURE: Drawing._draw_architecture,
}


def _title(trial: WatchedTrial) -> str:
    return f"Trial {trial.row.number}"
