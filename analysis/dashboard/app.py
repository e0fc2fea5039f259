"""The dashboard's WSGI application: routes of its own in front of optuna-dashboard's."""

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
from optuna.trial import TrialState

from analysis.dashboard.artifacts import EmptyArtifactStore
from analysis.dashboard.dashboard_storage import DashboardStorage
from analysis.dashboard.optuna_dashboard_internals import PREFERENTIAL_ATTRIBUTE, clear_caches
from analysis.dashboard.responses import HTML, Response, call_app
from analysis.dashboard.slow_responses import SlowResponses
from analysis.dashboard.study_cache import StudyCache
from analysis.dashboard.study_page import DatasetFactsLoader, StudyPage
from analysis.dashboard.user_notes import extract_user_note
from analysis.report.cautions import FEW_FOR_IMPORTANCE
from storage import Store, StoreDamagedError, StoreError, find_study_of_trial, hide_passwords

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

MAX_PLOTTED_TRIALS = 1000
"""Maximum number of trials in the slow plots of optuna-dashboard."""
CSS = "/convsearch.css"
FEW_MARK = "FEW_FOR_IMPORTANCE"
"""In `page.css`, for the number."""
EMPTY_JSON = Response(b"{}")
STUDY, TRIAL = "(?P<study>[0-9]{1,18})", "(?P<trial>[0-9]{1,18})"
ARTIFACT = "(?P<artifact>[0-9a-fA-F-]{1,80})"


class Dashboard:
    """The application that shows the studies of a store; called by many threads at a time.

    It has no access control: see `Guard`. `load_dataset_facts` loads facts about the images of a
    study by its name; `remove_study` deletes a convsearch study with all its files.
    """

    def __init__(
        self,
        store: Store,
        *,
        allows_edit: bool = False,
        load_dataset_facts: DatasetFactsLoader = lambda _store, _study: None,
        remove_study: Callable[[Store, str], object] | None = None,
    ) -> None:
        self.studies = StudyCache(store)
        self._allows_edit = allows_edit
        self._dataset_facts, self._remove_study = load_dataset_facts, remove_study
        self._slow_responses = SlowResponses()
        self._study_pages: dict[int, StudyPage] = {}
        self._lock = threading.Lock()

        def optuna_app(max_trials: int | None = None) -> Any:
            storage = DashboardStorage(  # type: ignore[abstract]  # methods are added below it
                self.studies, allows_edit=allows_edit, max_trials=max_trials
            )
            return optuna_dashboard.wsgi(storage, artifact_store=EmptyArtifactStore())

        self.optuna_app, self._sampled_app = optuna_app(), optuna_app(MAX_PLOTTED_TRIALS)
        self._routes: tuple[tuple[str, str, Callable[..., Response | None]], ...] = (
            ("GET", "(/dashboard(/.*)?)?", self._home_page),
            ("GET", CSS, self._style),
            ("GET", f"/api/studies/{STUDY}", self._study),
            ("GET", f"/csv/{STUDY}", self._csv),
            ("GET", f"/api/studies/{STUDY}/param_importances", self._importance),
            ("GET", f"/api/studies/{STUDY}/plot/[a-z_]+", self._plot),
            ("GET", f"/artifacts/{STUDY}(/{TRIAL})?/{ARTIFACT}", self._artifact),
            ("PUT", f"/api/studies/{STUDY}(/{TRIAL})?/note", self._save_note),
            ("DELETE", f"/api/studies/{STUDY}", self._delete),
            ("POST", f"/api/trials/{TRIAL}/tell", self._tell),
        )

    def warm_up(self) -> None:
        """Load what the first request needs; if the store fails, that request loads it."""
        with contextlib.suppress(StoreError):
            self.studies.all()

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        """Respond to a request."""
        try:
            response = self._respond(environ)
        except StoreDamagedError as error:
            response = Response.error(HTTPStatus.INTERNAL_SERVER_ERROR, str(error))
        except StoreError as error:
            response = Response.error(
                HTTPStatus.SERVICE_UNAVAILABLE, hide_passwords(str(error)), ("Retry-After", "5")
            )
        if response is None:
            sent: Iterable[bytes] = self.optuna_app(environ, start_response)
            return sent
        return response.send(environ, start_response)

    def _respond(self, environ: "WSGIEnvironment") -> Response | None:
        """Return the response; None for a static file of optuna-dashboard."""
        method, path = environ["REQUEST_METHOD"], environ.get("PATH_INFO", "").rstrip("/")
        for route_method, pattern, respond in self._routes:
            found = re.fullmatch(pattern, path)
            if found and route_method == ("GET" if method == "HEAD" else method):
                response = respond(environ, **_parse_ids(found.groupdict()))
                return self._forward(environ) if response is None else response
        if not path.startswith("/api/"):
            return None
        self.studies.all()  # optuna-dashboard does not report a store that fails.
        return self._forward(environ)

    def _forward(self, environ: "WSGIEnvironment") -> Response:
        """Return optuna-dashboard's response; its page cannot read an empty one."""
        response = call_app(self.optuna_app, environ)
        return EMPTY_JSON if response.status is HTTPStatus.NO_CONTENT else response

    def _home_page(self, environ: "WSGIEnvironment") -> Response:
        """Return the main page, or instructions where there is no study."""
        if not self.studies.all():
            return Response(_read("empty_store.html").encode(), HTML)
        environ.pop("HTTP_IF_MODIFIED_SINCE", None)  # It refers to the page without the link.
        page = call_app(self.optuna_app, environ)
        link = f'<link rel="stylesheet" href="{CSS}"></head>'.encode()
        return replace(page, body=page.body.replace(b"</head>", link, 1))

    def _style(self, environ: "WSGIEnvironment") -> Response:
        """Return the style sheet, which hides what is not available and explains plots."""
        names = ["page.css"] if self._allows_edit else ["page.css", "read_only.css"]
        text = "".join(map(_read, names)).replace(FEW_MARK, str(FEW_FOR_IMPORTANCE))
        return Response(text.encode(), "text/css; charset=utf-8")

    def _study(self, environ: "WSGIEnvironment", study: int) -> Response | None:
        study_page = self._find(study)
        if study_page is None or study_page.cached_study.study.system_attrs.get(
            PREFERENTIAL_ATTRIBUTE
        ):
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
        """Return importances; none where they would be noise, which `page.css` says.

        Those are a study with few complete trials, and a confirmation, which has few configs.
        """
        cached_study = self.studies.find(study)
        if cached_study is None:
            return None
        snapshot = cached_study.snapshot()
        is_confirmation = snapshot.status is not None and snapshot.status.is_confirmation
        states = [it.frozen.state for it in snapshot.trials if it.frozen.params]
        if is_confirmation or states.count(TrialState.COMPLETE) < FEW_FOR_IMPORTANCE:
            return Response(b'{"param_importances":[]}')
        return self._plot(environ, study)

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
            # optuna-dashboard caches importances by study id and number of complete trials, and
            # trials for seconds: both may belong to a deleted study or an older state.
            clear_caches(app)
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
        """Save the user's part of an edited note."""
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
        """Delete a convsearch study with all its files, as `study delete` does."""
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
        """Refuse to end a convsearch trial, which only its worker may do."""
        study = find_study_of_trial(self.studies.store, trial)
        cached_study = None if study is None else self.studies.find(study)
        if cached_study is None or not cached_study.snapshot().is_convsearch:
            return None
        return Response.error(
            HTTPStatus.CONFLICT,
            "A trial is ended by its worker: `convsearch stop` stops all workers of a study.",
        )

    def _find(self, study_id: int) -> StudyPage | None:
        cached_study = self.studies.find(study_id)
        if cached_study is None:
            return None
        cached_study.snapshot()  # Read before the lock is taken.
        with self._lock:
            study_page = self._study_pages.get(study_id)
            if study_page is None or study_page.cached_study is not cached_study:
                pages = self._study_pages.items()
                kept = {k: it for k, it in pages if self.studies.contains(it.cached_study)}
                study_page = StudyPage(cached_study, self._dataset_facts, self._allows_edit)
                self._study_pages = kept | {study_id: study_page}
            return study_page


def _read(name: str) -> str:
    return files("analysis.dashboard").joinpath(name).read_text("utf-8")


def _parse_ids(found: Mapping[str, str | None]) -> dict[str, Any]:
    """Return the named parts of a path, ids of studies and trials as numbers."""
    return {
        name: value if name == "artifact" else int(value)
        for name, value in found.items()
        if value is not None
    }
