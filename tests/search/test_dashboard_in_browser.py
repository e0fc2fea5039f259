"""The dashboard in a real browser, of a study that was really searched."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest

from analysis.dashboard.app import make_app
from analysis.dashboard.guard import Access, Guard
from analysis.dashboard.plots import PLOTS
from search.about_data import about_data
from search.open_study import OpenStudy
from search.training.pool import TrainerPool
from search.worker import Worker
from storage import Store

TOKEN = "a token of the tests"
PAGES = ("", "/analytics", "/trials?numbers=0", "/trialTable", "/note")


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a store with a study of three trials that were really trained."""
    from search.submit import submit
    from tests.search.conftest import make_plan, write_blobs

    folder = tmp_path_factory.mktemp("dashboard")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CONVSEARCH_CACHE", str(folder / "cache"))
        space = {"dense_layers": [0, 1]}
        plan = make_plan(write_blobs(folder / "blobs.npz"), folder, space=space)
        submission = submit(plan)
        Worker(OpenStudy.load(submission.store, "small"), TrainerPool()).run()
        submission.store.close()
        yield plan.store.url or ""


@pytest.fixture
def serve(searched: str) -> Iterator[Callable[[Access], str]]:
    """Serves the study from a thread, and gives the address."""
    from waitress import wasyncore
    from waitress.server import create_server

    servers: list[Any] = []
    stores: list[Store] = []

    def start(access: Access) -> str:
        stores.append(Store.inspect(searched))
        app = Guard(make_app(stores[-1], about_data=about_data), access)
        servers.append(create_server(app, host="127.0.0.1", port=0, threads=4, map={}))
        threading.Thread(target=servers[-1].run, daemon=True).start()
        return f"http://127.0.0.1:{servers[-1].effective_port}"

    yield start
    for server in servers:
        server.trigger.pull_trigger(lambda it=server: wasyncore.close_all(it._map))
    for store in stores:
        store.close()


class Watched:
    """A page of the browser that keeps what went wrong, and what left the server."""

    def __init__(self, browser: Any, address: str, width: int = 1280) -> None:
        self.page = browser.new_page(viewport={"width": width, "height": 900})
        self.problems: list[str] = []
        self.page.on("console", lambda it: self._note(it.type == "error", it.text))
        self.page.on("pageerror", lambda it: self._note(True, str(it)))
        self.page.on(
            "request",
            lambda it: self._note(not it.url.startswith((address, "data:", "blob:")), it.url),
        )
        self._address = address

    def _note(self, is_problem: bool, text: str) -> None:
        if is_problem:
            self.problems.append(text)

    def open(self, path: str) -> Any:
        self.page.goto(self._address + path)
        return self.page


def test_pages_show_the_study_without_a_problem(
    browser: Any, serve: Callable[[Access], str]
) -> None:
    address = serve(Access(None, False, frozenset()))
    watched = Watched(browser, address)
    with closing(watched.page):
        page = watched.open("/dashboard")
        page.get_by_text("1. small").wait_for()
        for path in PAGES:
            watched.open(f"/dashboard/studies/1{path}").wait_for_timeout(1500)
        assert watched.problems == []


def test_our_plots_are_drawn(browser: Any, serve: Callable[[Access], str]) -> None:
    watched = Watched(browser, serve(Access(None, False, frozenset())))
    with closing(watched.page):
        page = watched.open("/dashboard/studies/1")
        for name in PLOTS:
            page.locator(f"[id='user-defined-plot:{name}'] .main-svg").first.wait_for()
        assert "Accuracy over the search" in page.content()


def test_trial_has_its_note_and_pictures(browser: Any, serve: Callable[[Access], str]) -> None:
    watched = Watched(browser, serve(Access(None, False, frozenset())))
    with closing(watched.page):
        page = watched.open("/dashboard/studies/1/trials?numbers=0")
        page.get_by_text("trained to its end").wait_for()
        names = ("learning_curve.png", "confusion_on_validation.png", "architecture.png")
        for name in names:
            picture = page.locator(f"img[alt='{name}']")
            picture.scroll_into_view_if_needed()
            picture.evaluate("it => it.decode()")
            assert picture.evaluate("it => it.naturalWidth") > 300
        assert watched.problems == []


def test_study_has_its_note_with_sample_images(
    browser: Any, serve: Callable[[Access], str]
) -> None:
    watched = Watched(browser, serve(Access(None, False, frozenset())))
    with closing(watched.page):
        page = watched.open("/dashboard/studies/1/note")
        page.get_by_text("3 of 3 trials done").wait_for()
        picture = page.locator("img[alt='Training images']")
        picture.evaluate("it => it.decode()")
        assert picture.evaluate("it => it.naturalWidth") > 300


def test_who_only_reads_is_not_offered_changes(
    browser: Any, serve: Callable[[Access], str]
) -> None:
    address = serve(Access(None, False, frozenset()))
    watched = Watched(browser, address)
    with closing(watched.page):
        page = watched.open("/dashboard")
        page.get_by_text("1. small").wait_for()
        for icon in ("DeleteIcon", "AddBoxIcon", "DriveFileRenameOutlineIcon"):
            assert page.get_by_test_id(icon).count() > 0  # Or it is another one by now.
            assert not page.get_by_test_id(icon).first.is_visible()
        answer = page.evaluate(
            "fetch('/api/studies/1', {method: 'DELETE'}).then(async it => "
            "[it.status, await it.text()])"
        )
        assert answer[0] == 403
        assert "--allow-edit" in json.loads(answer[1])["reason"]


@pytest.mark.parametrize("width", [1280, 390])
def test_pages_fit_the_screen(browser: Any, serve: Callable[[Access], str], width: int) -> None:
    watched = Watched(browser, serve(Access(None, False, frozenset())), width)
    with closing(watched.page):
        for path in ("/dashboard", "/dashboard/studies/1", "/dashboard/studies/1/note"):
            page = watched.open(path)
            page.wait_for_timeout(1500)
            assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_token_lets_in_once_and_leaves_the_address(
    browser: Any, serve: Callable[[Access], str]
) -> None:
    address = serve(Access(TOKEN.replace(" ", "-"), False, None))
    with closing(browser.new_context()) as context:
        page = context.new_page()
        page.goto(f"{address}/dashboard")
        assert "token" in page.content()
        assert "small" not in page.content()
        page.goto(f"{address}/dashboard?token={TOKEN.replace(' ', '-')}")
        page.get_by_text("1. small").wait_for()
        assert TOKEN.replace(" ", "-") not in page.url
        (cookie,) = context.cookies()
        assert cookie["httpOnly"]
        assert cookie["sameSite"] == "Lax"
        assert page.evaluate("document.cookie") == ""


def test_page_follows_a_study_that_changes(
    browser: Any, serve: Callable[[Access], str], searched: str
) -> None:
    import optuna

    watched = Watched(browser, serve(Access(None, False, frozenset())))
    with closing(Store.open(searched)) as store, closing(watched.page):
        page = watched.open("/dashboard/studies/1/trials")
        page.get_by_text("3 Trials").wait_for()
        study = optuna.load_study(study_name="small", storage=store.optuna_storage)
        trial = study.ask()
        page.get_by_text("4 Trials").wait_for(timeout=20_000)
        study.tell(trial, state=optuna.trial.TrialState.FAIL)
        page.get_by_text("Fail", exact=True).wait_for(timeout=20_000)
        assert watched.problems == []
