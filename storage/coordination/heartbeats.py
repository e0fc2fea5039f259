"""Workers: who is at work on a study, and who has not been heard of for too long."""

import os
import socket
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import psutil
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from storage.database.retry import with_retry
from storage.database.store import Store
from storage.errors import StudyNotFoundError
from storage.studies.records import HEARTBEAT_GAP_S
from storage.tables import leases, studies, workers

GRACE_S = float(os.environ.get("CONVSEARCH_GRACE_S", "45"))
"""A worker that is silent for longer is taken for dead: nine missed beats, since a machine that
swaps or a store that restarts may well swallow a few."""
HEARTBEAT_INTERVAL_S = GRACE_S / 9
CONFIRM_DEAD_AFTER_S = GRACE_S / 3
"""How long somebody must have seen no beat of a worker himself, beside that."""


@dataclass(frozen=True, slots=True)
class WorkerRow:
    """A worker as the store knows it.

    `last_seen_s` is how long ago it beat; `activity` says what it does before a trial's first
    epoch, where that takes long; `clock_ahead_s` is how far its clock is ahead of the store's.
    """

    worker_id: str
    host: str
    machine: str
    pid: int
    process_started_at: float
    last_seen_s: float
    beat_at: float
    trial_number: int | None
    activity: str | None = None
    device: str = "cpu"
    study_id: int = 0
    clock_ahead_s: float = 0.0

    @property
    def is_alive(self) -> bool:
        """Whether the worker is at work: seen lately and, on this machine, a living process."""
        return not self.is_gone and self.last_seen_s < GRACE_S

    @property
    def is_gone(self) -> bool:
        """Whether the worker is known to have died: it was a process of this machine."""
        is_here = self.machine == _machine_id()
        return is_here and not _is_process_alive(self.pid, self.process_started_at)


class LivenessMonitor:
    """Who has been silent while this process looked on.

    By the store's clock alone everybody would be dead to whoever is first to see the store again
    after an outage, or to wake up after a sleep of the machine.

    Args:
        confirm_after_s: How long somebody must have seen no beat of a worker himself.
    """

    def __init__(self, confirm_after_s: float = CONFIRM_DEAD_AFTER_S) -> None:
        self._confirm_after_s = confirm_after_s
        self._silent: dict[str, tuple[float, float]] = {}
        self._observed_at = time.monotonic()

    def observe(self, rows: Sequence[WorkerRow]) -> None:
        """Take note of who has beaten since the last look; to be called every few seconds."""
        now = time.monotonic()
        step_s, self._observed_at = min(now - self._observed_at, HEARTBEAT_INTERVAL_S), now
        before = self._silent
        self._silent = {}
        for row in rows:
            beat_at, silent_s = before.get(row.worker_id, (None, 0.0))
            has_new_heartbeat = beat_at != row.beat_at
            self._silent[row.worker_id] = (
                row.beat_at,
                0.0 if has_new_heartbeat else silent_s + step_s,
            )

    def is_confirmed_dead(self, row: WorkerRow) -> bool:
        """Whether the worker would have been heard of if it were alive."""
        _, silent_s = self._silent.get(row.worker_id, (None, 0.0))
        return row.is_gone or silent_s >= self._confirm_after_s


def register_worker(store: Store, study_id: int, *, device: str = "cpu") -> str:
    """Enter this process as a worker of the study, and return its id."""
    worker_id = uuid.uuid4().hex
    send_heartbeat(store, study_id, worker_id, device=device)
    return worker_id


@with_retry
def send_heartbeat(store: Store, study_id: int, worker_id: str, *, device: str = "cpu") -> float:
    """Say that the worker lives, and return the study's active time in seconds.

    Each beat adds the time since the study's last one, by any worker: so overlapping workers
    spend the time once, and a time without workers is not spent at all.

    Raises:
        StudyNotFoundError: If the study was deleted.
    """
    with store.write() as connection:
        row = _lock_active_time(connection, study_id)
        if row is None:
            raise StudyNotFoundError("The study was deleted from the store.")
        now = store.now(connection)  # Once nobody else beats: it never goes back but by a clock.
        clock_ahead_s = time.time() - now
        seen = connection.execute(
            workers.update()
            .where(workers.c.worker_id == worker_id)
            .values(last_seen=now, clock_ahead_s=clock_ahead_s)
        )
        if seen.rowcount == 0:  # It is new, or slept for so long that it was taken for dead.
            insert_worker(connection, study_id, worker_id, now=now, device=device)
        return _add_active_time(connection, study_id, row.active_s, row.beat_at, now)


@with_retry
def set_activity(store: Store, worker_id: str, activity: str | None) -> None:
    """Let others see what a worker is busy with; None once there are epochs to be seen."""
    with store.write() as connection:
        connection.execute(
            workers.update().where(workers.c.worker_id == worker_id).values(activity=activity)
        )


@with_retry
def remove_worker(store: Store, worker_id: str) -> None:
    """Take a worker that has left off the list; the study is told of the time since its beat.

    Without that, one that is done within seconds would have taken none.
    """
    with store.write() as connection:
        worker = connection.execute(
            sa.select(workers.c.study_id, workers.c.last_seen).where(
                workers.c.worker_id == worker_id
            )
        ).first()
        row = None if worker is None else _lock_active_time(connection, worker.study_id)
        if worker is not None and row is not None:
            since = max(row.beat_at, worker.last_seen)  # It may have come a moment ago.
            _add_active_time(
                connection, worker.study_id, row.active_s, since, store.now(connection)
            )
        connection.execute(workers.delete().where(workers.c.worker_id == worker_id))


@with_retry
def remove_dead(store: Store, rows: Sequence[WorkerRow]) -> None:
    """Take workers that have died off the list, but those that have beaten after all."""
    with store.write() as connection:
        for row in rows:
            is_same = sa.and_(
                workers.c.worker_id == row.worker_id, workers.c.last_seen == row.beat_at
            )
            connection.execute(workers.delete().where(is_same))


@with_retry
def list_workers(store: Store, study_id: int | None = None) -> list[WorkerRow]:
    """Return the workers of a study, or of all, that have not left, the dead ones too."""
    with store.read() as connection:
        which = sa.true() if study_id is None else workers.c.study_id == study_id
        return select_workers(store, connection, which)


def select_workers(
    store: Store, connection: Connection, condition: sa.ColumnElement[bool]
) -> list[WorkerRow]:
    """Return the workers that fulfil a condition, within a transaction."""
    now = store.now(connection)
    rows = connection.execute(
        sa.select(workers, leases.c.trial_number)
        .outerjoin(
            leases,
            sa.and_(leases.c.worker_id == workers.c.worker_id, leases.c.kind.is_(None)),
        )
        .where(condition)
        .order_by(workers.c.host, workers.c.pid)
    ).all()
    return [
        WorkerRow(
            worker_id=row.worker_id,
            host=row.host,
            machine=row.machine,
            pid=row.pid,
            process_started_at=row.process_started_at,
            last_seen_s=max(0.0, now - row.last_seen),
            beat_at=row.last_seen,
            trial_number=row.trial_number,
            activity=row.activity,
            device=row.device,
            study_id=row.study_id,
            clock_ahead_s=row.clock_ahead_s,
        )
        for row in rows
    ]


def insert_worker(
    connection: Connection, study_id: int, worker_id: str, *, now: float, device: str
) -> None:
    """Enter this process as a worker of the study, within a transaction."""
    connection.execute(
        workers.insert().values(
            worker_id=worker_id,
            study_id=study_id,
            host=socket.gethostname(),
            machine=_machine_id(),
            pid=os.getpid(),
            process_started_at=_started_at(psutil.Process()),
            last_seen=now,
            clock_ahead_s=time.time() - now,
            device=device,
        )
    )


def _lock_active_time(connection: Connection, study_id: int) -> Any:
    """Return a study's active time and last beat, and keep others from adding to it."""
    return connection.execute(
        sa.select(studies.c.active_s, studies.c.beat_at)
        .where(studies.c.study_id == study_id)
        .with_for_update()
    ).first()


def _add_active_time(
    connection: Connection, study_id: int, active_s: float, since: float, now: float
) -> float:
    """Add the time since a beat to a study's active time, and return all of it in seconds."""
    gap = now - since
    active_s += gap if 0 < gap < HEARTBEAT_GAP_S else 0.0
    connection.execute(
        studies.update()
        .where(studies.c.study_id == study_id)
        .values(active_s=active_s, beat_at=now)
    )
    return active_s


@cache
def _machine_id() -> str:
    """Name what process ids belong to: a boot of a machine and, in it, a namespace of ids.

    Containers may share a host's name and not its processes, and names change with the network.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return f"{uuid.getnode():x} {psutil.boot_time():.0f}"


def _started_at(process: psutil.Process) -> float:
    """When a process started: by Linux in seconds since the boot, which `_machine_id` names.

    psutil adds the boot's time, which moves whenever somebody sets the clock.
    """
    started: float = process.create_time()
    return started - float(psutil.boot_time()) if psutil.LINUX else started


def _is_process_alive(pid: int, started_at: float) -> bool:
    """Whether the process is the one that registered: pids are used again."""
    try:
        process = psutil.Process(pid)
        is_same = abs(_started_at(process) - started_at) < 1.0
        return bool(is_same and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True
