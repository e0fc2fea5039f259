"""Figures of a source's page: sizes of images, intensities by class, sizes of groups."""

from collections.abc import Mapping

import numpy as np
import plotly.graph_objects as go

from analysis.report.figures import theme
from analysis.source_page.facts import SourceFacts

MAX_CLASSES = 12
"""Classes that a figure tells apart."""
MAX_SIZES = 1_500
"""Points of the figure of sizes."""
MAX_BARS = 30
HEIGHT = 340
LOG_SHARES = (-2, 2.05)
"""Logarithms of the shares that are drawn, in percent: fewer pixels are noise."""


def plot_sizes(facts: SourceFacts) -> go.Figure:
    """Draw height over width of all images by class, a point for each size that occurs."""
    figure = theme.new_figure(
        "Widths and heights", x="width, pixels", y="height, pixels", height=HEIGHT
    )
    shown = _first_classes(facts.sizes)
    limit = MAX_SIZES // max(1, len(shown))
    for place, (name, counts) in enumerate(shown.items()):
        points = theme.downsample(sorted(counts), limit)
        figure.add_scatter(
            x=[width for width, _ in points],
            y=[height for _, height in points],
            text=[f"{counts[it]:,}" for it in points],
            name=theme.escape_label(name),
            mode="markers",
            marker={
                "color": theme.COLORS[place % len(theme.COLORS)],
                "symbol": f"{theme.SYMBOLS[place % len(theme.SYMBOLS)]}-open",
                "size": 8,
            },
            hovertemplate="%{x} × %{y}: %{text}",
        )
    figure.update_xaxes(rangemode="tozero")
    figure.update_yaxes(rangemode="tozero")
    return figure


def plot_intensities(facts: SourceFacts) -> go.Figure:
    """Draw the mean histogram of each class."""
    figure = theme.new_figure(
        "Intensities by class", x="grey value", y="share of pixels, %", height=HEIGHT
    )
    for place, (name, shares) in enumerate(_first_classes(facts.histograms).items()):
        width = 256 / len(shares)
        figure.add_scatter(
            x=[theme.round_coordinate((it + 0.5) * width) for it in range(len(shares))],
            y=[theme.round_coordinate(100 * share) for share in shares],
            name=theme.escape_label(name),
            mode="lines",
            line={**theme.line_style(place), "shape": "hvh"},
            hovertemplate="%{y:.2f} %",
        )
    figure.update_xaxes(range=[0, 256], tickvals=[0, 64, 128, 192, 255])
    figure.update_yaxes(type="log", dtick=1, tickformat="~g", range=LOG_SHARES)
    return figure


def plot_groups(facts: SourceFacts) -> go.Figure:
    """Draw how many groups have how many images."""
    figure = theme.new_figure("Sizes of groups", x="images of a group", y="groups", height=260)
    labels, counts = _bars(facts.group_sizes)
    figure.add_bar(x=labels, y=counts, hovertemplate="%{x}: %{y}<extra></extra>")
    figure.update_xaxes(type="category")
    figure.update_yaxes(**theme.integer_ticks([0, *counts]))
    return figure


def _first_classes(values: Mapping[str, theme.T]) -> dict[str, theme.T]:
    return dict(list(values.items())[:MAX_CLASSES])


def _bars(counts: Mapping[int, int]) -> tuple[list[str], list[int]]:
    """Return labels and heights of bars: one for each size, or for each range of sizes."""
    low, high = min(counts), max(counts)
    width = -(-(high - low + 1) // MAX_BARS)
    starts = np.arange(low, high + 1, width)
    heights = np.zeros(len(starts), int)
    for size, n in counts.items():
        heights[(size - low) // width] += n
    labels = [f"{it}" if width == 1 else f"{it}–{it + width - 1}" for it in starts]
    return labels, heights.tolist()
