"""The artifacts folder: checkpoints of the trials that may need them, and workers' logs."""

import hashlib
import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import psutil

from search.errors import SettingsError
from storage import TrialRow

N_BEST_KEPT = 5
N_PRUNED_KEPT = 10
"""A pruned trial keeps its checkpoint for a while, so that it could be continued."""


@dataclass(frozen=True, slots=True)
class Artifacts:
    """The files of one study."""

    folder: Path

    @classmethod
    def of_study(cls, root: str, study_name: str) -> "Artifacts":
        """Gives the study's part of an artifacts folder; names unfit for a folder are hashed."""
        plain = re.sub(r"[^A-Za-z0-9._-]", "_", study_name).strip(".")[:80]
        if plain != study_name:
            plain += "-" + hashlib.sha256(study_name.encode()).hexdigest()[:8]
        return cls(Path(root) / plain)

    def create(self) -> None:
        """Makes the folder.

        Raises:
            SettingsError: If it cannot be made.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SettingsError(
                f"Cannot make the artifacts folder {self.folder}: {error.strerror}. "
                "Name another one with --artifacts."
            ) from error

    def checkpoint(self, trial_number: int) -> Path:
        """Where a trial saves after each epoch; its best weights stay there."""
        return self.folder / f"trial-{trial_number}.safetensors"

    def worker_log(self, index: int) -> Path:
        """Where a local worker's log goes."""
        return self.folder / f"worker-{index}.log"

    def take_checkpoint(self, other: "Artifacts", theirs: int, ours: int) -> None:
        """Gives a trial the file of another study's trial, if that has one."""
        source, target = other.checkpoint(theirs), self.checkpoint(ours)
        if not source.is_file():
            return
        target.unlink(missing_ok=True)
        try:
            target.hardlink_to(source)
        except OSError:  # Another file system, or one without links.
            shutil.copyfile(source, target)

    def tidy(self, rows: Iterable[TrialRow]) -> None:
        """Deletes the checkpoints that nobody needs any more."""
        for path in self.unneeded(rows):
            path.unlink(missing_ok=True)

    def unneeded(self, rows: Iterable[TrialRow]) -> list[Path]:
        """Gives the checkpoints that nobody needs any more, half-written ones too."""
        keep = {self.checkpoint(number).name for number in _numbers_to_keep(list(rows))}
        found = [it for it in self.folder.glob("trial-*.safetensors") if it.name not in keep]
        for path in self.folder.glob(".trial-*.safetensors.*"):  # of trainers that were killed
            if not psutil.pid_exists(int(path.suffix.removeprefix("."))):
                found.append(path)
        return found


def _numbers_to_keep(rows: list[TrialRow]) -> set[int]:
    open_ones = {row.number for row in rows if row.outcome is None}
    complete = [row for row in rows if row.state == "COMPLETE"]
    complete.sort(key=lambda row: (-(row.value or 0.0), row.number))
    pruned = [row for row in rows if row.outcome is not None and row.outcome.kind == "pruned"]
    pruned.sort(key=lambda row: -row.number)
    return (
        open_ones
        | {row.number for row in complete[:N_BEST_KEPT]}
        | {row.number for row in pruned[:N_PRUNED_KEPT]}
    )
