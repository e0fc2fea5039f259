"""What stopping early saved: epochs trained of each trial, and those that were not."""

import plotly.graph_objects as go

from analysis.ranking import RankedTrial
from analysis.report.facts import Facts
from analysis.report.figures import theme

MAX_BARS = 400


def plot_pruning(facts: Facts, *, lang: str = "en") -> go.Figure:
    """Draws the epochs of each trial: trained, saved by the pruner, saved by its own patience.

    Saved are those up to the limit of epochs; a trial with two phases may go beyond it.

    Args:
        facts: Of a study with finished trials.
        lang: Of the labels.
    """
    say = theme.words(lang).say
    trials = theme.valued(facts.ranking.trials)
    shown = theme.thinned(trials, MAX_BARS)
    title = theme.with_note(say("pruning.title"), len(shown), len(trials), lang)
    figure = theme.new_figure(title, x=say("axis.trial"), y=say("axis.epochs"), lang=lang)
    limit = _limit(facts, trials)
    saved = [max(0, limit - it.epochs) for it in shown]
    by_pruner = [n if it.state == "PRUNED" else 0 for it, n in zip(shown, saved, strict=True)]
    by_patience = [n - m for n, m in zip(saved, by_pruner, strict=True)]
    for name, heights, colour in (
        (say("pruning.trained"), [it.epochs for it in shown], theme.BLUE),
        (say("pruning.by_pruner"), by_pruner, "rgba(224, 138, 0, 0.55)"),
        (say("pruning.by_patience"), by_patience, "rgba(123, 135, 148, 0.35)"),
    ):
        figure.add_bar(
            x=[it.trial for it in shown],
            y=heights,
            name=name,
            marker={"color": colour, "line": {"width": 0}},
            hovertemplate="#%{x}: %{y}",
        )
    figure.update_layout(barmode="stack", bargap=0.15, legend_traceorder="normal")
    return figure


def _limit(facts: Facts, trials: list[RankedTrial]) -> int:
    limit = facts.search.settings.get("max_epochs")
    return limit if isinstance(limit, int) else max((it.epochs for it in trials), default=0)
