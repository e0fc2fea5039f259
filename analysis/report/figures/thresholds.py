"""Curves over all thresholds: the receiver operating characteristic, and precision and recall."""

from collections.abc import Mapping

import plotly.graph_objects as go

from analysis.report.figures import theme
from analysis.results.classification_metrics import Curve, Evaluation


def plot_roc(evaluation: Evaluation, *, lang: str = "en") -> go.Figure:
    """Draw sensitivity over the share of false alarms, each class against all others.

    Args:
        evaluation: Of one split; a class without images, or with all of them, has no curve.
        lang: Of the labels.
    """
    texts = theme.words(lang)
    figure = _square_figure(
        texts.say("roc.title"), texts.say("axis.false_alarms"), texts.say("axis.sensitivity"), lang
    )
    figure.add_shape(
        type="line", x0=0, y0=0, x1=1, y1=1, line={"dash": "dot", "color": theme.NEUTRAL}
    )
    areas = {it.name: texts.number(it.auc.value, 3) for it in evaluation.classes}
    _add_curves(figure, evaluation.roc, areas)
    return figure


def plot_precision_recall(evaluation: Evaluation, *, lang: str = "en") -> go.Figure:
    """Draw precision over recall, each class against all others.

    Args:
        evaluation: Of one split; a class without images has no curve.
        lang: Of the labels.
    """
    say = theme.words(lang).say
    figure = _square_figure(
        say("precision_recall.title"), say("axis.recall"), say("axis.precision"), lang
    )
    _add_curves(figure, evaluation.precision_recall, {})
    return figure


def _square_figure(title: str, x: str, y: str, lang: str) -> go.Figure:
    figure = theme.new_figure(title, x=x, y=y, lang=lang, height=440)
    figure.update_xaxes(range=[-0.01, 1.01])
    figure.update_yaxes(range=[-0.01, 1.02])
    return figure


def _add_curves(figure: go.Figure, curves: Mapping[str, Curve], areas: Mapping[str, str]) -> None:
    for place, (name, curve) in enumerate(curves.items()):
        if not curve.x:
            continue
        area = f" (AUC {areas[name]})" if name in areas else ""
        figure.add_scatter(
            x=[theme.round_coordinate(it) for it in curve.x],
            y=[theme.round_coordinate(it) for it in curve.y],
            name=theme.escape_label(name) + area,
            mode="lines",
            line=theme.line_style(place),
            hovertemplate="%{x:.3f}, %{y:.3f}",
        )
