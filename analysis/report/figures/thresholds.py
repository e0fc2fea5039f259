"""ROC and precision-recall curves."""

from collections.abc import Mapping

import plotly.graph_objects as go

from analysis.report.figures import theme
from analysis.report.texts import texts
from analysis.results.classification_metrics import Curve, Evaluation


def plot_roc(evaluation: Evaluation, *, lang: str = "en") -> go.Figure:
    """Draw sensitivity over the false positive rate, each class against all others."""
    labels = texts(lang)
    figure = _square_figure(
        labels.say("roc.title"),
        labels.say("axis.false_alarms"),
        labels.say("axis.sensitivity"),
        lang,
    )
    figure.add_shape(
        type="line", x0=0, y0=0, x1=1, y1=1, line={"dash": "dot", "color": theme.NEUTRAL}
    )
    areas = {it.name: labels.number(it.auc.value, 3) for it in evaluation.classes}
    _add_curves(figure, evaluation.roc, areas)
    return figure


def plot_precision_recall(evaluation: Evaluation, *, lang: str = "en") -> go.Figure:
    """Draw precision over recall, each class against all others."""
    say = texts(lang).say
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
