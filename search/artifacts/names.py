"""Names of artifacts: paths inside any artifact store, the folder of a study and its files."""

import hashlib
import re

MAX_LENGTH = 255
_PART = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*")
_STUDY_FILE = re.compile(
    r"trial-\d+\.\d+\.safetensors"
    r"|\.trial-\d+\.\d+\.safetensors\.(partial|[0-9a-f]{8})"
    r"|worker-\d+\.log|dashboard\.log"
)
"""Names of a study's files; those that begin with a dot are incomplete."""


def check_name(name: str) -> str:
    """Return a valid name unchanged.

    Raises:
        ValueError: If it has other characters, or is too long.
    """
    if len(name) > MAX_LENGTH or not all(map(_PART.fullmatch, name.split("/"))):
        raise ValueError(
            f"Expected a name of letters, digits and . _ - in parts with /, at most {MAX_LENGTH} "
            f"long. Received: {name[:300]!r}"
        )
    return name


def is_study_file(file_name: str) -> bool:
    """Whether a file in the folder of a study is one of the study's."""
    return _STUDY_FILE.fullmatch(file_name) is not None


def folder_name(study_name: str) -> str:
    """Return the name of a study's folder; names with other characters get a hash."""
    plain = re.sub(r"[^A-Za-z0-9._-]", "_", study_name).strip(".")[:80]
    if plain != study_name:
        plain += "-" + hashlib.sha256(study_name.encode()).hexdigest()[:8]
    return plain
