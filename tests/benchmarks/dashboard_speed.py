"""Speed of `convsearch dashboard` and of bare optuna-dashboard, on one study each.

Each run starts both servers anew, in turn. Three things are timed: the first load of a study,
after the list of studies was served (a server may listen before it has loaded its code); the time
from the start of the server to that load; and a poll while nothing changes, sent as a browser
sends it, with the entity tag that it has and accepting compressed responses. Bytes are all that
the server sends, including headers.

    python tests/benchmarks/dashboard_speed.py [--trials 1000 5000] [--runs 3]
"""

import argparse
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path

from crowd import make_ours
from fixed_trials import ROOT
from large_study import NAME, fill

from search.studies.open_study import OpenStudy
from storage import Store

N_POLLS = 5
POLL_GAP_S = 11.0
"""Bare optuna-dashboard looks at the store every ten seconds: a shorter gap times a cache."""
START_S = 60.0
BARE = ("-c", "from optuna_dashboard._cli import main; main()", "--port")
OURS = ("-m", "search", "dashboard", "--no-browser", "--port")
UNITS = {"start_s": "s", "first_s": "s", "first_bytes": "B", "poll_s": "s", "poll_bytes": "B"}


@dataclass(frozen=True)
class Times:
    """Seconds from a server's start to a study, and seconds and bytes of first load and poll."""

    start_s: float
    first_s: float
    first_bytes: int
    poll_s: float
    poll_bytes: int


def make(url: str, folder: Path, n_trials: int) -> int:
    """Make a study, and return how many trials it has."""
    folder.mkdir()
    make_ours(url, folder, n_trials)
    opened = OpenStudy.load(Store.open(url), NAME)
    fill(opened, n_trials)
    n_all = len(opened.study.get_trials(deepcopy=False))
    opened.store.close()
    return n_all


@contextmanager
def serving(port: int, *arguments: str, **environment: str) -> Iterator[HTTPConnection]:
    """Run a server with this Python, and yield a connection once it answers."""
    server = subprocess.Popen(  # Killed in the end: it has no state to save.
        [sys.executable, *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
    )
    try:
        give_up_at = time.monotonic() + START_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                if time.monotonic() > give_up_at:
                    raise
                time.sleep(0.05)
        yield HTTPConnection("127.0.0.1", port, timeout=300)
    finally:
        server.kill()
        server.wait()


def free_port() -> int:
    """Return a free port."""
    with socket.socket() as it:
        it.bind(("127.0.0.1", 0))
        return int(it.getsockname()[1])


def ask(connection: HTTPConnection, path: str, etag: str | None) -> tuple[float, int, str | None]:
    """Return the seconds, the bytes and the entity tag of a response."""
    headers = {"Accept-Encoding": "gzip"} | ({"If-None-Match": etag} if etag else {})
    began = time.perf_counter()
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    body = answer.read()
    seconds = time.perf_counter() - began
    size = len(body) + sum(len(name) + len(value) + 4 for name, value in answer.getheaders()) + 30
    return seconds, size, answer.getheader("ETag")


def measure(connection: HTTPConnection, began: float, n_trials: int) -> Times:
    """Time a first load, and polls as the page sends them: for trials that it does not have.

    Args:
        connection: To the server.
        began: When the server was started.
        n_trials: How many trials the study has.
    """
    ask(connection, "/api/studies", None)
    first_s, first_bytes, _ = ask(connection, "/api/studies/1?after=0", None)
    start_s = time.perf_counter() - began
    polls, tag = [], None
    for number in range(N_POLLS):
        if number != 1:  # The first poll returns the plots; the second one follows at once.
            time.sleep(POLL_GAP_S)
        seconds, size, tag = ask(connection, f"/api/studies/1?after={n_trials}", tag)
        polls.append((seconds, size))
    last = polls[-3:]
    return Times(
        start_s,
        first_s,
        first_bytes,
        statistics.median(s for s, _ in last),
        int(statistics.median(n for _, n in last)),
    )


def main() -> None:
    """Print medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--trials", type=int, nargs="+", default=[1000, 5000])
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        for n_trials in options.trials:
            url = f"sqlite:///{name}/{n_trials}.db"
            n_all = make(url, Path(name) / f"of{n_trials}", n_trials)
            bare: list[Times] = []
            ours: list[Times] = []
            for _ in range(options.runs):
                port, began = free_port(), time.perf_counter()
                with serving(port, *BARE, str(port), url) as connection:
                    bare.append(measure(connection, began, n_all))
                port, began = free_port(), time.perf_counter()
                with serving(port, *OURS, str(port), CONVSEARCH_STORE=url) as connection:
                    ours.append(measure(connection, began, n_all))
            print(f"{n_trials} trials, medians of {options.runs}")
            for field, unit in UNITS.items():
                one, other = (
                    statistics.median(getattr(it, field) for it in times) for times in (bare, ours)
                )
                ratio = one / other
                print(f"  {field}: bare {one:.3f} {unit}, ours {other:.3f} {unit}: {ratio:.2f}")


if __name__ == "__main__":
    main()
