"""Positions of parameters in their ranges, the best trials beside all others."""

from collections.abc import Sequence

import plotly.graph_objects as go

from analysis.report.facts import SearchResults
from analysis.report.figures import theme
from analysis.report.figures.parameters import Axis, axis_of, shown_parameters
from analysis.report.texts import texts
from analysis.results.ranking import RankedTrial

MAX_POINTS = 300
BEST_SHARE, MIN_BEST = 0.1, 3
JITTER = 0.22
"""Vertical spread of the points of a parameter; the next one is 1 away."""


def plot_parameter_ranges(facts: SearchResults, *, lang: str = "en") -> go.Figure:
    """Draw a row per important parameter; the best tenth of trials, at least 3, is highlighted."""
    say = texts(lang).say
    complete = sorted(theme.trials_with_value(facts.ranking.complete), key=lambda it: it.rank or 0)
    axes = [axis_of(name, facts) for name in shown_parameters(facts)][::-1]
    n_best = max(MIN_BEST, round(BEST_SHARE * len(complete)))
    best, others = complete[:n_best], theme.downsample(complete[n_best:], MAX_POINTS)
    figure = theme.new_figure(say("places.title"), lang=lang, height=120 + 44 * len(axes))
    for trials, name, color, size in (
        (others, say("places.others"), theme.NEUTRAL, 5),
        (best, say("parallel.top"), theme.ORANGE, 9),
    ):
        if trials and axes:
            marker = {"color": color, "size": size, "opacity": 0.4 if trials is others else 0.9}
            figure.add_scatter(
                **_points(trials, axes, lang), mode="markers", name=name, marker=marker
            )
    figure.update_xaxes(
        range=[-0.04, 1.04], tickvals=[0, 1], ticktext=[say("places.low"), say("places.high")]
    )
    figure.update_yaxes(
        range=[-0.6, len(axes) - 0.4],
        tickvals=list(range(len(axes))),
        ticktext=[_label(axis, lang) for axis in axes],
    )
    return figure


def _label(axis: Axis, lang: str) -> str:
    ticks = axis.ticks(lang)
    ends = dict.fromkeys((ticks[0][1], ticks[-1][1])) if ticks else {}
    return f"{theme.escape_label(axis.name)}<br><sup>{' … '.join(ends)}</sup>"


def _points(trials: Sequence[RankedTrial], axes: Sequence[Axis], lang: str) -> dict[str, object]:
    x: list[float | None] = []
    y: list[float] = []
    text: list[str] = []
    for row, axis in enumerate(axes):
        for position, trial in enumerate(it for it in trials if axis.name in it.params):
            value = trial.params[axis.name]
            x.append(theme.round_coordinate(axis.position(value)))
            y.append(round(row + JITTER * ((position * 0.618) % 1 - 0.5), 3))
            shown = theme.format_choice(value, lang) if axis.choices else f"{value:.4g}"
            text.append(
                f"#{trial.trial}: {theme.escape_label(axis.name)} {shown}, "
                f"{trial.val_accuracy:.4f}"
            )
    return {"x": x, "y": y, "text": text, "hovertemplate": "%{text}<extra></extra>"}
