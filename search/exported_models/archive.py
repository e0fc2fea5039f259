"""The file of an exported model: a `.keras` archive with metadata inside, which Keras ignores."""

import json
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import ValidationError

from search.errors import ModelError
from search.exported_models.allowed_layers import find_unknown_class
from search.exported_models.metadata import ModelFacts
from spaces.wording import shorten

MODEL, MODEL_METADATA = "best.keras", "best.json"
"""File names in a report's folder."""
RECORD = "convsearch.json"
CONFIG = "config.json"
MEMBERS = frozenset({"metadata.json", CONFIG, "model.weights.h5"})
"""The members that Keras writes, uncompressed."""
MAX_BYTES = 4 * 2**30
MAX_TEXT_BYTES = 32 * 2**20
"""Of a JSON member; that of the largest backbone has a thirtieth of it."""
UNREADABLE = (
    OSError,
    EOFError,
    RuntimeError,  # from an encrypted member
    ValueError,
    zipfile.BadZipFile,
    zlib.error,
)


@contextmanager
def staging_folder(path: Path) -> Iterator[Path]:
    """Make a temporary folder beside a file; raise `ModelError` if it cannot be created."""
    try:
        folder = tempfile.TemporaryDirectory(
            dir=path.parent, prefix=".writing-", ignore_cleanup_errors=True
        )
    except OSError as error:
        raise ModelError(describe_write_error(path, error.strerror)) from error
    with folder as name:
        yield Path(name)


def publish_model(written: Path, path: Path, facts: ModelFacts) -> None:
    """Write metadata into and beside a model, and move both files to their place.

    Each file is replaced atomically.

    Raises:
        ModelError: If they cannot be written.
    """
    text = json.dumps(facts.model_dump(mode="json"), indent=2, ensure_ascii=False) + "\n"
    sidecar = written.with_suffix(".json")
    try:
        with zipfile.ZipFile(written, "a") as archive:
            archive.writestr(RECORD, text)
        sidecar.write_text(text, encoding="utf-8")
        written.replace(path)
        sidecar.replace(path.with_suffix(".json"))
    except OSError as error:
        raise ModelError(describe_write_error(path, error.strerror)) from error


def read_model_file(path: Path) -> ModelFacts:
    """Check that a model is from convsearch and safe to load; return its metadata.

    They are inside the file, or else beside it.

    Raises:
        ModelError: If there is no model, it is damaged, too large or not from convsearch, or it
            names classes that may run foreign code.
    """
    _check_file(path)
    try:
        with zipfile.ZipFile(path) as archive:
            _check_members(archive, path)
            unknown_class = find_unknown_class(archive.read(CONFIG))
            record = archive.read(RECORD) if RECORD in archive.namelist() else None
    except zipfile.BadZipFile as error:
        raise ModelError(
            f"{path} is not a .keras file, or a damaged one ({shorten(str(error))})."
        ) from error
    except UNREADABLE as error:
        reason = shorten(str(error))
        raise ModelError(f"{path} is damaged ({reason}). Write it again.") from error
    if unknown_class is not None:
        raise ModelError(
            f"{path} was not loaded: it has an object of the class {unknown_class[:100]!r}, which "
            "networks of convsearch do not have and which may run foreign code."
        )
    return _read_record(path, record)


def describe_write_error(path: Path, reason: str | None) -> str:
    """Return the message for a model that cannot be written."""
    return f"Cannot write {path}: {reason or 'unknown error'}."


def _check_file(path: Path) -> None:
    try:
        status = path.stat()
    except OSError as error:
        raise ModelError(f"Cannot read the model {path}: {error.strerror}.") from error
    if not stat.S_ISREG(status.st_mode):
        raise ModelError(f"Expected a .keras file as the model. Received: {path}, which is none.")
    if status.st_size > MAX_BYTES:
        raise ModelError(
            f"Expected a model of at most {MAX_BYTES / 2**30:.0f} GiB. Received: "
            f"{status.st_size / 2**30:.1f} GiB in {path}."
        )


def _check_members(archive: zipfile.ZipFile, path: Path) -> None:
    """Refuse an archive with unexpected or compressed members."""
    parts = archive.infolist()
    names = sorted(part.filename for part in parts)
    if set(names) | {RECORD} != MEMBERS | {RECORD} or len(names) != len(set(names)):
        held = shorten(", ".join(map(repr, names)))
        raise ModelError(f"{path} is not a model of convsearch: it holds {held}.")
    is_packed = any(part.compress_type != zipfile.ZIP_STORED for part in parts)
    if is_packed or sum(part.file_size for part in parts) > path.stat().st_size:
        raise ModelError(f"{path} was not loaded: its parts may unpack to more than it says.")
    for part in parts:
        if part.filename.endswith(".json") and part.file_size > MAX_TEXT_BYTES:
            raise ModelError(f"{path} was not loaded: its {part.filename} is too large.")


def _read_record(path: Path, record: bytes | None) -> ModelFacts:
    sidecar = path.with_suffix(".json")
    if record is None:
        try:
            if sidecar.stat().st_size > MAX_TEXT_BYTES:
                raise ModelError(f"{sidecar} is too large to be the record of a model.")
            record = sidecar.read_bytes()
        except OSError as error:
            raise ModelError(
                f"{path} does not say what its classes are: it has no {RECORD} inside, and no "
                f"{sidecar.name} beside it. `convsearch report` writes models that do."
            ) from error
    try:
        return ModelFacts.model_validate_json(record)
    except ValidationError as error:
        first = error.errors()[0]
        place = shorten(".".join(map(str, first["loc"])))
        raise ModelError(f"The record of {path} is damaged: {place} {first['msg']}.") from error
