"""Deleting a study: its files first, then its rows, so that a second call ends what one began."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from search.artifacts import Artifacts
from search.data import default_cache_dir
from search.errors import StudyBusyError, StudyMismatchError
from search.settings import StudySettings
from storage import (
    Store,
    StudyNotFoundError,
    delete_study,
    find_study_id,
    list_studies,
    list_workers,
    load_study,
    set_stopped,
)


@dataclass(frozen=True, slots=True)
class Removal:
    """What was deleted with a study: its files, and images that no other study here uses."""

    n_files: int
    n_bytes: int
    prepared: tuple[Path, ...]


def remove_study(store: Store, name: str, *, force: bool = False) -> Removal:
    """Deletes a study, one of ours or a plain Optuna one, with its artifacts and prepared images.

    Safe to cut off and to repeat: until its rows are gone the study is there, and stopped.

    Raises:
        StudyNotFoundError: If there is no such study.
        StudyBusyError: If workers are at work on it, and `force` is not given.
    """
    study_id = find_study_id(store, name)
    n_alive = sum(worker.is_alive for worker in list_workers(store, study_id))
    if n_alive and not force:
        raise StudyBusyError(
            f"Study {name!r} has {n_alive} living worker{'s' if n_alive > 1 else ''}. End them "
            f"with `convsearch stop {name}` first, or delete it all the same with --force."
        )
    set_stopped(store, study_id, True)
    settings = _settings_of(store, name)
    removal = Removal(0, 0, ()) if settings is None else _remove_files(store, name, settings)
    delete_study(store, name)
    return removal


def _settings_of(store: Store, name: str) -> StudySettings | None:
    """Gives the settings; None for a plain study, or where another version wrote them."""
    try:
        return StudySettings.read(load_study(store, name).settings)
    except (StudyNotFoundError, StudyMismatchError):
        return None


def _remove_files(store: Store, name: str, settings: StudySettings) -> Removal:
    folder = Artifacts.of_study(settings.artifacts, name).folder
    files = [path for path in folder.rglob("*") if path.is_file()] if folder.is_dir() else []
    n_bytes = sum(path.stat().st_size for path in files)
    shutil.rmtree(folder, ignore_errors=True)
    prepared = _own_images(store, name, settings)
    for path in prepared:
        n_bytes += path.stat().st_size
        path.unlink(missing_ok=True)
    return Removal(len(files), n_bytes, prepared)


def _own_images(store: Store, name: str, settings: StudySettings) -> tuple[Path, ...]:
    """Gives the study's files in the cache that no other study of this store uses."""
    used = set()
    for other in list_studies(store):
        known = _settings_of(store, other) if other != name else None
        if known is not None:
            used |= {images.path for images in known.images.values()}
    paths = (Path(images.path) for images in settings.images.values() if images.path not in used)
    cache = default_cache_dir().absolute()
    return tuple(path for path in paths if path.absolute().parent == cache and path.is_file())
