"""A trainer without TensorFlow that keeps checkpoints, with curves that can be worked out again.

`FLEET_EPOCH_S` says how long an epoch takes, and `FLEET_HANGS` the trials that hang in their
second epoch, once each. Every epoch that is trained is a line of the file `epochs.log` beside the
checkpoints.
"""

import json
import os
import time
from dataclasses import asdict
from pathlib import Path

import psutil

from search.trainer.protocol import Epoch, Finished, Ready, Resumed, Task, decode
from search.training.main import Channel
from storage import EpochRow


def accuracy(seed: int, epoch: int) -> float:
    """Return the accuracy of a trial's epoch: arbitrary, but always the same."""
    return (seed * 7919 + epoch * 104729) % 9973 / 9973


def main() -> None:
    channel = Channel()
    channel.send(Ready(memory_mb=psutil.Process().memory_info().rss / 2**20))
    while True:
        task = decode(channel.receive())
        assert isinstance(task, Task)
        train(channel, task)


def train(channel: Channel, task: Task) -> None:
    path = Path(task.checkpoint)
    rows = load(task)
    name = path.name.split(".")[0]
    if rows:
        channel.send(Resumed(tuple(rows)))
        if channel.receive() == "stop":
            return
    for epoch in range(len(rows) + 1, task.max_epochs + 1):
        note(path.parent, name, epoch)
        if epoch == 2 and name in os.environ.get("FLEET_HANGS", "").split():
            hang_once(path.with_name(f"{name}.hung"))
        time.sleep(float(os.environ.get("FLEET_EPOCH_S", "0.1")))
        value = accuracy(task.seed, epoch)
        rows.append(EpochRow(epoch, 1.0, 0.5, 1.0, value, 1e-3, 0.1, 50.0))
        save(path, task, rows)
        channel.send(Epoch(rows[-1]))
        if channel.receive() == "stop":
            return
    best = max(rows, key=lambda row: row.val_accuracy)
    channel.send(Finished(best.val_accuracy, {"best_epoch": best.epoch, "epochs": len(rows)}))


def load(task: Task) -> list[EpochRow]:
    if not task.resume_from:
        return []
    known = json.loads(Path(task.resume_from).read_text())
    return [EpochRow(**row) for row in known["rows"]] if known["seed"] == task.seed else []


def save(path: Path, task: Task, rows: list[EpochRow]) -> None:
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_text(json.dumps({"seed": task.seed, "rows": [asdict(row) for row in rows]}))
    partial.replace(path)


def note(folder: Path, name: str, epoch: int) -> None:
    with (folder / "epochs.log").open("a") as log:
        log.write(f"{name} {epoch}\n")


def hang_once(mark: Path) -> None:
    if not mark.exists():
        mark.touch()
        time.sleep(1000)


if __name__ == "__main__":
    main()
