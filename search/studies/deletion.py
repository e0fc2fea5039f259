"""Deleting a study: first its files, then its rows, so that an interrupted call can be repeated.

Prepared images are shared: in the user's cache by all stores, in an artifacts folder by those
that use it. Images that workers of another store may need are kept and reported.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from analysis.confirmation_study import confirmation_name
from search.artifacts import Artifacts, shared_files
from search.artifacts.stores import DATABASE
from search.data import Progress, default_cache_dir
from search.data.cache import remove_unused
from search.data.kept_summary import summary_path
from search.errors import StudyBusyError, StudyMismatchError
from search.settings.stored import StudySettings
from spaces.wording import plural
from storage import (
    Store,
    StudyNotFoundError,
    delete_study,
    delete_trials,
    find_study_id,
    list_all_studies,
    list_studies,
    list_workers,
    set_stopped,
)

OtherStudies = Mapping[str, StudySettings | None]
"""The store's other studies by name; None if this version cannot read the settings."""


@dataclass(frozen=True, slots=True)
class DeletionSummary:
    """Deleted files and prepared sets; `kept` are lines about sets that others may use."""

    n_files: int = 0
    n_bytes: int = 0
    n_sets: int = 0
    kept: tuple[str, ...] = ()

    def combined_with(self, other: "DeletionSummary") -> "DeletionSummary":
        """Return the sum of two summaries."""
        return DeletionSummary(
            self.n_files + other.n_files,
            self.n_bytes + other.n_bytes,
            self.n_sets + other.n_sets,
            tuple(dict.fromkeys((*self.kept, *other.kept))),
        )


def remove_study(
    store: Store, name: str, *, force: bool = False, progress: Progress | None = None
) -> DeletionSummary:
    """Delete a convsearch or Optuna study with its confirmation, artifacts and prepared images.

    An interrupted call may be repeated: until its rows are deleted, the study exists and is
    stopped. `progress` is called with the number of trials deleted.

    Raises:
        StudyNotFoundError: If there is no such study.
        StudyBusyError: If workers serve it and `force` is false.
    """
    study_id = find_study_id(store, name)
    confirmation, removal = confirmation_name(name), DeletionSummary()
    has_confirmation = confirmation in list_all_studies(store)
    if not force:
        _check_idle(store, name, study_id)
    if has_confirmation:
        removal = remove_study(store, confirmation, force=force, progress=progress)
    if not store.is_optuna_only:
        set_stopped(store, study_id, True)
    settings = _settings_of(store, name)
    if settings is not None:
        removal = removal.combined_with(_remove_files(store, name, settings))
    delete_trials(store, study_id, progress)
    delete_study(store, name)
    return removal


def _check_idle(store: Store, name: str, study_id: int) -> None:
    workers = [] if store.is_optuna_only else list_workers(store, study_id)
    n_alive = sum(worker.is_alive for worker in workers)
    if n_alive:
        raise StudyBusyError(
            f"Study {name!r} has {plural(n_alive, 'living worker')}. End them "
            f"with `convsearch stop {name}` first, or delete it all the same with --force."
        )


def _settings_of(store: Store, name: str) -> StudySettings | None:
    """Return the settings; None for an Optuna study or settings of an incompatible version."""
    try:
        return StudySettings.load(store, name)
    except (StudyNotFoundError, StudyMismatchError):
        return None


def _remove_files(store: Store, name: str, settings: StudySettings) -> DeletionSummary:
    artifacts = Artifacts.of_study(settings, store, name)
    others = {it: _settings_of(store, it) for it in list_studies(store) if it != name}
    files, shared = artifacts.files(), _unneeded(artifacts, settings, others)
    kept = []
    if shared and not _is_exclusive(store, artifacts, settings, others):
        kept = [f"{', '.join(shared)} in {settings.artifacts}: other stores may use it."]
        shared = {}
    artifacts.delete()
    artifacts.store.delete(shared)
    paths = _cached_images(settings, others.values())
    cached = {path: path.stat().st_size for path in paths if path.is_file()}
    in_use = {path for path in cached if not remove_unused(path)}
    for path in set(paths) - in_use:
        remove_unused(summary_path(path))
    kept += [f"{path}: a process uses it." for path in sorted(in_use)]
    sizes = (*files.values(), *shared.values(), *(cached[path] for path in cached.keys() - in_use))
    n_sets = max(len(shared), len(cached) - len(in_use))
    return DeletionSummary(len(files), sum(sizes), n_sets, tuple(kept))


def _unneeded(
    artifacts: Artifacts, settings: StudySettings, others: OtherStudies
) -> dict[str, int]:
    """Return the shared files that no other study of this store uses, with their sizes."""
    known = artifacts.store.sizes()
    neighbors = [it for it in others.values() if it and it.artifacts == settings.artifacts]
    needed = {name for other in neighbors for name in shared_files(other)}
    return {name: known[name] for name in shared_files(settings) if name in known.keys() - needed}


def _is_exclusive(
    store: Store, artifacts: Artifacts, settings: StudySettings, others: OtherStudies
) -> bool:
    """Whether only studies of this store, all of them readable, have artifacts there.

    Every study creates its own folder before it shares files. A bucket has no folders, and
    listing all of it would take too long.
    """
    if None in others.values():
        return False
    if settings.artifacts == DATABASE:
        return True
    root = artifacts.store.folder
    if root is None:
        return False
    own_folders = {Artifacts.of_study(it, store, name).name for name, it in others.items() if it}
    folders = {path.name for path in root.iterdir() if path.is_dir()}
    return folders <= {*own_folders, artifacts.name}


def _cached_images(settings: StudySettings, others: Iterable[StudySettings | None]) -> list[Path]:
    """Return where the cache has the study's images that no other study of this store uses."""
    used = {images.path for other in others if other for images in other.images.values()}
    paths = (Path(images.path) for images in settings.images.values() if images.path not in used)
    cache = default_cache_dir().absolute()
    return [path for path in paths if path.absolute().parent == cache]
