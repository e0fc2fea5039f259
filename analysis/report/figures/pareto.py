"""Accuracy versus cost: trials by size and training time, and their Pareto fronts."""

from collections.abc import Sequence

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from analysis.report.facts import SearchResults
from analysis.report.figures import theme
from analysis.report.texts import texts
from analysis.results.ranking import COSTS, Cost, RankedTrial

MAX_POINTS = 2000


def plot_pareto(
    facts: SearchResults, *, lang: str = "en", costs: Sequence[Cost] = COSTS
) -> go.Figure:
    """Draw validation accuracy against each of `costs`: parameters, and seconds of training."""
    say = texts(lang).say
    figure = make_subplots(rows=len(costs), cols=1, vertical_spacing=0.2)
    _, shown, title = theme.sample_trials(
        facts.ranking.complete, MAX_POINTS, say("pareto.title"), lang
    )
    theme.new_figure(
        title, y=say("axis.val_accuracy"), lang=lang, height=320 * len(costs), figure=figure
    )
    for row, cost in enumerate(costs, start=1):
        _add_trials(figure, facts, shown, cost, row)
        _add_front(figure, facts, cost, row, say("pareto.front"))
        figure.update_xaxes(
            title_text=say(f"axis.{cost}"), **_ticks(shown, cost, lang), row=row, col=1
        )
    return figure


def _ticks(trials: list[RankedTrial], cost: Cost, lang: str) -> dict[str, object]:
    known = [it for it in (_cost(trial, cost) for trial in trials) if it is not None]
    return theme.log_ticks(min(known), max(known), lang=lang) if known else {"type": "log"}


def _cost(trial: RankedTrial, cost: Cost) -> float | None:
    found = trial.parameters if cost == "parameters" else trial.seconds
    return found or None  # 0 has no logarithm.


def _add_trials(
    figure: go.Figure, facts: SearchResults, trials: list[RankedTrial], cost: Cost, row: int
) -> None:
    for family, members, style in theme.by_family(facts, trials):
        figure.add_scatter(
            x=[theme.round_coordinate(_cost(it, cost)) for it in members],
            y=[theme.round_coordinate(it.val_accuracy) for it in members],
            text=[f"#{it.trial}" for it in members],
            name=theme.escape_label(family),
            legendgroup=family,
            showlegend=row == 1,
            mode="markers",
            marker={**style, "size": 8, "opacity": 0.85},
            hovertemplate="%{text}: %{x}, %{y:.4f}",
            row=row,
            col=1,
        )


def _add_front(figure: go.Figure, facts: SearchResults, cost: Cost, row: int, name: str) -> None:
    front = facts.ranking.front(cost)
    figure.add_scatter(
        x=[theme.round_coordinate(_cost(it, cost)) for it in front],
        y=[theme.round_coordinate(it.val_accuracy) for it in front],
        text=[f"#{it.trial}" for it in front],
        name=name,
        legendgroup="front",
        showlegend=row == 1,
        mode="lines",
        line={"shape": "vh", "color": theme.NEUTRAL, "width": 2},
        hoverinfo="skip",
        row=row,
        col=1,
    )
