"""The artifacts of one study: the checkpoints of its trials, and the logs of its workers."""

import hashlib
from collections.abc import Callable, Collection
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from search.artifacts.background_transfer import BackgroundTransfer
from search.artifacts.checkpoints import (
    N_BEST_KEPT,
    N_CONFIRMED_KEPT,
    CheckpointName,
    newest,
    read_names,
    unneeded,
)
from search.artifacts.names import folder_name, is_study_file
from search.artifacts.stores import ArtifactStore, open_artifact_store
from search.data import default_cache_dir
from search.errors import ArtifactError, SettingsError
from search.settings.stored import StudySettings
from storage import Store
from storage.atomic_files import remove_stale_partials
from storage.file_rights import make_folder, make_top_folder

PARTIAL = ".partial"
POLL_S = 0.05
WORK_FOLDER = "work"
MB = 2**20
Numbers = Callable[[], Collection[int]]  # Returns the trials that keep a checkpoint.


@dataclass(slots=True)
class Artifacts:
    """The files of one study.

    Trainers save into `folder`. Unless that is a folder of the artifact store itself, checkpoints
    are uploaded and downloaded in the background. Methods that use the artifact store raise
    `ArtifactError` if they cannot.
    """

    store: ArtifactStore
    name: str  # The study's folder in the store.
    folder: Path  # The study's folder on this machine.
    n_best: int = N_BEST_KEPT  # Number of complete trials whose weights are kept.
    transfer: BackgroundTransfer = field(default_factory=BackgroundTransfer)
    _sent: set[CheckpointName] = field(default_factory=set)
    _released: set[CheckpointName] = field(default_factory=set)

    @classmethod
    def of_study(cls, settings: StudySettings, store: Store, study_name: str) -> "Artifacts":
        """Return the artifacts of a study, without any access to files yet."""
        max_bytes = settings.max_files_mb * MB
        artifact_store = open_artifact_store(settings.artifacts, store, max_bytes=max_bytes)
        name = settings.artifacts_folder or folder_name(study_name)
        n_best = N_CONFIRMED_KEPT if settings.confirms else N_BEST_KEPT
        if artifact_store.folder is not None:
            return cls(artifact_store, name, artifact_store.folder / name, n_best)
        place = f"{store.shown_url} {settings.artifacts} {settings.creation}".rstrip()
        machine = hashlib.sha256(place.encode()).hexdigest()[:16]
        folder = default_cache_dir() / WORK_FOLDER / machine / name
        return cls(artifact_store, name, folder, n_best)

    def create(self) -> None:
        """Make the folder on this machine.

        Raises:
            SettingsError: If it cannot be made.
        """
        try:
            make_top_folder(self.store.folder or default_cache_dir())
            make_folder(self.folder)
        except OSError as error:
            raise SettingsError(
                f"Cannot make the artifacts folder {self.folder}: {error.strerror}. "
                "Name another one with --artifacts."
            ) from error

    def checkpoint(self, trial_number: int, generation: int) -> Path:
        """Return the file that a trial saves after each epoch, with its best weights."""
        return self.folder / str(CheckpointName(trial_number, generation))

    def worker_log(self, index: int) -> Path:
        """Return the log file of a local worker."""
        return self.folder / f"worker-{index}.log"

    @property
    def dashboard_log(self) -> Path:
        """The log file of a dashboard that `run` has started."""
        return self.folder / "dashboard.log"

    def fetch(
        self, trial_number: int, generation: int, is_stopping: Callable[[], bool] = lambda: False
    ) -> Path | None:
        """Return the checkpoint that a trial resumes from, downloaded if necessary, or None.

        The generation is that of its current lease; the checkpoint is from an earlier one.

        Raises:
            ArtifactError: If the artifact store cannot be used, or the wait was ended.
        """
        if generation == 0:
            return None
        future: Future[Path | None] = Future()
        self.transfer.submit("fetch", lambda: self._download(trial_number, future))
        while not is_stopping():
            with suppress(TimeoutError):
                return future.result(POLL_S)
        raise ArtifactError(f"The checkpoint of trial {trial_number} is not waited for any more.")

    def upload(self, trial_number: int, generation: int) -> None:
        """Upload a trial's checkpoint in the background, until it succeeds or is replaced."""
        name = CheckpointName(trial_number, generation)
        if self.store.folder is None:
            key = f"trial {trial_number}"
            self.transfer.submit(key, lambda: self._put(name), is_retried=True)

    def release_local_copy(self, trial_number: int, generation: int) -> None:
        """Remove the local copy of a trial's checkpoint once it is in the artifact store."""
        name = CheckpointName(trial_number, generation)
        if self.store.folder is None:
            self.transfer.submit(f"release {name}", lambda: self._remove_local_copy(name))

    def clean_up(self, read_numbers: Numbers) -> None:
        """Delete unneeded checkpoints in the background; another thread calls `read_numbers`."""
        self.transfer.submit("clean up", lambda: self._clean_up(read_numbers))

    def load(self, trial_number: int) -> Path | None:
        """Return a trial's last checkpoint with its best weights, as a local file, or None."""
        local = newest(self._local_names(), trial_number)
        if self.store.folder is None:
            remote = newest(self._remote_names(), trial_number)
            if remote is not None and (local is None or remote > local):
                is_there = self.store.get(self._key(remote), self.folder / str(remote))
                local = remote if is_there else local
        return None if local is None else self.folder / str(local)

    def files(self) -> dict[str, int]:
        """Return the study's files in the artifact store, and their sizes in bytes."""
        known = self.store.sizes(self.name)
        return {key: n for key, n in known.items() if is_study_file(key.rpartition("/")[2])}

    def delete(self) -> None:
        """Delete the study's files and its folder, but no other files in it."""
        self.store.delete(self.files())
        with suppress(OSError):  # It has other files, or does not exist.
            for path in self.folder.iterdir():
                if is_study_file(path.name):
                    path.unlink(missing_ok=True)
            self.folder.rmdir()

    def copy_checkpoint(self, other: "Artifacts", source_number: int, target_number: int) -> None:
        """Copy the last checkpoint, if any, of another study's trial to a trial of this study."""
        path = other.load(source_number)
        if path is not None:
            self.store.put(self._key(CheckpointName(target_number, 0)), path)

    def unneeded(self, read_numbers: Numbers) -> list[str]:
        """Return the checkpoints in the artifact store that `clean_up` would delete."""
        return list(map(self._key, unneeded(self._remote_names(), read_numbers())))

    def missing(self, trial_numbers: Collection[int]) -> list[int]:
        """Return those of the trials that have no checkpoint in the artifact store."""
        names = self._remote_names()
        return [number for number in trial_numbers if newest(names, number) is None]

    def _download(self, trial_number: int, future: "Future[Path | None]") -> None:
        """Resolve a future to a trial's checkpoint, or to the error."""
        try:
            future.set_result(self.load(trial_number))
        except ArtifactError as error:
            future.set_exception(error)
            raise
        except Exception as error:
            future.set_exception(ArtifactError(f"The artifact store failed: {error!r}."))
            raise

    def _put(self, name: CheckpointName) -> None:
        path = self.folder / str(name)
        self._sent.discard(name)
        if not path.exists():  # It was cleaned up.
            return
        self.store.put(self._key(name), path)
        self._sent.add(name)
        if name in self._released:
            self._remove_local_copy(name)

    def _remove_local_copy(self, name: CheckpointName) -> None:
        if name in self._sent:
            self._sent.discard(name)
            self._released.discard(name)
            (self.folder / str(name)).unlink(missing_ok=True)
        else:
            self._released.add(name)

    def _clean_up(self, read_numbers: Numbers) -> None:
        remote, local = self._remote_names(), self._local_names()
        partials = list(self.folder.glob(f".trial-*{PARTIAL}"))
        trial_numbers = read_numbers()  # Last: a trial that begins now is not listed above.
        self.store.delete(map(self._key, unneeded(remote, trial_numbers)))
        for name in set(local).intersection(unneeded([*remote, *local], trial_numbers)):
            (self.folder / str(name)).unlink(missing_ok=True)
        for path in partials:  # Of trainers that were killed.
            saving = CheckpointName.read(path.name[1:].removesuffix(PARTIAL))
            if saving and saving in unneeded([saving, *local], trial_numbers):
                path.unlink(missing_ok=True)
        for folder in (self.folder, self.store.folder or default_cache_dir()):
            remove_stale_partials(folder)

    def _remote_names(self) -> list[CheckpointName]:
        return read_names(
            name.removeprefix(f"{self.name}/") for name in self.store.sizes(self.name)
        )

    def _local_names(self) -> list[CheckpointName]:
        return read_names(path.name for path in self.folder.glob("trial-*"))

    def _key(self, name: CheckpointName) -> str:
        return f"{self.name}/{name}"
