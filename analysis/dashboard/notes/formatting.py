"""Formatting of numbers, times and lists, robust against unexpected values in a store."""

import math
from collections.abc import Sequence

from analysis.formatting import format_epoch_time
from spaces.wording import is_number

MINUTE_S, HOUR_S = 60.0, 3600.0


def show_count(value: object) -> str | None:
    """Return `12,345`; None if it is not a number."""
    return f"{value:,.0f}" if is_number(value) else None


def show_score(value: object) -> str | None:
    """Return an accuracy with four decimals; None if it is not a number."""
    return f"{value:.4f}" if is_number(value) else None


def show_time(seconds: float) -> str:
    """Return `4.2 s`, `40 s`, `12 min` or `3 h 20 min`."""
    return format_epoch_time(seconds) if math.isfinite(seconds) else "–"


def approximate_duration(seconds: float) -> str:
    """Return a rough duration, which rarely changes."""
    if seconds < 2 * MINUTE_S:
        return "a minute or two"
    if seconds < 57.5 * MINUTE_S:
        return f"about {max(5, 5 * round(seconds / MINUTE_S / 5))} minutes"
    if seconds < 47.5 * HOUR_S:
        hours = round(2 * seconds / HOUR_S) / 2 if seconds < 3 * HOUR_S else seconds // HOUR_S
        return "about an hour" if hours == 1 else f"about {hours:g} hours"
    return f"about {round(seconds / HOUR_S / 24)} days" if math.isfinite(seconds) else "long"


def join(words: Sequence[str]) -> str:
    """Return `a, b and c`."""
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} and {words[-1]}"
