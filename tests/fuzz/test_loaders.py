"""Damaged files of others end in an error of convsearch, and in no other.

`python -m tests.fuzz.test_loaders MINUTES` does the same for longer, with other damage each time.
"""

import random
import resource
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from search.data.decode import decoder_warnings
from tests.fuzz.loaders import LOADERS, Loader

MAX_MESSAGE = 1500
MAX_GROWTH_MB = 1024
"""Of this process; files of HDF5 are opened in a child, which has a limit of its own."""


def load_damaged(loader: Loader, good: bytes, path: Path, rng: random.Random) -> None:
    """Load a damaged file; raise what is not expected, or a message that is too long."""
    path.write_bytes(rng.choice(loader.mutations)(good, rng))
    message = ""
    try:
        with decoder_warnings():
            loader.load(path)
    except loader.errors as error:
        message = str(error)
    if len(message) > MAX_MESSAGE:
        raise ValueError(f"A message of {len(message)} characters: {message[:300]}")


@pytest.mark.parametrize("name", LOADERS)
def test_damaged_file_is_an_error_of_one_kind(name: str, tmp_path: Path) -> None:
    loader, rng = LOADERS[name], random.Random(0)
    path = tmp_path / f"good{loader.suffix}"
    loader.make(path)
    loader.load(path)
    good, begin_mb = path.read_bytes(), peak_memory_mb()
    for _ in range(loader.n_inputs):
        load_damaged(loader, good, path, rng)
    assert peak_memory_mb() < begin_mb + MAX_GROWTH_MB


def peak_memory_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main(minutes: float) -> None:
    """Print the number of inputs, the slowest one, and each input that raised another error."""
    rng, end, slowest, n_inputs, n_faults = random.Random(), time.time() + 60 * minutes, 0.0, 0, 0
    with TemporaryDirectory() as folder:
        good = {}
        for name, loader in LOADERS.items():
            path = Path(folder) / f"{name}{loader.suffix}"
            loader.make(path)
            loader.load(path)
            good[name] = path, path.read_bytes()
        begin_mb = peak_memory_mb()
        while time.time() < end:
            name = rng.choice(list(good))
            path, content = good[name]
            begin = time.perf_counter()
            try:
                load_damaged(LOADERS[name], content, path, rng)
            except Exception as error:
                n_faults += 1
                kept = Path(f"fault-{n_faults}{path.suffix}")
                kept.write_bytes(path.read_bytes())
                print(f"{kept}: {name}: {type(error).__name__}: {str(error)[:200]}", flush=True)
            slowest = max(slowest, time.perf_counter() - begin)
            n_inputs += 1
    print(
        f"{n_inputs:,} inputs, {n_faults} faults, slowest {slowest:.1f} s, "
        f"peak {peak_memory_mb():.0f} MB ({begin_mb:.0f} MB after the undamaged files)"
    )


if __name__ == "__main__":
    main(float(sys.argv[1]))
