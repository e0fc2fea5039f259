"""Blocks of a drawing: a layer together with those that act on its output, to save space."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import isqrt

from spaces import DrawnLayer

MERGED_KINDS = frozenset({"batch_norm", "activation", "dropout"})
"""Layers that are drawn within the box of the layer before them."""


@dataclass(frozen=True, slots=True)
class Block:
    """Layers in one box, named for the first of them.

    `kernel_size` is that of a convolution, None where there is none. `shape` is the last layer's;
    `inputs` name blocks; `merged_kinds` are the kinds of the layers after the first.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    parameters: int
    inputs: tuple[str, ...]
    merged_kinds: tuple[str, ...] = ()
    kernel_size: int | None = None


def group_layers(layers: Sequence[DrawnLayer]) -> tuple[Block, ...]:
    """Return the blocks of a network, in its order; each layer follows its inputs."""
    n_uses = Counter(name for layer in layers for name in layer.inputs)
    by_name = {layer.name: layer for layer in layers}
    block_of: dict[str, str] = {}
    members: dict[str, list[DrawnLayer]] = {}
    for layer in layers:
        block_name = layer.name
        if layer.kind in MERGED_KINDS and len(layer.inputs) == 1 and n_uses[layer.inputs[0]] == 1:
            block_name = _block_of_input(by_name[layer.inputs[0]], block_of) or block_name
        block_of[layer.name] = block_name
        members.setdefault(block_name, []).append(layer)
    return tuple(_block(found, block_of, by_name) for found in members.values())


def _block_of_input(before: DrawnLayer, block_of: dict[str, str]) -> str | None:
    """Return the block that a merged layer joins; None after the image."""
    return None if before.kind == "image" else block_of[before.name]


def _block(
    members: Sequence[DrawnLayer], block_of: dict[str, str], by_name: dict[str, DrawnLayer]
) -> Block:
    first = members[0]
    return Block(
        name=first.name,
        kind=first.kind,
        shape=members[-1].shape,
        parameters=sum(it.parameters for it in members),
        inputs=tuple(dict.fromkeys(block_of[name] for name in first.inputs)),
        merged_kinds=tuple(it.kind for it in members[1:]),
        kernel_size=_kernel_size(first, by_name) if first.kind == "conv2d" else None,
    )


def _kernel_size(layer: DrawnLayer, by_name: dict[str, DrawnLayer]) -> int | None:
    """Return the kernel size of a convolution, from its parameters with or without biases."""
    before, after = by_name[layer.inputs[0]].shape[-1], layer.shape[-1]
    for n in (layer.parameters - after, layer.parameters):
        area, rest = divmod(n, before * after)
        if n > 0 and not rest and isqrt(area) ** 2 == area:
            return isqrt(area)
    return None
