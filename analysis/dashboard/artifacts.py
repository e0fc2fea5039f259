"""Artifacts of trials and studies: pictures that are drawn when somebody looks at them."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from analysis.dashboard.study_cache import StudySnapshot
from analysis.report.facts import DataFacts
from spaces import Config, SpaceError, draw_network
from spaces.families import find_family
from storage import Store, WatchedTrial, load_curve

CURVE, CONFUSION, ARCHITECTURE, SAMPLES = "1", "2", "3", "4"
"""The first part of an artifact's id, which may have digits and dashes; its version follows."""
NAMES = {
    CURVE: "learning_curve.png",
    CONFUSION: "confusion_on_validation.png",
    ARCHITECTURE: "architecture.png",
    SAMPLES: "sample_images.png",
}
PNG = "image/png"


def list_artifacts(trial: WatchedTrial) -> list[dict[str, Any]]:
    """Return the pictures of a trial, as the dashboard describes artifacts."""
    return [_describe(artifact_id) for artifact_id in _ids(trial)]


def study_artifacts(data: DataFacts | None) -> list[dict[str, Any]]:
    """Return the pictures of a study."""
    return [_describe(SAMPLES)] if data is not None and data.samples else []


def _ids(trial: WatchedTrial) -> Iterator[str]:
    """Name what there is to draw; a page asks anew for what has another version."""
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
    """Draws the pictures of a study whose data is known, or not."""

    store: Store
    snapshot: StudySnapshot
    data: DataFacts | None

    def draw(self, trial_id: int | None, kind: str) -> bytes | None:
        """Draw a picture as PNG.

        Args:
            trial_id: Of the trial, None for a picture of the study.
            kind: The first part of an id that `list_artifacts` or `study_artifacts` give.

        Returns:
            The file; None where there is no such picture.
        """
        if trial_id is None:
            return self._draw_samples() if kind == SAMPLES else None
        trial = next((it for it in self.snapshot.trials if it.row.trial_id == trial_id), None)
        draw = _OF_TRIALS.get(kind)
        return None if trial is None or draw is None else draw(self, trial)

    def _draw_samples(self) -> bytes | None:
        from analysis.dashboard.pictures import draw_samples

        if self.data is None or not self.data.samples:
            return None
        return draw_samples(self.data.samples, title=f"Training images of {self._name}")

    def _draw_curve(self, trial: WatchedTrial) -> bytes | None:
        from analysis.dashboard.pictures import draw_curve

        if not trial.row.curve.n_epochs:
            return None
        return draw_curve(load_curve(self.store, trial.row.trial_id), title=_title(trial))

    def _draw_confusion(self, trial: WatchedTrial) -> bytes | None:
        from analysis.dashboard.pictures import draw_confusion

        matrix = _matrix(trial)
        if matrix is None:
            return None
        known = () if self.data is None else self.data.classes
        classes = known if len(known) == len(matrix) else [str(n) for n in range(len(matrix))]
        return draw_confusion(matrix, classes, title=f"{_title(trial)}: validation")

    def _draw_architecture(self, trial: WatchedTrial) -> bytes | None:
        from analysis.dashboard.pictures import draw_architecture

        record = trial.row.attributes.get("config")
        if self.data is None or not isinstance(record, dict):
            return None
        try:
            config = Config.from_json(record)
            shape = self.data.image_shapes[find_family(config.family).image_set]
            layers = draw_network(config, shape, len(self.data.classes))
        except (SpaceError, KeyError):  # Of a family that is not here, for one.
            return None
        return draw_architecture(layers, title=_title(trial))

    @property
    def _name(self) -> str:
        return self.snapshot.study.study_name


_OF_TRIALS: Mapping[str, Callable[[Drawing, WatchedTrial], bytes | None]] = {
    CURVE: Drawing._draw_curve,
    CONFUSION: Drawing._draw_confusion,
    ARCHITECTURE: Drawing._draw_architecture,
}


def _title(trial: WatchedTrial) -> str:
    return f"Trial {trial.row.number}"
