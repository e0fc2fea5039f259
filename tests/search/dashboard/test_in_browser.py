"""The dashboard in a real browser, on a study with trained trials."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import optuna
import pytest

from analysis.dashboard.app import Dashboard
from analysis.dashboard.guard import Access, Guard
from analysis.dashboard.plots import PLOTS
from search.reports.dataset_facts import load_dataset_facts
from storage import Outcome, Store, begin_trial, create_study, finish_trial, register_worker
from tests.search.conftest import copy_study

TOKEN = "a-token-of-the-tests"
PAGES = {
    "": "History",
    "/analytics": "Hyperparameter Relationships",
    "/trials?numbers=0": "trained to its end",
    "/smartSelection": "Parallel Coordinate",
    "/note": "3 of 3 trials done",
}
"""What each page of a study shows at last."""
OPEN = Access(None, False, frozenset())


@pytest.fixture(scope="module")
def searched(trained_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The URL of a store with a study of three trained trials, and others that are not trained.

    They are a plain Optuna study, and a study whose first config was rejected.
    """
    store = copy_study(trained_folder, tmp_path_factory.mktemp("dashboard")).store
    with closing(store):
        plain = optuna.create_study(
            storage=store.optuna_storage, study_name="plain", direction="maximize"
        )
        for value, broken in ((0.5, 0.0), (0.9, 1.0), (0.6, -1.0)):
            trial = plain.ask()
            trial.set_constraint("size", broken)
            plain.tell(trial, value)
        plain.ask()
        limited, _ = create_study(store, "limited", settings="{}", n_trials=2)
        worker = register_worker(store, limited.study_id)
        for outcome in (Outcome("rejected", "too large"), Outcome("pruned", "too bad")):
            lease = begin_trial(store, limited.study_id, worker)
            assert lease is not None
            finish_trial(store, lease, outcome)
    return store.url.render_as_string()


Serve = Callable[[Access], str]


@pytest.fixture(scope="module")
def serve(searched: str) -> Iterator[Serve]:
    """Serve the studies from a thread, and return the address."""
    from waitress import wasyncore
    from waitress.server import create_server

    servers: list[Any] = []
    stores: list[Store] = []

    def start(access: Access) -> str:
        is_changed = access.allows_edit
        stores.append(Store.open(searched) if is_changed else Store.inspect(searched))
        app = Dashboard(stores[-1], allows_edit=is_changed, load_dataset_facts=load_dataset_facts)
        options = {"host": "127.0.0.1", "port": 0, "threads": 4, "map": {}}
        servers.append(create_server(Guard(app, access), **options))
        threading.Thread(target=servers[-1].run, daemon=True).start()
        return f"http://127.0.0.1:{servers[-1].effective_port}"

    yield start
    for server in servers:
        server.trigger.pull_trigger(lambda it=server: wasyncore.close_all(it._map))
    for store in stores:
        store.close()


@pytest.fixture(scope="module")
def address(serve: Serve) -> str:
    """The address of a read-only dashboard."""
    return serve(OPEN)


class Watched:
    """A page of the browser that records problems and requests to other servers."""

    def __init__(self, browser: Any, address: str, width: int) -> None:
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
        self.page.goto(f"{self._address}/dashboard{path}")
        return self.page


Watch = Callable[..., Watched]


@pytest.fixture
def watch(browser: Any, address: str) -> Iterator[Watch]:
    """Open pages of the browser; at the end, assert that none had a problem."""
    opened: list[Watched] = []

    def start(address: str = address, width: int = 1280) -> Watched:
        opened.append(Watched(browser, address, width))
        return opened[-1]

    yield start
    for watched in opened:
        watched.page.close()
    assert [problem for watched in opened for problem in watched.problems] == []


@pytest.mark.parametrize("width", [1280, 390])
def test_pages_show_the_study_and_fit_the_screen(watch: Watch, width: int) -> None:
    watched = watch(width=width)
    for path, text in {"": "1. small", **{f"/studies/1{k}": v for k, v in PAGES.items()}}.items():
        page = watched.open(path)
        page.locator("main").get_by_text(text).first.wait_for()
        page.wait_for_timeout(300)
        page.wait_for_function(  # Plots are laid out anew once they are there.
            "width => document.documentElement.scrollWidth <= width", arg=width
        )


def test_our_plots_are_drawn(watch: Watch) -> None:
    page = watch().open("/studies/1")
    page.get_by_text("Finished: 3 of 3 trials done").wait_for()
    for name in PLOTS:
        page.locator(f"[id='user-defined-plot:{name}'] .main-svg").first.wait_for()
    assert "Accuracy over the search" in page.content()


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize(
    ("plot", "says"),
    [
        ("graph-intermediate-values", "the best validation accuracy up to each epoch"),
        ("graph-hyperparameter-importances", "with 30 or more complete trials"),
    ],
)
def test_plot_of_optuna_dashboard_says_what_it_shows(
    watch: Watch, plot: str, says: str, width: int
) -> None:
    page = watch(width=width).open("/studies/1")
    title = page.locator(f"h6:has(+ #{plot})")
    title.wait_for()
    assert says in title.evaluate("it => getComputedStyle(it, '::after').content")
    n_lines = (
        "it => it.getBoundingClientRect().height / parseFloat(getComputedStyle(it).lineHeight)"
    )
    assert title.evaluate(n_lines) > 1.5  # The sentence has lines of its own.


def test_importance_of_few_trials_is_not_drawn(watch: Watch) -> None:
    page = watch().open("/studies/1")
    with page.expect_response("**/param_importances"):
        page.reload()
    page.locator("#graph-intermediate-values .main-svg").first.wait_for()
    assert page.locator("#graph-hyperparameter-importances").count() == 1
    assert page.locator("#graph-hyperparameter-importances svg").count() == 0


def test_rejected_trial_is_told_from_a_pruned_one(watch: Watch) -> None:
    page = watch().open("/studies/3/trials")
    for number, state in enumerate(("Rejected", "Pruned")):
        row = page.locator(".MuiList-root .MuiListItem-root", has_text=f"Trial {number}")
        row.get_by_text(state, exact=True).wait_for()


def test_infeasible_trial_is_not_best_on_the_page(watch: Watch) -> None:
    page = watch().open("/studies/2")
    lines = page.wait_for_function(  # The plot appears before its lines.
        "() => { const lines = [...document.querySelectorAll('.js-plotly-plot')]"
        ".flatMap(it => it.data || [])"
        ".filter(it => (it.name || '').startsWith('Best Value')).map(it => it.y);"
        "return lines.length && lines; }"
    ).json_value()
    assert [max(line) for line in lines] == [0.6]


def test_trial_has_its_note_and_pictures(watch: Watch) -> None:
    page = watch().open("/studies/1/trials?numbers=0")
    page.get_by_text("trained to its end").wait_for()
    for name in ("learning_curve.png", "confusion_on_validation.png", "architecture.png"):
        picture = page.locator(f"img[alt='{name}']")
        picture.scroll_into_view_if_needed()
        picture.evaluate("it => it.decode()")
        assert picture.evaluate("it => it.naturalWidth") > 300


def test_study_has_its_note_with_sample_images(watch: Watch) -> None:
    page = watch().open("/studies/1/note")
    page.get_by_text("3 of 3 trials done").wait_for()
    picture = page.locator("img[alt='Training images']")
    picture.evaluate("it => it.decode()")
    assert picture.evaluate("it => it.naturalWidth") > 300


def test_read_only_pages_offer_no_changes(browser: Any, address: str) -> None:
    with closing(browser.new_page()) as page:
        page.goto(f"{address}/dashboard")
        page.get_by_text("1. small").wait_for()
        for icon in ("DeleteIcon", "AddBoxIcon", "DriveFileRenameOutlineIcon"):
            assert page.get_by_test_id(icon).count() > 0  # Or the page has changed.
            assert not page.get_by_test_id(icon).first.is_visible()
        answer = page.evaluate(
            "fetch('/api/studies/1', {method: 'DELETE'}).then(async it => "
            "[it.status, await it.text()])"
        )
        page.goto(f"{address}/dashboard/studies/2/trials?numbers=3")
        # The button that ends a running trial.
        page.get_by_test_id("StopCircleIcon").wait_for(state="attached")
        assert not page.get_by_test_id("StopCircleIcon").is_visible()
        assert answer[0] == 403
        assert "--allow-edit" in json.loads(answer[1])["reason"]


def test_editable_pages_accept_notes_and_offer_no_files(watch: Watch, serve: Serve) -> None:
    watched = watch(serve(Access(None, True, frozenset())))
    page = watched.open("/studies/2/trials?numbers=3")
    page.get_by_text("Running").first.wait_for()
    page.get_by_test_id("UploadFileIcon").wait_for(state="attached")
    assert not page.get_by_test_id("UploadFileIcon").is_visible()
    watched.open("/studies/1/trials?numbers=0")
    page.get_by_text("trained to its end").wait_for()
    page.locator("img[alt='architecture.png']").scroll_into_view_if_needed()
    assert page.get_by_test_id("DeleteIcon").count() == 0
    page.locator("button:has([data-testid='EditIcon'])").first.click()
    area = page.locator("textarea").first
    area.fill(f"{area.input_value()}Looks odd.")
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Success to save the note").wait_for()
    page.reload()
    page.get_by_text("Looks odd.").first.wait_for()
    assert page.get_by_text("trained to its end").count() == 1


def test_editable_pages_delete_a_study_after_a_question(
    watch: Watch, serve: Serve, searched: str
) -> None:
    with closing(Store.open(searched)) as store:
        optuna.create_study(storage=store.optuna_storage, study_name="left over")
    page = watch(serve(Access(None, True, frozenset()))).open("")
    page.get_by_text("left over").wait_for()
    for icon in ("AddBoxIcon", "DriveFileRenameOutlineIcon"):
        assert page.get_by_test_id(icon).count() > 0
        assert not page.get_by_test_id(icon).first.is_visible()
    card = page.locator(".MuiCard-root:not(:has(.MuiCard-root))", has_text="left over")
    card.locator("button:has([data-testid='DeleteIcon'])").click()
    page.get_by_role("button", name="Yes").click()
    page.get_by_text("Success to delete a study").wait_for()
    assert page.get_by_text("left over").count() == 0


def test_token_logs_in_and_is_removed_from_the_address(browser: Any, serve: Serve) -> None:
    address = serve(Access(TOKEN, False, None))
    with closing(browser.new_context()) as context:
        page = context.new_page()
        page.goto(f"{address}/dashboard")
        assert "token" in page.content()
        assert "small" not in page.content()
        page.goto(f"{address}/dashboard?token={TOKEN}")
        page.get_by_text("1. small").wait_for()
        assert TOKEN not in page.url
        (cookie,) = context.cookies()
        assert cookie["httpOnly"]
        assert cookie["sameSite"] == "Lax"
        assert page.evaluate("document.cookie") == ""


def test_page_follows_a_study_that_changes(watch: Watch, searched: str) -> None:
    page = watch().open("/studies/1/trials")
    page.get_by_text("3 Trials").wait_for()
    with closing(Store.open(searched)) as store:
        study = optuna.load_study(study_name="small", storage=store.optuna_storage)
        trial = study.ask()
        page.get_by_text("4 Trials").wait_for(timeout=20_000)
        study.tell(trial, state=optuna.trial.TrialState.FAIL)
        page.get_by_text("Fail", exact=True).wait_for(timeout=20_000)
