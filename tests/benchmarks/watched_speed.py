"""How much a dashboard slows a search: two workers on the same fixed trials, watched or not.

A real `convsearch dashboard` serves the study, and its page is polled ten times per second as a
browser does it, with the entity tag that it has. The time is from the start of the first trial to
the end of the last one. Watched and unwatched searches run in turn, and the median ratio of the
pairs is printed, together with the share of a core that the dashboard used.

    python tests/benchmarks/watched_speed.py [--trials 12] [--epochs 6] [--runs 3]
"""

import argparse
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from dashboard_speed import OURS, ask, free_port, serving
from fixed_trials import (
    DEFAULT_SOURCE,
    finish_times,
    make_params,
    make_study,
    print_ratios,
    start_worker,
)

NAME = "watched"
N_WORKERS = 2
POLL_S = 0.1


@contextmanager
def watched(folder: Path) -> Iterator[None]:
    """Serve the study of a folder's store, and poll its page all the time."""
    port, is_over = free_port(), threading.Event()
    store = f"sqlite:///{folder / 'store.db'}"
    with serving(port, *OURS, str(port), CONVSEARCH_STORE=store) as connection:

        def poll() -> None:
            tag, began, n_polls = None, time.perf_counter(), 0
            server = psutil.Process(find_server(port))
            while not is_over.wait(POLL_S):
                _, _, tag = ask(connection, "/api/studies/1?after=0", tag)
                n_polls += 1
            seconds = time.perf_counter() - began
            spent = server.cpu_times()
            share = (spent.user + spent.system) / seconds
            print(f"  {n_polls / seconds:.1f} polls a second, {share:.1%} of a core", flush=True)

        watcher = threading.Thread(target=poll)
        watcher.start()
        try:
            yield
        finally:
            is_over.set()
            watcher.join()


def find_server(port: int) -> int:
    """Return the id of the child process that serves a port."""
    children = psutil.Process().children(recursive=True)
    return next(it.pid for it in children if str(port) in it.cmdline())


def time_study(folder: Path, options: argparse.Namespace, *, is_watched: bool) -> float:
    """Return the seconds that two workers take for the study's trials."""
    folder.mkdir()
    widths = [(16, 32), (24, 48), (32, 32)]
    params = [make_params(*widths[n % len(widths)]) for n in range(options.trials)]
    opened = make_study(
        folder, params, source=options.source, max_epochs=options.epochs, name=NAME
    )
    if is_watched:
        with watched(folder):
            work(folder)
    else:
        work(folder)
    trials = opened.study.get_trials(deepcopy=False)
    starts = [it.datetime_start.timestamp() for it in trials if it.params and it.datetime_start]
    ends = finish_times(opened)
    assert len(ends) == options.trials, f"{len(ends)} of {options.trials} trials are complete"
    opened.store.close()
    return ends[-1] - min(starts)


def work(folder: Path) -> None:
    """Run the workers until the study ends."""
    workers = [start_worker(folder, NAME, n_threads=1) for _ in range(N_WORKERS)]
    codes = [worker.wait() for worker in workers]
    assert codes == [0] * N_WORKERS, (folder / "worker.log").read_text()


def main() -> None:
    """Print the ratio of each pair, and their median."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--source", default=str(DEFAULT_SOURCE))
    parser.add_argument("--trials", type=int, default=12)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    pairs = []
    with tempfile.TemporaryDirectory() as name:
        for run in range(options.runs):
            times = {}
            for is_watched in (True, False) if run % 2 else (False, True):
                folder = Path(name) / f"{run}-{is_watched}"
                times[is_watched] = time_study(folder, options, is_watched=is_watched)
            pairs.append((times[True], times[False]))
    print_ratios("watched / unwatched", pairs, target="at most 1.1")


if __name__ == "__main__":
    main()
