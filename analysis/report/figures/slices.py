"""Validation accuracy over the values of single parameters."""

from math import ceil

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from analysis.report.facts import SearchResults
from analysis.report.figures import theme
from analysis.report.figures.parameters import Axis, axis_of, shown_parameters
from analysis.report.texts import texts
from analysis.results.ranking import RankedTrial

MAX_POINTS = 1200
N_COLUMNS = 2
ROW_HEIGHT = 230


def plot_slices(facts: SearchResults, *, lang: str = "en") -> go.Figure:
    """Draw a small figure per important parameter, colored by family."""
    names = shown_parameters(facts)
    n_rows = max(1, ceil(len(names) / N_COLUMNS))
    figure = make_subplots(
        rows=n_rows,
        cols=N_COLUMNS,
        shared_yaxes=True,
        horizontal_spacing=0.06,
        vertical_spacing=0.36 / n_rows,
    )
    say = texts(lang).say
    theme.new_figure(
        say("slices.title"), lang=lang, height=110 + ROW_HEIGHT * n_rows, figure=figure
    )
    seen: set[str] = set()
    for place, name in enumerate(names):
        row, column = place // N_COLUMNS + 1, place % N_COLUMNS + 1
        _add_slice(figure, facts, name, seen, {"row": row, "col": column}, lang=lang)
    figure.update_yaxes(title_text=say("axis.val_accuracy"), col=1)
    return figure


def plot_slice(facts: SearchResults, name: str, *, lang: str = "en") -> go.Figure:
    """Draw validation accuracy over the values of the parameter `name`."""
    figure = theme.new_figure("", y=texts(lang).say("axis.val_accuracy"), lang=lang, height=260)
    _add_slice(figure, facts, name, set(), {}, lang=lang)
    figure.update_layout(showlegend=False, margin={"t": 12, "l": 52, "r": 12, "b": 44})
    return figure


def _add_slice(
    figure: go.Figure,
    facts: SearchResults,
    name: str,
    seen: set[str],
    at: dict[str, int],
    *,
    lang: str,
) -> None:
    trials = [it for it in theme.trials_with_value(facts.ranking.trials) if name in it.params]
    axis = axis_of(name, facts)
    shown = theme.downsample_trials(trials, MAX_POINTS)
    pruned = [it for it in shown if it.state != "COMPLETE"]
    if pruned:
        marker = {"color": theme.NEUTRAL, "symbol": "circle-open", "size": 5, "opacity": 0.65}
        figure.add_scatter(
            **_points(axis, pruned, lang), marker=marker, name="", showlegend=False, **at
        )
    complete = [it for it in shown if it.state == "COMPLETE"]
    for family, members, style in theme.by_family(facts, complete):
        figure.add_scatter(
            **_points(axis, members, lang),
            marker={**style, "size": 7, "opacity": 0.85},
            name=theme.escape_label(family),
            legendgroup=family,
            showlegend=family not in seen,
            **at,
        )
        seen.add(family)
    figure.update_xaxes(title_text=theme.escape_label(name), **_scale(axis, lang), **at)


def _points(axis: Axis, trials: list[RankedTrial], lang: str) -> dict[str, object]:
    return {
        "x": [_coordinate(axis, it, lang) for it in trials],
        "y": [theme.round_coordinate(it.val_accuracy) for it in trials],
        "text": [f"#{it.trial}" for it in trials],
        "mode": "markers",
        "hovertemplate": "%{text}: %{x}, %{y:.4f}",
    }


def _coordinate(axis: Axis, trial: RankedTrial, lang: str) -> object:
    value = trial.params[axis.name]
    return theme.format_choice(value, lang) if axis.choices else theme.round_coordinate(value)


def _scale(axis: Axis, lang: str) -> dict[str, object]:
    if axis.choices:
        order = [theme.format_choice(it, lang) for it in axis.choices]
        return {"type": "category", "categoryorder": "array", "categoryarray": order}
    if axis.is_log:
        return theme.log_ticks(axis.low, axis.high, lang=lang)
    whole = theme.integer_ticks((int(axis.low), int(axis.high))) if axis.is_integer else {}
    return {"type": "linear", "nticks": 6, **whole}
