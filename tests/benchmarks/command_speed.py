"""Processor time and memory of commands, with 10,000 trials in a study and 200 studies in a store.

Each command is a process of its own. `first ask` is the first proposal of a new worker, and
`first load` the first page of a study in a new dashboard; the time to start, which both print,
is not in theirs. Processor time is user and system time: other work on the machine changes it
less than it changes the time that passes.

    python tests/benchmarks/command_speed.py [--store sqlite|postgresql] [--trials 10000]
        [--studies 200] [--runs 3] [--against FOLDER]

`--against` names a checkout of another version. It then runs the same commands in turn on the same
store, what the commands print is compared, and the ratios are of this version to that one.
"""

import argparse
import gc
import io
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fixed_trials import ROOT

from search.cli.main import GC_THRESHOLD

TRIALS_OF_EACH = 25
"""The trials of each of many studies."""
COMMANDS: Mapping[str, float] = {
    "--help": 0.5,
    "status crowd": 2.0,
    "rank crowd": 2.0,
    "rank crowd --all": 5.0,
    "rank crowd --by-family": 2.0,
    "rank crowd --json": 5.0,
}
"""Commands on a study of many trials, with the most seconds of processor time."""
OTHERS: Mapping[str, float] = {"first ask": 2.0, "first load": 2.0}
LIST: Mapping[str, float] = {"study list": 2.0, "dashboard list": 2.0}
"""The same on many studies."""


MEASURE = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, file=sys.stderr)
"""
"""Runs a command from a small process: a child starts with the peak of memory of its parent."""


@dataclass(frozen=True)
class Run:
    """Seconds of processor time, peak of resident memory in MB, and what was printed."""

    cpu_s: float
    peak_mb: float
    output: str


def run(root: Path, url: str, what: str) -> Run:
    """Run a command, or a child of this script, with the code of a checkout."""
    is_own = what in CHILDREN
    own = [__file__, "--child", what, "--url", url]
    arguments = own if is_own else ["-m", "search", *what.split()]
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, sys.executable, *arguments],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root), "CONVSEARCH_STORE": url},
        capture_output=True,
        text=True,
        check=True,
    )
    seconds, peak_mb = map(float, done.stderr.splitlines()[-1].split())
    if is_own:
        return Run(float(done.stdout), peak_mb, "")
    return Run(seconds, peak_mb, done.stdout)


def processor_s(function: Callable[[], object]) -> float:
    """Return the processor time of a call in seconds, without what other threads do meanwhile."""
    started = time.thread_time()
    function()
    return time.thread_time() - started


def first_ask(url: str) -> float:
    """Return the seconds of the first proposal; its trial ends as pruned."""
    from search.studies.open_study import OpenStudy
    from search.workers.proposals import next_proposal
    from storage import Outcome, Store, finish_trial, register_worker, remove_worker

    store = Store.open(url)
    opened = OpenStudy.load(store, "crowd")
    worker_id, proposals = register_worker(store, opened.study_id), []
    seconds = processor_s(lambda: proposals.append(next_proposal(opened, worker_id)))
    finish_trial(store, proposals[0].lease, Outcome("pruned"), proposals[0].pending)
    remove_worker(store, worker_id)
    store.close()
    return seconds


def first_response(url: str, path: str) -> float:
    """Return the seconds in which a new dashboard makes its first response to a path."""
    from analysis.dashboard.app import Dashboard
    from storage import Store

    app = Dashboard(Store.inspect(url))
    found, _, query = path.partition("?")
    environ = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": found,
        "QUERY_STRING": query,
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(),
    }
    statuses: list[str] = []
    answer = lambda status, _headers: statuses.append(status)  # noqa: E731
    seconds = processor_s(lambda: b"".join(app(environ, answer)))  # type: ignore[arg-type]
    assert statuses == ["200 OK"], statuses
    return seconds


CHILDREN: Mapping[str, Callable[[str], float]] = {
    "first ask": first_ask,
    "first load": lambda url: first_response(url, "/api/studies/1?after=0"),
    "dashboard list": lambda url: first_response(url, "/api/studies"),
}


def compare(url: str, whats: Mapping[str, float], roots: Sequence[Path], n_runs: int) -> None:
    """Print the medians of interleaved runs, and their ratios to the last checkout."""
    for what, most in whats.items():
        runs: dict[Path, list[Run]] = {root: [] for root in roots}
        for _ in range(n_runs):
            for root in roots:
                runs[root].append(run(root, url, what))
        cpu_s = [statistics.median(it.cpu_s for it in runs[root]) for root in roots]
        peak_mb = [statistics.median(it.peak_mb for it in runs[root]) for root in roots]
        text = f"{what}: {cpu_s[0]:.2f} s (target: {most}), {peak_mb[0]:.0f} MB"
        if len(roots) > 1:
            text += f"; before {cpu_s[1]:.2f} s, {peak_mb[1]:.0f} MB; ratio "
            text += f"{cpu_s[0] / cpu_s[1]:.2f}"
            outputs = {it.output for found in runs.values() for it in found}
            if outputs != {""}:  # Of a child of this script.
                text += ", same output" if len(outputs) == 1 else ", OTHER OUTPUT"
        print(text, flush=True)


def main() -> None:
    """Fill two stores, and time commands on them."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--store", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--studies", type=int, default=200)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--against", type=Path, metavar="FOLDER")
    parser.add_argument("--child", choices=tuple(CHILDREN), help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        gc.set_threshold(GC_THRESHOLD)  # As every command does.
        print(CHILDREN[options.child](options.url))
        return
    import optuna
    from crowd import fresh_url
    from large_study import make

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    roots = [ROOT] if options.against is None else [ROOT, options.against.resolve()]
    with (
        tempfile.TemporaryDirectory() as name,
        fresh_url(options.store, Path(name)) as make_url,
    ):
        os.environ["CONVSEARCH_CACHE"] = f"{name}/cache"
        large, many = make_url("large"), make_url("many")
        make(large, Path(name), options.trials)
        for place in range(options.studies):
            make(many, Path(name), TRIALS_OF_EACH, name=f"study{place:03}")
        print(f"{options.store}, {options.trials} trials, medians of {options.runs}", flush=True)
        compare(large, {**COMMANDS, **OTHERS}, roots, options.runs)
        print(f"{options.store}, {options.studies} studies", flush=True)
        compare(many, LIST, roots, options.runs)


if __name__ == "__main__":
    main()
