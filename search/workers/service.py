"""The command `worker`: one worker in this process, or a process for each of several."""

import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass

from analysis import follow_status
from search.machine.cores import n_cores
from search.machine.gpus import Device
from search.machine.log_format import Format, log_context
from search.machine.processes import call_when_stdin_closes
from search.machine.signals import stop_on_signal
from search.studies.open_study import OpenStudy
from search.trainer.pool import TrainerPool
from search.workers.local_workers import LocalWorkers, find_answering, supervise
from search.workers.standing_worker import StandingWorker
from search.workers.worker import Worker
from storage import Store, StoreError, StoreUnavailableError, count_epochs, load_study
from storage.database.retry import RETRY_TIMEOUT_S, call_with_retry, transient_reason

logger = logging.getLogger(__name__)

RETRY_S = 2.0  # Between two attempts of a standing worker to open the store.


@dataclass(frozen=True, slots=True)
class Service:
    """The workers of one `worker` command, one per device.

    By default a single worker on the CPU has one thread; otherwise the workers share the cores.
    """

    store_url: str
    study: str | None  # None serves every open study.
    devices: Sequence[Device]
    n_threads: int | None  # Of each trainer.
    idle_exit_s: float | None  # Standing workers exit after so long without work.
    log_format: Format
    is_supervised: bool  # Whether to exit when the parent process ends and standard input closes.

    def run(self) -> int:
        """Run the workers, and return the exit code: 0, or 128 plus a signal's number.

        On SIGTERM and Ctrl-C trials are released; a second signal ends the process at once.

        Raises:
            SearchError, SpaceError, StoreError: If the study cannot be joined.
        """
        with closing(self._open_store()) as store:
            opened = None
            if self.study is not None:
                opened = OpenStudy.load(store, self.study, trust_modules=True)
            if len(self.devices) == 1:
                return self._run_worker(store, opened)
            # The workers wait for an unavailable store; this process only restarts them.
            store.retry.begin_shutdown()
            return self._run_workers(store)

    def _open_store(self) -> Store:
        """Open the store; without a study, create missing tables.

        Wait for its server, unless the address may be wrong: the command that supervises this
        worker, or the store of all studies, has been used before.
        """
        may_create = self.study is None and Store.file_of(self.store_url) is None
        if self.study is not None and not self.is_supervised:
            return Store.open(self.store_url, create=False)
        deadline, parent = time.monotonic() + RETRY_TIMEOUT_S, os.getppid()

        def is_over() -> bool:
            is_orphan = self.is_supervised and os.getppid() != parent
            return is_orphan or time.monotonic() > deadline

        return call_with_retry(
            lambda: Store.open(self.store_url, create=may_create),
            reason_of=_reason_to_wait,
            is_over=is_over,
            what="the store",
            first_pause_s=RETRY_S,
            longest_pause_s=RETRY_S,
        )

    def _run_worker(self, store: Store, opened: OpenStudy | None) -> int:
        """Run a single worker in this process."""
        (device,) = self.devices
        n_threads = self.n_threads or (1 if device.name == "cpu" else n_cores())
        pool = TrainerPool(n_threads=n_threads, device=device)
        worker: Worker | StandingWorker
        if opened is None:
            worker = StandingWorker(store, pool, idle_exit_s=self.idle_exit_s)
            started = f"waiting for studies in {store.shown_url}, on {device.name}"
        else:
            worker = Worker(opened, pool)
            started = f"joined, in {store.shown_url}, on {device.name}"
        with (
            stop_on_signal(worker.shutdown.request) as signals,
            log_context(study=self.study, worker=worker.worker_id),
        ):
            logger.info("%s", started)
            self._watch_stdin(worker.shutdown.request)
            worker.run()
            if worker.shutdown.is_requested:
                reason = f"signal {signals[0]}" if signals else "its parent process has ended"
                logger.info("exiting: %s", reason)
            elif opened is not None:
                logger.info("exiting: %s", _end_reason(opened))
        return _exit_code(signals)

    def _run_workers(self, store: Store) -> int:
        """Run each worker in a child process."""
        workers = LocalWorkers(
            self.study,
            devices=self.devices,
            store_url=self.store_url,
            n_threads=self.n_threads or max(1, n_cores() // len(self.devices)),
            options=self._options(),
            count_progress=lambda: _count_progress(store),
            find_answering=self._answering(store),
        )
        stop = threading.Event()
        self._watch_stdin(stop.set)
        return _exit_code(supervise(workers, stop=stop))

    def _answering(self, store: Store) -> Callable[[], set[int] | None]:
        """Return a function that finds the workers that answer once the study has no work."""
        if self.study is None:
            return lambda: None
        read_status = follow_status(store, self.study)

        def find() -> set[int] | None:
            try:
                return find_answering(read_status())
            except StoreUnavailableError:
                return None

        return find

    def _options(self) -> list[str]:
        idle_exit = [] if self.idle_exit_s is None else ["--idle-exit", f"{self.idle_exit_s}s"]
        return ["--log-format", self.log_format, *idle_exit]

    def _watch_stdin(self, stop: Callable[[], None]) -> None:
        if self.is_supervised:
            call_when_stdin_closes(stop)


def _reason_to_wait(error: Exception) -> str | None:
    return transient_reason(error) if isinstance(error, StoreError) else None


def _count_progress(store: Store) -> int:
    """Count the epochs of all studies; 0 while the store is unavailable."""
    try:
        return count_epochs(store, None)
    except StoreUnavailableError:
        return 0


def _exit_code(signals: Sequence[int]) -> int:
    return 128 + signals[0] if signals else 0


def _end_reason(opened: OpenStudy) -> str:
    record = load_study(opened.store, opened.name)
    if record.is_stopped:
        return "the study was stopped"
    return record.end_reason or "the study's budget is spent"
