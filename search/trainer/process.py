"""The worker's side of a trainer: start its process, exchange messages with it, end it."""

import os
import queue
import re
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from typing import IO, TypeVar

import psutil

from search.errors import TrialRecordError
from search.machine.gpus import CPU
from search.machine.memory import private_mb
from search.machine.processes import child_environment, last_lines, module_command
from search.trainer.protocol import (
    Busy,
    Decision,
    Evaluate,
    Failed,
    Message,
    Predict,
    Ready,
    Task,
    Unfit,
    decode,
    encode,
)

COMMAND = module_command("search.training.main")
TAIL_BYTES = 4000
NOISE = re.compile(r"[IW]0000 |WARNING: All log messages before absl")
"""Beginnings of lines that TensorFlow prints before its log level is set."""
READER_TIMEOUT_S = 5.0  # A process in a session of its own may keep the pipe open.
POLL_S = 1.0
QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_ENABLE_ONEDNN_OPTS": "1", "PYTHONUNBUFFERED": "1"}
Answer = TypeVar("Answer")


class TrainerGoneError(Exception):
    """The trainer's process has ended; its exit code and the end of its output say why."""


class Trainer:
    """A trainer's process, which loads TensorFlow at once: create it ahead of its use."""

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
            env={**trainer_environment(n_threads), **device},
            start_new_session=True,  # The worker handles Ctrl-C.
        )
        self.ready_mb: float | None = None  # Resident memory once TensorFlow is loaded.
        self._messages: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def send(self, message: Message | Decision) -> None:
        """Send a request, or the decision after an epoch.

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
        """Wait for a message; return None if there was none in time.

        Raises:
            TrainerGoneError: If the process has ended.
        """
        has_ended = self.exit_code() is not None
        try:
            message = self._messages.get(timeout=timeout_s)
        except queue.Empty:
            if has_ended:  # A process that it forked keeps the pipe open.
                raise TrainerGoneError from None
            return None
        if message is None:
            self._process.wait()
            raise TrainerGoneError
        if isinstance(message, Ready):
            self.ready_mb = message.memory_mb
        return message

    def converse(self, request: Task | Evaluate | Predict) -> Iterator[Message]:
        """Send a request, and yield the trainer's messages until the caller stops.

        Raises:
            TrainerGoneError: If the process has ended.
        """
        self.send(request)
        while True:
            if (message := self.receive(POLL_S)) is not None:
                yield message

    def request(
        self,
        request: Evaluate | Predict,
        answer_type: type[Answer],
        on_busy: Callable[[int, int], object] = lambda _done, _total: None,
    ) -> Answer | Failed | Unfit:
        """Send a request and wait for its answer, reporting progress in between.

        Raises:
            TrainerGoneError: If the process has ended.
        """
        for message in self.converse(request):
            if isinstance(message, Busy):
                on_busy(message.done, message.total)
            elif isinstance(message, (answer_type, Failed, Unfit)):
                return message
        raise TrainerGoneError

    def memory_mb(self) -> float:
        """Return the trainer's private resident memory, 0 if it has ended."""
        try:
            return private_mb(psutil.Process(self.pid))
        except psutil.NoSuchProcess:
            return 0.0

    def exit_code(self) -> int | None:
        """Return the exit code, negative for a signal, or None while the process runs."""
        return self._process.poll()

    def stderr_tail(self) -> str:
        """Return the end of what the trainer printed, without TensorFlow's noise."""
        size = self._errors.seek(0, os.SEEK_END)
        self._errors.seek(max(0, size - TAIL_BYTES))
        lines = self._errors.read().decode(errors="replace").splitlines()
        return "\n".join(line for line in lines if not NOISE.match(line)).strip()

    def close(self) -> None:
        """Kill the process and those it forked, and wait until it is gone."""
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


def trainer_environment(n_threads: int) -> dict[str, str]:
    """Return a trainer's environment: little logging, its threads, and no store URL."""
    environment = child_environment(**QUIET)
    environment.pop("CONVSEARCH_STORE", None)
    for name in ("CONVSEARCH_TRAINER_THREADS", "OMP_NUM_THREADS"):
        environment[name] = str(n_threads)
    return environment


@contextmanager
def temporary_trainer(n_threads: int) -> Iterator[Trainer]:
    """Start a trainer outside of any worker, and end it afterwards.

    Raises:
        TrialRecordError: If its process ends before.
    """
    with closing(Trainer(n_threads=n_threads)) as trainer:
        try:
            yield trainer
        except TrainerGoneError as error:
            words = " ".join(last_lines(trainer.stderr_tail()))
            raise TrialRecordError(
                f"The trainer ended with exit code {trainer.exit_code()}: {words}"
            ) from error
