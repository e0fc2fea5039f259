import ast
import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from search.data import DataSettings, prepare
from search.data.parallel_map import can_fork, map_chunks
from search.errors import DataError

ROOT = Path(__file__).parents[3]
CHUNKS = [range(i, i + 3) for i in range(0, 60, 3)]


@pytest.fixture
def other_thread() -> Iterator[None]:
    leave = threading.Event()
    thread = threading.Thread(target=leave.wait)
    thread.start()
    yield
    leave.set()
    thread.join()


def _with_pid(chunk: Sequence[int]) -> list[tuple[int, int]]:
    return [(number, os.getpid()) for number in chunk]


@pytest.fixture
def two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("search.data.parallel_map.n_cores", lambda: 2)


def run_alone(work: str) -> str:
    """Map `work` over chunks in a new process, and return its output.

    The process of the tests may have threads and TensorFlow, so it would not be forked.
    """
    code = (
        "import os, signal\n"
        "from search.data import parallel_map\n"
        "from search.errors import DataError\n"
        "parallel_map.n_cores = lambda: 2\n"
        "assert parallel_map.can_fork()\n"
        f"def work(chunk):\n{textwrap.indent(work, '    ')}\n"
        "chunks = [range(i, i + 3) for i in range(0, 60, 3)]\n"
        "try: print([pair for part in parallel_map.map_chunks(work, chunks) for pair in part])\n"
        "except DataError as error: print(error)\n"
        "try: os.waitpid(-1, os.WNOHANG)\n"
        "except ChildProcessError: print('no child is left')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    return done.stdout


on_linux = pytest.mark.skipif(sys.platform != "linux", reason="forks on Linux only")


@on_linux
def test_work_is_done_by_forked_processes_in_order() -> None:
    lines = run_alone("return [(number, os.getpid()) for number in chunk]").splitlines()
    results = ast.literal_eval(lines[0])
    assert [number for number, _ in results] == list(range(60))
    assert len({pid for _, pid in results}) == 2
    assert lines[1] == "no child is left"


@on_linux
def test_killed_process_is_an_error_and_the_others_are_ended() -> None:
    printed = run_alone("if 9 in chunk: os.kill(os.getpid(), signal.SIGKILL)\nreturn list(chunk)")
    assert "A process that decodes images was killed" in printed
    assert "no child is left" in printed


@pytest.mark.usefixtures("two_cores", "other_thread")
def test_process_with_threads_is_not_forked() -> None:
    results = [pair for part in map_chunks(_with_pid, CHUNKS) for pair in part]
    assert results == [(number, os.getpid()) for number in range(60)]


@pytest.mark.usefixtures("two_cores")
def test_process_with_tensorflow_is_not_forked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorflow", os)
    assert not can_fork()


@pytest.mark.usefixtures("two_cores")
@pytest.mark.parametrize("threads", [False, True])
def test_error_in_a_process_reaches_the_caller(
    threads: bool, request: pytest.FixtureRequest
) -> None:
    if threads:
        request.getfixturevalue("other_thread")

    def work(chunk: Sequence[int]) -> list[int]:
        raise DataError(f"refused {chunk[0]}")

    with pytest.raises(DataError, match="refused 0"):
        list(map_chunks(work, CHUNKS))


@pytest.mark.usefixtures("two_cores")
def test_both_ways_prepare_the_same(
    make_folder: Callable[..., Path], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    settings = DataSettings(source=str(make_folder({"a": 90, "b": 90})), image_size=8)
    forked = prepare(settings, tmp_path / "forked")
    request.getfixturevalue("other_thread")
    threaded = prepare(settings, tmp_path / "threaded")
    assert forked.fingerprint == threaded.fingerprint
    np.testing.assert_array_equal(forked.images("val"), threaded.images("val"))
