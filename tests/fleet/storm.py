"""A storm by hand: every process of a study is killed, ended or stopped at random.

    python -m tests.fleet.storm --store embedded --kills 150 [--real] [--seed 0]

Its victims are workers and trainers, and for an embedded PostgreSQL its server and supervisor too;
its signals are SIGKILL, SIGTERM, and SIGSTOP, after which a process may continue. With `--real`,
the trainers are real ones. The study must come out exact and whole, with nothing for `doctor`.
"""

import argparse
import contextlib
import os
import random
import signal
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import psutil

from storage import (
    Store,
    StudyNotFoundError,
    count_done,
    load_study,
    load_trials,
    set_budget,
)
from storage.coordination.leases import MAX_LOSSES
from tests.fleet.conftest import Fleet, Process

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGSTOP)
GRACE_S = 9
SETTLE_S = (1.0, 6.0)
"""Between two signals."""
STOPPED_S = (1.0, 2.5 * GRACE_S)
"""A stopped worker may continue before others take its trial, or after."""
SERVER_EVERY = 8
"""Every so many victims is one of the server's processes, which all others wait for."""


class Storm:
    """A study that runs, its victims so far, and what continues those that are stopped."""

    def __init__(self, fleet: Fleet, seed: int) -> None:
        self.fleet = fleet
        self.rng = random.Random(seed)
        self.run = fleet.run()
        self.timers: list[threading.Timer] = []
        self.counts: Counter[str] = Counter()
        self.finished: dict[int, Any] = {}

    def strike(self) -> None:
        """Send a signal to a process, unless its trial would fail as lost too often."""
        kind = "server" if sum(self.counts.values()) % SERVER_EVERY == SERVER_EVERY - 1 else ""
        victims = self._servers() if kind else {}
        if not victims:
            spared = self._spared()
            if None in spared:
                return
            found = {"worker": self.run.workers(), "trainer": self.run.trainers()}
            victims = {
                name: [it for it in group if not {it.pid, it.ppid()} & spared]
                for name, group in found.items()
            }
        name = self.rng.choice(sorted(name for name, group in victims.items() if group) or [""])
        if not name:
            return
        victim, number = self.rng.choice(victims[name]), self.rng.choice(SIGNALS)
        victim.send_signal(number)
        self.counts[f"{name} {number.name}"] += 1
        if number == signal.SIGSTOP:
            # Not by this thread, which may itself wait for a server that is stopped.
            self.timers.append(
                timer := threading.Timer(self.rng.uniform(*STOPPED_S), resume, [victim])
            )
            timer.start()

    def look(self) -> None:
        """Assert that what was finished still is."""
        rows = self.fleet.status().trials
        now = {row.number: row.outcome for row in rows if row.state == "COMPLETE"}
        assert self.finished.items() <= now.items()
        assert not [row.number for row in rows if row.state == "FAIL"]
        self.finished = now

    def _spared(self) -> set[int | None]:
        with contextlib.suppress(StudyNotFoundError):
            return self.fleet.holders_of_lost_trials(MAX_LOSSES - 1)
        return {None}

    def _servers(self) -> dict[str, list[psutil.Process]]:
        folder = Store.file_of(self.fleet.url)
        if folder is None or not folder.is_dir():
            return {}
        found = {}
        with contextlib.suppress(OSError, ValueError, IndexError, psutil.Error):
            pid = int((folder / "data" / "postmaster.pid").read_text().split()[0])
            found["server"] = [psutil.Process(pid)]
        with contextlib.suppress(OSError, ValueError, IndexError, psutil.Error):
            pid = int((folder / "guardian.lock").read_text().split()[-1])
            found["supervisor"] = [psutil.Process(pid)]
        return found


def resume(process: psutil.Process) -> None:
    """Continue a process that was stopped, unless it has ended."""
    with contextlib.suppress(psutil.NoSuchProcess):
        process.send_signal(signal.SIGCONT)


def weather(fleet: Fleet, *, n_signals: int, seed: int) -> Counter[str]:
    """Send so many signals, let the study end, check it, and return how often each was sent."""
    storm = Storm(fleet, seed)
    fleet.wait_for(lambda status: status.trials, 120)
    shown = 0
    while (sent := sum(storm.counts.values())) < n_signals:
        assert storm.run.is_running, storm.run.words + fleet.logs()[-3000:]
        storm.strike()
        storm.look()
        if sent >= shown + 10:
            shown = sent
            print(f"{sent} signals, {len(storm.finished)} trials complete", flush=True)
        time.sleep(storm.rng.uniform(*SETTLE_S))
    for timer in storm.timers:
        timer.join()
    with fleet.store() as store:
        study_id = load_study(store, fleet.name).study_id
        # More have ended while the last processes were stopped.
        fleet.n_trials = count_done(store, study_id) + 4
        set_budget(store, study_id, n_trials=fleet.n_trials, timeout_s=None)
    wait(storm.run, storm)
    check(fleet)
    return storm.counts


def wait(run: Process, storm: Storm) -> None:
    """Wait for the end of a run; all that was finished still is."""
    assert run.wait(300) == 0, run.words + storm.fleet.logs()[-3000:]
    storm.look()


def check(fleet: Fleet) -> None:
    """Assert that the study is exact and whole, and that `doctor` finds nothing."""
    if fleet.is_real:
        with fleet.store() as store:
            rows = load_trials(store, load_study(store, fleet.name).study_id)
        counted = [row for row in rows if row.outcome is not None and row.outcome.counts]
        assert len(counted) == fleet.n_trials, len(counted)
        assert {row.state for row in rows} <= {"COMPLETE", "PRUNED"}
        for row in counted:
            if row.state == "COMPLETE":
                assert row.value == row.curve.best_accuracy, row
    else:
        fleet.check()
    doctor = fleet.start("doctor", "--json")
    assert doctor.wait(60) == 0, doctor.words
    assert '"findings": []' in doctor.words, doctor.words


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", choices=["sqlite", "embedded"], default="sqlite")
    parser.add_argument("--kills", type=int, default=150)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--real", action="store_true", help="real trainers, with TensorFlow")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    os.environ["CONVSEARCH_GRACE_S"] = str(GRACE_S)
    with tempfile.TemporaryDirectory(prefix="storm") as name:
        folder = Path(name)
        folder.chmod(0o755)
        place = f"postgres:{name}/pg" if options.store == "embedded" else f"sqlite:///{name}/a.db"
        fleet = Fleet(
            place,
            folder,
            n_trials=100_000,
            n_epochs=12 if options.real else 6,
            n_workers=options.workers,
            n_images=600 if options.real else 60,
            is_real=options.real,
            environment={"FLEET_EPOCH_S": "0.5", "CONVSEARCH_CACHE": f"{name}/cache"},
        )
        try:
            counts = weather(fleet, n_signals=options.kills, seed=options.seed)
        finally:
            fleet.close()
        print(f"{fleet.n_trials} trials, exact: {sum(counts.values())} signals: {dict(counts)}")


if __name__ == "__main__":
    main()
