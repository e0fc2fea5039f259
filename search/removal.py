"""Deleting a study: its files first, then its rows, so that a second call ends what one began."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from search.artifacts import Artifacts, shared_files
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
    """What was deleted with a study: its files, and sets that no other study here uses."""

    n_files: int
    n_bytes: int
    n_sets: int


def remove_study(store: Store, name: str, *, force: bool = False) -> Removal:
    """Deletes a study, one of ours or a plain Optuna one, with its artifacts and prepared images.

    Safe to cut off and to repeat: until its rows are gone the study is there, and stopped.

    Raises:
        StudyNotFoundError: If there is no such study.
        StudyBusyError: If workers are at work on it, and `force` is not given.
    """
    study_id = find_study_id(store, name)
    workers = [] if store.is_plain else list_workers(store, study_id)
    n_alive = sum(worker.is_alive for worker in workers)
    if n_alive and not force:
        raise StudyBusyError(
            f"Study {name!r} has {n_alive} living worker{'s' if n_alive > 1 else ''}. End them "
            f"with `convsearch stop {name}` first, or delete it all the same with --force."
        )
    if not store.is_plain:
        set_stopped(store, study_id, True)
    settings = _settings_of(store, name)
    removal = Removal(0, 0, 0) if settings is None else _remove_files(store, name, settings)
    delete_study(store, name)
    return removal


def _settings_of(store: Store, name: str) -> StudySettings | None:
    """Gives the settings; None for a plain study, or where another version wrote them."""
    try:
        return StudySettings.read(load_study(store, name).settings)
    except (StudyNotFoundError, StudyMismatchError):
        return None


def _remove_files(store: Store, name: str, settings: StudySettings) -> Removal:
    artifacts = Artifacts.of_study(settings, store, name)
    files = artifacts.store.sizes(artifacts.name)
    others = [it for it in map(partial(_settings_of, store), _others(store, name)) if it]
    shared = _only_ours(artifacts.store.sizes(), settings, others)
    cached = _cached_images(settings, others)
    n_bytes = sum(files.values()) + sum(shared.values())
    n_bytes += sum(path.stat().st_size for path in cached)
    artifacts.delete()
    artifacts.store.delete(shared)
    for path in cached:
        path.unlink(missing_ok=True)
    return Removal(len(files), n_bytes, max(len(shared), len(cached)))


def _others(store: Store, name: str) -> list[str]:
    return [other for other in list_studies(store) if other != name]


def _only_ours(
    known: Mapping[str, int], settings: StudySettings, others: Sequence[StudySettings]
) -> dict[str, int]:
    """Gives what the study's workers alone find in its artifacts: images, weights."""
    beside = [it for it in others if it.artifacts == settings.artifacts]
    used = {name for other in beside for name in shared_files(other)}
    return {name: known[name] for name in shared_files(settings) if name in known.keys() - used}


def _cached_images(settings: StudySettings, others: Sequence[StudySettings]) -> list[Path]:
    """Gives the study's prepared images in this machine's cache that no other study here uses."""
    used = {images.path for other in others for images in other.images.values()}
    paths = (Path(images.path) for images in settings.images.values() if images.path not in used)
    cache = default_cache_dir().absolute()
    return [path for path in paths if path.absolute().parent == cache and path.is_file()]
