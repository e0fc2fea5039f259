"""The page of a study: its JSON, notes and pictures, cached for all requests."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from analysis.dashboard.artifacts import PNG, SAMPLES, Drawing, study_artifacts
from analysis.dashboard.background_loader import BackgroundLoader
from analysis.dashboard.lru_dict import LruDict
from analysis.dashboard.notes import multi_objective_note, study_facts, study_note
from analysis.dashboard.notes.settings import Settings
from analysis.dashboard.optuna_dashboard_internals import USER_ATTRIBUTE_PREFIX
from analysis.dashboard.plots import draw_plots
from analysis.dashboard.responses import Response
from analysis.dashboard.study_cache import CachedStudy, StudySnapshot
from analysis.dashboard.study_json import StudyJsonWriter
from analysis.report.facts import DataFacts
from storage import Store

DatasetFactsLoader = Callable[[Store, str], DataFacts | None]
"""Loads facts about a study's images by its name; may take seconds, or return None."""
MAX_WAIT_S, MAX_TRIALS_WITH_WAIT = 0.5, 200
"""How long pages wait for plots and facts; those of more trials show them on a later request."""
PLOTS_PAUSE_S = 10.0
MAX_CACHED_PAGES, MAX_CACHED_PICTURES = 8, 64


@dataclass(slots=True)
class StudyPage:
    """A study that is shown to any number of users."""

    cached_study: CachedStudy
    load_dataset_facts: DatasetFactsLoader
    allows_edit: bool
    _data: BackgroundLoader[DataFacts | None] = field(init=False)
    _plots: BackgroundLoader[dict[str, str]] = field(init=False)
    _writer: StudyJsonWriter = field(init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _pages: LruDict[int, tuple[object, Response]] = field(
        default_factory=lambda: LruDict(MAX_CACHED_PAGES)
    )
    _drawing_lock: threading.Lock = field(default_factory=threading.Lock)
    _pictures: LruDict[object, Response] = field(
        default_factory=lambda: LruDict(MAX_CACHED_PICTURES)
    )

    def __post_init__(self) -> None:
        store, name = self.cached_study.store, self.cached_study.study.study_name
        status = self.cached_study.snapshot().status
        max_epochs = None if status is None else Settings.read(status.record).max_epochs
        self._writer = StudyJsonWriter(max_epochs, self.allows_edit)
        self._data = BackgroundLoader(None, lambda: self.load_dataset_facts(store, name))
        self._plots = BackgroundLoader(
            {},
            lambda: draw_plots(store, self.cached_study.snapshot(), self._writer.max_epochs),
            pause_s=PLOTS_PAUSE_S,
        )

    def page(self, after: int) -> Response:
        """Return the study's page without its first `after` trials."""
        snapshot = self.cached_study.snapshot()
        after = min(after, len(snapshot.trials))
        data = self._dataset_facts(snapshot)
        plots = self._plots.get(snapshot.version, _wait_s(snapshot))
        note = self._note(snapshot, data)
        facts = (
            study_facts(snapshot.status, data)
            if snapshot.is_convsearch and snapshot.status
            else {}
        )
        state = (
            snapshot.version,
            snapshot.active_trials,
            note,
            facts,
            plots,
            snapshot.study.user_attrs,
            _user_notes(snapshot),
        )
        with self._lock:
            cached = self._pages.get(after)
            if cached is None or cached[0] != state:
                artifacts = study_artifacts(data)
                body = self._writer.write(
                    snapshot, after=after, note=note, facts=facts, plots=plots, artifacts=artifacts
                )
                cached = state, Response(body)
            self._pages[after] = cached
            return cached[1]

    def note(self, trial_id: int | None) -> str:
        """Return the generated note of a trial, or of the study."""
        snapshot = self.cached_study.snapshot()
        if trial_id is None:
            return self._note(snapshot, self._dataset_facts(snapshot))
        trial = next((it for it in snapshot.trials if it.row.trial_id == trial_id), None)
        return "" if trial is None else self._writer.note(snapshot, trial)

    def draw(self, trial_id: int | None, artifact_id: str) -> Response | None:
        """Return a picture as PNG, drawn once for each state of its trial; None if there is none.

        It shows the current state, whichever version was requested.
        """
        snapshot = self.cached_study.snapshot()
        data = self._dataset_facts(snapshot)
        kind = artifact_id.partition("-")[0]  # The version is for the browser's cache.
        key = trial_id, kind, data is None, snapshot.n_epochs(trial_id)
        with self._drawing_lock:
            picture = self._pictures.get(key)
            if picture is None:
                drawn = Drawing(self.cached_study.store, snapshot, data).draw(trial_id, kind)
                if drawn is None:
                    return None
                picture = Response(drawn, PNG)
            self._pictures[key] = picture
            return picture

    def _dataset_facts(self, snapshot: StudySnapshot) -> DataFacts | None:
        if not snapshot.is_convsearch:
            return None
        return self._data.get("once", _wait_s(snapshot))

    def _note(self, snapshot: StudySnapshot, data: DataFacts | None) -> str:
        if snapshot.status is None:
            directions = [it.name.lower() for it in snapshot.study.directions]
            name = snapshot.study.study_name
            return multi_objective_note(name, directions, len(snapshot.trials), len(snapshot.best))
        has_samples = bool(study_artifacts(data))
        url = f"/artifacts/{self.cached_study.study_id}/{SAMPLES}" if has_samples else None
        confirmation_id = snapshot.confirmation
        return study_note(
            snapshot.status,
            data=data,
            samples_url=url,
            confirmation_url=None
            if confirmation_id is None
            else f"/dashboard/studies/{confirmation_id}/note",
            is_confirmed=False if confirmation_id is None else None,
        )


def _wait_s(snapshot: StudySnapshot) -> float:
    return MAX_WAIT_S if len(snapshot.trials) <= MAX_TRIALS_WITH_WAIT else 0.0


def _user_notes(snapshot: StudySnapshot) -> list[tuple[str, object]]:
    """Return the attributes that hold users' notes."""
    attributes = snapshot.study.system_attrs.items()
    return [(key, value) for key, value in attributes if key.startswith(USER_ATTRIBUTE_PREFIX)]
