"""Retrained configs: mean validation accuracy with its interval."""

import plotly.graph_objects as go

from analysis.confirmation.comparison import Confirmation, Standing
from analysis.report.figures import theme
from analysis.report.texts import texts


def plot_confirmation(confirmation: Confirmation, *, lang: str = "en") -> go.Figure:
    """Draw the mean validation accuracy of each config with its 95 % interval, the best on top."""
    say = texts(lang).say
    standings = confirmation.standings[::-1]
    figure = theme.new_figure(
        say("confirmation.title"),
        x=say("axis.mean_val_accuracy"),
        lang=lang,
        height=150 + 44 * len(standings),
    )
    for is_separable, name, color in (
        (False, say("confirmation.equal"), theme.BLUE),
        (True, say("confirmation.behind"), theme.ORANGE),
    ):
        members = [it for it in standings if it.is_separable == is_separable]
        if members:
            figure.add_scatter(
                x=[theme.round_coordinate(it.mean) for it in members],
                y=[f"#{it.trial}" for it in members],
                error_x=_intervals(members),
                name=name,
                mode="markers",
                marker={
                    "color": color,
                    "size": 11,
                    "symbol": "square" if is_separable else "circle",
                },
                hovertemplate="%{y}: %{x:.4f}",
            )
    figure.update_yaxes(
        type="category",
        categoryorder="array",
        categoryarray=[f"#{it.trial}" for it in standings],
        title_text=say("axis.trial"),
    )
    return figure


def _intervals(standings: list[Standing]) -> dict[str, object]:
    rounded = theme.round_coordinate
    above = [0 if it.high is None else rounded(it.high - it.mean) for it in standings]
    below = [0 if it.low is None else rounded(it.mean - it.low) for it in standings]
    style = {"type": "data", "symmetric": False, "thickness": 2, "width": 6}
    return {**style, "array": above, "arrayminus": below}
