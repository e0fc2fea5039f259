"""A trainer without TensorFlow that follows the real protocol and ends in the given mode.

Run as `python fake_trainer.py MODE`. An epoch takes 0.01 s, and 0.1 s in the mode `steady`.
"""

import os
import signal
import sys
import time
from pathlib import Path

import psutil

from search.trainer.protocol import Busy, Epoch, Failed, Finished, Ready, Task, Unfit, decode
from search.training.main import Channel
from storage import EpochRow

ACCURACIES = (0.4, 0.6, 0.5, 0.7)


def main() -> None:
    channel = Channel()
    mode = sys.argv[1]
    time.sleep(4.5 if mode == "late" else 0.0)
    channel.send(Ready(memory_mb=psutil.Process().memory_info().rss / 2**20))
    while True:
        task = decode(channel.receive())
        assert isinstance(task, Task)
        for number, accuracy in enumerate(ACCURACIES[: task.max_epochs], start=1):
            if number == 3 and end_as(channel, mode):
                break
            time.sleep(0.1 if mode == "steady" else 0.01)
            row = EpochRow(number, 1.0, 0.5, 1.0, accuracy, 1e-3, 0.01, 50.0)
            channel.send(Epoch(row, save(task, number, mode), ((number, 1), (0, 2))))
            if channel.receive() == "stop":
                break
        else:
            channel.send(Finished(max(ACCURACIES[: task.max_epochs]), {"best_epoch": 2}))


def save(task: Task, epoch: int, mode: str) -> str:
    """Write the number of the epoch as the checkpoint, or return why that failed."""
    if mode == "unsaved":
        return "Cannot save: No space left on device"
    path = Path(task.checkpoint)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"epoch {epoch}")
    return ""


def end_as(channel: Channel, mode: str) -> bool:
    """End as the mode says; return whether the trial has ended and the trainer continues."""
    if mode.startswith("forked and ") and os.fork() == 0:
        time.sleep(1000)
    match mode.removeprefix("forked and "):
        case "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        case "crashed":
            os.kill(os.getpid(), signal.SIGSEGV)
        case "left":
            print("last words", file=sys.stderr)
            os._exit(7)
        case "busy":
            for done in (0, 10, 20):
                channel.send(Busy(done, 40))
                time.sleep(1.1)
        case "hung":
            time.sleep(1000)
        case "greedy":
            grow(megabytes=400)
            time.sleep(1000)
        case "greedy and killed":
            grow(megabytes=270)
            train_two_epochs(channel)
            os.kill(os.getpid(), signal.SIGKILL)
        case "nan":
            channel.send(Unfit("The loss became nan in epoch 3."))
        case "failed":
            channel.send(Failed("ValueError: no", "Traceback ..."))
        case "babbling":
            os.write(channel._out.fileno(), b"this is no message\n")
            time.sleep(1000)
    return mode in {"nan", "failed"}


def train_two_epochs(channel: Channel) -> None:
    """Train two epochs; at its reply to the second, the worker has measured the memory."""
    for number in (3, 4):
        channel.send(Epoch(EpochRow(number, 1.0, 0.5, 1.0, 0.5, 1e-3, 0.01, 50.0), "", ()))
        channel.receive()


def grow(megabytes: int) -> None:
    ballast.append(b"x" * (megabytes * 2**20))


ballast: list[bytes] = []


if __name__ == "__main__":
    main()
