"""Learning curves: all of the winner's, and the validation accuracies of the best trials."""

from collections.abc import Callable, Sequence
from itertools import pairwise

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from analysis.report.facts import Facts, SearchResults
from analysis.report.figures import theme
from storage import EpochRow

Read = Callable[[EpochRow], float]


def plot_learning_curves(facts: Facts, *, lang: str = "en") -> go.Figure:
    """Draw accuracy and loss of the exported network, on training and validation images.

    Marked are the best epoch, where the second phase begins, each reduction of the learning rate,
    and where training stopped early.

    Args:
        facts: Of a study whose winner has a curve.
        lang: Of the labels.
    """
    say = theme.words(lang).say
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.08)
    theme.new_figure(say("curves.title"), lang=lang, height=560, figure=figure)
    curve = facts.winner.curve
    for row, train, val in (
        (1, _train_accuracy, _val_accuracy),
        (2, _train_loss, _val_loss),
    ):
        for read, name, line in (
            (train, say("word.training"), {"color": theme.BLUE, "dash": "dash", "width": 2.5}),
            (val, say("word.validation"), {"color": theme.ORANGE, "width": 2.5}),
        ):
            _add_line(figure, curve, read, name=name, row=row, line=line)
    _mark_epochs(figure, facts, lang)
    figure.update_yaxes(title_text=say("axis.accuracy"), row=1, col=1)
    figure.update_yaxes(title_text=say("axis.loss"), rangemode="tozero", row=2, col=1)
    figure.update_xaxes(title_text=say("axis.epoch"), row=2, col=1)
    figure.update_xaxes(**theme.integer_ticks(row.epoch for row in curve))
    return figure


def plot_top_curves(facts: SearchResults, *, lang: str = "en") -> go.Figure:
    """Draw validation accuracy over epochs of the trials whose curves are at hand.

    Args:
        facts: Of a study; without curves the figure is empty.
        lang: Of the labels.
    """
    say = theme.words(lang).say
    figure = theme.new_figure(
        say("top_curves.title"), x=say("axis.epoch"), y=say("axis.val_accuracy"), lang=lang
    )
    families = {it.trial: it.family for it in facts.ranking.trials}
    for place, (number, curve) in enumerate(facts.curves.items()):
        figure.add_scatter(
            x=[row.epoch for row in curve],
            y=[theme.round_coordinate(row.val_accuracy) for row in curve],
            name=f"#{number} {theme.escape_label(families.get(number, ''))}".strip(),
            mode="lines",
            line=theme.line_style(place),
            hovertemplate="%{x}: %{y:.4f}",
        )
    epochs = (row.epoch for curve in facts.curves.values() for row in curve)
    figure.update_xaxes(**theme.integer_ticks(epochs))
    return figure


def rate_reductions(curve: Sequence[EpochRow]) -> list[int]:
    """Return the epochs, from 1, at which the learning rate fell within a phase."""
    return [
        row.epoch
        for before, row in pairwise(curve)
        if row.phase == before.phase and row.learning_rate < before.learning_rate
    ]


def second_phase(curve: Sequence[EpochRow]) -> int | None:
    """Return the first epoch of fine-tuning; None where there is none."""
    return next((row.epoch for row in curve if row.phase == 2), None)


def stopped_early(facts: Facts) -> bool:
    """Whether the exported network's training ended before its limit of epochs."""
    limit = facts.search.settings.get("max_epochs")
    phases: dict[int, int] = {}
    for row in facts.winner.curve:
        phases[row.phase] = phases.get(row.phase, 0) + 1
    return isinstance(limit, int) and bool(phases) and phases[max(phases)] < limit


def _train_accuracy(row: EpochRow) -> float:
    return row.train_accuracy


def _val_accuracy(row: EpochRow) -> float:
    return row.val_accuracy


def _train_loss(row: EpochRow) -> float:
    return row.train_loss


def _val_loss(row: EpochRow) -> float:
    return row.val_loss


def _add_line(
    figure: go.Figure,
    curve: Sequence[EpochRow],
    read: Read,
    *,
    name: str,
    row: int,
    line: dict[str, object],
) -> None:
    figure.add_scatter(
        x=[it.epoch for it in curve],
        y=[theme.round_coordinate(read(it)) for it in curve],
        name=name,
        legendgroup=name,
        showlegend=row == 1,
        mode="lines",
        line=line,
        hovertemplate="%{x}: %{y:.4f}",
        row=row,
        col=1,
    )


def _mark_epochs(figure: go.Figure, facts: Facts, lang: str) -> None:
    """Put marks on the validation curves, each kind with its own sign in the legend.

    Reductions of the learning rate follow from the loss and stand there, where the best epoch's
    mark cannot cover them.
    """
    say = theme.words(lang).say
    curve = facts.winner.curve
    last = [curve[-1].epoch] if curve and stopped_early(facts) else []
    for name, epochs, symbol, size, panel, read in (
        (say("curves.reduced"), rate_reductions(curve), "triangle-down", 10, 2, _val_loss),
        (say("curves.stopped"), last, "square-open", 12, 1, _val_accuracy),
        (say("curves.best"), [facts.winner.best_epoch], "star", 15, 1, _val_accuracy),
    ):
        marked = [row for row in curve if row.epoch in epochs]
        if marked:
            figure.add_scatter(
                x=[row.epoch for row in marked],
                y=[theme.round_coordinate(read(row)) for row in marked],
                name=name,
                mode="markers",
                marker={"symbol": symbol, "size": size, "color": theme.RED},
                hovertemplate="%{x}: %{y:.4f}",
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
