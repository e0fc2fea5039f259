"""The program of a child process: say what is in HDF5 files, by the HDF5 library.

It imports nothing of ours, to start quickly. Its argument is a JSON object with the `paths` of the
files, and the names of datasets with `images` and with `labels`. It writes an `.npz`: the bytes of
a JSON list `headers`, the labels, and for each dataset of images in chunks a table of where they
are, with the address, size and filter mask of each, -1 for one that was never written.
"""

import io
import json
import math
import resource
import sys
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

MAX_MEMORY = 4 * 2**30
MAX_CPU_S = 120
MAX_CHUNKS = 2**21
MAX_LABEL_BYTES = 2**28
MAX_LISTED, MAX_DEPTH = 10, 4
MAX_TEXT = 1000
"""Bytes of a label; one of 200 characters, the most that is allowed, takes 800 at most."""
HDF5_ERRORS = (
    OSError,
    RuntimeError,
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    ArithmeticError,
    MemoryError,
)
"""What h5py raises on files that are damaged, truncated, or not HDF5."""


def main(task: dict[str, Any]) -> dict[str, NDArray[Any]]:
    """Return the arrays that the child writes."""
    arrays: dict[str, NDArray[Any]] = {}
    headers = []
    for number, path in enumerate(task["paths"]):
        found: dict[str, NDArray[Any]] = {}
        try:
            # A lock says nothing to a reader, and some network file systems have none.
            with h5py.File(path, "r", locking=False) as file:
                headers.append(_describe_file(file, task, found))
        except HDF5_ERRORS as error:
            text = "" if isinstance(error, MemoryError) else str(error)
            reason = " ".join((text or type(error).__name__).split())
            headers.append({"error": reason[:MAX_TEXT]})
        arrays.update({f"{number} {key}": values for key, values in found.items()})
    arrays["headers"] = np.frombuffer(json.dumps(headers).encode(), np.uint8)
    return arrays


def _describe_file(
    file: Any, task: dict[str, Any], arrays: dict[str, NDArray[Any]]
) -> dict[str, Any]:
    datasets = {}
    for what in ("images", "labels"):
        for name in task[what]:
            if file.get(name, getlink=True) is not None:
                datasets[name] = _describe(file, name, what == "labels", arrays)
    parts = {"model_weights", "optimizer_weights", "layers", "vars"}
    is_model = "layer_names" in file.attrs or any(name in file for name in parts)
    listed = list(islice(_list(file, "", 0), MAX_LISTED + 1))
    return {"datasets": datasets, "listed": listed, "is_model": is_model}


def _list(group: Any, prefix: str, depth: int) -> Iterator[str]:
    """Yield what is in a group and below, with types and shapes."""
    for name in group:
        shown = f"{prefix}{name}"
        link = group.get(name, getlink=True)
        item = group.get(name) if isinstance(link, h5py.HardLink) else None
        if isinstance(item, h5py.Dataset):
            yield f"{shown!r} {_type_name(item.dtype)} {item.shape}"
        elif isinstance(item, h5py.Group):
            yield f"the group {shown!r}"
            if depth < MAX_DEPTH:
                yield from _list(item, f"{shown}/", depth + 1)
        else:
            yield f"{shown!r} (a link)"


def _describe(
    file: Any, name: str, is_label: bool, arrays: dict[str, NDArray[Any]]
) -> dict[str, Any]:
    """Return the facts of a dataset, or the `problem` why its values are not read."""
    if not isinstance(file.get(name, getlink=True), h5py.HardLink):
        return {"problem": "is a link, and links are not followed: they may lead out of the file"}
    item = file[name]
    if not isinstance(item, h5py.Dataset):
        return {"problem": "is a group, not an array"}
    if item.is_virtual or item.external:
        return {"problem": "has its values in other files, which are not opened"}
    if item.shape is None:
        return {"problem": "is empty"}
    plain = [int(n) for n in item.shape]
    if is_label:
        return {"shape": plain, **_read_labels(item, name, arrays)}
    facts = {"shape": plain, "dtype": item.dtype.str, "problem": _type_problem(item)}
    return facts if facts["problem"] else {**facts, **_find_values(item, name, arrays)}


def _type_name(dtype: np.dtype[Any]) -> str:
    if h5py.check_string_dtype(dtype) is not None:
        return "texts"
    for kind, check in (
        ("references", h5py.check_ref_dtype),
        ("arrays of different lengths", h5py.check_vlen_dtype),
    ):
        if check(dtype) is not None:
            return kind
    return "records" if dtype.names else str(dtype)


def _type_problem(item: Any) -> str:
    """Say why the bytes of a dataset are not those of numpy's type; empty if they are."""
    dtype = item.dtype
    if dtype.kind not in "biuf":
        return f"holds {_type_name(dtype)}, not numbers"
    stored = item.id.get_type()
    if isinstance(stored, h5py.h5t.TypeEnumID):
        stored = stored.get_super()
        dtype = np.dtype(np.int8) if dtype.kind == "b" else dtype
    plain = np.dtype(dtype.str)  # Without the names of an enumeration.
    if dtype.itemsize > 8 or not stored.equal(h5py.h5t.py_create(plain)):
        return f"holds numbers in an unusual form ({dtype} at least)"
    return ""


def _find_values(item: Any, name: str, arrays: dict[str, NDArray[Any]]) -> dict[str, Any]:
    """Return where the values of a dataset lie, and by which filters they are packed."""
    properties = item.id.get_create_plist()
    if properties.get_layout() == h5py.h5d.CONTIGUOUS:
        return {"address": item.id.get_offset()}
    if properties.get_layout() != h5py.h5d.CHUNKED:
        return {"problem": "is stored in a header, as a tiny array"}
    if _n_chunks(item) > MAX_CHUNKS:
        return {"problem": f"has more than {MAX_CHUNKS:,} chunks"}
    arrays[f"chunks of {name}"] = _chunk_table(item)
    filters = [properties.get_filter(i) for i in range(properties.get_nfilters())]
    return {
        "chunk_shape": list(item.chunks),
        "filters": [[code, text.decode("utf-8", "replace")] for code, _, _, text in filters],
    }


def _grid(item: Any) -> list[int]:
    return [-(-n // side) for n, side in zip(item.shape, item.chunks, strict=True)]


def _n_chunks(item: Any) -> int:
    return math.prod(_grid(item))


def _chunk_table(item: Any) -> NDArray[np.int64]:
    table = np.full((_n_chunks(item), 3), -1, np.int64)
    grid, sides = _grid(item), item.chunks

    def note(chunk: Any) -> None:
        place = 0
        for start, n, side in zip(chunk.chunk_offset, grid, sides, strict=True):
            place = place * n + start // side
        table[place] = chunk.byte_offset, chunk.size, chunk.filter_mask

    if item.id.get_num_chunks():
        item.id.chunk_iter(note)
    return table


def _read_labels(item: Any, name: str, arrays: dict[str, NDArray[Any]]) -> dict[str, Any]:
    """Read labels; those that the file does not hold would be zeros."""
    n_bytes = math.prod(item.shape) * item.dtype.itemsize
    if n_bytes > MAX_LABEL_BYTES:
        return {"problem": f"has {n_bytes:,} bytes, too many for labels"}
    is_text = h5py.check_string_dtype(item.dtype) is not None
    if not is_text and item.dtype.kind not in "biuf":
        return {"problem": f"holds {_type_name(item.dtype)}, not numbers or texts"}
    is_written = item.id.get_num_chunks() == _n_chunks(item) if item.chunks else True
    if not is_written or (n_bytes and not item.id.get_storage_size()):
        return {"problem": "was not wholly written"}
    values = item[()]
    if values.dtype.kind == "O":
        values = [it.encode() if isinstance(it, str) else bytes(it) for it in values.flat]
        if max(map(len, values), default=0) > MAX_TEXT:
            return {"problem": "holds long texts, not labels"}
        values = np.array(values, "S").reshape(item.shape)
    arrays[f"labels of {name}"] = np.asarray(values, values.dtype.str)
    return {"problem": ""}


def _limit_resources() -> None:
    """Limit memory, and time: nobody ends this process if its parent was killed."""
    for limit, most in (
        (resource.RLIMIT_AS, MAX_MEMORY),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_CPU, MAX_CPU_S),
    ):
        with suppress(ValueError, OSError):  # One that is lower stays; macOS may refuse.
            resource.setrlimit(limit, (most, most))


if __name__ == "__main__":
    _limit_resources()
    written = io.BytesIO()
    np.savez(written, allow_pickle=False, **main(json.loads(sys.argv[1])))
    sys.stdout.buffer.write(written.getbuffer())
