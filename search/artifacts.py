"""The artifacts folder: checkpoints of the trials that may need them, and workers' logs."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

import psutil

from search.errors import SettingsError
from storage import Store, list_kept

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

    def tidy(self, store: Store, study_id: int) -> None:
        """Deletes the checkpoints that nobody needs any more."""
        kept = list_kept(store, study_id, n_best=N_BEST_KEPT, n_pruned=N_PRUNED_KEPT)
        keep = {self.checkpoint(number).name for number in kept}
        for path in self.folder.glob("trial-*.safetensors"):
            if path.name not in keep:
                path.unlink(missing_ok=True)
        for path in self.folder.glob(".trial-*.safetensors.*"):  # of trainers that were killed
            if not psutil.pid_exists(int(path.suffix.removeprefix("."))):
                path.unlink(missing_ok=True)
