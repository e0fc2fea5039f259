"""Parallel coordinates: a line per trial through its values of the most important parameters.

Plotly's own kind needs WebGL, which does not print, and has no position for a parameter that a
trial does not have: here the line passes below the axis.
"""

from collections.abc import Sequence
from itertools import pairwise

import plotly.graph_objects as go

from analysis.report.facts import SearchResults
from analysis.report.figures import theme
from analysis.report.figures.parameters import Axis, axis_of, shown_parameters
from analysis.report.texts import texts
from analysis.results.ranking import RankedTrial

MAX_LINES = 400
ABSENT = -0.14
"""Height at which a line passes the axis of a parameter that its trial does not have."""
BANDS = (
    ("parallel.lower", 0.5, "#b4bec9", 1.0, 0.55),
    ("parallel.upper", 0.9, "#4fb4e6", 1.3, 0.75),
    ("parallel.top", 1.0, "#d1491b", 2.2, 1.0),
)
"""Text, end as a share of the trials from the worst on, color, width and opacity."""


def plot_parallel(facts: SearchResults, *, lang: str = "en") -> go.Figure:
    """Draw complete trials as lines over the most important parameters and their value."""
    labels = texts(lang)
    complete, shown, title = theme.sample_trials(
        facts.ranking.complete, MAX_LINES, labels.say("parallel.title"), lang
    )
    figure = theme.new_figure(title, lang=lang, height=460)
    figure.update_layout(margin_l=16)
    axes = [axis_of(name, facts) for name in shown_parameters(facts)]
    drawn = {it.trial for it in shown}
    for (key, _, color, width, opacity), members in zip(BANDS, _bands(complete), strict=True):
        figure.add_scatter(
            **_lines([it for it in members if it.trial in drawn], axes, _value_axis(complete)),
            mode="lines",
            name=labels.say(key),
            line={"color": color, "width": width},
            opacity=opacity,
            hoverinfo="skip",
        )
    _draw_axes(figure, [*axes, _value_axis(complete)], labels.say("axis.val_accuracy"), lang)
    absent = {"x": 0, "y": ABSENT, "text": labels.say("parallel.absent")}
    figure.add_annotation(**absent, showarrow=False, xanchor="left", yanchor="top", font_size=11)
    return figure


def _bands(trials: Sequence[RankedTrial]) -> list[list[RankedTrial]]:
    """Return the trials of each of `BANDS`, worst first; the best trial is always in the last."""
    order = sorted(trials, key=lambda it: it.rank or 0, reverse=True)
    ends = [min(round(share * len(order)), max(0, len(order) - 1)) for _, share, *_ in BANDS]
    ends[-1] = len(order)
    return [order[begin:end] for begin, end in pairwise([0, *ends])]


def _value_axis(trials: Sequence[RankedTrial]) -> Axis:
    values = [it.val_accuracy for it in trials if it.val_accuracy is not None] or [0.0, 1.0]
    return Axis("", (), is_log=False, low=min(values), high=max(values))


def _lines(
    trials: Sequence[RankedTrial], axes: Sequence[Axis], value_axis: Axis
) -> dict[str, list[float | None]]:
    """Return all lines as one trace, with a gap after each."""
    x: list[float | None] = []
    y: list[float | None] = []
    for trial in trials:
        places = [
            axis.position(trial.params[axis.name]) if axis.name in trial.params else ABSENT
            for axis in axes
        ]
        places.append(value_axis.position(trial.val_accuracy))
        x += [*range(len(places)), None]
        y += [*(round(it, 4) for it in places), None]
    return {"x": x, "y": y}


def _draw_axes(figure: go.Figure, axes: Sequence[Axis], value_title: str, lang: str) -> None:
    for position, axis in enumerate(axes):
        line = {"color": theme.NEUTRAL, "width": 1}
        figure.add_shape(
            type="line", x0=position, x1=position, y0=0, y1=1, line=line, layer="below"
        )
        for at, label in axis.ticks(lang):
            figure.add_annotation(
                x=position,
                y=at,
                text=label,
                showarrow=False,
                xanchor="left",
                xshift=4,
                font_size=11,
            )
    figure.update_xaxes(
        tickvals=list(range(len(axes))),
        ticktext=[theme.wrap_label(axis.name or value_title) for axis in axes],
        tickangle=0,
        side="top",
        showgrid=False,
        range=[-0.5, len(axes) - 0.5],
        fixedrange=True,
    )
    figure.update_yaxes(visible=False, range=[ABSENT - 0.06, 1.06], fixedrange=True)
