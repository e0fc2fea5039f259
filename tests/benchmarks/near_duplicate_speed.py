"""Time and memory of the search for near duplicates, by the number of images.

`python tests/benchmarks/near_duplicate_speed.py [N ...]` searches thumbnails of smooth random
images, of which one in fifty is a mirrored copy, and prints the median of three searches.
"""

import resource
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import numpy as np
from PIL import Image

from search.data.near_duplicates import SIDE, find_twins

COPIES = 50
N_RUNS = 3


def thumbnails(n_images: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (n_images, 5, 5), dtype=np.uint8)
    bicubic = Image.Resampling.BICUBIC
    smooth = [np.asarray(Image.fromarray(it).resize((SIDE, SIDE), bicubic)) for it in coarse]
    images = np.stack(smooth)
    images[::COPIES] = images[1::COPIES][: len(images[::COPIES]), :, ::-1]
    return images


def main(sizes: list[int]) -> None:
    for n_images in sizes:
        images = thumbnails(n_images)
        times = []
        for _ in range(N_RUNS):
            begin = time.perf_counter()
            found = find_twins(images)
            times.append(time.perf_counter() - begin)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(
            f"{n_images:,} images: {statistics.median(times):.1f} s"
            f" ({', '.join(f'{it:.1f}' for it in times)}), {len(found):,} pairs,"
            f" peak {peak:.0f} MB",
            flush=True,
        )


if __name__ == "__main__":
    main([int(it) for it in sys.argv[1:]] or [3_000, 10_000])
