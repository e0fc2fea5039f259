"""Local workers: processes of this machine that serve one study, kept alive until it is over."""

import contextlib
import logging
import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from search.artifacts import Artifacts
from search.errors import WorkerError

logger = logging.getLogger(__name__)

MAX_RESTARTS = 5
RESTARTS_S = 300.0
"""More restarts than this in five minutes, and the workers cannot be helped."""
STOP_S = 10.0
"""How long workers get to give their trials back before they are killed."""
LOG_LINES = 5


@dataclass(slots=True)
class LocalWorkers:
    """Worker processes. They end by themselves when this process does: their input closes."""

    study: str
    store_url: str
    artifacts: Artifacts
    n_threads: int
    n_workers: int
    processes: dict[int, subprocess.Popen[bytes]] = field(default_factory=dict)
    restarts: list[float] = field(default_factory=list)

    def start(self) -> None:
        """Starts all workers."""
        for index in range(self.n_workers):
            self._start(index)

    def poll(self) -> bool:
        """Starts workers that died again, and tells whether any is at work.

        Raises:
            WorkerError: If they die again and again; the message has their last words.
        """
        for index, process in list(self.processes.items()):
            code = process.poll()
            if code is None:
                continue
            del self.processes[index]
            if code == 0:
                continue
            self.restarts = [at for at in self.restarts if at > time.monotonic() - RESTARTS_S]
            if len(self.restarts) >= MAX_RESTARTS:
                self.stop()
                raise WorkerError(
                    f"Workers keep ending (the last with exit code {code}). "
                    f"Last words: {self._last_words(index)}"
                )
            self.restarts.append(time.monotonic())
            time.sleep(min(2.0, 0.25 * len(self.restarts)))
            self._start(index)
        return bool(self.processes)

    def stop(self) -> None:
        """Has all workers give their trials back and leave, and waits until they are gone."""
        for process in self.processes.values():
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
        deadline = time.monotonic() + STOP_S
        for process in self.processes.values():
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.processes.clear()

    def kill(self) -> None:
        """Ends all workers at once; their trials wait for the next run."""
        for process in self.processes.values():
            process.kill()

    def _start(self, index: int) -> None:
        command = [
            sys.executable, "-m", "search", "worker", self.study,
            "--supervised", "--threads", str(self.n_threads),
        ]  # fmt: skip
        # The URL may hold a password, so it goes where a list of processes does not show it.
        environment = {**os.environ, "CONVSEARCH_STORE": self.store_url, **_python_path()}
        with self.artifacts.worker_log(index).open("ab") as log:
            self.processes[index] = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env=environment,
                start_new_session=True,
            )

    def _last_words(self, index: int) -> str:
        path = self.artifacts.worker_log(index)
        lines = path.read_text(errors="replace").strip().splitlines()
        return " | ".join(lines[-LOG_LINES:])


def _python_path() -> dict[str, str]:
    """Lets a child find the packages that this process runs, installed or not."""
    root = str(Path(__file__).resolve().parents[1])
    known = os.environ.get("PYTHONPATH")
    return {"PYTHONPATH": root if not known else os.pathsep.join((root, known))}
