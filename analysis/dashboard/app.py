"""The dashboard's application: optuna-dashboard's own, with what is ours in front of it."""

import contextlib
import io
import json
import re
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from http import HTTPStatus
from importlib.resources import files
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, quote

import optuna_dashboard
from optuna.artifacts.exceptions import ArtifactNotFound
from optuna_dashboard._importance import param_importance_cache

from analysis.dashboard.read_only_storage import make_view
from analysis.dashboard.responses import Page, ask
from analysis.dashboard.slow_responses import Costly
from analysis.dashboard.study_cache import Studies
from analysis.dashboard.study_page import AboutData, Shown
from analysis.dashboard.user_notes import only_own
from analysis.report.facts import DataFacts
from storage import Store, StoreError, find_study_of, hide_passwords

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

MOST_TRIALS = 1000
"""Where a study has more, optuna-dashboard's costly plots are made of so many of them."""
PREFERENTIAL = "preference:is_preferential"
CSS = "/convsearch.css"
DONE = Page(b"{}")
HTML = "text/html; charset=utf-8"
STUDY, TRIAL = "(?P<study>[0-9]{1,18})", "(?P<trial>[0-9]{1,18})"
ARTIFACT = "(?P<artifact>[0-9a-fA-F-]{1,80})"


def make_app(
    store: Store,
    *,
    allows_edit: bool = False,
    about_data: AboutData | None = None,
    remove_study: Callable[[Store, str], object] | None = None,
) -> "Dashboard":
    """Makes the application that shows the studies of a store; see `Guard` for who may ask it.

    Args:
        store: For reading, unless it allows edits.
        allows_edit: Whether the store may be changed through it.
        about_data: Tells of a study's images by its name, where they can be had.
        remove_study: Deletes a study of ours with all that belongs to it.
    """
    return Dashboard(store, allows_edit, about_data or _nothing, remove_study)


def _nothing(store: Store, study: str) -> DataFacts | None:
    return None


class NoArtifacts:
    """The artifact store that optuna-dashboard is given: ours are drawn, and none can be added."""

    def open_reader(self, artifact_id: str) -> Any:
        """Refuses: there are none here."""
        raise ArtifactNotFound(artifact_id)

    def write(self, artifact_id: str, content_body: Any) -> None:
        """Refuses: there is no place for files."""
        raise PermissionError(f"Artifacts are drawn here: {artifact_id} cannot be added.")

    def remove(self, artifact_id: str) -> None:
        """Refuses: there are none here."""
        raise ArtifactNotFound(artifact_id)


class Dashboard:
    """The application; many threads call it at a time."""

    def __init__(
        self,
        store: Store,
        allows_edit: bool,
        about_data: AboutData,
        remove_study: Callable[[Store, str], object] | None,
    ) -> None:
        self.studies = Studies(store)
        self._allows_edit = allows_edit
        self._about_data, self._remove_study = about_data, remove_study
        self._costly = Costly()
        self._shown: dict[int, Shown] = {}
        self._lock = threading.Lock()

        def optunas(most: int | None = None) -> Any:
            view = make_view(self.studies, allows_edit=allows_edit, most=most)
            return optuna_dashboard.wsgi(view, artifact_store=NoArtifacts())

        self.optunas, self._thinned = optunas(), optunas(MOST_TRIALS)
        self._routes: tuple[tuple[str, re.Pattern[str], Callable[..., Page | None]], ...] = tuple(
            (method, re.compile(pattern), answer)
            for method, pattern, answer in (
                ("GET", "(/dashboard(/.*)?)?", self._open),
                ("GET", CSS, self._style),
                ("GET", f"/api/studies/{STUDY}", self._detail),
                ("GET", f"/csv/{STUDY}", self._csv),
                ("GET", f"/api/studies/{STUDY}/param_importances", self._importance),
                ("GET", f"/api/studies/{STUDY}/plot/[a-z_]+", self._plot),
                ("GET", f"/artifacts/{STUDY}(/{TRIAL})?/{ARTIFACT}", self._artifact),
                ("PUT", f"/api/studies/{STUDY}(/{TRIAL})?/note", self._save_note),
                ("DELETE", f"/api/studies/{STUDY}", self._delete),
                ("POST", f"/api/trials/{TRIAL}/tell", self._tell),
            )
        )

    def warm_up(self) -> None:
        """Loads what the first answer needs; without a store that answers it comes with that."""
        with contextlib.suppress(StoreError):
            self.studies.all()

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        """Answers a request."""
        try:
            page = self._answer(environ)
        except StoreError as error:
            page = Page.refusal(
                HTTPStatus.SERVICE_UNAVAILABLE, hide_passwords(str(error)), ("Retry-After", "5")
            )
        if page is None:
            sent: Iterable[bytes] = self.optunas(environ, start_response)
            return sent
        return page.answer(environ, start_response)

    def _answer(self, environ: "WSGIEnvironment") -> Page | None:
        """Gives our answer; None where it is for optuna-dashboard to send a file."""
        method, path = environ["REQUEST_METHOD"], environ.get("PATH_INFO", "").rstrip("/")
        for ours, pattern, answer in self._routes:
            found = pattern.fullmatch(path)
            if found and ours == ("GET" if method == "HEAD" else method):
                page = answer(environ, **_numbers(found.groupdict()))
                return self._ask(environ) if page is None else page
        if not path.startswith("/api/"):
            return None
        self.studies.all()  # optuna-dashboard has no words for a store that is away.
        return self._ask(environ)

    def _ask(self, environ: "WSGIEnvironment") -> Page:
        """Has optuna-dashboard answer; its page reads JSON of what has no content, and fails."""
        page = ask(self.optunas, environ)
        return DONE if page.status is HTTPStatus.NO_CONTENT else page

    def _open(self, environ: "WSGIEnvironment") -> Page:
        """Gives the page of all pages; where there is no study yet, one that says how to begin."""
        if not self.studies.all():
            return Page(_read("begin.html").encode(), HTML)
        environ.pop("HTTP_IF_MODIFIED_SINCE", None)  # It is of the page without our link.
        page = ask(self.optunas, environ)
        link = f'<link rel="stylesheet" href="{CSS}"></head>'.encode()
        return replace(page, body=page.body.replace(b"</head>", link, 1))

    def _style(self, environ: "WSGIEnvironment") -> Page:
        """Gives our style, which hides what cannot be done."""
        names = ["page.css"] if self._allows_edit else ["page.css", "read_only.css"]
        return Page("".join(map(_read, names)).encode(), "text/css; charset=utf-8")

    def _detail(self, environ: "WSGIEnvironment", study: int) -> Page | None:
        shown = self._find(study)
        if shown is None or shown.followed.study.system_attrs.get(PREFERENTIAL):
            return None
        after = parse_qs(environ.get("QUERY_STRING", "")).get("after", ["0"])[0]
        if not re.fullmatch("[0-9]{1,9}", after):
            return Page.refusal(HTTPStatus.BAD_REQUEST, "after: expected a number of trials.")
        return shown.page(int(after))

    def _csv(self, environ: "WSGIEnvironment", study: int) -> Page | None:
        chosen = parse_qs(environ.get("QUERY_STRING", "")).get("trial_ids", [])
        query = f"trial_ids={quote(chosen[0])}" if chosen else ""
        return self._make_costly({**environ, "QUERY_STRING": query}, study, self.optunas)

    def _importance(self, environ: "WSGIEnvironment", study: int) -> Page | None:
        """Gives importances.

        There are none of a study without parameters, which is no error, and of a confirmation,
        whose few configs tell nothing of them.
        """
        followed = self.studies.find(study)
        if followed is None:
            return None
        look = followed.look()
        is_confirmation = look.status is not None and look.status.is_confirmation
        if not is_confirmation and any(it.frozen.params for it in look.trials):
            return self._plot(environ, study)
        none: list[list[object]] = [[] for _ in followed.study.directions]
        return Page(json.dumps({"param_importances": none}).encode())

    def _plot(self, environ: "WSGIEnvironment", study: int) -> Page | None:
        return self._make_costly({**environ, "QUERY_STRING": ""}, study, self._thinned)

    def _make_costly(self, environ: "WSGIEnvironment", study: int, app: Any) -> Page | None:
        followed = self.studies.find(study)
        if followed is None:
            return None
        path = environ["PATH_INFO"].rstrip("/")
        asked = f"{followed.serial}:{path}?{environ['QUERY_STRING']}"
        version = followed.look().version

        def make() -> Page:
            # optuna-dashboard keeps importances by a study's id and how many trials are complete,
            # and trials for seconds: both may be of another study by now, or of an older state.
            param_importance_cache.clear()
            app._inmemory_cache.clear()
            return ask(app, environ)

        return self._costly.answer(asked, version, make)

    def _artifact(
        self, environ: "WSGIEnvironment", study: int, artifact: str, trial: int | None = None
    ) -> Page:
        shown = self._find(study)
        drawn = None if shown is None else shown.draw(trial, artifact)
        return drawn or Page.refusal(HTTPStatus.NOT_FOUND, "There is no such picture.")

    def _save_note(
        self, environ: "WSGIEnvironment", study: int, trial: int | None = None
    ) -> Page | None:
        """Saves of an edited note what is not ours."""
        shown = self._find(study)
        if shown is None:
            return None
        try:
            sent = json.loads(environ["wsgi.input"].read())
            sent["body"] = only_own(sent["body"], shown.note(trial))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return Page.refusal(HTTPStatus.BAD_REQUEST, "Expected a note.")
        body = json.dumps(sent).encode()
        environ["wsgi.input"], environ["CONTENT_LENGTH"] = io.BytesIO(body), str(len(body))
        return None

    def _delete(self, environ: "WSGIEnvironment", study: int) -> Page | None:
        """Deletes a study of ours with all that belongs to it, as `study delete` does."""
        followed = self.studies.find(study)
        if self._remove_study is None or followed is None or not followed.look().is_ours:
            return None
        try:
            self._remove_study(self.studies.store, followed.study.study_name)
        except StoreError:
            raise
        except Exception as error:
            return Page.refusal(HTTPStatus.CONFLICT, hide_passwords(str(error)))
        self.studies.expire()
        return DONE

    def _tell(self, environ: "WSGIEnvironment", trial: int) -> Page | None:
        """Leaves the end of a trial of ours to its worker, which holds it."""
        study = find_study_of(self.studies.store, trial)
        followed = None if study is None else self.studies.find(study)
        if followed is None or not followed.look().is_ours:
            return None
        return Page.refusal(
            HTTPStatus.CONFLICT,
            "A trial is ended by its worker: `convsearch study stop` has all of them leave.",
        )

    def _find(self, study_id: int) -> Shown | None:
        followed = self.studies.find(study_id)
        if followed is None:
            return None
        followed.look()  # Not while others wait.
        with self._lock:
            shown = self._shown.get(study_id)
            if shown is None or shown.followed is not followed:
                held = {k: it for k, it in self._shown.items() if self.studies.holds(it.followed)}
                shown = Shown(followed, self._about_data, self._allows_edit)
                self._shown = held | {study_id: shown}
            return shown


def _read(name: str) -> str:
    return files("analysis.dashboard").joinpath(name).read_text("utf-8")


def _numbers(found: Mapping[str, str | None]) -> dict[str, Any]:
    """Gives the parts of a path by name, ids as numbers."""
    return {
        name: value if name == "artifact" else int(value)
        for name, value in found.items()
        if value is not None
    }
