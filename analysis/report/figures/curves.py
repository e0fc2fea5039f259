"""Learning curves of the winner, and validation accuracies of the best trials by epoch."""

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from analysis.report.facts import Facts, SearchResults
from analysis.report.figures import theme
from analysis.report.texts import texts
from storage import EpochRow


def plot_learning_curves(facts: Facts, *, lang: str = "en") -> go.Figure:
    """Draw accuracy and loss of the exported network on training and validation images.

    The best epoch, the start of the second phase, reductions of the learning rate and early
    stopping are marked.
    """
    say = texts(lang).say
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.08)
    theme.new_figure(say("curves.title"), lang=lang, height=560, figure=figure)
    curve = facts.winner.curve
    styles = {
        "train": ("word.training", {"color": theme.BLUE, "dash": "dash", "width": 2.5}),
        "val": ("word.validation", {"color": theme.ORANGE, "width": 2.5}),
    }
    for row, measure in enumerate(("accuracy", "loss"), start=1):
        for split, (key, line) in styles.items():
            name = say(key)
            figure.add_scatter(
                **_points(curve, f"{split}_{measure}"),
                name=name,
                legendgroup=name,
                showlegend=row == 1,
                mode="lines",
                line=line,
                row=row,
                col=1,
            )
    _mark_epochs(figure, facts, lang)
    figure.update_yaxes(title_text=say("axis.accuracy"), row=1, col=1)
    figure.update_yaxes(title_text=say("axis.loss"), rangemode="tozero", row=2, col=1)
    figure.update_xaxes(title_text=say("axis.epoch"), row=2, col=1)
    figure.update_xaxes(**theme.integer_ticks(row.epoch for row in curve))
    return figure


def plot_top_curves(facts: SearchResults, *, lang: str = "en") -> go.Figure:
    """Draw validation accuracy over epochs of the trials in `facts.curves`."""
    say = texts(lang).say
    figure = theme.new_figure(
        say("top_curves.title"), x=say("axis.epoch"), y=say("axis.val_accuracy"), lang=lang
    )
    families = {it.trial: it.family for it in facts.ranking.trials}
    for place, (number, curve) in enumerate(facts.curves.items()):
        figure.add_scatter(
            **_points(curve, "val_accuracy"),
            name=f"#{number} {theme.escape_label(families.get(number, ''))}".strip(),
            mode="lines",
            line=theme.line_style(place),
        )
    epochs = (row.epoch for curve in facts.curves.values() for row in curve)
    figure.update_xaxes(**theme.integer_ticks(epochs))
    return figure


def rate_reductions(curve: Sequence[EpochRow]) -> list[int]:
    """Return the epochs, from 1, at which the learning rate was reduced within a phase."""
    return [
        row.epoch
        for before, row in pairwise(curve)
        if row.phase == before.phase and row.learning_rate < before.learning_rate
    ]


def second_phase(curve: Sequence[EpochRow]) -> int | None:
    """Return the first epoch of fine-tuning, or None."""
    return next((row.epoch for row in curve if row.phase == 2), None)


def stopped_early(facts: Facts) -> bool:
    """Whether the training of the exported network ended before its maximum of epochs."""
    limit = facts.max_epochs
    phases = Counter(row.phase for row in facts.winner.curve)
    return isinstance(limit, int) and bool(phases) and phases[max(phases)] < limit


def _points(curve: Iterable[EpochRow], field: str) -> dict[str, object]:
    return {
        "x": [row.epoch for row in curve],
        "y": [theme.round_coordinate(getattr(row, field)) for row in curve],
        "hovertemplate": "%{x}: %{y:.4f}",
    }


def _mark_epochs(figure: go.Figure, facts: Facts, lang: str) -> None:
    """Mark epochs on the validation curves; rate reductions on the loss, which triggers them."""
    say = texts(lang).say
    curve = facts.winner.curve
    last = [curve[-1].epoch] if curve and stopped_early(facts) else []
    for name, epochs, symbol, size, panel, field in (
        (say("curves.reduced"), rate_reductions(curve), "triangle-down", 10, 2, "val_loss"),
        (say("curves.stopped"), last, "square-open", 12, 1, "val_accuracy"),
        (say("curves.best"), [facts.winner.best_epoch], "star", 15, 1, "val_accuracy"),
    ):
        marked = [row for row in curve if row.epoch in epochs]
        if marked:
            figure.add_scatter(
                **_points(marked, field),
                name=name,
                mode="markers",
                marker={"symbol": symbol, "size": size, "color": theme.RED},
                row=panel,
                col=1,
            )
    begin = second_phase(curve)
    if begin is not None:
        figure.add_vline(begin - 0.5, line={"dash": "dot", "color": theme.NEUTRAL})
        figure.add_annotation(
            x=begin - 0.5,
            y=0,
            yref="y domain",
            text=say("curves.second_phase"),
            showarrow=False,
            xanchor="left",
            yanchor="bottom",
            xshift=4,
        )
