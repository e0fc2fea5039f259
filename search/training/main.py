"""The trainer: a child process that trains one trial after another.

Started by `search.trainer.process` as `python -m search.training.main`. It answers on what
was its standard output, and everything that libraries print goes to standard error. It ends at
once when its standard input closes: a worker that dies takes its trainer along.
"""

import importlib
import os
import queue
import sys
import threading
import traceback
from pathlib import Path
from typing import IO

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


class Channel:
    """The trainer's end of the pipe to its worker."""

    def __init__(self) -> None:
        self._out = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1)
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        threading.Thread(target=self._read, args=(sys.stdin,), daemon=True).start()

    def send(self, message: Message) -> None:
        """Send a message; a worker that is gone ends the process."""
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
    """Serve tasks until the worker closes the pipe."""
    channel = Channel()
    _load_tensorflow()
    import psutil

    from search.machine.memory import private_mb

    channel.send(Ready(memory_mb=private_mb(psutil.Process())))
    while True:
        message = decode(channel.receive())
        if isinstance(message, Task | Evaluate | Predict):
            _serve(channel, message)


def _load_tensorflow() -> None:
    """Load TensorFlow with deterministic operations on as many threads as the worker says."""
    import tensorflow as tf

    n_threads = int(os.environ.get("CONVSEARCH_TRAINER_THREADS", "1"))
    tf.config.threading.set_intra_op_parallelism_threads(n_threads)
    tf.config.threading.set_inter_op_parallelism_threads(n_threads)
    tf.config.experimental.enable_op_determinism()
    importlib.import_module("search.training.fit")


def _serve(channel: Channel, request: Task | Evaluate | Predict) -> None:
    """Train or evaluates a trial, or predicts; whatever comes of it is a message."""
    import gc

    import keras
    import tensorflow as tf

    from search.training.fit import NotFiniteError

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
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        channel.send(Failed(reason=reason, traceback=traceback.format_exc()))
    finally:
        keras.backend.clear_session()
        gc.collect()


def _train_deterministically(channel: Channel, task: Task) -> None:
    """Train a trial so that one seed gives one result, as far as its operations can.

    Some have no deterministic kernel for a GPU. The trial then begins again, or goes on from its
    checkpoint, without that; so do those that this process trains later.
    """
    import tensorflow as tf
    from tensorflow.python.framework.config import disable_op_determinism

    try:
        _train(channel, task)
    except tf.errors.UnimplementedError as error:
        if "determinis" not in str(error).lower():
            raise
        first = str(error).splitlines()[0]
        channel.send(Note(f"training goes on without deterministic operations: {first}"))
        disable_op_determinism()
        _train(channel, task)


def _evaluate(request: Evaluate) -> Evaluated:
    from search.data import PreparedSet
    from search.training.evaluate import evaluate
    from spaces import FamilyModule

    for module in request.task.modules:
        FamilyModule(**module).load()
    return evaluate(request, PreparedSet.open(Path(request.task.data)))


def _predict(channel: Channel, request: Predict) -> Predicted:
    from search.training.predict import predict

    return predict(request, lambda done, total: channel.send(Busy(done, total)))


def _train(channel: Channel, task: Task) -> None:
    from search.data import PreparedSet
    from search.training.fit import Fit
    from spaces import FamilyModule

    for module in task.modules:
        FamilyModule(**module).load()
    data = PreparedSet.open(Path(task.data))
    fit = Fit(task, data, lambda done, total: channel.send(Busy(done, total)))
    if task.resume_from and not fit.history:
        channel.send(Note("its checkpoint cannot be read, so it begins anew"))
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
