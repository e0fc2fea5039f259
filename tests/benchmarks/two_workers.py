"""Time of two workers with one thread each and of one worker with two, on the same trials.

python tests/benchmarks/two_workers.py [--runs 3] [--epochs 6] [--source FILE.npz]
"""

import argparse
import tempfile
import time
from pathlib import Path

from fixed_trials import (
    DEFAULT_SOURCE,
    finish_times,
    make_params,
    make_study,
    print_ratios,
    start_worker,
)

NETWORKS = tuple(
    make_params(*channels, dense1_units=units)
    for channels in ((32, 64, 128), (24, 48), (16, 32, 64, 128), (40, 80))
    for units in (64, 96)
)


def run(source: Path, epochs: int, *, n_workers: int, n_threads: int) -> float:
    """Return the seconds from the start of the workers until the last trial ends."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        opened = make_study(folder, NETWORKS, source=source, max_epochs=epochs, name="fixed")
        started = time.time()
        workers = [start_worker(folder, "fixed", n_threads=n_threads) for _ in range(n_workers)]
        for worker in workers:
            worker.wait()
        times = finish_times(opened)
    assert len(times) == len(NETWORKS), times
    return times[-1] - started


def main() -> None:
    """Run both in turn, and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--source", type=Path, default=DEFAULT_SOURCE)
    options = parser.parse_args()
    pairs = []
    for _ in range(options.runs):
        one = run(options.source, options.epochs, n_workers=1, n_threads=2)
        two = run(options.source, options.epochs, n_workers=2, n_threads=1)
        pairs.append((one, two))
        print_ratios("one worker / two workers so far", pairs, target="at least 1.2")


if __name__ == "__main__":
    main()
