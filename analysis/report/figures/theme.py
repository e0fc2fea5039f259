"""What all figures share: colours, fonts, how names are written, and how many points are drawn.

Figures stand on whatever is behind them, light or dark: paper is transparent, and text a grey
that reads on both. The page gives them its own text colour.
"""

import math
import re
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

import plotly.graph_objects as go

from analysis.report.texts import NARROW_NO_BREAK_SPACE, Texts, texts
from analysis.results.ranking import RankedTrial

T = TypeVar("T")

BLUE, ORANGE, GREEN, RED, SKY, PINK = (
    "#2a7fc4",
    "#e08a00",
    "#00966c",
    "#d1491b",
    "#4fb4e6",
    "#c9689f",
)
COLOURS = (BLUE, ORANGE, GREEN, RED, PINK, SKY, "#8a8f00", "#7a6ad8")
"""Told apart with all common kinds of colour blindness; after Okabe and Ito, a little darker."""
SYMBOLS = ("circle", "diamond", "square", "triangle-up", "cross", "triangle-down", "star", "x")
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot", "solid", "dash")
NEUTRAL = "#7b8794"
GRID = "rgba(123, 135, 148, 0.22)"
SHADE = "rgba(42, 127, 196, 0.16)"
BLUES = ((0.0, "#eef5fb"), (0.5, "#6aaede"), (1.0, "#0b4f8a"))
VALUES = ((0.0, "#c7cfd8"), (0.5, "#4fb4e6"), (1.0, "#0b4f8a"))
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', sans-serif"
HEIGHT = 380
MAX_NAME = 28
WRAP_WIDTH, MAX_WORD = 11, 14
"""Signs in a line of a folded name, and in one of a single word: what a phone has room for."""
MAX_INTEGER_TICKS = 5
"""Plotly draws up to ten ticks: halves where the ends of an axis are no further apart."""
_KNOWN_FAMILIES = ("plain", "vgg", "inception", "residual", "dense", "transfer")


def new_figure(
    title: str,
    *,
    x: str = "",
    y: str = "",
    lang: str = "en",
    height: int = HEIGHT,
    figure: go.Figure | None = None,
) -> go.Figure:
    """Return a figure in the report's style, with no trace in it.

    Args:
        title: What is seen, in a few words.
        x: Title of the horizontal axis, with the unit.
        y: Title of the vertical axis, with the unit.
        lang: How numbers are written.
        height: In pixels; the width is that of the place where it is shown.
        figure: One with subplots, to be styled.
    """
    figure = go.Figure() if figure is None else figure
    figure.update_layout(
        template="none",
        title={"text": title, "font": {"size": 16}, "x": 0, "xref": "paper"},
        font={"family": FONT, "size": 13, "color": NEUTRAL},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        colorway=COLOURS,
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


def words(lang: str) -> Texts:
    """Return the texts that figures are labelled with."""
    return texts(lang)


def family_style(families: Sequence[str], family: str) -> tuple[str, str]:
    """Return the colour and the symbol of a family: always the same for those of ours."""
    if family in _KNOWN_FAMILIES:
        place = _KNOWN_FAMILIES.index(family)
    else:
        place = len(_KNOWN_FAMILIES) + (
            families.index(family) if family in families else len(families)
        )
    return COLOURS[place % len(COLOURS)], SYMBOLS[place % len(SYMBOLS)]


def line_style(place: int) -> dict[str, Any]:
    """Return the colour and the dash of a line among many: two rounds of colours look different.

    Args:
        place: Of the line, from 0.
    """
    dash = (place + place // len(COLOURS)) % len(DASHES)
    return {"color": COLOURS[place % len(COLOURS)], "dash": DASHES[dash], "width": 2}


def escape_label(name: object) -> str:
    """Write a name so that Plotly shows it as it is, whatever is in it, and not too long."""
    written = str(name)
    if len(written) > MAX_NAME:
        written = written[: MAX_NAME - 1] + "…"
    return written.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def format_choice(value: object, lang: str) -> str:
    """Write a parameter's value as a name: yes or no for a boolean."""
    return escape_label(words(lang).value(value))


def wrap_label(name: object) -> str:
    """Write a name in short lines, broken after spaces and underscores; words only if long."""
    written = str(name)
    if len(written) > MAX_NAME:
        written = written[: MAX_NAME - 1] + "…"
    lines = [""]
    for part in re.findall(rf"[^ _]{{1,{MAX_WORD}}}[ _]?", written) or [written]:
        if lines[-1] and len(lines[-1]) + len(part.rstrip()) > WRAP_WIDTH:
            lines.append("")
        lines[-1] += part
    return "<br>".join(escape_label(line.strip()) for line in lines)


def log_ticks(low: float, high: float, *, lang: str = "en") -> dict[str, object]:
    """Return few round ticks of a logarithmic axis from `low` to `high`, both above 0.

    Where no round number is near, its ends are the ticks.
    """
    n_decades = math.log10(high / low)
    steps = (1.0,) if n_decades > 2 else (1.0, 3.0) if n_decades > 1 else (1.0, 2.0, 3.0, 5.0, 7.0)
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    ticks = [step * 10.0**power for power in range(first, last + 1) for step in steps]
    shown = [it for it in ticks if low / 1.1 <= it <= high * 1.1] or sorted({low, high})
    labels = [_compact_number(it, lang) for it in shown]
    return {"type": "log", "tickvals": shown, "ticktext": labels}


def integer_ticks(values: Iterable[int]) -> dict[str, object]:
    """Return the ticks of an integer axis so short that Plotly would show fractions."""
    known = sorted(values)
    if not known or known[-1] - known[0] > MAX_INTEGER_TICKS:
        return {}
    return {"tickvals": list(range(known[0], known[-1] + 1))}


def localized(written: str, lang: str) -> str:
    """Return a written number with the decimal sign of the language."""
    return written.replace(".", ",") if lang == "ru" else written


def _compact_number(value: float, lang: str) -> str:
    """Write a number as 0.001, 30, 20k or 3M."""
    for size, key in ((1e6, "unit.millions"), (1e3, "unit.thousands")):
        if value >= size:
            return words(lang).say(key, n=localized(f"{value / size:g}", lang))
    written = f"{value:.6f}".rstrip("0").rstrip(".") if value >= 1e-5 else f"{value:.0e}"
    return localized(written, lang)


def trials_with_value(trials: Iterable[RankedTrial]) -> list[RankedTrial]:
    """Return the trials that have a place and a value, in the order of their numbers."""
    return sorted(
        (it for it in trials if it.rank is not None and it.val_accuracy is not None),
        key=lambda it: it.trial,
    )


def downsample(items: Sequence[T], limit: int) -> list[T]:
    """Return at most `limit` items, evenly picked, with the first and the last among them."""
    if len(items) <= limit:
        return list(items)
    step = (len(items) - 1) / (limit - 1)
    return [items[round(place * step)] for place in range(limit)]


def downsample_trials(trials: Sequence[RankedTrial], limit: int) -> list[RankedTrial]:
    """Return at most `limit` trials by number: half of them the best, the others evenly picked."""
    if len(trials) <= limit:
        return list(trials)
    best = sorted(trials, key=lambda it: it.rank or len(trials))
    format_choice = best[: limit // 2] + downsample(best[limit // 2 :], limit - limit // 2)
    return sorted(format_choice, key=lambda it: it.trial)


def title_with_count(title: str, shown: int, total: int, lang: str) -> str:
    """Add to a title how many of all are shown, where it is not all of them."""
    if shown >= total:
        return title
    return words(lang).say("figure.thinned", title=title, shown=shown, total=total)


def round_coordinate(value: float | None) -> float | None:
    """Round a coordinate to what can be seen, which keeps pages small."""
    return None if value is None else float(f"{value:.6g}")
