"""Memory of a worker and its trainers over 40 small trials, relative to that after the fifth.

Memory is the sum of the processes' proportional set sizes (resident sizes where the system does
not report those), sampled ten times per second. The largest sum between the ends of two trials
counts for the later one, so it includes a trainer that warms up while another one trains.

    python tests/benchmarks/memory_growth.py [--trials 40] [--source FILE.npz]
"""

import argparse
import tempfile
import time
from pathlib import Path

import psutil
from fixed_trials import DEFAULT_SOURCE, finish_times, make_params, make_study, start_worker

AFTER = 5


def memory_mb(worker: psutil.Process) -> float:
    """Return the memory of a worker and its children."""
    total = 0
    for process in (worker, *worker.children(recursive=True)):
        try:
            memory = process.memory_full_info()
            total += getattr(memory, "pss", 0) or memory.rss
        except psutil.NoSuchProcess:
            continue
    return total / 2**20


def main() -> None:
    """Run the trials, and print the memory after each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--source", type=Path, default=DEFAULT_SOURCE)
    options = parser.parse_args()
    params = [
        make_params(8 + index % 4, 12 + index // 4, dense1_units=32 + 4 * index)
        for index in range(options.trials)
    ]
    peaks = [0.0]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        opened = make_study(folder, params, source=options.source, max_epochs=1, name="small")
        worker = start_worker(folder, "small", n_threads=1)
        process = psutil.Process(worker.pid)
        while worker.poll() is None:
            n_done = len(finish_times(opened))
            peaks += [0.0] * (n_done + 1 - len(peaks))
            try:
                peaks[-1] = max(peaks[-1], memory_mb(process))
            except psutil.NoSuchProcess:
                break
            time.sleep(0.1)
    reference = peaks[AFTER]
    for number, peak in enumerate(peaks[1:], start=1):
        print(f"after trial {number}: {peak:.0f} MB, {peak / reference:.2f} times the fifth's")
    print(f"largest after the fifth: {max(peaks[AFTER:]) / reference:.3f} (target: at most 1.25)")


if __name__ == "__main__":
    main()
