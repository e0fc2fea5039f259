"""Networks in a line, each family in its own words, from the record of a config.

The record is read as it is: whatever is not as expected is told of generically, or left out.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from analysis.dashboard.notes.formatting import show_value
from analysis.formatting import plural

Record = Mapping[str, Any]
MAX_LINE = 240
MALFORMED_ERRORS = (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError)
"""What a record can raise that is not as its family writes it."""


def describe_architecture(config: Record) -> str:
    """Return a network in a line of plain text, as `vgg: 3 blocks of 2 convolutions → …`.

    A record that is not as expected costs no more than its part of the line.
    """
    network = config.get("network")
    body = ""
    if isinstance(network, Mapping):
        try:
            body = _BODIES.get(str(config.get("family")), _generic)(network)
        except MALFORMED_ERRORS:
            body = _generic(network)
    return _cut(" → ".join(filter(None, [body, *_head(config.get("head"))])))


def describe_training(config: Record) -> str:
    """Return in a line of plain text how the layers are made and what trains them."""
    parts = [_describe_or_empty(part, config) for part in (_layers, _optimizer, _batches)]
    return _cut("; ".join(filter(None, parts)))


def _plain(network: Record) -> str:
    stages = network["stages"]
    widths = _values(stages, "channels")
    details = [
        _each("convolution", _values(stages, "convs"), unless=1),
        _each("kernel", _values(stages, "kernel_size")),
        _pooling(_values(stages, "pool_size")),
    ]
    return f"{_stages(len(stages), 'stage', widths)} ({'; '.join(filter(None, details))})"


def _vgg(network: Record) -> str:
    blocks = _stages(len(network["widths"]), "block", network["widths"])
    convs = f"each of {plural(network['convs'], 'convolution')}"
    return f"{blocks}, {convs}{_dropout(network)}"


def _inception(network: Record) -> str:
    branches = ("conv1x1", "conv3x3", "conv5x5", "pool")
    widths = [sum(stage[it] for it in branches) for stage in network["stages"]]
    stages = _stages(len(widths), "stage", widths)
    blocks = f"each of {plural(network['blocks'], 'block')} of four branches"
    return f"stem of {network['stem']} → {stages}, {blocks}{_dropout(network)}"


def _residual(network: Record) -> str:
    kind = "bottleneck" if network["bottleneck"] else "basic block"
    stages = _stages(len(network["widths"]), "stage", network["widths"])
    each = f"each of {plural(network['blocks'], kind)}"
    return f"{stages}, {each} ({network['version']}){_dropout(network)}"


def _dense(network: Record) -> str:
    blocks = f"{plural(network['blocks'], 'block')} of {plural(network['n_layers'], 'layer')}"
    squeezed = ", bottlenecks" if network["bottleneck"] else ""
    shrunk = ""
    if network["compression"] != 1:
        shrunk = f", compression {show_value(network['compression'])}"
    return f"{blocks}, growth {network['growth_rate']}{shrunk}{squeezed}{_dropout(network)}"


def _transfer(network: Record) -> str:
    layers = plural(network["unfrozen_layers"], "layer")
    part = show_value(network["fine_tuning_rate"])
    return f"{network['backbone']}, {layers} unfrozen at {part} of the learning rate"


_BODIES: Mapping[str, Callable[[Record], str]] = {
    "plain": _plain,
    "vgg": _vgg,
    "inception": _inception,
    "residual": _residual,
    "dense": _dense,
    "transfer": _transfer,
}


def _generic(network: Record) -> str:
    """Tell a network of a family that is not known here by what its record holds."""
    told = [
        f"{str(name).replace('_', ' ')} {_brief(value)}" for name, value in list(network.items())
    ]
    return ", ".join(told)


def _brief(value: object) -> str:
    if isinstance(value, Mapping):
        return f"({_generic(value)})"
    if isinstance(value, list | tuple) and any(isinstance(it, Mapping | list) for it in value):
        return f"of {len(value)}"
    return show_value(value)


def _head(head: object) -> list[str]:
    if not isinstance(head, Mapping):
        return []
    pooling = str(head.get("pooling", "")).replace("global_average", "global average pooling")
    units = head.get("dense_units")
    if not isinstance(units, list | tuple) or not units:
        return [pooling]
    return [pooling, f"dense {show_value(units)}"]


def _layers(config: Record) -> str:
    layers = config["layers"]
    parts = [str(layers["activation"])]
    if layers["batch_normalization"]:
        parts.append("batch normalization")
    if layers["dropout"]:
        parts.append(f"dropout {show_value(layers['dropout'])}")
    penalties = layers["regularizer"]
    parts += [f"{it.upper()} {show_value(penalties[it])}" for it in ("l1", "l2") if penalties[it]]
    return ", ".join(parts)


def _optimizer(config: Record) -> str:
    optimizer = config["optimizer"]
    return f"{optimizer['name']} at {show_value(optimizer['learning_rate'])}"


def _batches(config: Record) -> str:
    augmented = "augmented" if config["augmentation"] else "not augmented"
    return f"batches of {show_value(config['batch_size'])}, {augmented}"


def _describe_or_empty(describe: Callable[[Record], str], config: Record) -> str:
    try:
        return describe(config)
    except MALFORMED_ERRORS:
        return ""


def _stages(n: int, word: str, widths: Sequence[int]) -> str:
    return f"{plural(n, word)} of {show_value(widths)} channels"


def _values(stages: Sequence[Record], name: str) -> list[Any]:
    return [stage[name] for stage in stages]


def _each(word: str, values: Sequence[Any], unless: object = None) -> str:
    """Return `kernel 3` where all stages have the same, else `kernels 3, 5`."""
    if len(set(values)) > 1:
        return f"{word}s {show_value(values)}"
    return "" if values[0] == unless else f"{word if unless is None else word + 's'} {values[0]}"


def _pooling(sizes: Sequence[int | None]) -> str:
    if not any(sizes):
        return "no pooling"
    kept = sizes[:1] if len(set(sizes)) == 1 else sizes
    return f"max pooling {', '.join('none' if it is None else str(it) for it in kept)}"


def _dropout(network: Record) -> str:
    rate = network.get("dropout")
    return f", block dropout {show_value(rate)}" if rate else ""


def _cut(text: str) -> str:
    return text if len(text) <= MAX_LINE else text[: MAX_LINE - 1] + "…"
