"""The trainer: a child process that trains one trial after another.

`search.trainer.process` starts it as `python -m search.training.main`. Messages go to the original
standard output, and everything that libraries print goes to standard error. The process exits as
soon as its standard input closes, so no trainer outlives its worker.
"""

import importlib
import os
import queue
import sys
import threading
import traceback
from pathlib import Path
from typing import IO, TYPE_CHECKING

from search.errors import summarize
from search.machine.hidden_packages import hide_packages
from search.trainer.protocol import (
    Busy,
    Epoch,
    Evaluate,
    Evaluated,
    Failed,
    Message,
    Note,
    Predict,
    Predicted,
    Ready,
    Resumed,
    Task,
    Unfit,
    decode,
    encode,
)

if TYPE_CHECKING:
    from search.data import PreparedSet


UNUSED_PACKAGES = ("IPython", "matplotlib", "pandas", "sklearn")
"""Packages that Keras imports where they are installed, for features that no trainer uses. They
would take 1.5 of 5.3 s of processor time until a trainer is ready, and 94 MB of its memory."""


class Channel:
    """The trainer's end of the pipe to its worker."""

    def __init__(self) -> None:
        self._out = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1)
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        threading.Thread(target=self._read, args=(sys.stdin,), daemon=True).start()

    def send(self, message: Message) -> None:
        """Send a message; exit if the worker is gone."""
        try:
            self._out.write(encode(message))
        except BrokenPipeError:
            os._exit(1)

    def receive(self) -> str:
        """Wait for the worker's next line."""
        return self._lines.get()

    def _read(self, stream: IO[str]) -> None:
        for line in stream:
            self._lines.put(line.strip())
        os._exit(0)


def main() -> None:
    """Serve requests until the worker closes the pipe."""
    channel = Channel()
    load_tensorflow()
    import psutil

    from search.machine.memory import private_mb

    channel.send(Ready(memory_mb=private_mb(psutil.Process())))
    while True:
        message = decode(channel.receive())
        if isinstance(message, Task | Evaluate | Predict):
            _serve(channel, message)


def load_tensorflow() -> None:
    """Load TensorFlow with deterministic operations and the number of threads configured."""
    with hide_packages(UNUSED_PACKAGES):
        import keras  # noqa: F401
        import tensorflow as tf

    n_threads = int(os.environ.get("CONVSEARCH_TRAINER_THREADS", "1"))
    tf.config.threading.set_intra_op_parallelism_threads(n_threads)
    tf.config.threading.set_inter_op_parallelism_threads(n_threads)
    tf.config.experimental.enable_op_determinism()
    importlib.import_module("search.training.fit")


def _serve(channel: Channel, request: Task | Evaluate | Predict) -> None:
    """Train or evaluate a trial, or predict, and send the result or the error as a message."""
    import gc

    import keras
    import tensorflow as tf

    from search.training.phase import NotFiniteError

    try:
        if isinstance(request, Evaluate):
            channel.send(_evaluate(request))
        elif isinstance(request, Predict):
            channel.send(_predict(channel, request))
        else:
            _train_deterministically(channel, request)
    except NotFiniteError as error:
        channel.send(Unfit(reason=str(error)))
    except (tf.errors.ResourceExhaustedError, MemoryError):
        channel.send(Unfit(reason="The network needs more memory than there is."))
    except (Exception, SystemExit) as error:  # A user's family may raise anything.
        channel.send(Failed(reason=summarize(error), traceback=traceback.format_exc()))
    finally:
        keras.backend.clear_session()
        gc.collect()


def _train_deterministically(channel: Channel, task: Task) -> None:
    """Train a trial with deterministic operations where all of its operations have them.

    Some have no deterministic kernel for a GPU. The trial is then restarted, or resumed from its
    checkpoint, without determinism, as are the trials that this process trains later.
    """
    import tensorflow as tf
    from tensorflow.python.framework.config import disable_op_determinism

    try:
        _train(channel, task)
    except tf.errors.UnimplementedError as error:
        if "determinis" not in str(error).lower():
            raise
        first = str(error).splitlines()[0]
        channel.send(Note(f"training continues without deterministic operations: {first}"))
        disable_op_determinism()
        _train(channel, task)


def _evaluate(request: Evaluate) -> Evaluated:
    from search.training.evaluate import evaluate

    return evaluate(request, _load_data(request.task))


def _load_data(task: Task) -> "PreparedSet":
    """Load the users' families that a task needs, and open its images."""
    from search.data import PreparedSet
    from spaces import FamilyModule

    for module in task.modules:
        FamilyModule(**module).load()
    return PreparedSet.open(Path(task.data))


def _predict(channel: Channel, request: Predict) -> Predicted:
    from search.training.predict import predict

    return predict(request, lambda done, total: channel.send(Busy(done, total)))


def _train(channel: Channel, task: Task) -> None:
    from search.training.fit import Fit

    fit = Fit(task, _load_data(task), lambda done, total: channel.send(Busy(done, total)))
    if task.resume_from and not fit.history:
        channel.send(Note("its checkpoint cannot be read, so it starts again"))
    if fit.history:
        channel.send(Resumed(tuple(fit.history), fit.confusion))
        if channel.receive() == "stop":
            return
    while fit.has_next_epoch:
        row = fit.run_epoch()
        channel.send(Epoch(row, fit.save_error, fit.confusion))
        if channel.receive() == "stop":
            return
    channel.send(fit.finish())


if __name__ == "__main__":
    main()
