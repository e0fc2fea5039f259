"""Numbers and networks in a few words."""

from collections.abc import Callable, Mapping
from typing import Any

Record = Mapping[str, Any]


def plural(n: int, word: str) -> str:
    """Return `1 trial` or `2 trials`."""
    ending = "es" if word.endswith("s") else "s"
    return f"{n:,} {word}{'' if n == 1 else ending}"


def printable(text: str) -> str:
    """Return text of others without what would act on a terminal."""
    return "".join(character if character.isprintable() else "?" for character in text)


def name_training(number: int, trial: int, seed: int) -> str:
    """Name a training of a confirmation: its number is no trial's of the search."""
    return f"training {number} (trial {trial}, seed {seed})"


def format_duration(seconds: float | None) -> str:
    """Return `40 s`, `12 min` or `3 h 20 min`."""
    if seconds is None:
        return "-"
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def format_epoch_time(seconds: float | None) -> str:
    """Return `0.08 s`, `2.4 s` or `40 s`."""
    if seconds is None or seconds >= 10:
        return format_duration(seconds)
    return f"{seconds:.2f} s" if seconds < 1 else f"{seconds:.1f} s"


def format_accuracy(value: float | None) -> str:
    """Return an accuracy with four decimals."""
    return "-" if value is None else f"{value:.4f}"


def format_progress(n_done: int, n_trials: int | None) -> str:
    """Return `3 of 12 trials done`, also where a lowered budget is exceeded."""
    if n_trials is None:
        return f"{plural(n_done, 'trial')} done"
    if n_done > n_trials:
        return f"{plural(n_done, 'trial')} done (the budget is {n_trials:,})"
    return f"{n_done:,} of {plural(n_trials, 'trial')} done"


def describe_network(config: Record) -> str:
    """Return a network in a few words: its shape, its activation, what optimizes it."""
    family = config.get("family", "")
    if "network" not in config:
        return str(family)
    describe = _SHAPES.get(family)
    shape = describe(config["network"]) if describe else ""
    optimizer = config["optimizer"]
    words = [family, shape, config["layers"]["activation"], optimizer["name"]]
    return ", ".join([*filter(None, words), f"lr {optimizer['learning_rate']:.2g}"])


def _plain(network: Record) -> str:
    return plural(len(network["stages"]), "stage")


def _vgg(network: Record) -> str:
    return f"{plural(len(network['widths']), 'block')} of {plural(network['convs'], 'conv')}"


def _inception(network: Record) -> str:
    return f"{plural(len(network['stages']), 'stage')} of {plural(network['blocks'], 'block')}"


def _residual(network: Record) -> str:
    kind = "bottleneck" if network["bottleneck"] else "block"
    stages = plural(len(network["widths"]), "stage")
    return f"{network['version']}, {stages} of {plural(network['blocks'], kind)}"


def _dense(network: Record) -> str:
    blocks = plural(network["blocks"], "block")
    return f"{blocks} of {plural(network['n_layers'], 'layer')}, growth {network['growth_rate']}"


def _transfer(network: Record) -> str:
    return f"{network['backbone']}, {plural(network['unfrozen_layers'], 'layer')} unfrozen"


_SHAPES: Mapping[str, Callable[[Record], str]] = {
    "plain": _plain,
    "vgg": _vgg,
    "inception": _inception,
    "residual": _residual,
    "dense": _dense,
    "transfer": _transfer,
}
"""What matters in each family's own part of a config."""
