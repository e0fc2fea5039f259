"""Epochs trained and saved: by the pruner, and by early stopping."""

import plotly.graph_objects as go

from analysis.report.facts import SearchResults
from analysis.report.figures import theme
from analysis.report.texts import texts

MAX_BARS = 400


def plot_pruning(facts: SearchResults, *, lang: str = "en") -> go.Figure:
    """Draw the epochs of each trial: trained, saved by the pruner, saved by early stopping.

    Epochs up to the trial's maximum count as saved; with two phases the maximum is doubled.
    """
    say = texts(lang).say
    trials = theme.trials_with_value(facts.ranking.trials)
    shown = theme.downsample(trials, MAX_BARS)
    title = theme.title_with_count(say("pruning.title"), len(shown), len(trials), lang)
    figure = theme.new_figure(title, x=say("axis.trial"), y=say("axis.epochs"), lang=lang)
    limits = _limits(facts)
    saved = [max(0, limits.get(it.trial, it.epochs) - it.epochs) for it in shown]
    by_pruner = [n if it.state == "PRUNED" else 0 for it, n in zip(shown, saved, strict=True)]
    by_patience = [n - m for n, m in zip(saved, by_pruner, strict=True)]
    for name, heights, color in (
        (say("pruning.trained"), [it.epochs for it in shown], theme.BLUE),
        (say("pruning.by_pruner"), by_pruner, "rgba(224, 138, 0, 0.55)"),
        (say("pruning.by_patience"), by_patience, "rgba(123, 135, 148, 0.35)"),
    ):
        figure.add_bar(
            x=[it.trial for it in shown],
            y=heights,
            name=name,
            marker={"color": color, "line": {"width": 0}},
            hovertemplate="#%{x}: %{y}",
        )
    longest = [it.epochs + n for it, n in zip(shown, saved, strict=True)]
    figure.update_xaxes(**theme.integer_ticks(it.trial for it in shown))
    figure.update_yaxes(**theme.integer_ticks([0, *longest]))
    figure.update_layout(barmode="stack", bargap=0.15, legend_traceorder="normal")
    return figure


def _limits(facts: SearchResults) -> dict[int, int]:
    """Return the maximum epochs of each trial: its own, or else the study's."""
    default = facts.max_epochs
    found = {it.number: it.user_attrs.get("max_epochs", default) for it in facts.trials}
    return {number: limit for number, limit in found.items() if isinstance(limit, int)}
