"""Names of files and folders, and cells of tables: extensions, splits, and what differs little."""

import os
import re
from collections import Counter
from collections.abc import Collection, Iterable

from spaces.wording import first_of

# fmt: off
SPLIT_NAMES = {
    "train": "train", "training": "train",
    "val": "val", "valid": "val", "validation": "val",
    "test": "test", "testing": "test",
}
FILLING_WORDS = frozenset({
    "set", "data", "dataset", "image", "images", "img", "imgs", "split", "folder", "cases",
    "files", "scans", "samples",
})
"""Words beside that of a split, as in `train_set` or `Test cases`."""
DOCUMENTS = frozenset({
    ".csv", ".tsv", ".xls", ".xlsx", ".parquet", ".txt", ".md", ".rst", ".rtf", ".pdf", ".doc",
    ".docx", ".odt", ".html", ".htm", ".css", ".json", ".jsonl", ".xml", ".yaml", ".yml", ".toml",
    ".ini", ".cfg", ".log", ".bib", ".tex", ".py", ".ipynb", ".m", ".r", ".sh", ".js", ".lock",
    ".ppt", ".pptx", ".ods", ".url", ".webloc", ".c", ".cc", ".cpp", ".h", ".hpp", ".java", ".cs",
    ".jl", ".rs", ".go", ".ts", ".bat", ".cmd", ".ps1", ".exe", ".dll", ".so", ".jar", ".db",
    ".sqlite", ".keras", ".pt", ".pth", ".ckpt", ".onnx", ".tflite", ".pb", ".pkl", ".pickle",
    ".joblib", ".safetensors", ".v2", ".shp", ".shx", ".dbf", ".prj", ".geojson", ".roi", ".names",
    ".data", ".md5", ".sha256",
})
"""Files that describe a set or work on it; a folder of others may be a class."""
# fmt: on
N_NAMES = 6
"""Names that a message shows."""


def extension_of(name: str) -> str:
    """Return an extension in lower case with its dot, `.nii.gz` as a whole; empty for none."""
    lower = name.lower()
    return ".nii.gz" if lower.endswith(".nii.gz") else os.path.splitext(lower)[1]  # noqa: PTH122


def split_of(name: str) -> str:
    """Return `train`, `val` or `test` if a folder's name says so, else an empty text."""
    words = [it for it in words_in(name) if it not in FILLING_WORDS]
    found = {
        split
        for word, split in SPLIT_NAMES.items()
        if len(words) == 1 and words[0].removeprefix(word) in {"", *FILLING_WORDS}
    }
    return found.pop() if found else ""


def words_in(name: str) -> list[str]:
    """Return the words of a name in small letters, without numbers and signs."""
    return [it for it in re.split(r"[\W_\d]+", name.lower()) if it]


def differing_in_case(names: Collection[str]) -> list[str]:
    """Return the names that differ from another one in capital letters only, sorted."""
    counts = Counter(name.casefold() for name in names)
    return sorted(name for name in names if counts[name.casefold()] > 1)


def join_names(names: Iterable[str]) -> str:
    """Return the first names in quotation marks, sorted."""
    shown = sorted(names)
    return first_of([repr(name) for name in shown], N_NAMES)
