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


def find_unknown_class(config: bytes) -> str | None:
    """Return the first class in a model's `config.json` that is not allowed; None if all are.

    Raises:
        ValueError: If it is not the JSON of a model.
    """
    try:
        document = json.loads(config)
        if not isinstance(document, dict) or str(document.get("class_name")) not in _MODELS:
            raise ValueError("Expected the configuration of a Keras model.")
        return next(_unknown_classes(document), None)
    except RecursionError as error:
        raise ValueError("Expected the configuration of a Keras model, not so deep.") from error


def _unknown_classes(part: Any) -> Iterator[str]:
    if isinstance(part, list):
        for item in part:
            yield from _unknown_classes(item)
    elif isinstance(part, dict):
        if "class_name" in part and not _is_allowed(part):
            yield str(part["class_name"])
        for item in part.values():
            yield from _unknown_classes(item)


def _is_allowed(part: dict[str, Any]) -> bool:
    """Whether an object has an allowed class, registered under its own name."""
    module, name, registered = (part.get(it) for it in ("module", "class_name", "registered_name"))
    if not (isinstance(name, str) and (module is None or isinstance(module, str))):
        return False
    return name in ALLOWED.get(module, frozenset()) and registered in (None, name)
