"""The Keras classes that an exported model may use: those that a search can build.

Keras' own safe mode refuses Lambda layers, but allows all others, some of which read files.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

# fmt: off
_INITIALIZERS = frozenset({
    "GlorotNormal", "GlorotUniform", "HeNormal", "HeUniform", "Ones", "Orthogonal",
    "OrthogonalInitializer", "RandomNormal", "RandomUniform", "VarianceScaling", "Zeros",
})
_LAYERS = frozenset({
    "Activation", "Add", "AveragePooling2D", "BatchNormalization", "Concatenate", "Conv2D",
    "Cropping2D", "Dense", "DepthwiseConv2D", "Dropout", "Flatten", "GlobalAveragePooling2D",
    "InputLayer", "LayerNormalization", "MaxPooling2D", "Multiply", "Normalization", "ReLU",
    "Rescaling", "Reshape", "SeparableConv2D", "ZeroPadding2D",
})
# fmt: on
_MODELS = frozenset({"Functional", "Sequential"})

ALLOWED: Mapping[str | None, frozenset[str]] = {
    None: frozenset({"__keras_tensor__"}),
    "keras": _MODELS | {"DTypePolicy"},
    "keras.initializers": _INITIALIZERS,
    "keras.layers": _LAYERS,
    "keras.models": _MODELS,
    "keras.regularizers": frozenset({"L1", "L1L2", "L2"}),
    "keras.src.applications.convnext": frozenset({"LayerScale"}),
    "keras.src.applications.inception_resnet_v2": frozenset({"CustomScaleLayer"}),
    "keras.src.models.functional": frozenset({"Functional"}),
    "keras.src.models.sequential": frozenset({"Sequential"}),
    "keras.src.ops.numpy": frozenset({"Add", "Flip", "Multiply"}),
}
"""Classes by module, as written in Keras' files."""
MAX_OBJECTS = 20_000
"""The largest backbone has 5,200, most of them initializers."""
MAX_NESTED = 3
"""Models in models; a network with a backbone is two. Each one computes those within again."""


def find_unknown_class(config: bytes) -> str | None:
    """Return the first class in a model's `config.json` that is not allowed; None if all are.

    Raises:
        ValueError: If it is not the JSON of a model, or of one that takes ages to build.
    """
    try:
        document = json.loads(config)
        if not isinstance(document, dict) or str(document.get("class_name")) not in _MODELS:
            raise ValueError("Expected the configuration of a Keras model.")
        found = next(_unknown_classes(document), None)
        if found is None and _count_objects(document, 0) > MAX_OBJECTS:
            raise ValueError(f"Expected a model of at most {MAX_OBJECTS:,} objects.")
    except RecursionError as error:
        raise ValueError("Expected the configuration of a Keras model, not so deep.") from error
    return found


def _unknown_classes(part: Any) -> Iterator[str]:
    if isinstance(part, list):
        for item in part:
            yield from _unknown_classes(item)
    elif isinstance(part, dict):
        if "class_name" in part and not _is_allowed(part):
            yield str(part["class_name"])
        for item in part.values():
            yield from _unknown_classes(item)


def _count_objects(part: Any, n_outer: int) -> int:
    """Count the objects of a model; refuse models and layers that are used again and again."""
    if isinstance(part, list):
        return sum(_count_objects(item, n_outer) for item in part)
    if not isinstance(part, dict):
        return 0
    is_model = part.get("class_name") in _MODELS
    calls = part.get("inbound_nodes")
    if n_outer + is_model > MAX_NESTED or (is_model and "shared_object_id" in part):
        raise ValueError(f"Expected models nested at most {MAX_NESTED} deep.")
    if isinstance(calls, list) and len(calls) > 1:
        raise ValueError("Expected layers that are used once.")
    n_inner = sum(_count_objects(item, n_outer + is_model) for item in part.values())
    return n_inner + ("class_name" in part)


def _is_allowed(part: dict[str, Any]) -> bool:
    """Whether an object has an allowed class, registered under its own name."""
    module, name, registered = (part.get(it) for it in ("module", "class_name", "registered_name"))
    if not (isinstance(name, str) and (module is None or isinstance(module, str))):
        return False
    return name in ALLOWED.get(module, frozenset()) and registered in (None, name)
