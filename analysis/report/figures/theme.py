"""Shared style of all figures: colors, fonts, names, ticks, and the number of points drawn.

Figures work on a light or dark background: the paper is transparent, and the text a gray that is
legible on both. The page applies its own text color.
"""

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar

import plotly.graph_objects as go

from analysis.report.facts import SearchResults
from analysis.report.texts import NARROW_NO_BREAK_SPACE, texts
from analysis.results.ranking import RankedTrial
from spaces.families import builtin_families

T = TypeVar("T")

BLUE, ORANGE, GREEN = "#2a7fc4", "#e08a00", "#00966c"
RED, SKY, PINK = "#d1491b", "#4fb4e6", "#c9689f"
COLORS = (BLUE, ORANGE, GREEN, RED, PINK, SKY, "#8a8f00", "#7a6ad8")
"""Okabe and Ito's, a little darker: distinguishable with all common kinds of color blindness."""
SYMBOLS = ("circle", "diamond", "square", "triangle-up", "cross", "triangle-down", "star", "x")
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot", "solid", "dash")
NEUTRAL = "#7b8794"
GRID = "rgba(123, 135, 148, 0.22)"
BLUES = ((0.0, "#eef5fb"), (0.5, "#6aaede"), (1.0, "#0b4f8a"))
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', sans-serif"
HEIGHT = 380
MAX_NAME = 28
WRAP_WIDTH, MAX_WORD = 11, 14
"""Characters in a line of a wrapped name, and in a line of a single word, that fit a phone."""
MAX_INTEGER_TICKS = 5
"""On an integer axis up to this length, Plotly would draw ticks at halves."""


def new_figure(
    title: str,
    *,
    x: str = "",
    y: str = "",
    lang: str = "en",
    height: int = HEIGHT,
    figure: go.Figure | None = None,
) -> go.Figure:
    """Return a figure without traces, or one given with subplots, in the report's style.

    `x` and `y` are titles of the axes, with units. `height` is in pixels; the width adapts to the
    container.
    """
    figure = go.Figure() if figure is None else figure
    figure.update_layout(
        template="none",
        title={"text": title, "font": {"size": 16}, "x": 0, "xref": "paper"},
        font={"family": FONT, "size": 13, "color": NEUTRAL},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        colorway=COLORS,
        height=height,
        margin={"l": 56, "r": 16, "t": 48, "b": 48},
        legend={"orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom", "x": 0},
        hoverlabel={"font": {"family": FONT}},
        separators=f",{NARROW_NO_BREAK_SPACE}" if lang == "ru" else ".,",
    )
    shared: dict[str, Any] = {
        "gridcolor": GRID,
        "zeroline": False,
        "automargin": True,
        "title": {"standoff": 10},
        "ticks": "",
    }
    figure.update_xaxes(**shared)
    figure.update_yaxes(**shared)
    if x:
        figure.update_xaxes(title_text=x)
    if y:
        figure.update_yaxes(title_text=y)
    return figure


def family_style(families: Sequence[str], family: str) -> tuple[str, str]:
    """Return color and symbol of a family of a study; those of a built-in one never change."""
    known = builtin_families()
    if family in known:
        place = known.index(family)
    else:
        place = len(known) + (families.index(family) if family in families else len(families))
    symbol = (place + place // len(COLORS)) % len(SYMBOLS)  # another one when colors repeat
    return COLORS[place % len(COLORS)], SYMBOLS[symbol]


def by_family(
    facts: SearchResults, trials: Sequence[RankedTrial]
) -> Iterator[tuple[str, list[RankedTrial], dict[str, Any]]]:
    """Yield the families that have trials, with these trials and the style of their marker."""
    for family in facts.families:
        members = [it for it in trials if it.family == family]
        if members:
            color, symbol = family_style(facts.families, family)
            yield family, members, {"color": color, "symbol": symbol}


def sample_trials(
    trials: Iterable[RankedTrial], limit: int, title: str, lang: str
) -> tuple[list[RankedTrial], list[RankedTrial], str]:
    """Return the trials that have a value, those to draw, and the title that counts them."""
    known = trials_with_value(trials)
    shown = downsample_trials(known, limit)
    return known, shown, title_with_count(title, len(shown), len(known), lang)


def line_style(place: int) -> dict[str, Any]:
    """Return the color and dash of the line at an index; the dash differs when colors repeat."""
    dash = (place + place // len(COLORS)) % len(DASHES)
    return {"color": COLORS[place % len(COLORS)], "dash": DASHES[dash], "width": 2}


def escape_label(name: object) -> str:
    """Return a name, shortened, without what Plotly would interpret as markup."""
    return _shorten(name).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def format_choice(value: object, lang: str) -> str:
    """Return a parameter's value as a label: yes or no for a boolean."""
    return escape_label(texts(lang).value(value))


def wrap_label(name: object) -> str:
    """Return a name in short lines, broken after spaces and underscores, or within long words."""
    written = _shorten(name)
    lines = [""]
    for part in re.findall(rf"[^ _]{{1,{MAX_WORD}}}[ _]?", written) or [written]:
        if lines[-1] and len(lines[-1]) + len(part.rstrip()) > WRAP_WIDTH:
            lines.append("")
        lines[-1] += part
    return "<br>".join(escape_label(line.strip()) for line in lines)


def _shorten(name: object) -> str:
    written = str(name)
    return written if len(written) <= MAX_NAME else written[: MAX_NAME - 1] + "…"


def log_ticks(low: float, high: float, *, lang: str = "en") -> dict[str, object]:
    """Return a few round ticks of a logarithmic axis; its ends if no round number is near."""
    n_decades = math.log10(high / low)
    steps = (1.0,) if n_decades > 2 else (1.0, 3.0) if n_decades > 1 else (1.0, 2.0, 3.0, 5.0, 7.0)
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    ticks = [step * 10.0**power for power in range(first, last + 1) for step in steps]
    shown = [it for it in ticks if low / 1.1 <= it <= high * 1.1] or sorted({low, high})
    labels = [_compact_number(it, lang) for it in shown]
    return {"type": "log", "tickvals": shown, "ticktext": labels}


def integer_ticks(values: Iterable[int]) -> dict[str, object]:
    """Return the ticks of an integer axis if it is so short that Plotly would show fractions."""
    known = sorted(values)
    if not known or known[-1] - known[0] > MAX_INTEGER_TICKS:
        return {}
    return {"tickvals": list(range(known[0], known[-1] + 1))}


def localized(written: str, lang: str) -> str:
    """Return a formatted number with the decimal sign of the language."""
    return written.replace(".", ",") if lang == "ru" else written


def _compact_number(value: float, lang: str) -> str:
    """Return a number as 0.001, 30, 20k or 3M."""
    for size, key in ((1e6, "unit.millions"), (1e3, "unit.thousands")):
        if value >= size:
            return texts(lang).say(key, n=localized(f"{value / size:g}", lang))
    written = f"{value:.6f}".rstrip("0").rstrip(".") if value >= 1e-5 else f"{value:.0e}"
    return localized(written, lang)


def trials_with_value(trials: Iterable[RankedTrial]) -> list[RankedTrial]:
    """Return the trials that have a rank and a value, by number."""
    return sorted(
        (it for it in trials if it.rank is not None and it.val_accuracy is not None),
        key=lambda it: it.trial,
    )


def downsample(items: Sequence[T], limit: int) -> list[T]:
    """Return at most `limit` evenly spaced items, including the first and the last."""
    if len(items) <= limit:
        return list(items)
    step = (len(items) - 1) / (limit - 1)
    return [items[round(place * step)] for place in range(limit)]


def downsample_trials(trials: Sequence[RankedTrial], limit: int) -> list[RankedTrial]:
    """Return at most `limit` trials by number: half the best, the others evenly spaced in rank."""
    if len(trials) <= limit:
        return list(trials)
    best = sorted(trials, key=lambda it: it.rank or len(trials))
    kept = best[: limit // 2] + downsample(best[limit // 2 :], limit - limit // 2)
    return sorted(kept, key=lambda it: it.trial)


def title_with_count(title: str, shown: int, total: int, lang: str) -> str:
    """Add to a title how many of all items are shown, unless all are."""
    if shown >= total:
        return title
    return texts(lang).say("figure.thinned", title=title, shown=shown, total=total)


def round_coordinate(value: float | None) -> float | None:
    """Round a coordinate to visible precision, which keeps pages small."""
    return None if value is None else float(f"{value:.6g}")
