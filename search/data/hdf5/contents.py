"""What is in HDF5 files, as the child process found it."""

import io
import json
import re
import subprocess
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from search.data.hdf5.stored_images import Chunks, StoredImages
from search.data.source_api import OUT_OF_MEMORY
from search.errors import DataError
from search.machine.processes import child_environment, file_command
from spaces.wording import shorten

MIN_TIMEOUT_S, MAX_TIMEOUT_S = 20.0, 120.0
"""For small and for large files: two million chunks, which are in large ones alone, take half of
the longer one at most. Some damaged files would be read for ever."""
BYTES_PER_S = 2 * 2**20
"""By which the time grows with the size of the files."""
MAX_PATHS = 500
"""Characters of paths in a message."""
_PROGRAM = Path(__file__).with_name("headers.py")


@dataclass(frozen=True, slots=True)
class Contents:
    """What is in a file: the datasets that were asked for, and a list of what there is.

    Attributes:
        images, labels: Datasets by their names; labels as they are stored.
        problems: Why datasets cannot be used, by their names.
        listed: Up to eleven of all datasets and groups, in words.
        is_model: Whether it looks like the weights of a Keras model.
    """

    path: Path
    images: Mapping[str, StoredImages]
    labels: Mapping[str, NDArray[Any]]
    problems: Mapping[str, str]
    listed: Sequence[str]
    is_model: bool

    @property
    def names(self) -> set[str]:
        """Names of the datasets that were asked for and are there."""
        return {*self.images, *self.labels, *self.problems}

    def find_images(self, name: str) -> StoredImages:
        """Return a dataset of images; raise `DataError` if it cannot be used."""
        self._check(name)
        return self.images[name]

    def find_labels(self, name: str) -> NDArray[Any]:
        """Return labels; raise `DataError` if they cannot be used."""
        self._check(name)
        return self.labels[name]

    def _check(self, name: str) -> None:
        if problem := self.problems.get(name):
            raise DataError(f"{name!r} in {self.path} {problem}. Save it as a plain dataset.")


def read_contents(
    paths: Sequence[Path], images: Sequence[str], labels: Sequence[str]
) -> list[Contents]:
    """Return what files say of datasets with some names.

    Raises:
        DataError: If one of them cannot be read as HDF5.
    """
    arrays = _run({"paths": [str(it) for it in paths], "images": images, "labels": labels})
    headers = json.loads(arrays["headers"].tobytes())
    return [
        _contents(path, header, f"{number} ", arrays)
        for number, (path, header) in enumerate(zip(paths, headers, strict=True))
    ]


def _contents(
    path: Path, header: Mapping[str, Any], start: str, arrays: Mapping[str, NDArray[Any]]
) -> Contents:
    if error := header.get("error"):
        raise DataError(f"Cannot read {path} as HDF5: {_describe(error)}.")
    facts = {name: it for name, it in header["datasets"].items() if not it["problem"]}
    labels = {name: arrays.get(f"{start}labels of {name}") for name in facts}
    return Contents(
        path=path,
        images={
            name: _stored_images(path, name, it, arrays.get(f"{start}chunks of {name}"))
            for name, it in facts.items()
            if labels[name] is None
        },
        labels={name: it for name, it in labels.items() if it is not None},
        problems={n: it["problem"] for n, it in header["datasets"].items() if it["problem"]},
        listed=header["listed"],
        is_model=header["is_model"],
    )


def _describe(error: str) -> str:
    """Describe what h5py says of a file: it writes for programmers."""
    if error == "MemoryError":
        return OUT_OF_MEMORY
    if found := re.search(r"truncated file: eof = (\d+), .*stored_eof = (\d+)", error):
        there, whole = map(int, found.groups())
        return f"it is truncated, since {there:,} of {whole:,} bytes are there. Copy it again"
    if found := re.search(r"error message = '([^']+)'", error):
        return found[1]
    if "file signature not found" in error:
        return "it does not begin as HDF5 files do"
    return "it is damaged. Save it again"


def _stored_images(
    path: Path, name: str, facts: Mapping[str, Any], table: NDArray[np.int64] | None
) -> StoredImages:
    chunks = None
    if table is not None:
        filters = [(code, text) for code, text in facts["filters"]]
        chunks = Chunks(tuple(facts["chunk_shape"]), tuple(filters), table)
    shape, dtype = tuple(facts["shape"]), np.dtype(facts["dtype"])
    return StoredImages(path, name, shape, dtype, facts.get("address"), chunks)


def _timeout_s(paths: Sequence[str]) -> float:
    n_bytes = sum(Path(path).stat().st_size for path in paths)
    return min(MAX_TIMEOUT_S, MIN_TIMEOUT_S + n_bytes // BYTES_PER_S)


def _run(task: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
    """Run the child process, and return the arrays that it wrote."""
    command = file_command(_PROGRAM, json.dumps(task))
    environment = child_environment(OPENBLAS_NUM_THREADS="1", HDF5_PLUGIN_PRELOAD="::")
    shown = shorten(" or ".join(task["paths"]), MAX_PATHS)
    timeout_s = _timeout_s(task["paths"])
    try:
        done = subprocess.run(
            command, check=True, capture_output=True, timeout=timeout_s, env=environment
        )
        with np.load(io.BytesIO(done.stdout), allow_pickle=False) as written:
            return dict(written)
    except subprocess.TimeoutExpired as error:
        reason = f"the HDF5 library has not read it within {timeout_s:g} s"
        raise DataError(f"Cannot read {shown} as HDF5: {reason}.") from error
    except (subprocess.CalledProcessError, zipfile.BadZipFile, ValueError) as error:
        reason = "the HDF5 library failed on it, so it is damaged"
        raise DataError(f"Cannot read {shown} as HDF5: {reason}. Save it again.") from error
