"""The trainer process: what it loads, and operations without a deterministic implementation."""

import subprocess
import sys
from collections.abc import Iterator

import pytest
import tensorflow as tf
from tensorflow.python.framework import config

from search.trainer.protocol import Failed, Finished, Message, Note, Task
from search.training import main

TASK = Task({}, "", "", "", 1, 1, 1, 1, 0.5, 1e-6)


class Listener:
    """Stands in for the pipe to the worker."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    def send(self, message: Message) -> None:
        self.messages.append(message)


@pytest.fixture(autouse=True)
def _deterministic() -> Iterator[None]:
    tf.config.experimental.enable_op_determinism()
    yield
    tf.config.experimental.enable_op_determinism()


def serve(monkeypatch: pytest.MonkeyPatch, message: str) -> list[Message]:
    """Serve a task whose training raises, as on a GPU, while determinism is required."""

    def train(channel: Listener, _task: Task) -> None:
        if config.is_op_determinism_enabled():
            raise tf.errors.UnimplementedError(None, None, message)
        channel.send(Finished(0.5))

    monkeypatch.setattr(main, "_train", train)
    listener = Listener()
    main._serve(listener, TASK)  # type: ignore[arg-type]
    return listener.messages


def test_trial_continues_without_determinism_if_an_operation_has_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = "A deterministic GPU implementation of DepthwiseConvBackpropFilter is not available."
    note, finished = serve(monkeypatch, text)
    assert isinstance(note, Note)
    assert note.text == f"training continues without deterministic operations: {text}"
    assert finished == Finished(0.5)


def test_other_operations_that_do_not_exist_fail_the_trial(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (failed,) = serve(monkeypatch, "Fused conv implementation does not support grouped convs.")
    assert isinstance(failed, Failed)
    assert config.is_op_determinism_enabled()


def test_trainer_loads_no_unused_package_and_families_may_import_them() -> None:
    code = (
        "import sys\n"
        "from search.training import main\n"
        "main.load_tensorflow()\n"
        "assert 'keras' in sys.modules\n"
        "assert not set(main.UNUSED_PACKAGES) & set(sys.modules)\n"
        "import pandas, sklearn\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
