"""Calibration: whether the confidence of predictions matches their accuracy."""

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from analysis.report.figures import theme
from analysis.report.texts import texts
from analysis.results.classification_metrics import Evaluation


def plot_calibration(evaluation: Evaluation, *, lang: str = "en") -> go.Figure:
    """Draw accuracy over confidence, and the number of predictions by confidence."""
    labels = texts(lang)
    error = labels.number(evaluation.calibration_error, 3)
    figure = make_subplots(
        rows=2, cols=1, shared_xaxes=True, row_heights=[0.72, 0.28], vertical_spacing=0.06
    )
    title = labels.say("calibration.title", error=error)
    theme.new_figure(title, lang=lang, height=500, figure=figure)
    confidences = [theme.round_coordinate(it.confidence) for it in evaluation.calibration]
    counts = [it.n for it in evaluation.calibration]
    figure.add_scatter(
        x=confidences,
        y=[theme.round_coordinate(it.accuracy) for it in evaluation.calibration],
        text=counts,
        mode="lines+markers",
        marker={"size": 9, "color": theme.BLUE},
        line={"color": theme.BLUE, "width": 2},
        name=labels.say("calibration.network"),
        hovertemplate="%{x:.3f}: %{y:.3f} (n = %{text})",
        row=1,
        col=1,
    )
    figure.add_scatter(
        x=[0, 1],
        y=[0, 1],
        mode="lines",
        line={"dash": "dot", "color": theme.NEUTRAL},
        name=labels.say("calibration.ideal"),
        hoverinfo="skip",
        row=1,
        col=1,
    )
    figure.add_bar(
        x=confidences,
        y=counts,
        width=0.06,
        marker={"color": theme.SKY},
        showlegend=False,
        hovertemplate="n = %{y}<extra></extra>",
        row=2,
        col=1,
    )
    figure.update_xaxes(range=[0, 1.02])
    figure.update_yaxes(title_text=labels.say("axis.accuracy"), range=[-0.04, 1.04], row=1, col=1)
    whole = theme.integer_ticks([0, *counts])
    figure.update_yaxes(title_text=labels.say("axis.images"), **whole, row=2, col=1)
    figure.update_xaxes(title_text=labels.say("axis.confidence"), row=2, col=1)
    return figure
