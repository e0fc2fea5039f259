"""Numbers, times and lists in a few words, whatever a store holds in their place."""

import math
from collections.abc import Sequence
from typing import TypeGuard

from analysis.formatting import format_epoch_time

MINUTE_S, HOUR_S = 60.0, 3600.0
MAX_NUMBER = 10**18
"""A larger one is no size of anything here."""


def is_number(value: object) -> TypeGuard[int | float]:
    """Whether a value is a number that can be shown."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) < MAX_NUMBER and math.isfinite(value)


def show_count(value: object) -> str | None:
    """Return `12,345`; None for what is no number."""
    return f"{value:,.0f}" if is_number(value) else None


def show_value(value: object) -> str:
    """Return a setting as one would write it: at most three digits, lists joined by commas."""
    if isinstance(value, bool) or not isinstance(value, int | float | list | tuple):
        return str(value)
    if isinstance(value, list | tuple):
        return ", ".join(map(show_value, value[:8])) + (", …" if len(value) > 8 else "")
    if isinstance(value, int):
        return f"{value:,}" if is_number(value) else "very many"
    return f"{value:.3g}"


def show_score(value: object, digits: int = 4) -> str | None:
    """Return an accuracy with four decimals; None for what is no number."""
    return f"{value:.{digits}f}" if is_number(value) else None


def show_time(seconds: float) -> str:
    """Return `4.2 s`, `40 s`, `12 min` or `3 h 20 min`."""
    return format_epoch_time(seconds) if math.isfinite(seconds) else "–"


def approximate_duration(seconds: float) -> str:
    """Return a time in words so coarse that they stay the same for a while."""
    if seconds < 2 * MINUTE_S:
        return "a minute or two"
    if seconds < 57.5 * MINUTE_S:
        return f"about {max(5, 5 * round(seconds / MINUTE_S / 5))} minutes"
    if seconds < 47.5 * HOUR_S:
        hours = round(2 * seconds / HOUR_S) / 2 if seconds < 3 * HOUR_S else seconds // HOUR_S
        return "about an hour" if hours == 1 else f"about {hours:g} hours"
    return f"about {round(seconds / HOUR_S / 24)} days" if math.isfinite(seconds) else "long"


def join(words: Sequence[str], last: str = "and") -> str:
    """Return `a, b and c`."""
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} {last} {words[-1]}"
