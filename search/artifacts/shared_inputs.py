"""The inputs that workers on other machines need: prepared images and files of weights."""

import hashlib
import logging
from collections.abc import Callable
from pathlib import Path

from search.artifacts.stores import ArtifactStore
from search.data import PreparedSet, Progress, default_cache_dir
from search.data.cache import cache_error_message, cache_lock
from search.errors import ArtifactError, DataError, StudyMismatchError
from search.settings.stored import ImageSet, StudySettings, WeightsFile
from spaces.models.backbones import Weights
from storage.atomic_files import atomic_write

logger = logging.getLogger(__name__)

MB = 2**20


def prepared_name(images: ImageSet) -> str:
    """Return the name of a prepared set in an artifact store."""
    return f"prepared-{images.fingerprint}.safetensors"


def weights_name(weights: WeightsFile) -> str:
    """Return the name of a file of weights in an artifact store."""
    return f"weights-{weights.digest}.h5"


def shared_files(settings: StudySettings) -> dict[str, Path]:
    """Return the inputs of a study's workers: name in the artifact store, and local path."""
    files = {prepared_name(images): Path(images.path) for images in settings.images.values()}
    weights = settings.weights
    if weights is not None and (path := Weights(weights.source, weights.mode).path):
        files[weights_name(weights)] = path
    return files


def share_inputs(
    artifacts: ArtifactStore, settings: StudySettings, progress: Progress | None = None
) -> None:
    """Upload the inputs that workers on other machines need, unless they are there already.

    A folder that cannot be written to is only a warning: local workers do not need the copies.

    Raises:
        ArtifactError: If the artifact store is no folder and cannot be used.
    """
    try:
        known = artifacts.sizes()
        for name, path in shared_files(settings).items():
            if name not in known:
                artifacts.put(name, path, _byte_callback(path, progress))
    except ArtifactError as error:
        if artifacts.folder is None:
            raise
        logger.warning("workers on other machines cannot join: %s", error)


def _byte_callback(path: Path, progress: Progress | None) -> Callable[[int], None] | None:
    """Return a callback for the bytes of each uploaded part of a file; it reports megabytes."""
    if progress is None:
        return None
    n_done, total = 0, path.stat().st_size

    def on_bytes(n_bytes: int) -> None:
        nonlocal n_done
        n_done = min(n_done + n_bytes, total)  # A part may be sent and reported twice.
        progress(n_done // MB, max(1, total // MB), "megabytes shared")

    return on_bytes


def fetch_prepared(artifacts: ArtifactStore, images: ImageSet) -> PreparedSet:
    """Open a study's prepared set: from its local path, the cache, or the artifact store.

    Raises:
        DataError: If it is in none of them, or damaged.
        StudyMismatchError: If another set is at its local path, and it is nowhere else.
        ArtifactError: If the artifact store cannot be used.
    """
    name = prepared_name(images)
    cached = default_cache_dir() / name
    for path in (Path(images.path), cached):
        if (found := _open_set(path, images.fingerprint)) is not None:
            return found
    if _fetch(artifacts, name, cached, lambda path: _open_set(path, images.fingerprint)):
        return PreparedSet.open(cached)
    if (found := _open_set(Path(images.path), images.fingerprint)) is not None:
        return found  # It was prepared in the meantime.
    is_there = Path(images.path).is_file()
    if is_there and (other := PreparedSet.open(images.path).fingerprint) != images.fingerprint:
        raise StudyMismatchError(
            f"The prepared images at {images.path} have the fingerprint {other[:12]}, those "
            f"of the study {images.fingerprint[:12]}. Prepare the study's own images."
        )
    state = "damaged" if is_there else "not"
    raise DataError(
        f"The prepared images of the study ({images.fingerprint[:12]}) are {state} at "
        f"{images.path}, and not in its artifacts. Run `convsearch run` on the source again to "
        "prepare them."
    )


def fetch_weights(artifacts: ArtifactStore, weights: WeightsFile) -> WeightsFile:
    """Return a study's weights with a local file; unchanged if there is none to download.

    Raises:
        ArtifactError: If the artifact store cannot be used.
    """
    path = Weights(weights.source, weights.mode).path
    name = weights_name(weights)
    cached = default_cache_dir() / name
    if path is None or _has_digest(path, weights.digest):
        return weights
    if _has_digest(cached, weights.digest) or _fetch(
        artifacts, name, cached, lambda path: _has_digest(path, weights.digest)
    ):
        return weights.model_copy(update={"source": str(cached)})
    return weights


def _fetch(
    artifacts: ArtifactStore, name: str, cached: Path, is_valid: Callable[[Path], object]
) -> bool:
    """Download a file into the cache, once for all workers of this machine."""
    with cache_lock(cached.with_name(f".{cached.name}.lock")):
        if cached.is_file() and is_valid(cached):
            return True
        logger.info("fetching %s from the study's artifacts", name)
        try:
            with atomic_write(cached) as partial:
                if not artifacts.get(name, partial):
                    return False
                if is_valid(partial):
                    return True
                partial.unlink()
        except OSError as error:
            raise DataError(cache_error_message("write to", cached.parent, error)) from error
        raise ArtifactError(
            f"{name} in the study's artifacts is damaged: its content is not what its name says. "
            "Delete it there, and run `convsearch run` on the source again."
        )


def _open_set(path: Path, fingerprint: str) -> PreparedSet | None:
    """Open the prepared set in a file; return None if it is missing, damaged or another one."""
    if not path.is_file():
        return None
    try:
        found = PreparedSet.open(path)
        found.verify()
    except DataError as error:
        logger.warning("%s", error)
        return None
    return found if found.fingerprint == fingerprint else None


def _has_digest(path: Path, digest: str) -> bool:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == digest
    except OSError:
        return False
