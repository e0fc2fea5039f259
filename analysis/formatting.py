"""Short texts for numbers, durations and networks, in the terminal and the dashboard."""

from collections.abc import Mapping
from typing import Any

from spaces.wording import plural


def printable(text: str) -> str:
    """Replace characters that could control a terminal by `?`."""
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else "?" for character in text)


def name_training(number: int, trial: int, seed: int) -> str:
    """Return the name of a training of a confirmation; `number` is not a trial of the search."""
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
    """Return `3 of 12 trials done`; a lowered budget may be exceeded."""
    if n_trials is None:
        return f"{plural(n_done, 'trial')} done"
    if n_done > n_trials:
        return f"{plural(n_done, 'trial')} done (the budget is {n_trials:,})"
    return f"{n_done:,} of {plural(n_trials, 'trial')} done"


def summarize_config(config: Mapping[str, Any]) -> str:
    """Return a network in a few words: its shape, its activation, and its optimizer."""
    from spaces.description import summarize_network  # Loads all families.

    family = config.get("family", "")
    if "network" not in config:
        return str(family)
    shape = summarize_network(family, config["network"])
    optimizer = config["optimizer"]
    words = [family, shape, config["layers"]["activation"], optimizer["name"]]
    return ", ".join([*filter(None, words), f"lr {optimizer['learning_rate']:.2g}"])
