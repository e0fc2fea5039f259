"""Names of checkpoints, one for each lease of a trial, and which of them are kept.

A worker that was suspended while another one took over its trial may still save a checkpoint; it
writes under the generation of its own lease, and overwrites nothing.
"""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from storage import Store, list_open_leases, list_trials_to_keep

N_BEST_KEPT = 5
N_CONFIRMED_KEPT = 10_000  # All of a confirmation: which are exported is only known at its end.
N_PRUNED_KEPT = 10  # The last pruned trials, so that they could be resumed.

_NAME = re.compile(r"trial-(\d+)\.(\d+)\.safetensors")


@dataclass(frozen=True, slots=True, order=True)
class CheckpointName:
    """The number of a trial, and the generation of the lease that the file was written under."""

    trial_number: int
    generation: int

    @classmethod
    def read(cls, file_name: str) -> "CheckpointName | None":
        """Parse a file name; return None if it is no checkpoint's."""
        match = _NAME.fullmatch(file_name)
        return None if match is None else cls(int(match[1]), int(match[2]))

    def __str__(self) -> str:
        return f"trial-{self.trial_number}.{self.generation}.safetensors"


def read_names(file_names: Iterable[str]) -> list[CheckpointName]:
    """Return the names that are those of checkpoints."""
    return [name for name in map(CheckpointName.read, file_names) if name is not None]


def newest(names: Iterable[CheckpointName], trial_number: int) -> CheckpointName | None:
    """Return a trial's latest checkpoint: each generation resumes from the one before."""
    return max((name for name in names if name.trial_number == trial_number), default=None)


def unneeded(
    names: Collection[CheckpointName], trial_numbers: Collection[int]
) -> list[CheckpointName]:
    """Return the checkpoints that are not the latest one of any given trial."""
    latest = {number: newest(names, number) for number in trial_numbers}
    return [name for name in names if latest.get(name.trial_number) != name]


def best_trial_numbers(store: Store, study_id: int, n_best: int | None = None) -> list[int]:
    """Return the numbers of the complete trials whose weights are kept, sorted."""
    best = list_trials_to_keep(store, study_id, n_best=n_best or N_BEST_KEPT, n_pruned=0)
    return sorted(best - {lease.trial_number for lease in list_open_leases(store, study_id)})


def trial_numbers_to_keep(store: Store, study_id: int, n_best: int | None = None) -> set[int]:
    """Return the trials whose last checkpoint is kept: open, best, and last pruned ones."""
    return list_trials_to_keep(
        store, study_id, n_best=n_best or N_BEST_KEPT, n_pruned=N_PRUNED_KEPT
    )
