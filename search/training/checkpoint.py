"""Checkpoints: all that the rest of a training depends on, in one safetensors file.

A `.keras` file lacks the states of seed generators, without which a resumed fit would differ.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from search.trainer.protocol import Task
from storage.atomic_files import atomic_write

FORMAT = "convsearch checkpoint 1"


class CheckpointError(Exception):
    """A checkpoint cannot be written, as on a full disk."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Arrays by `group/name`, and everything else as JSON values."""

    arrays: dict[str, NDArray[Any]]
    state: dict[str, Any]

    def group(self, group: str) -> dict[str, NDArray[Any]]:
        """Return the arrays of a group by their names in it."""
        prefix = f"{group}/"
        return {
            name.removeprefix(prefix): array
            for name, array in self.arrays.items()
            if name.startswith(prefix)
        }


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write the file atomically: a kill at any moment leaves the old one or the new one.

    Only one process may write to a path at a time: the partial file has a fixed name, so that
    killed processes leave only one.

    Raises:
        CheckpointError: If it cannot be written; the old one stays.
    """
    partial = path.with_name(f".{path.name}.partial")
    arrays = {name: np.asarray(array, order="C") for name, array in checkpoint.arrays.items()}
    metadata = {"format": FORMAT, "state": json.dumps(checkpoint.state)}
    try:
        with atomic_write(path, partial=partial, sync=True):
            save_file(arrays, partial, metadata)
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or error
        raise CheckpointError(f"Cannot save {path}: {reason}") from error


def load_checkpoint(path: Path) -> Checkpoint | None:
    """Load a checkpoint; return None if it is missing, damaged or of another format.

    A trial without its checkpoint starts again with the same result, so this is no error.
    """
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != FORMAT:
                return None
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            state = json.loads(metadata["state"])
    except (SafetensorError, OSError, KeyError, ValueError, TypeError, RecursionError):
        return None
    return Checkpoint(arrays, state) if isinstance(state, dict) else None


def load_checkpoint_of(task: Task) -> Checkpoint | None:
    """Load the checkpoint that a task resumes from; None if it is missing or another task's."""
    checkpoint = load_checkpoint(Path(task.resume_from or task.checkpoint))
    if checkpoint is None or checkpoint.state.get("task") != task_identity(task):
        return None
    return checkpoint


def task_identity(task: Task) -> dict[str, Any]:
    """Return what a checkpoint and its task must agree on; paths of files may change."""
    values = asdict(task)
    for place in ("data", "checkpoint", "resume_from", "features", "modules"):
        del values[place]
    if task.weights is not None:
        values["weights"] = {key: task.weights[key] for key in ("digest", "mode")}
    return values
