"""Checkpoints: whole or not there."""

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


def test_checkpoint_comes_back_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "new" / "one.safetensors"
    write_checkpoint(path, CHECKPOINT)
    loaded = load_checkpoint(path)
    assert loaded is not None
    assert loaded.state == CHECKPOINT.state
    for name, array in CHECKPOINT.arrays.items():
        assert loaded.arrays[name].dtype == array.dtype
        assert np.array_equal(loaded.arrays[name], array)


@pytest.mark.parametrize("content", [b"", b"nonsense" * 100, None])
def test_broken_checkpoint_is_as_good_as_none(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "one.safetensors"
    write_checkpoint(path, CHECKPOINT)
    path.write_bytes(path.read_bytes()[:-5] if content is None else content)
    assert load_checkpoint(path) is None


def test_missing_checkpoint_is_none(tmp_path: Path) -> None:
    assert load_checkpoint(tmp_path / "none") is None


def test_failed_write_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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
