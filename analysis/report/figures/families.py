"""Comparison of families: all values of each, and the best."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from analysis.report.facts import SearchResults
from analysis.report.figures import theme
from analysis.report.texts import texts
from analysis.results.ranking import RankedTrial

MAX_POINTS = 2000


def plot_families(facts: SearchResults, *, lang: str = "en") -> go.Figure:
    """Draw the validation accuracies of each family's complete trials, the best one marked."""
    say = texts(lang).say
    complete, shown, title = theme.sample_trials(
        facts.ranking.complete, MAX_POINTS, say("families.title"), lang
    )
    summaries = [it for it in facts.ranking.families if it.trial is not None][::-1]
    figure = theme.new_figure(
        title, x=say("axis.val_accuracy"), lang=lang, height=130 + 52 * len(summaries)
    )
    for summary in summaries:
        color, symbol = theme.family_style(facts.families, summary.family)
        members = [it for it in shown if it.family == summary.family]
        figure.add_box(**_box([it for it in complete if it.family == summary.family]))
        figure.add_box(
            x=[theme.round_coordinate(it.val_accuracy) for it in members],
            y=[theme.escape_label(summary.family)] * len(members),
            text=[f"#{it.trial}" for it in members],
            hovertemplate="%{text}: %{x:.4f}<extra></extra>",
            orientation="h",
            boxpoints="all",
            pointpos=0,
            jitter=0.5,
            fillcolor=_CLEAR,
            line={"color": _CLEAR},
            hoveron="points",
            marker={"color": color, "symbol": symbol, "size": 7},
            showlegend=False,
        )
        figure.add_annotation(
            x=summary.val_accuracy,
            y=theme.escape_label(summary.family),
            text=f"<b>{texts(lang).number(summary.val_accuracy, 3)}</b>",
            showarrow=False,
            xanchor="left",
            xshift=8,
        )
    figure.update_yaxes(type="category", title_text="")
    return figure


_CLEAR = "rgba(0,0,0,0)"


def _box(trials: Sequence[RankedTrial]) -> dict[str, object]:
    """Return the box plot of a family: quartiles, and whiskers up to the extremes."""
    values = [it.val_accuracy for it in trials if it.val_accuracy is not None]
    low, first, middle, third, high = np.quantile(values, (0, 0.25, 0.5, 0.75, 1)).tolist()
    return {
        "y": [theme.escape_label(trials[0].family)],
        "lowerfence": [theme.round_coordinate(low)],
        "q1": [theme.round_coordinate(first)],
        "median": [theme.round_coordinate(middle)],
        "q3": [theme.round_coordinate(third)],
        "upperfence": [theme.round_coordinate(high)],
        "orientation": "h",
        "fillcolor": _CLEAR,
        "line": {"color": theme.NEUTRAL, "width": 1},
        "hoverinfo": "skip",
        "showlegend": False,
    }
