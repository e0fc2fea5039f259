import signal
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from search.data import DataSettings, prepare
from search.data.hdf5 import contents, headers
from search.data.hdf5.contents import read_contents
from search.data.open_source import open_source
from search.errors import DataError

LABELS = np.arange(12) % 2
IMAGES = np.random.default_rng(3).integers(0, 256, (12, 9, 8), dtype=np.uint8)


def _write(path: Path) -> Path:
    with h5py.File(path, "w") as file:
        file["x"], file["y"] = IMAGES, LABELS
        file.create_dataset("val_images", data=IMAGES, chunks=(5, 9, 8), compression="gzip")
    return path


def test_child_says_what_is_in_files(tmp_path: Path, cache_dir: Path) -> None:
    paths = [_write(tmp_path / name) for name in ("a.h5", "brain-übersicht.h5")]
    for path, found in zip(paths, read_contents(paths, ["val_images", "x"], ["y"]), strict=True):
        assert found.path == path
        assert found.names == {"val_images", "x", "y"}
        np.testing.assert_array_equal(found.find_labels("y"), LABELS)
        chunks = found.find_images("val_images").chunks
        assert chunks is not None
        assert chunks.shape == (5, 9, 8)
        assert len(chunks.table) == 3
    settings = DataSettings(source=str(paths[0]), image_size=8)
    assert sum(prepare(settings, cache_dir).counts.values()) == 12


def test_damaged_file_that_ends_the_library_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = _write(tmp_path / "a.h5")
    program = tmp_path / "crash.py"
    monkeypatch.setattr("search.data.hdf5.contents._PROGRAM", program)
    program.write_text("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")
    with pytest.raises(DataError, match="the HDF5 library failed on it, so it is damaged"):
        read_contents([path], ["x"], ["y"])
    program.write_text("import time; time.sleep(60)")
    monkeypatch.setattr("search.data.hdf5.contents.MIN_TIMEOUT_S", 0.2)
    with pytest.raises(DataError, match=r"has not read it within 0.2 s"):
        read_contents([path], ["x"], ["y"])


def test_child_that_nobody_waits_for_ends_by_itself(tmp_path: Path) -> None:
    program = tmp_path / "loop.py"
    text = Path(headers.__file__).read_text().replace("MAX_CPU_S = 120", "MAX_CPU_S = 1")
    program.write_text(text.replace("def main(", "def main(_):\n    while True: pass\ndef other("))
    command = [sys.executable, str(program), '{"paths": []}']
    assert subprocess.run(command, check=False, timeout=60).returncode == -signal.SIGKILL


def test_small_files_have_less_time_than_large_ones(tmp_path: Path) -> None:
    small, large = tmp_path / "small", tmp_path / "large"
    small.write_bytes(bytes(10_000))
    with large.open("wb") as file:
        file.truncate(2**30)
    assert contents._timeout_s([str(small)]) == 20
    assert contents._timeout_s([str(small), str(large)]) == 120


def test_file_that_another_process_writes_is_read(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.h5")
    code = f"import h5py; f = h5py.File({str(path)!r}, 'a'); print('open', flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        assert len(open_source(DataSettings(source=str(path))).items) == 12
        writer.communicate(b"\n")
