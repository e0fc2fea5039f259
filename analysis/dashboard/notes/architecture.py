"""Networks and their training in a line, from a config's record; malformed parts are omitted."""

from collections.abc import Callable, Mapping
from typing import Any

from spaces.description import describe_network
from spaces.wording import format_value

Record = Mapping[str, Any]
MAX_LINE = 240
MALFORMED_ERRORS = (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError)
"""Errors that a malformed record may cause."""


def describe_architecture(config: Record) -> str:
    """Return a network in a line of plain text, as `vgg: 3 blocks of 2 convolutions → …`."""
    body = describe_network(config.get("family"), config.get("network"))
    return _cut(" → ".join(filter(None, [body, *_head(config.get("head"))])))


def describe_training(config: Record) -> str:
    """Return the settings of layers, optimizer and batches in a line of plain text."""
    parts = [_describe_or_empty(part, config) for part in (_layers, _optimizer, _batches)]
    return _cut("; ".join(filter(None, parts)))


def _head(head: object) -> list[str]:
    if not isinstance(head, Mapping):
        return []
    pooling = str(head.get("pooling", "")).replace("global_average", "global average pooling")
    units = head.get("dense_units")
    if not isinstance(units, list | tuple) or not units:
        return [pooling]
    return [pooling, f"dense {format_value(units)}"]


def _layers(config: Record) -> str:
    layers = config["layers"]
    parts = [str(layers["activation"])]
    if layers["batch_normalization"]:
        parts.append("batch normalization")
    if layers["dropout"]:
        parts.append(f"dropout {format_value(layers['dropout'])}")
    penalties = layers["regularizer"]
    parts += [
        f"{it.upper()} {format_value(penalties[it])}" for it in ("l1", "l2") if penalties[it]
    ]
    return ", ".join(parts)


def _optimizer(config: Record) -> str:
    optimizer = config["optimizer"]
    return f"{optimizer['name']} at {format_value(optimizer['learning_rate'])}"


def _batches(config: Record) -> str:
    augmented = "augmented" if config["augmentation"] else "not augmented"
    return f"batches of {format_value(config['batch_size'])}, {augmented}"


def _describe_or_empty(describe: Callable[[Record], str], config: Record) -> str:
    try:
        return describe(config)
    except MALFORMED_ERRORS:
        return ""


def _cut(text: str) -> str:
    return text if len(text) <= MAX_LINE else text[: MAX_LINE - 1] + "…"
