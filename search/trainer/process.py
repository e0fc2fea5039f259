"""The worker's side of a trainer: starting it, talking with it, watching it, ending it."""

import os
import queue
import re
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import IO

import psutil

from search.errors import TrialRecordError
from search.machine.devices import CPU
from search.machine.memory import private_mb
from search.trainer.protocol import Decision, Message, Ready, decode, encode

COMMAND = (sys.executable, "-m", "search.training.main")
TAIL_BYTES = 4000
NOISE = re.compile(r"[IW]0000 |WARNING: All log messages before absl")
"""How the lines begin that TensorFlow prints before anybody can ask it to be quiet."""
READER_TIMEOUT_S = 5.0
"""How long to wait for the last messages: a process in a session of its own may keep the pipe."""
QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_ENABLE_ONEDNN_OPTS": "1", "PYTHONUNBUFFERED": "1"}


class TrainerGoneError(Exception):
    """The trainer's process has ended; its exit code and last words say how."""


class Trainer:
    """A trainer's process. It begins to load TensorFlow at once, so make it ahead of its use."""

    def __init__(
        self,
        *,
        n_threads: int = 1,
        command: Sequence[str] = COMMAND,
        device: Mapping[str, str] = CPU.environment,
    ) -> None:
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed in `close`
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env={**_environment(n_threads), **device},
            start_new_session=True,  # Ctrl-C is for the worker to answer.
        )
        self.ready_mb: float | None = None
        """Resident memory once TensorFlow was loaded; None until then."""
        self._messages: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def send(self, message: Message | Decision) -> None:
        """Send a task, or the verdict on an epoch.

        Raises:
            TrainerGoneError: If the process has ended.
        """
        line = message + "\n" if isinstance(message, str) else encode(message)
        try:
            assert self._process.stdin is not None
            self._process.stdin.write(line)
            self._process.stdin.flush()
        except (BrokenPipeError, ValueError) as error:
            raise TrainerGoneError from error

    def receive(self, timeout_s: float) -> Message | None:
        """Wait for a message, and return None when there was none in time.

        Raises:
            TrainerGoneError: If the process has ended.
        """
        has_ended = self.exit_code() is not None
        try:
            message = self._messages.get(timeout=timeout_s)
        except queue.Empty:
            if has_ended:  # And a process that it forked keeps the pipe open.
                raise TrainerGoneError from None
            return None
        if message is None:
            self._process.wait()
            raise TrainerGoneError
        if isinstance(message, Ready):
            self.ready_mb = message.memory_mb
        return message

    def memory_mb(self) -> float:
        """Return the trainer's own resident memory, 0 when it has ended."""
        try:
            return private_mb(psutil.Process(self.pid))
        except psutil.NoSuchProcess:
            return 0.0

    def exit_code(self) -> int | None:
        """Return the exit code, minus the signal's number for a signal, or None while it lives."""
        return self._process.poll()

    def stderr_tail(self) -> str:
        """Return the end of what the trainer printed."""
        size = self._errors.seek(0, os.SEEK_END)
        self._errors.seek(max(0, size - TAIL_BYTES))
        lines = self._errors.read().decode(errors="replace").splitlines()
        return "\n".join(line for line in lines if not NOISE.match(line)).strip()

    def close(self) -> None:
        """End the process at once, with those that it forked, and wait until it is gone."""
        if self._errors.closed:
            return
        with suppress(ProcessLookupError, PermissionError):  # All of the group is gone.
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()
        self._reader.join(READER_TIMEOUT_S)
        if not self._reader.is_alive():
            for stream in (self._process.stdin, self._process.stdout):
                if stream is not None:
                    with suppress(BrokenPipeError):
                        stream.close()
        self._errors.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        try:
            for line in self._process.stdout:
                self._messages.put(decode(line))
        except ValueError:
            self._process.kill()
        self._messages.put(None)


def _environment(n_threads: int) -> dict[str, str]:
    """Return the environment of a trainer: quiet, on its threads, and without the store's URL."""
    environment = {**os.environ, **QUIET}
    environment.pop("CONVSEARCH_STORE", None)
    for name in ("CONVSEARCH_TRAINER_THREADS", "OMP_NUM_THREADS"):
        environment[name] = str(n_threads)
    root = str(Path(__file__).resolve().parents[2])
    known = environment.get("PYTHONPATH")
    environment["PYTHONPATH"] = root if not known else os.pathsep.join((root, known))
    return environment


@contextmanager
def temporary_trainer(n_threads: int) -> Iterator[Trainer]:
    """Start a trainer for one wish, outside of any worker, and ends it.

    Raises:
        TrialRecordError: If it ended by itself.
    """
    with closing(Trainer(n_threads=n_threads)) as trainer:
        try:
            yield trainer
        except TrainerGoneError as error:
            words = trainer.stderr_tail().splitlines()[-1:]
            raise TrialRecordError(
                f"The trainer ended with exit code {trainer.exit_code()}: {' '.join(words)}"
            ) from error
