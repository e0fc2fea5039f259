"""Preparing 10,000 PNGs of 64 px against decoding them in a bare Pillow process pool.

    python tests/benchmarks/prepare_speed.py [--images 2800 --format jpg]

Both run in turns, three times each, on the same files; the ratio of the medians should stay under
1.3. The bare pool is `multiprocessing.Pool` with one process per core. Both times include the
start of processes. Preparing also hashes, resizes, selects, compares, checks and writes them.

It also prints the peak memory of preparing, which should stay under 2 GiB for `--images 100000`,
and the time of `data inspect` on the prepared set, the command as a whole, which should
stay under 2 s.
"""

import argparse
import multiprocessing
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from search.data import DataSettings, prepare

SELF, CHILDREN = resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN
N_CLASSES = 4
SIDE = 64
REPEATS = 3


def main() -> None:
    """Print the seconds of both, and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=REPEATS)
    parser.add_argument("--format", choices=["png", "jpg"], default="png")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "images"
        files = _write_images(source, options.images, options.format)
        settings = DataSettings(source=str(source), image_size=SIDE, max_images=options.images)
        bare, ours, looked = [], [], []
        for repeat in range(options.repeats):
            cache = Path(folder) / f"cache{repeat}"
            bare.append(_seconds(lambda: _decode_bare(files)))
            ours.append(_seconds(lambda cache=cache: prepare(settings, cache)))
            looked.append(_seconds(lambda cache=cache: _inspect(settings, cache)))
            times = f"bare pool {bare[-1]:.2f} s, prepare {ours[-1]:.2f} s"
            print(f"{times}, inspect {looked[-1]:.2f} s", flush=True)
    ratio = statistics.median(ours) / statistics.median(bare)
    print(f"median of {options.repeats}: {ratio:.2f} times the bare pool (target: 1.3 at most)")
    peaks = (resource.getrusage(who).ru_maxrss / 1024 for who in (SELF, CHILDREN))
    print("peak memory: {:,.0f} MB, and {:,.0f} MB in a child (target: 2,048)".format(*peaks))
    print(f"inspect: {statistics.median(looked):.2f} s (target: under 2 s)")


def _inspect(settings: DataSettings, cache: Path) -> None:
    """Run `data inspect` on a set whose prepared images are in a cache folder."""
    command = [sys.executable, "-m", "search", "data", "inspect", settings.source]
    options = [f"--image-size={settings.image_size}", f"--max-images={settings.max_images}"]
    subprocess.run(
        [*command, *options],
        check=True,
        env={**os.environ, "CONVSEARCH_CACHE": str(cache)},
        stdout=subprocess.DEVNULL,
    )


def _write_images(folder: Path, n_images: int, extension: str) -> list[str]:
    """Write smooth random images that compress about as well as scans."""
    rng = np.random.default_rng(0)
    files = []
    options = {"quality": 90} if extension == "jpg" else {}
    for i in range(n_images):
        path = folder / str(i % N_CLASSES) / f"{i}.{extension}"
        path.parent.mkdir(parents=True, exist_ok=True)
        coarse = Image.fromarray(rng.integers(0, 256, (12, 12), dtype=np.uint8))
        coarse.resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(path, **options)
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
