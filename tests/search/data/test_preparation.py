import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest

from search.data import DataSettings, PreparedSet, prepare
from search.data.kept_summary import summary_path
from search.errors import DataError
from tests.tools.marks import needs_open_checkout

MakeFolder = Callable[..., Path]
ROOT = Path(__file__).resolve().parents[3]

PREPARE = """
import sys
from pathlib import Path
from search.data import DataSettings, prepare
print(prepare(DataSettings(source=sys.argv[1], image_size=8), Path(sys.argv[2])).fingerprint)
"""

STOP_HALF_WAY = """
import sys, time
from search.data import preparation

def write_half(file, splits, metadata):
    file.write(bytes(1000))
    file.flush()
    print("half-way", flush=True)
    time.sleep(600)

preparation.write_prepared = write_half
"""


AS_NOBODY = """
import os
import search.data.folder, search.data.image_reader, search.data.preparation
import storage.atomic_files, PIL.PngImagePlugin
if os.geteuid() == 0:  # root may do anything unless it gives that up
    os.setresuid(65534, 65534, 65534)
"""


def _settings(root: Path, **options: object) -> DataSettings:
    return DataSettings(source=str(root), image_size=8, **options)


def _start(code: str, *arguments: object, stderr: int | None = None) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=stderr, text=True)


def _forbid_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "search.data.image_files.read_image", lambda path, _: pytest.fail(f"read {path}")
    )


@pytest.fixture
def source(make_folder: MakeFolder) -> Path:
    return make_folder({"a": 8, "b": 8})


def test_prepared_set_is_found_again_without_decoding(
    source: Path, cache_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = prepare(_settings(source), cache_dir)
    _forbid_decoding(monkeypatch)
    again = prepare(_settings(source), cache_dir)
    assert again.path == first.path
    assert set(cache_dir.iterdir()) == {first.path, summary_path(first.path)}


def _rewrite(source: Path) -> None:
    path = source / "a" / "000.png"
    path.write_bytes((source / "a" / "001.png").read_bytes())
    os.utime(path, ns=(0, 1))


@pytest.mark.parametrize(
    "change",
    [
        _rewrite,
        lambda source: (source / "a" / "000.png").unlink(),
        lambda source: (source / "a" / "000.png").rename(source / "b" / "new.png"),
        lambda source: os.utime(source / "b" / "003.png", ns=(0, 1)),
    ],
    ids=["rewritten", "removed", "moved", "touched"],
)
def test_changed_source_is_prepared_again(
    source: Path, cache_dir: Path, change: Callable[[Path], None]
) -> None:
    first = prepare(_settings(source), cache_dir)
    change(source)
    assert prepare(_settings(source), cache_dir).path != first.path


def test_changed_npz_is_prepared_again(make_npz: Callable[..., Path], cache_dir: Path) -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (12, 8, 8), dtype=np.uint8)
    path = make_npz(images=images, labels=np.arange(12) % 2)
    first = prepare(_settings(path), cache_dir)
    make_npz(images=images[::-1], labels=np.arange(12) % 2)
    assert prepare(_settings(path), cache_dir).fingerprint != first.fingerprint


def test_damaged_set_in_the_cache_is_made_again(source: Path, cache_dir: Path) -> None:
    first = prepare(_settings(source), cache_dir)
    content = first.path.read_bytes()
    for damaged in (content[:-1], content[:-1] + bytes([content[-1] ^ 1])):
        first.path.write_bytes(damaged)
        assert prepare(_settings(source), cache_dir).fingerprint == first.fingerprint
        assert first.path.read_bytes() == content


def test_progress_counts_images(source: Path, cache_dir: Path) -> None:
    calls: list[tuple[int, int, str]] = []
    prepare(_settings(source), cache_dir, lambda *call: calls.append(call))
    assert calls == [(i, 16, "images") for i in range(1, 17)]


def test_missing_path_is_refused(tmp_path: Path, cache_dir: Path) -> None:
    with pytest.raises(DataError, match=r"No such file or folder: .*nowhere. Expected a folder"):
        prepare(_settings(tmp_path / "nowhere"), cache_dir)


def test_other_file_is_refused(tmp_path: Path, cache_dir: Path) -> None:
    (tmp_path / "scan.dcm").touch()
    with pytest.raises(DataError, match=r"Expected a folder of images, a manif.*the file .*dcm"):
        prepare(_settings(tmp_path / "scan.dcm"), cache_dir)


def test_one_class_is_refused(make_folder: MakeFolder, cache_dir: Path) -> None:
    root = make_folder({"only": 9})
    with pytest.raises(DataError, match=r"at least 2 classes in .*Received: 1, 'only'"):
        prepare(_settings(root), cache_dir)
    assert not cache_dir.exists()


def test_set_too_large_for_memory_is_refused(
    source: Path, cache_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("search.data.preparation.MAX_BYTES", 1000)
    with pytest.raises(
        DataError, match=r"for 16 images of 8 px. Lower --max-images or --image-size"
    ):
        prepare(_settings(source), cache_dir)


def test_cache_folder_that_is_a_file_is_refused(source: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"Cannot write to the cache folder .*CONVSEARCH_CACHE"):
        prepare(_settings(source), tmp_path / "file")


@needs_open_checkout
@pytest.mark.parametrize(("mode", "verb"), [(0o000, "read"), (0o555, "write to")])
def test_cache_folder_without_permission_is_refused(
    source: Path, public_folder: Path, mode: int, verb: str
) -> None:
    cache_dir = public_folder / "locked"
    cache_dir.mkdir(mode=mode)
    shutil.copytree(source, public_folder / "source")
    arguments = (public_folder / "source", cache_dir)
    process = _start(AS_NOBODY + PREPARE, *arguments, stderr=subprocess.PIPE)
    _, complaint = process.communicate(timeout=60)
    cache_dir.chmod(0o700)
    assert f"Cannot {verb} the cache folder {cache_dir}: Permission denied" in complaint


def test_path_that_cannot_be_opened_is_refused(cache_dir: Path) -> None:
    long, nobody = "x" * 300, "~nobody-here/x"
    for path, message in (
        (long, f"Cannot open {long}: File name too long"),
        (nobody, f"No such file or folder: {nobody}"),
    ):
        with pytest.raises(DataError, match=message):
            prepare(_settings(Path(path)), cache_dir)


def test_failing_disk_leaves_nothing_half_written(
    source: Path, cache_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill(file: BinaryIO, *_: object) -> None:
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("search.data.preparation.write_prepared", fill)
    with pytest.raises(DataError, match=r"cache folder .*: No space left on device"):
        prepare(_settings(source), cache_dir)
    assert list(cache_dir.iterdir()) == []


def test_set_appears_only_once_it_is_whole(
    source: Path, cache_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(temporary: Path, path: Path) -> None:
        assert len(temporary.read_bytes()) > 16 * 8 * 8
        assert not path.exists()
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(DataError, match="Input/output error"):
        prepare(_settings(source), cache_dir)
    assert list(cache_dir.iterdir()) == []


def test_two_processes_may_prepare_at_once(source: Path, cache_dir: Path) -> None:
    processes = [_start(PREPARE, source, cache_dir) for _ in range(2)]
    fingerprints = {process.communicate(timeout=60)[0].strip() for process in processes}
    assert [process.returncode for process in processes] == [0, 0]
    prepared = prepare(_settings(source), cache_dir)
    assert fingerprints == {prepared.fingerprint}
    assert set(cache_dir.iterdir()) == {prepared.path, summary_path(prepared.path)}


def test_process_killed_half_way_leaves_no_usable_set(
    source: Path, cache_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = _start(STOP_HALF_WAY + PREPARE, source, cache_dir)
    assert process.stdout is not None
    assert process.stdout.readline() == "half-way\n"
    (leftover,) = cache_dir.iterdir()
    process.send_signal(signal.SIGKILL)
    process.wait(timeout=60)
    process.stdout.close()

    monkeypatch.setattr("storage.atomic_files.STALE_PARTIAL_S", -1.0)
    prepared = prepare(_settings(source), cache_dir)
    assert not leftover.exists()
    assert set(cache_dir.iterdir()) == {prepared.path, summary_path(prepared.path)}
    PreparedSet.open(prepared.path).verify()


def test_recent_partial_file_is_kept(source: Path, cache_dir: Path) -> None:
    cache_dir.mkdir()
    (cache_dir / ".set.safetensors.0123abcd").touch()
    prepare(_settings(source), cache_dir)
    assert (cache_dir / ".set.safetensors.0123abcd").exists()
