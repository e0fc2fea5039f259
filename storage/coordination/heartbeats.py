"""Workers of studies: their heartbeats, and which of them are dead."""

import os
import socket
import time
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import psutil
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from storage.coordination.budget import add_active_time, lock_active_time
from storage.database.retry import with_retry
from storage.database.store import Store
from storage.errors import StudyNotFoundError
from storage.tables import leases, workers

GRACE_S = float(os.environ.get("CONVSEARCH_GRACE_S", "45"))
"""A worker silent for longer is dead. Swapping or a store's restart may delay some heartbeats."""
HEARTBEAT_INTERVAL_S = GRACE_S / 9
CONFIRM_DEAD_AFTER_S = GRACE_S / 3
"""How long a process must itself have observed the silence, in addition."""


@dataclass(frozen=True, slots=True)
class WorkerRow:
    """A worker as the store has it.

    `last_seen_s` is the age of its last heartbeat; `activity` is what it does before a trial's
    first epoch, if that takes long; `clock_ahead_s` is how far its clock is ahead of the store's.
    """

    worker_id: str
    host: str
    machine: str
    pid: int
    process_started_at: float
    last_seen_s: float
    last_heartbeat: float
    trial_number: int | None
    activity: str | None = None
    device: str = "cpu"
    study_id: int = 0
    clock_ahead_s: float = 0.0

    @property
    def is_alive(self) -> bool:
        """Whether its last heartbeat is recent and, on this machine, its process is alive."""
        return not self.is_gone and self.last_seen_s < GRACE_S

    @property
    def is_gone(self) -> bool:
        """Whether it was a process of this machine, which has ended."""
        is_here = self.machine == _machine_id()
        return is_here and not _is_process_alive(self.pid, self.process_started_at)


class LivenessMonitor:
    """Observes heartbeats, and confirms a worker dead after `confirm_after_s` without one.

    By the store's clock alone, all workers would seem dead to the first process that reaches the
    store after an outage, or that continues after a sleep of the machine.
    """

    def __init__(self, confirm_after_s: float = CONFIRM_DEAD_AFTER_S) -> None:
        self._confirm_after_s = confirm_after_s
        self._silent: dict[str, tuple[float, float]] = {}
        self._observed_at = time.monotonic()

    def observe(self, rows: Sequence[WorkerRow]) -> None:
        """Note which workers sent a heartbeat since the last call; call this every few seconds."""
        now = time.monotonic()
        step_s, self._observed_at = min(now - self._observed_at, HEARTBEAT_INTERVAL_S), now
        before = self._silent
        self._silent = {}
        for row in rows:
            last, silent_s = before.get(row.worker_id, (None, 0.0))
            silent_s = 0.0 if last != row.last_heartbeat else silent_s + step_s
            self._silent[row.worker_id] = (row.last_heartbeat, silent_s)

    def is_confirmed_dead(self, row: WorkerRow) -> bool:
        """Whether the worker would have sent a heartbeat if it were alive."""
        _, silent_s = self._silent.get(row.worker_id, (None, 0.0))
        return row.is_gone or silent_s >= self._confirm_after_s


def register_worker(store: Store, study_id: int, *, device: str = "cpu") -> str:
    """Register this process as a worker of the study, and return its id."""
    worker_id = uuid.uuid4().hex
    send_heartbeat(store, study_id, worker_id, device=device)
    return worker_id


@with_retry
def send_heartbeat(store: Store, study_id: int, worker_id: str, *, device: str = "cpu") -> float:
    """Record a heartbeat of the worker, and return the study's active time in seconds.

    Each heartbeat adds the time since the study's last one, by any worker: time of parallel
    workers counts once, and time without workers does not count.

    Raises:
        StudyNotFoundError: If the study was deleted.
    """
    with store.write() as connection:
        before = lock_active_time(connection, study_id)
        now = store.now(connection)  # After the lock: it is later than any other heartbeat's.
        clock_ahead_s = time.time() - now
        seen = connection.execute(
            workers.update()
            .where(workers.c.worker_id == worker_id)
            .values(last_seen=now, clock_ahead_s=clock_ahead_s)
        )
        if seen.rowcount == 0:  # It is new, or was removed as dead while it slept.
            insert_worker(connection, study_id, worker_id, now=now, device=device)
        return add_active_time(connection, study_id, before, now)


@with_retry
def set_activity(store: Store, worker_id: str, activity: str | None) -> None:
    """Show what a worker does before the first epoch of its trial; None after it."""
    with store.write() as connection:
        connection.execute(
            workers.update().where(workers.c.worker_id == worker_id).values(activity=activity)
        )


@with_retry
def remove_worker(store: Store, worker_id: str) -> None:
    """Remove a worker that has left, and add the time since its last heartbeat.

    Without that, a worker that is done within seconds would add no active time.
    """
    with store.write() as connection:
        worker = connection.execute(
            sa.select(workers.c.study_id, workers.c.last_seen).where(
                workers.c.worker_id == worker_id
            )
        ).first()
        if worker is not None:
            with suppress(StudyNotFoundError):
                before = lock_active_time(connection, worker.study_id)
                # The worker may be newer than the study's last heartbeat.
                since = max(before.counted_until, worker.last_seen)
                before = before._replace(counted_until=since)
                add_active_time(connection, worker.study_id, before, store.now(connection))
        connection.execute(workers.delete().where(workers.c.worker_id == worker_id))


@with_retry
def remove_dead(store: Store, rows: Sequence[WorkerRow]) -> None:
    """Remove dead workers, except those that have sent a heartbeat meanwhile."""
    with store.write() as connection:
        for row in rows:
            is_same = sa.and_(
                workers.c.worker_id == row.worker_id, workers.c.last_seen == row.last_heartbeat
            )
            connection.execute(workers.delete().where(is_same))


@with_retry
def list_workers(store: Store, study_id: int | None = None) -> list[WorkerRow]:
    """Return the registered workers of a study, or of all studies, including dead ones."""
    with store.read() as connection:
        which = sa.true() if study_id is None else workers.c.study_id == study_id
        return select_workers(store, connection, which)


def select_workers(
    store: Store, connection: Connection, condition: sa.ColumnElement[bool]
) -> list[WorkerRow]:
    """Return the workers that meet a condition, within a transaction."""
    now = store.now(connection)
    rows = connection.execute(
        sa.select(
            *(column for column in workers.c if column.name != "last_seen"),
            workers.c.last_seen.label("last_heartbeat"),
            leases.c.trial_number,
        )
        .outerjoin(
            leases, sa.and_(leases.c.worker_id == workers.c.worker_id, leases.c.kind.is_(None))
        )
        .where(condition)
        .order_by(workers.c.host, workers.c.pid)
    ).all()
    return [
        WorkerRow(**row._mapping, last_seen_s=max(0.0, now - row.last_heartbeat)) for row in rows
    ]


def insert_worker(
    connection: Connection, study_id: int, worker_id: str, *, now: float, device: str
) -> None:
    """Register this process as a worker of the study, within a transaction."""
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


@cache
def _machine_id() -> str:
    """Identify where process ids are unique: one boot of a machine, and a PID namespace in it.

    Containers may share a host's name but not its processes, and names change with the network.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return f"{uuid.getnode():x} {psutil.boot_time():.0f}"


def _started_at(process: psutil.Process) -> float:
    """Return when a process started, on Linux in seconds since the boot.

    psutil adds the time of the boot, which changes whenever the clock is set.
    """
    started: float = process.create_time()
    return started - float(psutil.boot_time()) if psutil.LINUX else started


def _is_process_alive(pid: int, started_at: float) -> bool:
    """Whether the registered process is alive; another process may have its pid."""
    try:
        process = psutil.Process(pid)
        is_same = abs(_started_at(process) - started_at) < 1.0
        return bool(is_same and process.status() != psutil.STATUS_ZOMBIE)
    except (psutil.NoSuchProcess, ValueError):  # The latter for a number that is no pid.
        return False
    except psutil.AccessDenied:
        return True
