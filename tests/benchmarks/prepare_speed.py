"""Preparing 2,800 JPEGs of 64 px against decoding them in a bare Pillow process pool.

    python tests/benchmarks/prepare_speed.py

Both run in turns, three times each, on the same files; the ratio of the medians should stay under
1.5. The bare pool is `multiprocessing.Pool` with one process per core. Both times include the
start of processes. Preparing also hashes, resizes, selects, checks and writes the images.
"""

import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from search.data import DataSettings, prepare

N_IMAGES = 2800
N_CLASSES = 4
SIDE = 64
REPEATS = 3


def main() -> None:
    """Print the seconds of both, and their ratio."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "images"
        files = _write_images(source)
        settings = DataSettings(source=str(source), image_size=SIDE)
        bare, ours = [], []
        for repeat in range(REPEATS):
            cache = Path(folder) / f"cache{repeat}"
            bare.append(_seconds(lambda: _decode_bare(files)))
            ours.append(_seconds(lambda cache=cache: prepare(settings, cache)))
            print(f"bare pool {bare[-1]:.2f} s, prepare {ours[-1]:.2f} s")
    ratio = statistics.median(ours) / statistics.median(bare)
    print(f"median of {REPEATS}: {ratio:.2f} times the bare pool (target: 1.5 at most)")


def _write_images(folder: Path) -> list[str]:
    """Write smooth random images that compress about as well as scans."""
    rng = np.random.default_rng(0)
    files = []
    for i in range(N_IMAGES):
        path = folder / str(i % N_CLASSES) / f"{i}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        coarse = Image.fromarray(rng.integers(0, 256, (12, 12), dtype=np.uint8))
        coarse.resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(path, quality=90)
        files.append(str(path))
    return files


def _decode_bare(files: list[str]) -> None:
    with multiprocessing.Pool(os.cpu_count()) as pool:
        pool.map(_decode, files)


def _decode(path: str) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
