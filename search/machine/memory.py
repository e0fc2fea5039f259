"""Memory of the machine and of this process's control group."""

import resource
from pathlib import Path

import psutil

CGROUP_ROOT = Path("/sys/fs/cgroup")


def private_mb(process: psutil.Process) -> float:
    """Return a process's resident memory without the pages that it shares with others.

    Mapped images and features are in memory once for all workers, and can be read again.
    """
    memory = process.memory_info()
    return float((memory.rss - getattr(memory, "shared", 0)) / 2**20)


def total_mb() -> float:
    """Return the memory of the machine, or the limit of the control group if that is lower."""
    total = psutil.virtual_memory().total
    limit = _read_int(_own_cgroup() / "memory.max")
    return float((total if limit is None else min(total, limit)) / 2**20)


def available_mb() -> float:
    """Return the memory that is still free under both limits."""
    available = psutil.virtual_memory().available
    folder = _own_cgroup()
    limit, used = _read_int(folder / "memory.max"), _read_int(folder / "memory.current")
    if limit is not None and used is not None:
        available = min(available, max(0, limit - used))
    return float(available / 2**20)


def address_space_mb() -> float | None:
    """Return the limit of this process's address space, as `ulimit -v` sets it; None for none."""
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    return None if limit == resource.RLIM_INFINITY else limit / 2**20


class OomCounter:
    """Detects that the kernel has killed a process of the control group to free memory."""

    def __init__(self) -> None:
        self._before = _count_oom_kills()

    def has_grown(self) -> bool:
        """Whether a process was killed since this object was made."""
        return _count_oom_kills() > self._before


def _count_oom_kills() -> int:
    """Count the kills in the control group, or on the machine where it has no counter."""
    path = _own_cgroup() / "memory.events"
    try:
        lines = (path if path.exists() else Path("/proc/vmstat")).read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("oom_kill "))


def _own_cgroup() -> Path:
    """Return the folder of the control group (version 2), or the root if there is none."""
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return CGROUP_ROOT
    paths = [line.removeprefix("0::/") for line in lines if line.startswith("0::/")]
    return CGROUP_ROOT / paths[0] if paths else CGROUP_ROOT


def _read_int(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None
