"""The dashboard's responses: those of optuna-dashboard with our additions, and their caching."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from http import HTTPStatus
from typing import Any

import optuna
import optuna_dashboard
import pytest
import sqlalchemy as sa
from optuna.trial import TrialState, create_trial

from analysis import rank
from analysis.dashboard.app import Dashboard
from analysis.dashboard.responses import Response
from analysis.dashboard.slow_responses import SlowResponses
from analysis.dashboard.study_cache import CachedValue
from analysis.report.cautions import FEW_FOR_IMPORTANCE
from storage import Outcome, Store, begin_trial, create_study, finish_trial, register_worker
from storage.optuna_schema.tables import system_attributes
from tests.analysis.dashboard.asking import Answer, ask

DISTRIBUTIONS: dict[str, optuna.distributions.BaseDistribution] = {
    "rate": optuna.distributions.FloatDistribution(1e-5, 1, log=True),
    "width": optuna.distributions.IntDistribution(8, 128, step=8),
    "choice": optuna.distributions.CategoricalDistribution(("a", 1, 2.5, None)),
}
OURS = {"note", "artifacts", "constraints"}
"""What of a trial is ours to tell."""


@pytest.fixture
def study(store: Store) -> optuna.Study:
    """A plain study with trials of every state and of different ranges."""
    study = optuna.create_study(
        storage=store.optuna_storage, study_name="plain", direction="maximize"
    )
    study.set_user_attr("asked by", "somebody")
    for number, state in enumerate(("COMPLETE", "PRUNED", "FAIL", "COMPLETE", "RUNNING")):
        width = optuna.distributions.IntDistribution(8, 128 + 8 * number, step=8)
        study.add_trial(
            create_trial(
                state=TrialState[state],
                value=0.1 * number if state in {"COMPLETE", "PRUNED"} else None,
                params={"rate": 0.1, "width": 16, "choice": 2.5},
                distributions={**DISTRIBUTIONS, "width": width},
                user_attrs={"text": "é", "size": number, "config": {"long": "record"}},
                system_attrs={"fixed_params": {"rate": 0.1}},
                intermediate_values={1: 0.25, 2: float("inf"), 3: float("nan")},
            )
        )
    study.enqueue_trial({"rate": 0.5})
    return study


@pytest.fixture
def app(store: Store, study: optuna.Study) -> Iterator[Any]:
    """A read-only dashboard of the store."""
    url = store.url.render_as_string(hide_password=False)
    with closing(Store.inspect(url)) as opened:
        yield Dashboard(opened)


def detail(app: Any, study: optuna.Study, after: int = 0, **headers: str) -> Answer:
    return ask(app, f"/api/studies/{study._study_id}?after={after}", **headers)


def test_study_is_described_as_by_optuna_dashboard(
    app: Any, store: Store, study: optuna.Study
) -> None:
    theirs = detail(optuna_dashboard.wsgi(store.optuna_storage), study).json
    ours = detail(app, study).json
    trials, expected = ours.pop("trials"), theirs.pop("trials")
    for trial, other in zip(trials, expected, strict=True):
        other["user_attrs"] = [it for it in other["user_attrs"] if it["key"] != "config"]
        assert {k: v for k, v in trial.items() if k not in OURS} == {
            k: v for k, v in other.items() if k not in OURS
        }
    assert [it["number"] for it in ours.pop("best_trials")] == [3]
    del theirs["best_trials"]
    theirs["union_user_attrs"] = [it for it in theirs["union_user_attrs"] if it["key"] != "config"]
    for key in ("union_search_space", "intersection_search_space", "union_user_attrs"):
        assert in_order(ours.pop(key)) == in_order(theirs.pop(key))
    for key in ("plotly_graph_objects", "note", "artifacts"):
        del ours[key], theirs[key]
    assert ours == theirs


def in_order(described: list[dict[str, Any]]) -> list[str]:
    """Return descriptions in a fixed order: optuna-dashboard keeps them and choices in sets."""
    for it in described:
        domain = it.get("distribution", {})
        if "choices" in domain:
            domain["choices"] = sorted({str(choice["value"]) for choice in domain["choices"]})
    return sorted(map(json.dumps, described))


def test_only_trials_that_the_page_does_not_have_are_sent(app: Any, study: optuna.Study) -> None:
    assert [it["number"] for it in detail(app, study, 4).json["trials"]] == [4, 5]
    assert detail(app, study, 99).json["trials"] == []


@pytest.mark.parametrize("after", ["-1", "x", "1e3", "9" * 40])
def test_invalid_number_is_refused(app: Any, study: optuna.Study, after: str) -> None:
    answer = ask(app, f"/api/studies/{study._study_id}?after={after}")
    assert answer.status == HTTPStatus.BAD_REQUEST
    assert "number" in answer.json["reason"]


def test_nothing_is_sent_again_until_something_changed(app: Any, study: optuna.Study) -> None:
    first = detail(app, study)
    again = detail(app, study, if_none_match=first.headers["etag"])
    assert (again.status, again.body) == (HTTPStatus.NOT_MODIFIED, b"")
    study.tell(4, 0.9)
    app.studies.invalidate()
    changed = detail(app, study, if_none_match=first.headers["etag"])
    assert changed.status == HTTPStatus.OK
    assert changed.json["best_trials"][0]["number"] == 4


def test_responses_are_compressed_for_clients_that_accept_it(
    app: Any, study: optuna.Study
) -> None:
    plain, zipped = detail(app, study), detail(app, study, accept_encoding="gzip, br")
    assert "content-encoding" not in plain.headers
    assert zipped.headers["content-encoding"] == "gzip"
    assert zipped.json == plain.json
    assert len(zipped.body) < len(plain.body) / 3
    head = detail(app, study, accept_encoding="gzip")
    assert head.headers["content-length"] == str(len(head.body))


@pytest.mark.parametrize("how", ["Optuna 5", "Optuna 4"])
def test_infeasible_trial_is_never_best(store: Store, how: str) -> None:
    study = optuna.create_study(
        storage=store.optuna_storage, study_name="constrained", direction="minimize"
    )
    for value, broken in ((0.1, 1.0), (0.2, -1.0), (0.3, 0.0)):
        trial = study.ask()
        if how == "Optuna 5":
            trial.set_constraint("size", broken)
        else:
            store.optuna_storage.set_trial_system_attr(trial._trial_id, "constraints", [broken])
        study.tell(trial, value)
    app = Dashboard(store)
    answer = detail(app, study).json
    assert "0.2, by trial 1" in answer["note"]["body"]
    assert answer["plotly_graph_objects"] == []  # Our plots show accuracies.
    assert "never the best" in answer["trials"][0]["note"]["body"]
    assert [it["number"] for it in answer["best_trials"]] == [1]
    assert [it["constraints"] for it in answer["trials"]] == [[1.0], [-1.0], [0.0]]


def test_study_of_several_objectives_is_shown(store: Store) -> None:
    study = optuna.create_study(
        storage=store.optuna_storage, study_name="two", directions=["minimize", "maximize"]
    )
    study.add_trial(create_trial(values=[1.0, 2.0]))
    answer = detail(Dashboard(store), study).json
    assert answer["directions"] == ["minimize", "maximize"]
    assert [it["values"] for it in answer["best_trials"]] == [[1.0, 2.0]]
    assert "2 objectives (minimize and maximize)" in answer["note"]["body"]
    assert answer["trials"][0]["note"]["body"] == "**Complete.**"


def test_study_with_the_id_of_a_deleted_one_is_shown_as_new(store: Store) -> None:
    app = Dashboard(store)
    storage = store.optuna_storage
    first = optuna.create_study(storage=storage, study_name="first")
    first.add_trials([create_trial(value=1.0)] * 3)
    assert len(detail(app, first).json["trials"]) == 3
    storage.delete_study(first._study_id)
    second = optuna.create_study(storage=storage, study_name="second")
    app.studies.invalidate()
    assert detail(app, second).json["name"] == "second"
    assert detail(app, second).json["trials"] == []
    if second._study_id != first._study_id:
        assert detail(app, first).status == HTTPStatus.NOT_FOUND


def test_recreated_study_shows_none_of_the_deleted_trials(store: Store) -> None:
    app = Dashboard(store)
    for name, values in (("x", (1.0, 2.0, 3.0)), ("y", (4.0,)), ("z", (5.0, 6.0, 7.0))):
        study = optuna.create_study(storage=store.optuna_storage, study_name="again")
        distribution = {name: optuna.distributions.FloatDistribution(0, 9)}
        study.add_trials(
            [
                create_trial(value=it, params={name: it}, distributions=distribution)
                for it in values
            ]
        )
        app.studies.invalidate()
        shown = detail(app, study).json
        assert [it["values"] for it in shown["trials"]] == [[it] for it in values]
        assert [it["name"] for it in shown["union_search_space"]] == [name]
        store.optuna_storage.delete_study(study._study_id)


def test_number_of_studies_in_memory_is_limited(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("analysis.dashboard.study_cache.MAX_CACHED_STUDIES", 2)
    app = Dashboard(store)
    for number in range(4):
        study = optuna.create_study(storage=store.optuna_storage, study_name=f"of {number}")
        study.add_trial(create_trial(value=1.0 * number))
        app.studies.invalidate()
        detail(app, study)
    assert len(app.studies._cached_studies) == len(app._study_pages) == 2
    first = optuna.load_study(storage=store.optuna_storage, study_name="of 0")
    assert [it["values"] for it in detail(app, first).json["trials"]] == [[0.0]]


def test_number_of_cached_pages_is_limited(app: Any, study: optuna.Study) -> None:
    for after in range(90, 120):
        detail(app, study, after)
    assert len(app._study_pages[study._study_id]._pages) == 1


@pytest.mark.parametrize(
    "path", ["/api/studies/99", "/csv/99", "/api/studies/99/param_importances", "/artifacts/99/4"]
)
def test_missing_study_is_not_found(app: Any, path: str) -> None:
    assert ask(app, path).status == HTTPStatus.NOT_FOUND


@pytest.mark.parametrize(
    "path",
    [
        "/artifacts/1/1/9", "/artifacts/1/1/..", "/artifacts/1/../etc", "/artifacts/1/1/4",
        "/artifacts/1/99/1", "/artifacts/1/1", "/artifacts/1/%2e%2e/1", "/artifacts/x/1/1",
        "/artifacts/1/1/" + "1" * 90,
    ],
)  # fmt: skip
def test_path_of_no_picture_is_not_found(app: Any, path: str) -> None:
    assert ask(app, path).status in {HTTPStatus.NOT_FOUND, HTTPStatus.BAD_REQUEST}


def test_csv_is_that_of_optuna_dashboard_and_made_once(
    app: Any, store: Store, study: optuna.Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = f"/csv/{study._study_id}"
    theirs = ask(optuna_dashboard.wsgi(store.optuna_storage), path)
    ours = ask(app, path)
    assert ours.body == theirs.body
    assert ours.headers["content-disposition"] == "attachment; filename=plain.csv"
    monkeypatch.setattr(app, "optuna_app", None)  # It is not called again.
    assert ask(app, path).body == theirs.body
    assert ask(app, path, if_none_match=ours.headers["etag"]).status == HTTPStatus.NOT_MODIFIED


def test_slow_response_is_made_once_for_any_other_query_arguments(
    app: Any, study: optuna.Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [f"/csv/{study._study_id}", f"/api/studies/{study._study_id}/plot/timeline"]
    first = [ask(app, path).body for path in paths]
    chosen = ask(app, f"{paths[0]}?trial_ids=0,3&more").body
    assert len(chosen.splitlines()) == 3
    monkeypatch.setattr(app, "optuna_app", None)  # It is not called again.
    monkeypatch.setattr(app, "_sampled_app", None)
    assert [ask(app, f"{path}?again=1").body for path in paths] == first
    assert ask(app, f"{paths[0]}?x=1&trial_ids=0,3").body == chosen


def add_complete(study: optuna.Study, n: int) -> None:
    for number in range(n):
        params = {"rate": 0.1 + number / 100, "width": 8 + 8 * (number % 16), "choice": 2.5}
        study.add_trial(create_trial(value=number, params=params, distributions=DISTRIBUTIONS))


def importances_of(app: Any, study: optuna.Study) -> Any:
    return ask(app, f"/api/studies/{study._study_id}/param_importances").json["param_importances"]


def test_importance_is_shown_from_a_number_of_complete_trials_on(
    app: Any, study: optuna.Study
) -> None:
    n_complete = sum(it.state is TrialState.COMPLETE for it in study.trials)
    add_complete(study, FEW_FOR_IMPORTANCE - 1 - n_complete)
    assert importances_of(app, study) == []
    assert f" {FEW_FOR_IMPORTANCE} " in ask(app, "/convsearch.css").body.decode()
    add_complete(study, 1)
    app.studies.find(study._study_id).invalidate()
    assert {it["name"] for it in importances_of(app, study)[0]} == {*DISTRIBUTIONS}


@pytest.mark.parametrize(
    ("kind", "state"),
    [("rejected", "Rejected"), ("repeat", "Repeat"), ("unfit", "Pruned"), ("fail", "Fail")],
)
def test_trial_that_was_never_trained_is_not_shown_as_pruned_or_failed(
    store: Store, kind: Any, state: str
) -> None:
    record, _ = create_study(store, "ours", settings="{}", n_trials=3)
    lease = begin_trial(store, record.study_id, register_worker(store, record.study_id))
    assert lease is not None
    finish_trial(store, lease, Outcome(kind, "why"))
    ours = optuna.load_study(study_name="ours", storage=store.optuna_storage)
    assert [it["state"] for it in detail(Dashboard(store), ours).json["trials"]] == [state]


def test_damaged_value_is_no_reason_to_try_again(store: Store, study: optuna.Study) -> None:
    with store.write() as connection:
        connection.execute(sa.update(system_attributes).values(value_json="nonsense"))
    answer = ask(Dashboard(store), f"/api/studies/{study._study_id}?after=0")
    assert answer.status == HTTPStatus.INTERNAL_SERVER_ERROR
    assert "'nonsense', which cannot be read" in answer.json["reason"]
    assert "retry-after" not in answer.headers


def test_few_requests_wait_for_a_slow_response_and_others_are_refused() -> None:
    slow_responses, going, made = SlowResponses(), threading.Event(), []

    def make() -> Response:
        made.append(1)
        going.wait(10)
        return Response(b"long")

    def ask_again() -> None:
        pages.append(slow_responses.respond("/csv/1?", 1, make))

    pages: list[Response] = []
    threads = [threading.Thread(target=ask_again) for _ in range(2)]
    for thread in threads:
        thread.start()
    time.sleep(0.2)
    refused = slow_responses.respond("/csv/2?", 1, make)
    assert refused.status == HTTPStatus.SERVICE_UNAVAILABLE
    assert "try again" in json.loads(refused.body)["reason"]
    going.set()
    for thread in threads:
        thread.join()
    assert made == [1]
    assert [page.body for page in pages] == [b"long"] * 2


def test_slow_response_of_an_old_version_is_replaced_later() -> None:
    slow_responses, n = SlowResponses(), iter(range(9))

    def make() -> Response:
        return Response(b"%d" % next(n))

    assert slow_responses.respond("/csv/1?", 1, make).body == b"0"
    until = time.monotonic() + 30  # Kept for ten times as long as it took.
    while (body := slow_responses.respond("/csv/1?", 2, make).body) == b"0":
        assert time.monotonic() < until
    assert body == b"1"
    assert slow_responses.respond("/csv/1?", 2, make).body == b"1"


def test_unavailable_store_is_reported_at_once_and_tried_again(
    app: Any, study: optuna.Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert detail(app, study).status == HTTPStatus.OK
    store = app.studies.store
    monkeypatch.setattr(store.retry, "timeout_s", 0.2)
    broken = sa.exc.OperationalError("SELECT", {}, Exception("server closed the connection"))
    broken.connection_invalidated = True

    def away() -> Any:
        raise broken

    app.studies.invalidate()
    with monkeypatch.context() as patch:
        patch.setattr(type(store.optuna_storage), "read", lambda _: away())
        first = detail(app, study)
        assert first.status == HTTPStatus.SERVICE_UNAVAILABLE
        assert "does not answer" in first.json["reason"]
    time.sleep(2.1)
    assert detail(app, study).status == HTTPStatus.OK


def test_store_without_studies_shows_how_to_begin(store: Store) -> None:
    app = Dashboard(store)
    answer = ask(app, "/dashboard")
    assert b"convsearch run" in answer.body
    optuna.create_study(storage=store.optuna_storage, study_name="now")
    app.studies.invalidate()
    page = ask(app, "/dashboard").body
    assert b"bundle.js" in page
    assert b'href="/convsearch.css"' in page


def test_style_hides_actions_that_are_not_allowed(store: Store, app: Any) -> None:
    assert b"EditIcon" in ask(app, "/convsearch.css").body
    assert b"EditIcon" not in ask(Dashboard(store, allows_edit=True), "/convsearch.css").body


def test_read_only_dashboard_does_not_change_the_store(app: Any, study: optuna.Study) -> None:
    path = f"/api/studies/{study._study_id}/note"
    body = json.dumps({"version": 1, "body": "mine"}).encode()
    answer = ask(app, path, method="PUT", body=body)
    assert answer.status == HTTPStatus.INTERNAL_SERVER_ERROR  # The guard would refuse it with 403.
    assert "mine" not in detail(app, study).json["note"]["body"]


def test_users_note_is_shown_below_ours_and_stored_without_it(
    store: Store, study: optuna.Study
) -> None:
    app = Dashboard(store, allows_edit=True)
    trial_id = study.trials[0]._trial_id
    path = f"/api/studies/{study._study_id}/{trial_id}/note"

    def note() -> dict[str, Any]:
        found: dict[str, Any] = detail(app, study).json["trials"][0]["note"]
        return found

    ours = note()["body"]
    for version, written in ((1, "Looks *odd*."), (2, "No, fine.")):
        shown = note()["body"]
        edited = shown.replace("Looks *odd*.", written) if "odd" in shown else shown + written
        body = json.dumps({"version": version, "body": edited}).encode()
        assert ask(app, path, method="PUT", body=body).json == {}
        saved = optuna_dashboard.get_note(optuna.Trial(study, trial_id))
        assert saved == written
        assert note()["body"].startswith(ours)
        assert note()["body"].endswith(written)
        assert note()["version"] == version


def test_edited_note_is_stored_without_ours_even_if_ours_has_changed(
    store: Store, study: optuna.Study
) -> None:
    app = Dashboard(store, allows_edit=True)
    trial = optuna.Trial(study, study.trials[4]._trial_id)
    shown = detail(app, study).json["trials"][4]["note"]["body"]
    study.tell(4, 0.9)
    app.studies.invalidate()
    body = json.dumps({"version": 1, "body": shown + "Mine."}).encode()
    path = f"/api/studies/{study._study_id}/{trial._trial_id}/note"
    assert ask(app, path, method="PUT", body=body).json == {}
    assert optuna_dashboard.get_note(trial) == "Mine."


def test_trial_of_ours_is_ended_only_by_its_worker(store: Store, study: optuna.Study) -> None:
    app = Dashboard(store, allows_edit=True)
    record, _ = create_study(store, "ours", settings="{}", n_trials=3)
    ours = optuna.load_study(study_name=record.name, storage=store.optuna_storage)
    ours.ask()
    body = json.dumps({"state": "Complete", "values": [1.0]}).encode()
    for it, number, status in ((ours, 0, HTTPStatus.CONFLICT), (study, 4, HTTPStatus.OK)):
        path = f"/api/trials/{it.trials[number]._trial_id}/tell"
        answer = ask(app, path, method="POST", body=body)
        assert answer.status == status
        is_running = it.trials[number].state is TrialState.RUNNING
        assert is_running == (status is HTTPStatus.CONFLICT)
    assert (
        "worker"
        in ask(app, f"/api/trials/{ours.trials[0]._trial_id}/tell", method="POST").json["reason"]
    )


@pytest.mark.parametrize("odd", [None, "a", [1]])
def test_invalid_constraint_counts_as_violated(store: Store, odd: object) -> None:
    study = optuna.create_study(storage=store.optuna_storage, study_name="odd")
    for _ in range(2):
        study.tell(study.ask(), 1.0)
    key = "constraints:x"
    with store.write() as connection:
        connection.execute(
            sa.insert(system_attributes).values(
                trial_id=study.trials[0]._trial_id, key=key, value_json=json.dumps(odd)
            )
        )
    answer = detail(Dashboard(store), study).json
    assert [it["number"] for it in answer["best_trials"]] == [1]
    assert [it.rank for it in rank(store, "odd").trials] == [1, None]


def test_concurrent_requests_get_the_same_response(app: Any, study: optuna.Study) -> None:
    bodies: list[bytes] = []
    threads = [
        threading.Thread(target=lambda: bodies.append(detail(app, study).body)) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    without_plots = [json.loads(body) | {"plotly_graph_objects": []} for body in bodies]
    assert len(bodies) == 8
    assert all(it == without_plots[0] for it in without_plots)


@pytest.mark.parametrize(
    "path", ["/csv/{}", "/api/studies/{}", "/api/studies/{}/param_importances"]
)
def test_head_request_does_not_affect_the_response_to_get(
    app: Any, study: optuna.Study, path: str
) -> None:
    asked = path.format(study._study_id)
    head = ask(app, asked, method="HEAD")
    got = ask(app, asked)
    assert head.body == b""
    assert got.body
    assert head.headers["content-length"] == got.headers["content-length"] == str(len(got.body))


def test_infinite_constraint_is_a_number_that_browsers_read(store: Store) -> None:
    study = optuna.create_study(storage=store.optuna_storage, study_name="never")
    trial = study.ask()
    trial.set_constraint("size", float("inf"))
    study.tell(trial, 1.0)
    answer = detail(Dashboard(store), study)
    assert b"Infinity" not in answer.body
    assert answer.json["trials"][0]["constraints"][0] > 1e300
    assert answer.json["best_trials"] == []


def test_traceback_of_a_failure_is_not_shown(store: Store) -> None:
    study = optuna.create_study(storage=store.optuna_storage, study_name="failed")
    trial = study.ask()
    trial.set_user_attr("traceback", "/home/somebody/secret.py")
    study.tell(trial, state=TrialState.FAIL)
    assert b"somebody" not in detail(Dashboard(store), study).body


def test_invalid_confusion_has_no_picture(store: Store) -> None:
    study = optuna.create_study(storage=store.optuna_storage, study_name="odd")
    for odd in (5, [[1], [1]], [["a"]], []):
        trial = study.ask()
        trial.set_user_attr("confusion", odd)
        study.tell(trial, 1.0)
    app = Dashboard(store)
    for trial in detail(app, study).json["trials"]:
        assert trial["artifacts"] == []
        path = f"/artifacts/{study._study_id}/{trial['trial_id']}/2-1"
        assert ask(app, path).status == HTTPStatus.NOT_FOUND


def test_study_without_parameters_has_no_importances_and_no_error(store: Store) -> None:
    study = optuna.create_study(storage=store.optuna_storage, study_name="bare")
    study.add_trials([create_trial(value=it) for it in (1.0, 2.0)])
    answer = ask(Dashboard(store), f"/api/studies/{study._study_id}/param_importances")
    assert (answer.status, answer.json) == (HTTPStatus.OK, {"param_importances": []})


def test_value_invalidated_during_a_read_is_read_again() -> None:
    read: list[int] = []

    def find() -> int:
        read.append(1)
        if len(read) == 1:
            shared.invalidate()  # Like another thread during the read.
        return len(read)

    shared: CachedValue[int] = CachedValue(find)
    assert [shared.get() for _ in range(3)] == [1, 2, 2]


def test_accuracies_are_rounded_and_values_of_plain_studies_are_not(
    store: Store, study: optuna.Study
) -> None:
    create_study(store, "ours", settings="{}", n_trials=3)
    ours = optuna.load_study(study_name="ours", storage=store.optuna_storage)
    for it in (ours, study):
        it.tell(it.ask(), 1 / 3)
    app = Dashboard(store)
    assert detail(app, ours).json["trials"][-1]["values"] == [0.333333]
    values = [it["values"] for it in detail(app, study).json["trials"] if "values" in it]
    assert [1 / 3] in values


def test_confirmation_has_no_best_trial_and_no_importances(store: Store) -> None:
    create_study(store, "ours/confirm", settings='{"confirms": "ours"}', n_trials=2)
    study = optuna.load_study(study_name="ours/confirm", storage=store.optuna_storage)
    for seed in range(2):
        trial = study.ask()
        trial.suggest_float("x", 0, 1)
        trial.set_user_attr("confirms", {"trial": 4, "seed": seed, "key": ""})
        study.tell(trial, 0.5 + 0.1 * seed)
    app = Dashboard(store)
    shown = detail(app, study).json
    assert shown["best_trials"] == []
    assert shown["plotly_graph_objects"] == []
    assert {"key": "Best", "value": "0.5500 on validation, the mean of trial 4"} in shown[
        "user_attrs"
    ]
    assert importances_of(app, study) == []


def test_importance_is_of_the_current_trials_of_this_study(store: Store) -> None:
    app = Dashboard(store)

    def importance(study: optuna.Study) -> dict[str, float]:
        answer = ask(app, f"/api/studies/{study._study_id}/param_importances").json
        return {it["name"]: it["importance"] for it in answer["param_importances"][0]}

    def make(name: str, which: str) -> optuna.Study:
        study = optuna.create_study(storage=store.optuna_storage, study_name=name)
        for n in range(30):
            params = {"x": n / 30, "y": (7 * n % 30) / 30}
            unit = optuna.distributions.FloatDistribution(0, 1)
            study.add_trial(
                create_trial(
                    value=params[which], params=params, distributions=dict.fromkeys(params, unit)
                )
            )
        return study

    first = importance(make("first", "x"))
    assert first["x"] > first["y"]
    store.optuna_storage.delete_study(1)
    app.studies.invalidate()
    second = importance(make("second", "y"))
    assert second["y"] > second["x"]
