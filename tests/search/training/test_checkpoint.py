"""Checkpoints: a file is complete, or it counts as missing."""

import resource
from pathlib import Path

import numpy as np
import pytest

from search.training.checkpoint import (
    Checkpoint,
    CheckpointError,
    load_checkpoint,
    write_checkpoint,
)

CHECKPOINT = Checkpoint(
    {"model/0": np.arange(6, dtype=np.float32).reshape(2, 3), "model/1": np.array(7)},
    {"epoch": 3, "best": 0.1},
)


def test_checkpoint_survives_a_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "new" / "one.safetensors"
    write_checkpoint(path, CHECKPOINT)
    loaded = load_checkpoint(path)
    assert loaded is not None
    assert loaded.state == CHECKPOINT.state
    for name, array in CHECKPOINT.arrays.items():
        assert loaded.arrays[name].dtype == array.dtype
        assert np.array_equal(loaded.arrays[name], array)


@pytest.mark.parametrize("content", [b"", b"nonsense" * 100, None])
def test_broken_checkpoint_is_none(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "one.safetensors"
    write_checkpoint(path, CHECKPOINT)
    path.write_bytes(path.read_bytes()[:-5] if content is None else content)
    assert load_checkpoint(path) is None


def test_missing_checkpoint_is_none(tmp_path: Path) -> None:
    assert load_checkpoint(tmp_path / "none") is None


def test_failed_write_leaves_the_old_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "one.safetensors"
    write_checkpoint(path, CHECKPOINT)

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(CheckpointError, match="No space left"):
        write_checkpoint(path, Checkpoint({}, {"epoch": 4}))
    assert [file.name for file in tmp_path.iterdir()] == ["one.safetensors"]
    loaded = load_checkpoint(path)
    assert loaded is not None
    assert loaded.state["epoch"] == 3


def test_full_disk_leaves_the_old_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "one.safetensors"
    write_checkpoint(path, CHECKPOINT)
    large = Checkpoint({"a": np.zeros(100_000)}, {"epoch": 4})
    known = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, known[1]))
    try:
        with pytest.raises(CheckpointError, match=r"Cannot save .*one.safetensors: .*too large"):
            write_checkpoint(path, large)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, known)
    assert [file.name for file in tmp_path.iterdir()] == ["one.safetensors"]
    loaded = load_checkpoint(path)
    assert loaded is not None
    assert loaded.state["epoch"] == 3
    write_checkpoint(path, large)
    assert (load_checkpoint(path) or loaded).state["epoch"] == 4


def test_folder_that_cannot_be_made_is_a_checkpoint_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CheckpointError, match="Not a directory"):
        write_checkpoint(tmp_path / "file" / "folder" / "one.safetensors", CHECKPOINT)
