"""A replacement for the trainer without TensorFlow and without the project's modules.

A trial's curve is computed from its seed and family with integers and powers of two only, so it is
the same on every processor. Some trials fail, and some are unfit.
"""

import hashlib
import json
import os
import sys
from typing import Any


def main() -> None:
    send(kind="Ready", memory_mb=50.0)
    for line in sys.stdin:
        task = json.loads(line)
        if task["kind"] != "Task":
            send(kind="Failed", reason="There is no network.", traceback="")
            continue
        train(task)


def train(task: dict[str, Any]) -> None:
    key = f"{task['seed']} {task['config']['family']}"
    drawn = hashlib.sha256(key.encode()).digest()
    top, delay = drawn[0] / 256, drawn[1] % 4
    for epoch in range(1, task["max_epochs"] + 1):
        if epoch == 2 and drawn[2] < 10:
            return send(kind="Unfit", reason="The loss became nan in epoch 2.")
        if epoch == 2 and drawn[2] > 245:
            return send(kind="Failed", reason="ValueError: no", traceback="Traceback ...")
        value = top * (1 - 0.5 ** max(0, epoch - delay))
        row = {
            "epoch": epoch,
            "train_loss": 1.0,
            "train_accuracy": 0.5,
            "val_loss": 1.0,
            "val_accuracy": value,
            "learning_rate": 0.001,
            "seconds": 0.5,
            "memory_mb": 50.0,
        }
        send(kind="Epoch", row=row, save_error="", confusion=[[epoch, 1], [0, 2]])
        if sys.stdin.readline().strip() == "stop":
            return None
    metrics = {"best_epoch": epoch, "epochs": epoch, "balanced_accuracy": top, "macro_auc": top}
    return send(kind="Finished", value=value, metrics=metrics)


def send(**message: Any) -> None:
    os.write(1, json.dumps(message).encode() + b"\n")


if __name__ == "__main__":
    main()
