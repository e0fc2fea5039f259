"""Confusion matrix: true classes against predicted ones."""

import plotly.graph_objects as go

from analysis.report.figures import theme
from analysis.report.texts import texts
from analysis.results.classification_metrics import Evaluation

MAX_WRITTEN = 12
"""Classes up to which there is room for numbers in the cells."""


def plot_confusion(evaluation: Evaluation, *, lang: str = "en") -> go.Figure:
    """Draw image counts by true and predicted class, colored by their share of the true class."""
    labels = texts(lang)
    names = [theme.wrap_label(it.name) for it in evaluation.classes]
    n = len(names)
    shares = [
        [cell / sum(row) if sum(row) else 0.0 for cell in row] for row in evaluation.confusion
    ]
    figure = theme.new_figure(
        labels.say("confusion.title"),
        x=labels.say("axis.answer"),
        y=labels.say("axis.truth"),
        lang=lang,
        height=min(760, 170 + max(44, 66 - 2 * n) * n),
    )
    figure.add_heatmap(
        x=list(range(n)),
        y=list(range(n)),
        z=[[theme.round_coordinate(it) for it in row] for row in shares],
        zmin=0,
        zmax=1,
        customdata=evaluation.confusion,
        text=[
            [f"{cell}<br>{labels.percent(share, 0)}" for cell, share in zip(*rows, strict=True)]
            for rows in zip(evaluation.confusion, shares, strict=True)
        ],
        texttemplate="%{text}" if n <= MAX_WRITTEN else None,
        colorscale=theme.BLUES,
        showscale=False,
        xgap=2,
        ygap=2,
        hovertemplate="%{y} → %{x}: %{customdata}<extra></extra>",
    )
    ticks = {"tickvals": list(range(n)), "ticktext": names, "showgrid": False}
    figure.update_xaxes(**ticks)
    figure.update_yaxes(**ticks, autorange="reversed")
    return figure
