"""Serving: a worker in this process, until it has nothing to do or is asked to leave."""

import logging
import os
import sys
import threading
from collections.abc import Callable

from search.devices import Device
from search.logs import about
from search.open_study import OpenStudy
from search.signals import stopping_when_asked
from search.standing import StandingWorker
from search.training.pool import TrainerPool
from search.worker import Worker
from storage import Store, load_study

logger = logging.getLogger(__name__)


def serve(
    store: Store,
    study: str | None,
    *,
    device: Device,
    n_threads: int,
    idle_exit_s: float | None,
    is_supervised: bool,
) -> int:
    """Serves a study, or every open one, and gives the exit code: 0, or 128 and a signal's number.

    SIGTERM and Ctrl-C give the trial back and leave; the second one leaves at once. With
    `is_supervised` the end of standard input does the same: whoever started us is gone.

    Raises:
        SearchError, SpaceError, StoreError: If the study cannot be joined.
    """
    opened = None if study is None else OpenStudy.load(store, study)
    pool = TrainerPool(n_threads=n_threads, device=device)
    worker: Worker | StandingWorker
    if opened is None:
        worker = StandingWorker(store, pool, idle_exit_s=idle_exit_s)
        logger.info("waiting for studies in %s, on %s", store.shown_url, device.name)
    else:
        worker = Worker(opened, pool)
        logger.info("joined study %s in %s, on %s", opened.name, store.shown_url, device.name)
    with (
        stopping_when_asked(worker.stop) as caught,
        about(study=study, worker=worker.worker_id),
    ):
        if is_supervised:
            threading.Thread(target=_wait_for_end, args=(worker.stop,), daemon=True).start()
        worker.run()
        if opened is not None and not caught:
            logger.info("leaving: %s", _explain_end(opened))
        elif caught:
            logger.info("leaving: asked to by signal %d", caught[0])
    return 128 + caught[0] if caught else 0


def _explain_end(opened: OpenStudy) -> str:
    record = load_study(opened.store, opened.name)
    if record.is_stopped:
        return "the study was stopped"
    return record.end_reason or "the study's budget is spent"


def _wait_for_end(stop: Callable[[], None]) -> None:
    # Not `sys.stdin`: a thread that still holds its lock makes the interpreter's end crash.
    while os.read(sys.stdin.fileno(), 1024):
        continue
    stop()
