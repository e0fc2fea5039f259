"""Running a study: submit it, run local workers until its budget is spent, and rank its trials."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

from analysis import Ranking, StudyStatus, follow_status, load_status, rank
from search.data import Progress
from search.data.parallel import n_cores
from search.launcher import LocalWorkers
from search.open_study import OpenStudy
from search.settings import StudyPlan
from search.submit import Submission, store_url, submit
from storage import recover

REFRESH_S = 0.5
View = Callable[[StudyStatus], None]
"""Shows the status of a study; called twice a second."""


@dataclass(frozen=True, slots=True)
class RunResult:
    """What came of a run: the ranking, the last status, and whether Ctrl-C ended it.

    `store` is the store's URL without its password.
    """

    store: str
    ranking: Ranking
    status: StudyStatus
    is_interrupted: bool


def run_plan(
    plan: StudyPlan,
    *,
    progress: Progress | None = None,
    on_submit: Callable[[Submission], None] | None = None,
    view: View | None = None,
) -> RunResult:
    """Runs the study of a plan on local workers until its budget is spent.

    Raises:
        SearchError, SpaceError, StoreError: As `submit` does.
        WorkerError: If workers keep dying.
    """
    submission = submit(plan, progress=progress)
    if on_submit is not None:
        on_submit(submission)
    name = submission.record.name
    recover(submission.store, OpenStudy.load(submission.store, name).study)
    is_interrupted = _serve(submission, store_url(plan.store.url), view)
    status = load_status(submission.store, name)
    ranking = rank(submission.store, name)
    submission.store.close()
    return RunResult(submission.store.shown_url, ranking, status, is_interrupted)


def _serve(submission: Submission, url: str, view: View | None) -> bool:
    """Keeps workers at work until the study is over; True when Ctrl-C or SIGTERM ended it."""
    n_threads = max(1, n_cores() // submission.n_workers)
    workers = LocalWorkers(
        study=submission.record.name,
        store_url=url,
        artifacts=submission.artifacts,
        n_threads=n_threads,
        n_workers=submission.n_workers,
    )
    read_status = follow_status(submission.store, submission.record.name)
    with _interruptible(workers) as interrupted:
        workers.start()
        try:
            while workers.poll() and not interrupted.is_set():
                if view is not None:
                    view(read_status())
                interrupted.wait(REFRESH_S)
        finally:
            workers.stop()
    if view is not None:
        view(read_status())
    return interrupted.is_set()


@contextmanager
def _interruptible(workers: LocalWorkers) -> Iterator[threading.Event]:
    """Turns Ctrl-C and SIGTERM into an event; the second one kills the workers and leaves."""
    interrupted = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield interrupted
        return

    def on_signal(number: int, _frame: FrameType | None) -> None:
        if interrupted.is_set():
            workers.kill()
            os._exit(128 + number)
        interrupted.set()

    known = {
        number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield interrupted
    finally:
        for number, handler in known.items():
            signal.signal(number, handler)
