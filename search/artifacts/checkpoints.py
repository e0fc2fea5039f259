"""Names of checkpoints: one for each time that a trial was taken.

A worker that was asleep while its trial went on elsewhere may still save; it then writes under
the generation that it had, and spoils nothing.
"""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from storage import Store, list_open_leases, list_trials_to_keep

N_BEST_KEPT = 5
N_CONFIRMED_KEPT = 10_000
"""Of a confirmation all weights are kept: which training is exported is known at its end."""
N_PRUNED_KEPT = 10
"""A pruned trial keeps its checkpoint for a while, so that it could be continued."""

_NAME = re.compile(r"trial-(\d+)\.(\d+)\.safetensors")


@dataclass(frozen=True, slots=True, order=True)
class CheckpointName:
    """A trial's number, and the generation of the lease under which the file was written."""

    trial_number: int
    generation: int

    @classmethod
    def read(cls, file_name: str) -> "CheckpointName | None":
        """Read a file's name; None for the name of anything else."""
        match = _NAME.fullmatch(file_name)
        return None if match is None else cls(int(match[1]), int(match[2]))

    def __str__(self) -> str:
        return f"trial-{self.trial_number}.{self.generation}.safetensors"


def read_names(file_names: Iterable[str]) -> list[CheckpointName]:
    """The checkpoints among some files."""
    names = map(CheckpointName.read, file_names)
    return [name for name in names if name is not None]


def newest(names: Iterable[CheckpointName], trial_number: int) -> CheckpointName | None:
    """A trial's latest checkpoint: each generation begins where the one before had come to."""
    return max((name for name in names if name.trial_number == trial_number), default=None)


def unneeded(
    names: Collection[CheckpointName], trial_numbers: Collection[int]
) -> list[CheckpointName]:
    """The checkpoints that may go: of other trials than these, or not a trial's latest."""
    latest = {number: newest(names, number) for number in trial_numbers}
    return [name for name in names if latest.get(name.trial_number) != name]


def best_trial_numbers(store: Store, study_id: int, n_best: int | None = None) -> list[int]:
    """The complete trials whose weights are kept, by number."""
    best = list_trials_to_keep(store, study_id, n_best=n_best or N_BEST_KEPT, n_pruned=0)
    return sorted(best - {lease.trial_number for lease in list_open_leases(store, study_id)})


def trial_numbers_to_keep(store: Store, study_id: int, n_best: int | None = None) -> set[int]:
    """The trials whose last checkpoint is kept: open ones, the best, and those pruned last."""
    return list_trials_to_keep(
        store, study_id, n_best=n_best or N_BEST_KEPT, n_pruned=N_PRUNED_KEPT
    )
