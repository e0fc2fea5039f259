"""A study that is watched all the time ends like one that is not."""

import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from analysis.dashboard.app import Dashboard
from storage import Store
from tests.analysis.dashboard.asking import ask

WORKER = str(Path(__file__).with_name("instant_worker.py"))
POLL_S = 0.1


def test_study_of_two_workers_is_exact_while_it_is_polled_ten_times_a_second(
    make_fleet: Callable[..., Any],
) -> None:
    fleet = make_fleet(n_trials=24)
    fleet.submit()
    is_over = threading.Event()
    statuses: list[int] = []

    def poll(app: Any) -> None:
        etag = ""
        while not is_over.wait(POLL_S):
            answer = ask(app, "/api/studies/1?after=0", if_none_match=etag)
            etag = answer.headers.get("etag", etag)
            statuses.append(answer.status)

    with closing(Store.inspect(fleet.url)) as store:
        watcher = threading.Thread(target=poll, args=(Dashboard(store),))
        watcher.start()
        try:
            workers = [fleet.start_script(WORKER, fleet.url) for _ in range(2)]
            for worker in workers:
                assert worker.wait(120) == 0, worker.words
        finally:
            is_over.set()
            watcher.join()
        last = ask(Dashboard(store), "/api/studies/1?after=0").json
    fleet.check()
    assert set(statuses) == {200, 304}
    counted = [it for it in last["trials"] if it["state"] == "Complete"]
    assert len(counted) == 24
