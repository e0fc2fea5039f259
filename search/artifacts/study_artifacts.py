"""The artifacts of one study: checkpoints of the trials that may need them, and workers' logs."""

import hashlib
import re
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
from search.artifacts.stores import ArtifactStore, open_artifact_store
from search.data import default_cache_dir
from search.errors import ArtifactError, SettingsError
from search.machine.atomic_files import remove_stale_partials
from search.settings.stored import StudySettings
from storage import Store

PARTIAL = ".partial"
POLL_S = 0.05
WORK_FOLDER = "work"
MB = 2**20
_STUDY_FILE = re.compile(
    r"trial-\d+\.\d+\.safetensors"
    r"|\.trial-\d+\.\d+\.safetensors\.(partial|[0-9a-f]{8})"
    r"|worker-\d+\.log|dashboard\.log"
)
"""Names of a study's files; those with a dot in front were not written to their end."""
Numbers = Callable[[], Collection[int]]


@dataclass(slots=True)
class Artifacts:
    """The files of one study.

    Trainers save into `folder`. Where that is no folder of the artifact store itself, a courier
    takes what they save there, and brings what a trial goes on from.

    Attributes:
        store: Where the files are for all workers.
        name: The study's folder in it.
        folder: Where they are on this machine.
        n_best: Of how many complete trials weights are kept.
    """

    store: ArtifactStore
    name: str
    folder: Path
    n_best: int = N_BEST_KEPT
    _transfer: BackgroundTransfer = field(default_factory=BackgroundTransfer)
    _sent: set[CheckpointName] = field(default_factory=set)
    _released: set[CheckpointName] = field(default_factory=set)

    @classmethod
    def of_study(cls, settings: StudySettings, store: Store, study_name: str) -> "Artifacts":
        """Return the artifacts of a study; nothing is read or made yet."""
        max_bytes = settings.max_files_mb * MB
        artifact_store = open_artifact_store(settings.artifacts, store, max_bytes=max_bytes)
        name = settings.artifacts_folder or folder_name(study_name)
        n_best = N_CONFIRMED_KEPT if settings.confirms else N_BEST_KEPT
        if artifact_store.folder is not None:
            return cls(artifact_store, name, artifact_store.folder / name, n_best)
        place = f"{store.shown_url} {settings.artifacts} {settings.creation}".rstrip()
        machine = hashlib.sha256(place.encode()).hexdigest()[:16]
        return cls(
            artifact_store, name, default_cache_dir() / WORK_FOLDER / machine / name, n_best
        )

    def create(self) -> None:
        """Make the folder on this machine.

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

    def checkpoint(self, trial_number: int, generation: int) -> Path:
        """Where a trial saves after each epoch; its best weights stay there."""
        return self.folder / str(CheckpointName(trial_number, generation))

    def worker_log(self, index: int) -> Path:
        """Where a local worker's log goes."""
        return self.folder / f"worker-{index}.log"

    @property
    def dashboard_log(self) -> Path:
        """Where the log of a dashboard beside a search goes."""
        return self.folder / "dashboard.log"

    def fetch(
        self, trial_number: int, generation: int, is_stopping: Callable[[], bool] = lambda: False
    ) -> Path | None:
        """Return the file that a trial goes on from, brought here if need be; None without.

        Args:
            trial_number: Of the trial.
            generation: Under which it was taken now; its checkpoint is of an earlier one.
            is_stopping: Asked several times a second, and ends the wait.

        Raises:
            ArtifactError: If the artifact store cannot be used, or the wait was ended.
        """
        if generation == 0:
            return None
        future: Future[Path | None] = Future()
        self._transfer.send("fetch", lambda: self._download(trial_number, future))
        while not is_stopping():
            with suppress(TimeoutError):
                return future.result(POLL_S)
        raise ArtifactError(f"The checkpoint of trial {trial_number} is not waited for any more.")

    def send(self, trial_number: int, generation: int) -> None:
        """Take a trial's checkpoint to the artifact store, without waiting for it.

        It is tried until it succeeds, or a later checkpoint of the trial takes its place.
        """
        name = CheckpointName(trial_number, generation)
        if self.store.folder is None:
            key = f"trial {trial_number}"
            self._transfer.send(key, lambda: self._put(name), is_retried=True)

    def release_local_copy(self, trial_number: int, generation: int) -> None:
        """Remove this machine's copy of a trial's checkpoint once the artifact store has it."""
        name = CheckpointName(trial_number, generation)
        if self.store.folder is None:
            self._transfer.send(f"let go {name}", lambda: self._remove_local_copy(name))

    def clean_up(self, read_numbers: Numbers) -> None:
        """Delete the checkpoints that nobody needs any more, without waiting for it.

        Args:
            read_numbers: Gives the trials whose last checkpoint is kept; another thread calls it.
        """
        self._transfer.send("tidy", lambda: self._clean_up(read_numbers))

    @property
    def is_idle(self) -> bool:
        """Whether all is done that was to be done without waiting."""
        return self._transfer.is_done

    @property
    def has_pending_uploads(self) -> bool:
        """Whether the artifact store does not have all checkpoints yet."""
        return self._transfer.has_unfinished

    @property
    def is_uploading(self) -> bool:
        """Whether checkpoints are on their way that it does not refuse again and again."""
        return self._transfer.is_progressing

    def flush(self, timeout_s: float) -> bool:
        """Wait until all is done that was to be done without waiting."""
        return self._transfer.wait(timeout_s)

    def cancel_uploads(self) -> None:
        """Send nothing more: the study was deleted, and another one may have its name."""
        self._transfer.cancel_all()

    def load(self, trial_number: int) -> Path | None:
        """Return a trial's last checkpoint, and with it its best weights, as a file here.

        Raises:
            ArtifactError: If the artifact store cannot be used.
        """
        local = newest(self._local_names(), trial_number)
        if self.store.folder is None:
            remote = newest(self._remote_names(), trial_number)
            if remote is not None and (local is None or remote > local):
                local = (
                    remote
                    if self.store.get(self._key(remote), self.folder / str(remote))
                    else local
                )
        return None if local is None else self.folder / str(local)

    def files(self) -> dict[str, int]:
        """The study's files in the artifact store, and their sizes in bytes.

        Raises:
            ArtifactError: If the artifact store cannot be used.
        """
        known = self.store.sizes(self.name)
        return {key: n for key, n in known.items() if _is_study_file(key.rpartition("/")[2])}

    def delete(self) -> None:
        """Delete all files of the study, and nothing else: its folder is what the store says.

        Raises:
            ArtifactError: If the artifact store cannot be used.
        """
        self.store.delete(self.files())
        with suppress(OSError):  # Somebody else's file is in it, or it is not there.
            for path in self.folder.iterdir():
                if _is_study_file(path.name):
                    path.unlink(missing_ok=True)
            self.folder.rmdir()

    def copy_checkpoint(self, other: "Artifacts", source_number: int, target_number: int) -> None:
        """Return a trial the last checkpoint of another study's trial, if that has one.

        Raises:
            ArtifactError: If one of the artifact stores cannot be used.
        """
        path = other.load(source_number)
        if path is not None:
            self.store.put(self._key(CheckpointName(target_number, 0)), path)

    def unneeded(self, read_numbers: Numbers) -> list[str]:
        """Name the checkpoints in the artifact store that `clean_up` would delete there.

        Raises:
            ArtifactError: If the artifact store cannot be used.
        """
        names = self._remote_names()
        return list(map(self._key, unneeded(names, read_numbers())))

    def missing(self, trial_numbers: Collection[int]) -> list[int]:
        """Return those of some trials that no checkpoint is kept of.

        Raises:
            ArtifactError: If the artifact store cannot be used.
        """
        names = self._remote_names()
        return [number for number in trial_numbers if newest(names, number) is None]

    def _download(self, trial_number: int, future: "Future[Path | None]") -> None:
        """Answer with the file that a trial goes on from, or with the reason why not."""
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
        if not path.exists():  # Nobody needs it any more.
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
        trial_numbers = read_numbers()  # Last: a trial that begins meanwhile is not listed above.
        self.store.delete(map(self._key, unneeded(remote, trial_numbers)))
        for name in set(local).intersection(unneeded([*remote, *local], trial_numbers)):
            (self.folder / str(name)).unlink(missing_ok=True)
        for path in partials:  # of trainers that were killed
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


def _is_study_file(file_name: str) -> bool:
    return _STUDY_FILE.fullmatch(file_name) is not None


def folder_name(study_name: str) -> str:
    """Return the name of a study's folder; names unfit for one are hashed."""
    plain = re.sub(r"[^A-Za-z0-9._-]", "_", study_name).strip(".")[:80]
    if plain != study_name:
        plain += "-" + hashlib.sha256(study_name.encode()).hexdigest()[:8]
    return plain
