"""A study as the dashboard shows it: what all pages of it share."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from analysis.dashboard.artifacts import PNG, SAMPLES, Drawing, study_artifacts
from analysis.dashboard.background_loader import Background
from analysis.dashboard.notes import note_of_several, study_facts, study_note
from analysis.dashboard.notes.settings import Settings
from analysis.dashboard.plots import draw_plots
from analysis.dashboard.responses import Page
from analysis.dashboard.study_cache import Followed, Look
from analysis.dashboard.study_json import Detail
from analysis.report.facts import DataFacts
from storage import Store

AboutData = Callable[[Store, str], DataFacts | None]
"""Tells of a study's images by its name, where they can be had; may take seconds."""
WAIT_S = 0.5
SMALL = 200
"""How long the page of a study of so many trials waits for plots and images; those of larger ones
come with its next page."""
PLOTS_PAUSE_S = 10.0
MOST_PAGES, MOST_PICTURES = 8, 64


@dataclass(slots=True)
class Shown:
    """A study that is shown to any number of people."""

    followed: Followed
    about_data: AboutData
    allows_edit: bool
    _data: Background[DataFacts | None] = field(init=False)
    _plots: Background[dict[str, str]] = field(init=False)
    _detail: Detail = field(init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _pages: OrderedDict[int, tuple[object, Page]] = field(default_factory=OrderedDict)
    _drawing: threading.Lock = field(default_factory=threading.Lock)
    _pictures: OrderedDict[object, Page] = field(default_factory=OrderedDict)

    def __post_init__(self) -> None:
        store, name = self.followed.store, self.followed.study.study_name
        status = self.followed.look().status
        max_epochs = None if status is None else Settings.read(status.record).max_epochs
        self._detail = Detail(max_epochs, self.allows_edit)
        self._data = Background(None, lambda: self.about_data(store, name))
        self._plots = Background(
            {},
            lambda: draw_plots(store, self.followed.look(), self._detail.max_epochs),
            pause_s=PLOTS_PAUSE_S,
        )

    def page(self, after: int) -> Page:
        """Gives the study's page without its first `after` trials.

        Raises:
            StoreError: If the store does not answer.
        """
        look = self.followed.look()
        after = min(after, len(look.trials))
        data = self._about_data(look)
        plots = self._plots.get(look.version, _wait_s(look))
        note = self._note(look, data)
        facts = study_facts(look.status, data) if look.is_ours and look.status else {}
        state = (
            look.version,
            look.at_work,
            note,
            facts,
            plots,
            look.study.user_attrs,
            _written(look),
        )
        with self._lock:
            kept = self._pages.get(after)
            if kept is None or kept[0] != state:
                artifacts = study_artifacts(data)
                body = self._detail.write(
                    look, after=after, note=note, facts=facts, plots=plots, artifacts=artifacts
                )
                kept = self._pages[after] = state, Page(body)
            self._pages.move_to_end(after)
            if len(self._pages) > MOST_PAGES:
                self._pages.popitem(last=False)
            return kept[1]

    def note(self, trial_id: int | None) -> str:
        """Gives what we say of a trial, or of the study."""
        look = self.followed.look()
        if trial_id is None:
            return self._note(look, self._about_data(look))
        trial = next((it for it in look.trials if it.row.trial_id == trial_id), None)
        return "" if trial is None else self._detail.note(look, trial)

    def draw(self, trial_id: int | None, artifact_id: str) -> Page | None:
        """Gives a picture as PNG, drawn once for each state of its trial; None for no such one.

        Whatever version of it is asked for, it is as it is now.

        Raises:
            StoreError: If the store does not answer.
        """
        look = self.followed.look()
        data = self._about_data(look)
        kind = artifact_id.partition("-")[0]  # What follows tells a browser's picture from ours.
        key = trial_id, kind, data is None, look.n_epochs(trial_id)
        with self._drawing:
            if key not in self._pictures:
                drawing = Drawing(self.followed.store, look, data)
                drawn = drawing.draw(trial_id, kind)
                if drawn is None:
                    return None
                self._pictures[key] = Page(drawn, PNG)
            self._pictures.move_to_end(key)
            if len(self._pictures) > MOST_PICTURES:
                self._pictures.popitem(last=False)
            return self._pictures[key]

    def _about_data(self, look: Look) -> DataFacts | None:
        if not look.is_ours:
            return None
        return self._data.get("once", _wait_s(look))

    def _note(self, look: Look, data: DataFacts | None) -> str:
        if look.status is None:
            directions = [it.name.lower() for it in look.study.directions]
            name = look.study.study_name
            return note_of_several(name, directions, len(look.trials), len(look.best))
        has_samples = bool(study_artifacts(data))
        url = f"/artifacts/{look.study._study_id}/{SAMPLES}" if has_samples else None
        again = look.confirmation
        return study_note(
            look.status,
            data=data,
            samples_url=url,
            confirmation_url=None if again is None else f"/dashboard/studies/{again}/note",
            is_confirmed=False if again is None else None,
        )


def _wait_s(look: Look) -> float:
    return WAIT_S if len(look.trials) <= SMALL else 0.0


def _written(look: Look) -> list[tuple[str, object]]:
    """Gives what people wrote in the dashboard."""
    attributes = look.study.system_attrs.items()
    return [(key, value) for key, value in attributes if key.startswith("dashboard:")]
