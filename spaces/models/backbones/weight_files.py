"""Weights of a backbone from an HDF5 file: Keras 3's `.weights.h5`, or the older `.h5`.

A file may be untrusted: it is read with h5py alone, links and external data are refused, and
nothing is read before its shape has been compared with the network's.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spaces.errors import SpaceError

if TYPE_CHECKING:
    import keras

_MAX_ITEM_BYTES = 8


@dataclass(frozen=True, slots=True)
class _LayerWeights:
    """A layer's variables, and the arrays for them in a file."""

    layer_name: str
    variables: Sequence[Any]
    arrays: Sequence[Any]


def load_weights(model: "keras.Model", path: Path) -> None:
    """Load a file's weights into a model whose layers have not been frozen yet.

    Raises:
        SpaceError: If the file is missing, broken or unsafe, or does not fit: the message names
            the first layer that differs, with both shapes.
    """
    import h5py

    try:
        with h5py.File(path, "r") as file:
            parts = list(_match_layers(model, file))
            for part in parts:
                _check_shapes(part, model.name, path)
            for part in parts:
                for variable, array in zip(part.variables, part.arrays, strict=True):
                    variable.assign(array[()])
    except SpaceError:
        raise
    except (OSError, LookupError, RuntimeError, ValueError, TypeError, AttributeError) as error:
        raise SpaceError(
            f"Expected a whole file of Keras weights (`.weights.h5`). "
            f"Received: {path} ({first_line(error)})."
        ) from error
    _finalize(model)


def _match_layers(model: "keras.Model", file: Any) -> Iterator[_LayerWeights]:
    """Yield all layers of a model that have weights, with the arrays for them."""
    if "layers" in file:
        yield from _match_by_path(model, _get_member(file, "layers"))
        return
    group = _get_member(file, "model_weights") if "model_weights" in file else file
    if "layer_names" not in group.attrs and "layer_names0" not in group.attrs:
        raise ValueError("neither layers nor their names are in it")
    yield from _match_by_order(model, group)


def _match_by_path(model: "keras.Model", group: Any) -> Iterator[_LayerWeights]:
    """Match groups named by Keras 3: by class, numbered in the order of `model.layers`."""
    import keras

    seen: Counter[str] = Counter()
    for layer in model.layers:
        kind = _snake_case(type(layer).__name__)
        path = f"{kind}_{seen[kind]}" if seen[kind] else kind
        seen[kind] += 1
        if isinstance(layer, keras.Model):
            yield from _match_by_path(layer, _get_member(_get_member(group, path), "layers"))
        elif layer.weights:
            yield _LayerWeights(layer.name, layer.weights, _numbered_arrays(group, path))


def _numbered_arrays(group: Any, path: str) -> list[Any]:
    if path not in group:
        return []
    variables = _get_member(_get_member(group, path), "vars")
    return [_get_member(variables, str(number)) for number in range(len(variables))]


def _match_by_order(model: "keras.Model", group: Any) -> Iterator[_LayerWeights]:
    """Match groups of older versions: in the model's order, under any names."""
    layers = [layer for layer in model.layers if layer.weights]
    saved = [_get_member(group, name) for name in _names(group, "layer_names")]
    saved = [layer for layer in saved if _names(layer, "weight_names")]
    for layer, entry in zip_longest(layers, saved[: len(layers)]):
        names = _names(entry, "weight_names") if entry is not None else []
        variables = layer.trainable_weights + layer.non_trainable_weights
        yield _LayerWeights(layer.name, variables, [_get_member(entry, name) for name in names])


def _names(group: Any, attribute: str) -> list[str]:
    """Return names from an attribute, or from numbered ones if they did not fit into one."""
    names = list(group.attrs.get(attribute, []))
    number = 0
    while f"{attribute}{number}" in group.attrs:
        names += list(group.attrs[f"{attribute}{number}"])
        number += 1
    return [name.decode() if isinstance(name, bytes) else str(name) for name in names]


def _get_member(group: Any, path: str) -> Any:
    """Return the member at a path; refuse links, which may lead out of the file."""
    import h5py

    for name in path.split("/"):
        link = group.get(name, getlink=True)
        if isinstance(link, h5py.SoftLink | h5py.ExternalLink):
            raise ValueError(f"no link is allowed, and `{name}` is one")  # noqa: TRY004
        group = group[name]
    return group


def _check_shapes(part: _LayerWeights, model_name: str, path: Path) -> None:
    wanted = [tuple(variable.shape) for variable in part.variables]
    found = [_checked_shape(array) for array in part.arrays]
    for shape, other in zip_longest(wanted, found):
        if shape != other:
            raise SpaceError(
                f"Expected weights that fit {model_name}: its layer `{part.layer_name}` has "
                f"{_describe_shape(shape)}.\nReceived: {_describe_shape(other)} for "
                f"this layer in {path}."
            )


def _checked_shape(array: Any) -> tuple[int, ...]:
    """Return the shape of an array; refuse anything but numbers in the file itself."""
    import h5py

    if not isinstance(array, h5py.Dataset) or array.external or array.is_virtual:
        raise ValueError(f"no data of its own at {array.name}")
    if array.dtype.kind not in "fiu" or array.dtype.itemsize > _MAX_ITEM_BYTES:
        raise ValueError(f"{array.dtype} at {array.name}")
    return tuple(array.shape)


def _describe_shape(shape: tuple[int, ...] | None) -> str:
    return "no more weights" if shape is None else f"weights of shape {shape}"


def _finalize(model: "keras.Model") -> None:
    """Update layers that compute with copies of their weights."""
    for layer in model.layers:
        if hasattr(layer, "finalize_state"):
            layer.finalize_state()


def _snake_case(name: str) -> str:
    """Return a class name as Keras names its group, such as `batch_normalization`."""
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


def first_line(error: Exception) -> str:
    """Return the first line of an error's message, or the error's type."""
    return (str(error) or type(error).__name__).splitlines()[0]
