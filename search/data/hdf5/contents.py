"""What is in an HDF5 file, as the child process found it."""

import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from search.data.hdf5.stored_images import Chunks, StoredImages
from search.errors import DataError
from search.machine.processes import child_environment
from spaces.wording import shorten

TIMEOUT_S = 300
"""A table of four million chunks takes half a minute; some damaged files are read for ever."""
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


def read_contents(path: Path, images: Sequence[str], labels: Sequence[str]) -> Contents:
    """Return what a file says of datasets with some names.

    Raises:
        DataError: If it cannot be read as HDF5.
    """
    arrays = _run(path, json.dumps({"path": str(path), "images": images, "labels": labels}))
    header = json.loads(arrays["header"].tobytes())
    if error := header.get("error"):
        raise DataError(f"Cannot read {path} as HDF5: {shorten(error)}.")
    facts = header["datasets"]
    stored = {
        name: _stored_images(path, name, it, arrays.get(f"chunks of {name}"))
        for name, it in facts.items()
        if not it["problem"] and name in images
    }
    return Contents(
        path=path,
        images=stored,
        labels={it: arrays[f"labels of {it}"] for it in labels if f"labels of {it}" in arrays},
        problems={name: it["problem"] for name, it in facts.items() if it["problem"]},
        listed=header["listed"],
        is_model=header["is_model"],
    )


def _stored_images(
    path: Path, name: str, facts: Mapping[str, Any], table: NDArray[np.int64] | None
) -> StoredImages:
    chunks = None
    if table is not None:
        filters = [(code, text) for code, text in facts["filters"]]
        chunks = Chunks(tuple(facts["chunk_shape"]), tuple(filters), table)
    shape, dtype = tuple(facts["shape"]), np.dtype(facts["dtype"])
    return StoredImages(path, name, shape, dtype, facts.get("address"), chunks)


def _run(path: Path, task: str) -> dict[str, NDArray[Any]]:
    """Run the child process, and return the arrays that it wrote."""
    command = [sys.executable, "-P", str(_PROGRAM), task]
    environment = child_environment(OPENBLAS_NUM_THREADS="1", HDF5_PLUGIN_PRELOAD="::")
    try:
        done = subprocess.run(
            command, check=True, capture_output=True, timeout=TIMEOUT_S, env=environment
        )
        with np.load(io.BytesIO(done.stdout), allow_pickle=False) as written:
            return dict(written)
    except subprocess.TimeoutExpired as error:
        reason = f"the HDF5 library has not read it within {TIMEOUT_S} s"
        raise DataError(f"Cannot read {path} as HDF5: {reason}.") from error
    except (subprocess.CalledProcessError, zipfile.BadZipFile, ValueError) as error:
        reason = "the HDF5 library failed on it, so it is damaged"
        raise DataError(f"Cannot read {path} as HDF5: {reason}. Save it again.") from error
