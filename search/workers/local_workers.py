"""Local workers: processes on this machine, restarted when they die, until all have finished."""

import contextlib
import logging
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from analysis import StudyStatus
from search.errors import WorkerError, WorkerStartError
from search.machine.gpus import Device
from search.machine.memory import OomCounter, total_mb
from search.machine.processes import (
    child_environment,
    find_signal,
    last_lines,
    module_command,
)
from search.machine.signals import stop_on_signal
from storage import GRACE_S, hide_passwords
from storage.file_rights import open_log

logger = logging.getLogger(__name__)

MAX_RESTARTS = 5  # Plus one for each further worker.
RESTART_WINDOW_S = 300.0  # After more failures in this time, without a new epoch, give up.
BACKOFF_S = 0.25
MAX_BACKOFF_S = 10.0
USAGE_ERROR = 2  # Exit code of a worker that cannot serve its study: a restart would not help.
STOP_S = 10.0  # Time for workers to release their trials before they are killed.
REFRESH_S = 0.5
LOOK_S = 5.0  # Between two looks for workers that do not end.
LOG_LINES = 5


@dataclass(slots=True)
class LocalWorkers:
    """Worker processes, one per device, which exit when this process ends and their input closes.

    Restarts are not limited while the number of epochs, `count_progress`, grows, and restarts of
    workers that somebody killed never are: only the kernel's kills for lack of memory count.
    """

    study: str | None  # None serves every open study.
    devices: Sequence[Device]
    store_url: str
    n_threads: int  # Of each trainer.
    options: Sequence[str] = ()  # More options of the command `worker`.
    log: Callable[[int], Path] | None = None  # The log file by index; None: standard error.
    count_progress: Callable[[], int] = lambda: 0
    find_answering: Callable[[], set[int] | None] = lambda: None
    """Returns the process ids of workers with a recent heartbeat; None while there is work."""
    _processes: dict[int, subprocess.Popen[bytes]] = field(default_factory=dict)
    _started_at: dict[int, float] = field(default_factory=dict)
    _restart_at: dict[int, float] = field(default_factory=dict)
    _restarts: list[float] = field(default_factory=list)
    _failures: list[float] = field(default_factory=list)
    _silent_since: dict[int, float] = field(default_factory=dict)
    _look_at: float = 0.0
    _ooms: OomCounter = field(default_factory=OomCounter)
    _progress: int = 0

    def start(self) -> None:
        """Start all workers."""
        self._progress = self.count_progress()
        for index in range(len(self.devices)):
            self._start(index)

    def poll(self) -> bool:
        """Restart workers that died, and return whether any is running or due.

        Raises:
            WorkerStartError: If a worker cannot serve its study.
            WorkerError: If workers keep dying.
        """
        for index, process in list(self._processes.items()):
            code = process.poll()
            if code is not None:
                del self._processes[index]
                self._handle_exit(index, code)
        for index, due in list(self._restart_at.items()):
            if time.monotonic() >= due:
                del self._restart_at[index]
                self._start(index)
        if os.getpid() == 1:
            self._reap_orphans()
        if self._processes and time.monotonic() >= self._look_at:
            self._look_at = time.monotonic() + LOOK_S
            self._kill_silent(self.find_answering())
        return bool(self._processes or self._restart_at)

    def stop(self) -> None:
        """Make all workers release their trials and exit, and wait until they are gone."""
        self._restart_at.clear()
        for process in self._processes.values():
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
        deadline = time.monotonic() + STOP_S
        for process in self._processes.values():
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._processes.clear()

    def kill(self) -> None:
        """Kill all workers; their trials are resumed by the next run."""
        for process in self._processes.values():
            process.kill()

    def _kill_silent(self, answering: set[int] | None) -> None:
        """Kill workers that neither end nor answer, such as suspended ones, for the grace."""
        now = time.monotonic()
        for index, process in list(self._processes.items()):
            if answering is None or process.pid in answering:
                self._silent_since.pop(index, None)
            elif now - self._silent_since.setdefault(index, now) >= GRACE_S:
                logger.warning(
                    "worker %d is killed: it does not answer, and no work is left", index
                )
                process.kill()
                process.wait()
                del self._processes[index]

    def _handle_exit(self, index: int, code: int) -> None:
        """Schedule the restart of a worker that died, or give up."""
        if code == 0:
            return
        if code == USAGE_ERROR:
            self.stop()
            raise WorkerStartError(f"A worker cannot start. {self._log_tail(index)}".strip())
        now = time.monotonic()
        for ends in (self._restarts, self._failures):
            ends[:] = [at for at in ends if at > now - RESTART_WINDOW_S]
        if self._has_progressed():
            self._restarts.clear()
            self._failures.clear()
        signal_name, is_out_of_memory = find_signal(code), self._is_out_of_memory(code)
        how = f"signal {signal_name}" if signal_name else f"exit code {code}"
        if is_out_of_memory:
            how += f" because memory ran out, of {total_mb():,.0f} MB in all"
        if signal_name is None or is_out_of_memory:
            if len(self._failures) >= MAX_RESTARTS + len(self.devices) - 1:
                self.stop()
                raise WorkerError(
                    f"Workers keep ending (the last after {now - self._started_at[index]:.0f} s, "
                    f"with {how}). {self._log_tail(index)}"
                )
            self._failures.append(now)
        self._restarts.append(now)
        wait_s = min(MAX_BACKOFF_S, BACKOFF_S * 2 ** (len(self._restarts) - 1))
        logger.warning("worker %d ended with %s and is restarted", index, how)
        self._restart_at[index] = now + wait_s

    def _is_out_of_memory(self, code: int) -> bool:
        """Whether the kernel has killed the worker to free memory, as far as it says."""
        is_new = self._ooms.has_grown()
        if is_new:
            self._ooms = OomCounter()
        return is_new and code == -signal.SIGKILL

    def _has_progressed(self) -> bool:
        before, self._progress = self._progress, self.count_progress()
        return self._progress > before

    def _start(self, index: int) -> None:
        command = module_command(
            "search", "worker", *self.options, "--supervised",
            "--workers", "1", "--gpus", self.devices[index].key, "--threads", str(self.n_threads),
            *([] if self.study is None else ["--", self.study]),
        )  # fmt: skip
        self._started_at[index] = time.monotonic()
        # The URL may have a password, so it is not an argument, which any user can list.
        environment = child_environment(CONVSEARCH_STORE=self.store_url)
        with contextlib.ExitStack() as stack:
            log = None if self.log is None else stack.enter_context(open_log(self.log(index)))
            self._processes[index] = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env=environment,
                start_new_session=True,
            )

    def _log_tail(self, index: int) -> str:
        """Return the end of a worker's log, without the store's password."""
        if self.log is None:
            return "Its log says why."
        try:
            text = self.log(index).read_text(errors="replace")
        except OSError as error:
            return f"Its log cannot be read: {error.strerror}."
        words = " | ".join(last_lines(text, LOG_LINES))
        return f"Its log ends with: {hide_passwords(words, self.store_url)}"

    def _reap_orphans(self) -> None:
        """Reap children of killed workers, as the first process of a container has to."""
        own = {process.pid for process in self._processes.values()}
        with contextlib.suppress(ChildProcessError):
            while True:
                ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
                if ended is None or ended.si_pid in own:
                    return
                os.waitpid(ended.si_pid, 0)


def find_answering(status: StudyStatus) -> set[int] | None:
    """Return the process ids of workers with a recent heartbeat; None while there is work."""
    has_work = not status.is_over and not status.record.is_stopped
    return None if has_work else {worker.pid for worker in status.workers}


def supervise(
    workers: LocalWorkers,
    *,
    on_stop: Callable[[], None] = lambda: None,
    on_signal: Callable[[], None] = lambda: None,
    on_poll: Callable[[], None] = lambda: None,
    stop: threading.Event | None = None,
) -> list[int]:
    """Keep workers running until they have finished, and return the signals received.

    On Ctrl-C or SIGTERM they release their trials; a second signal kills them and exits. Setting
    `stop` has the same effect as a first signal.

    Raises:
        WorkerError: If workers cannot start, or keep dying.
    """
    stop = stop or threading.Event()

    def request_stop() -> None:
        stop.set()
        on_signal()

    with stop_on_signal(request_stop, workers.kill) as signals:
        try:
            workers.start()
            while workers.poll() and not stop.is_set():
                on_poll()
                stop.wait(REFRESH_S)
            if stop.is_set():
                on_stop()
        finally:
            workers.stop()
    on_poll()
    return signals
