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

from analysis.dashboard.read_only_storage import make_dashboard_storage
from analysis.dashboard.responses import Response, call_app
from analysis.dashboard.slow_responses import SlowResponses
from analysis.dashboard.study_cache import StudyCache
from analysis.dashboard.study_page import DatasetFactsLoader, StudyPage
from analysis.dashboard.user_notes import extract_user_note
from analysis.report.facts import DataFacts
from storage import Store, StoreError, find_study_of_trial, hide_passwords

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

MAX_PLOTTED_TRIALS = 1000
"""Where a study has more, optuna-dashboard's costly plots are made of so many of them."""
PREFERENTIAL = "preference:is_preferential"
CSS = "/convsearch.css"
EMPTY_JSON = Response(b"{}")
HTML = "text/html; charset=utf-8"
STUDY, TRIAL = "(?P<study>[0-9]{1,18})", "(?P<trial>[0-9]{1,18})"
ARTIFACT = "(?P<artifact>[0-9a-fA-F-]{1,80})"


def make_app(
    store: Store,
    *,
    allows_edit: bool = False,
    load_dataset_facts: DatasetFactsLoader | None = None,
    remove_study: Callable[[Store, str], object] | None = None,
) -> "Dashboard":
    """Make the application that shows the studies of a store; see `Guard` for who may ask it.

    Args:
        store: For reading, unless it allows edits.
        allows_edit: Whether the store may be changed through it.
        load_dataset_facts: Tells of a study's images by its name, where they can be had.
        remove_study: Deletes a study of ours with all that belongs to it.
    """
    return Dashboard(store, allows_edit, load_dataset_facts or _no_dataset_facts, remove_study)


def _no_dataset_facts(store: Store, study: str) -> DataFacts | None:
    return None


class EmptyArtifactStore:
    """The artifact store that optuna-dashboard is given: ours are drawn, and none can be added."""

    def open_reader(self, artifact_id: str) -> Any:
        """Refuse: there are none here."""
        raise ArtifactNotFound(artifact_id)

    def write(self, artifact_id: str, content_body: Any) -> None:
        """Refuse: there is no place for files."""
        raise PermissionError(f"Artifacts are drawn here: {artifact_id} cannot be added.")

    def remove(self, artifact_id: str) -> None:
        """Refuse: there are none here."""
        raise ArtifactNotFound(artifact_id)


class Dashboard:
    """The application; many threads call it at a time."""

    def __init__(
        self,
        store: Store,
        allows_edit: bool,
        load_dataset_facts: DatasetFactsLoader,
        remove_study: Callable[[Store, str], object] | None,
    ) -> None:
        self.studies = StudyCache(store)
        self._allows_edit = allows_edit
        self._dataset_facts, self._remove_study = load_dataset_facts, remove_study
        self._slow_responses = SlowResponses()
        self._study_pages: dict[int, StudyPage] = {}
        self._lock = threading.Lock()

        def optuna_app(max_trials: int | None = None) -> Any:
            dashboard_storage = make_dashboard_storage(
                self.studies, allows_edit=allows_edit, max_trials=max_trials
            )
            return optuna_dashboard.wsgi(dashboard_storage, artifact_store=EmptyArtifactStore())

        self.optuna_app, self._sampled_app = optuna_app(), optuna_app(MAX_PLOTTED_TRIALS)
        self._routes: tuple[tuple[str, re.Pattern[str], Callable[..., Response | None]], ...] = (
            tuple(
                (method, re.compile(pattern), respond)
                for method, pattern, respond in (
                    ("GET", "(/dashboard(/.*)?)?", self._home_page),
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
        )

    def warm_up(self) -> None:
        """Load what the first answer needs; without a store that answers it comes with that."""
        with contextlib.suppress(StoreError):
            self.studies.all()

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        """Answer a request."""
        try:
            page = self._respond(environ)
        except StoreError as error:
            page = Response.error(
                HTTPStatus.SERVICE_UNAVAILABLE, hide_passwords(str(error)), ("Retry-After", "5")
            )
        if page is None:
            sent: Iterable[bytes] = self.optuna_app(environ, start_response)
            return sent
        return page.respond(environ, start_response)

    def _respond(self, environ: "WSGIEnvironment") -> Response | None:
        """Return our answer; None where it is for optuna-dashboard to send a file."""
        method, path = environ["REQUEST_METHOD"], environ.get("PATH_INFO", "").rstrip("/")
        for route_method, pattern, respond in self._routes:
            found = pattern.fullmatch(path)
            if found and route_method == ("GET" if method == "HEAD" else method):
                page = respond(environ, **_numbers(found.groupdict()))
                return self._forward(environ) if page is None else page
        if not path.startswith("/api/"):
            return None
        self.studies.all()  # optuna-dashboard has no words for a store that is away.
        return self._forward(environ)

    def _forward(self, environ: "WSGIEnvironment") -> Response:
        """Make optuna-dashboard answer; its page reads JSON of what has no content, and fails."""
        page = call_app(self.optuna_app, environ)
        return EMPTY_JSON if page.status is HTTPStatus.NO_CONTENT else page

    def _home_page(self, environ: "WSGIEnvironment") -> Response:
        """Return the main page, or a page that says how to begin where there is no study."""
        if not self.studies.all():
            return Response(_read("begin.html").encode(), HTML)
        environ.pop("HTTP_IF_MODIFIED_SINCE", None)  # It is of the page without our link.
        page = call_app(self.optuna_app, environ)
        link = f'<link rel="stylesheet" href="{CSS}"></head>'.encode()
        return replace(page, body=page.body.replace(b"</head>", link, 1))

    def _style(self, environ: "WSGIEnvironment") -> Response:
        """Return our style, which hides what cannot be done."""
        names = ["page.css"] if self._allows_edit else ["page.css", "read_only.css"]
        return Response("".join(map(_read, names)).encode(), "text/css; charset=utf-8")

    def _detail(self, environ: "WSGIEnvironment", study: int) -> Response | None:
        study_page = self._find(study)
        if study_page is None or study_page.cached_study.study.system_attrs.get(PREFERENTIAL):
            return None
        after = parse_qs(environ.get("QUERY_STRING", "")).get("after", ["0"])[0]
        if not re.fullmatch("[0-9]{1,9}", after):
            return Response.error(HTTPStatus.BAD_REQUEST, "after: expected a number of trials.")
        return study_page.page(int(after))

    def _csv(self, environ: "WSGIEnvironment", study: int) -> Response | None:
        chosen = parse_qs(environ.get("QUERY_STRING", "")).get("trial_ids", [])
        query = f"trial_ids={quote(chosen[0])}" if chosen else ""
        return self._respond_slowly({**environ, "QUERY_STRING": query}, study, self.optuna_app)

    def _importance(self, environ: "WSGIEnvironment", study: int) -> Response | None:
        """Return importances.

        There are none of a study without parameters, which is no error, and of a confirmation,
        whose few configs tell nothing of them.
        """
        cached_study = self.studies.find(study)
        if cached_study is None:
            return None
        snapshot = cached_study.snapshot()
        is_confirmation = snapshot.status is not None and snapshot.status.is_confirmation
        if not is_confirmation and any(it.frozen.params for it in snapshot.trials):
            return self._plot(environ, study)
        none: list[list[object]] = [[] for _ in cached_study.study.directions]
        return Response(json.dumps({"param_importances": none}).encode())

    def _plot(self, environ: "WSGIEnvironment", study: int) -> Response | None:
        return self._respond_slowly({**environ, "QUERY_STRING": ""}, study, self._sampled_app)

    def _respond_slowly(self, environ: "WSGIEnvironment", study: int, app: Any) -> Response | None:
        cached_study = self.studies.find(study)
        if cached_study is None:
            return None
        path = environ["PATH_INFO"].rstrip("/")
        cache_key = f"{cached_study.serial}:{path}?{environ['QUERY_STRING']}"
        version = cached_study.snapshot().version

        def make() -> Response:
            # optuna-dashboard keeps importances by a study's id and how many trials are complete,
            # and trials for seconds: both may be of another study by now, or of an older state.
            param_importance_cache.clear()
            app._inmemory_cache.clear()
            return call_app(app, environ)

        return self._slow_responses.respond(cache_key, version, make)

    def _artifact(
        self, environ: "WSGIEnvironment", study: int, artifact: str, trial: int | None = None
    ) -> Response:
        study_page = self._find(study)
        drawn = None if study_page is None else study_page.draw(trial, artifact)
        return drawn or Response.error(HTTPStatus.NOT_FOUND, "There is no such picture.")

    def _save_note(
        self, environ: "WSGIEnvironment", study: int, trial: int | None = None
    ) -> Response | None:
        """Save of an edited note what is not ours."""
        study_page = self._find(study)
        if study_page is None:
            return None
        try:
            sent = json.loads(environ["wsgi.input"].read())
            sent["body"] = extract_user_note(sent["body"], study_page.note(trial))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return Response.error(HTTPStatus.BAD_REQUEST, "Expected a note.")
        body = json.dumps(sent).encode()
        environ["wsgi.input"], environ["CONTENT_LENGTH"] = io.BytesIO(body), str(len(body))
        return None

    def _delete(self, environ: "WSGIEnvironment", study: int) -> Response | None:
        """Delete a study of ours with all that belongs to it, as `study delete` does."""
        cached_study = self.studies.find(study)
        if (
            self._remove_study is None
            or cached_study is None
            or not cached_study.snapshot().is_convsearch
        ):
            return None
        try:
            self._remove_study(self.studies.store, cached_study.study.study_name)
        except StoreError:
            raise
        except Exception as error:
            return Response.error(HTTPStatus.CONFLICT, hide_passwords(str(error)))
        self.studies.invalidate()
        return EMPTY_JSON

    def _tell(self, environ: "WSGIEnvironment", trial: int) -> Response | None:
        """Leave the end of a trial of ours to its worker, which holds it."""
        study = find_study_of_trial(self.studies.store, trial)
        cached_study = None if study is None else self.studies.find(study)
        if cached_study is None or not cached_study.snapshot().is_convsearch:
            return None
        return Response.error(
            HTTPStatus.CONFLICT,
            "A trial is ended by its worker: `convsearch study stop` has all of them leave.",
        )

    def _find(self, study_id: int) -> StudyPage | None:
        cached_study = self.studies.find(study_id)
        if cached_study is None:
            return None
        cached_study.snapshot()  # Not while others wait.
        with self._lock:
            study_page = self._study_pages.get(study_id)
            if study_page is None or study_page.cached_study is not cached_study:
                held = {
                    k: it
                    for k, it in self._study_pages.items()
                    if self.studies.contains(it.cached_study)
                }
                study_page = StudyPage(cached_study, self._dataset_facts, self._allows_edit)
                self._study_pages = held | {study_id: study_page}
            return study_page


def _read(name: str) -> str:
    return files("analysis.dashboard").joinpath(name).read_text("utf-8")


def _numbers(found: Mapping[str, str | None]) -> dict[str, Any]:
    """Return the parts of a path by name, ids as numbers."""
    return {
        name: value if name == "artifact" else int(value)
        for name, value in found.items()
        if value is not None
    }
