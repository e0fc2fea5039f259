"""Checkpoints: everything that the rest of a training depends on, in one safetensors file.

A `.keras` file leaves out the states of the seed generators, and a training that goes on without
them is another training.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

FORMAT = "convsearch checkpoint 1"


class CheckpointError(Exception):
    """A checkpoint cannot be written: its disk is full, or its folder closed."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Arrays by name, and what else there is as JSON values."""

    arrays: dict[str, NDArray[Any]]
    state: dict[str, Any]


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write the file whole or not at all: a kill at any moment leaves the old one or the new.

    One process at a time may write to a path; what a killed one left is written over.

    Raises:
        CheckpointError: If it cannot be written; the old one stays.
    """
    partial = path.with_name(f".{path.name}.partial")
    arrays = {name: np.asarray(array, order="C") for name, array in checkpoint.arrays.items()}
    metadata = {"format": FORMAT, "state": json.dumps(checkpoint.state)}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _save(arrays, partial, metadata)
        partial.replace(path)
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or error
        raise CheckpointError(f"Cannot save {path}: {reason}") from error


def _save(arrays: dict[str, NDArray[Any]], path: Path, metadata: dict[str, str]) -> None:
    """Write a file and has it on the disk, or leaves none."""
    try:
        save_file(arrays, path, metadata)
        with path.open("rb") as file:
            os.fsync(file.fileno())
    except (OSError, SafetensorError):
        path.unlink(missing_ok=True)
        raise


def load_checkpoint(path: Path) -> Checkpoint | None:
    """Load a checkpoint; one that is missing, broken or of another format gives None.

    A trial without its checkpoint starts again and gives the same curve, so there is no reason to
    fail.
    """
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != FORMAT:
                return None
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        return Checkpoint(arrays, json.loads(metadata["state"]))
    except (SafetensorError, OSError, KeyError, ValueError):
        return None
