"""Optimization history: values of the trials, and the best so far."""

from collections.abc import Sequence

import plotly.graph_objects as go

from analysis.report.facts import SearchResults
from analysis.report.figures import theme
from analysis.report.texts import texts
from analysis.results.ranking import RankedTrial

MAX_POINTS = 3000


def plot_history(facts: SearchResults, *, lang: str = "en") -> go.Figure:
    """Draw validation accuracy over trials, by family; pruned trials are faint."""
    say = texts(lang).say
    trials, shown, title = theme.sample_trials(
        facts.ranking.trials, MAX_POINTS, say("history.title"), lang
    )
    figure = theme.new_figure(title, x=say("axis.trial"), y=say("axis.val_accuracy"), lang=lang)
    pruned = [it for it in shown if it.state != "COMPLETE"]
    if pruned:
        figure.add_scatter(**_points(pruned), name=say("word.pruned"), marker=_FAINT)
    complete = [it for it in shown if it.state == "COMPLETE"]
    for family, members, style in theme.by_family(facts, complete):
        name = theme.escape_label(family)
        figure.add_scatter(**_points(members), name=name, marker={**style, "size": 8})
    figure.add_scatter(
        **_best_so_far(trials, facts.ranking.direction),
        name=say("history.best"),
        mode="lines",
        line={"shape": "hv", "color": theme.NEUTRAL, "width": 2},
        hoverinfo="skip",
    )
    figure.update_xaxes(**theme.integer_ticks(it.trial for it in shown))
    return figure


_FAINT = {"color": theme.NEUTRAL, "opacity": 0.65, "size": 6, "symbol": "circle-open"}


def _points(trials: Sequence[RankedTrial]) -> dict[str, object]:
    return {
        "x": [it.trial for it in trials],
        "y": [theme.round_coordinate(it.val_accuracy) for it in trials],
        "mode": "markers",
        "hovertemplate": "#%{x}: %{y:.4f}",
    }


def _best_so_far(trials: Sequence[RankedTrial], direction: str) -> dict[str, list[object]]:
    """Return the corners of the line: each complete trial better than all before, and the end."""
    sign = 1 if direction == "maximize" else -1
    x: list[object] = []
    y: list[object] = []
    best = None
    for it in trials:
        if it.state != "COMPLETE" or it.val_accuracy is None:
            continue
        if best is None or sign * it.val_accuracy > sign * best:
            best = it.val_accuracy
            x.append(it.trial)
            y.append(theme.round_coordinate(best))
    if y:
        x.append(trials[-1].trial)
        y.append(y[-1])
    return {"x": x, "y": y}
