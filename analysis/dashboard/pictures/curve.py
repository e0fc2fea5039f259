"""The learning curve of a trial: accuracy above, loss below, and marks for events."""

import math
from collections.abc import Sequence
from statistics import median
from typing import TYPE_CHECKING

from analysis.dashboard.pictures import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    from storage import EpochRow

HEIGHT = 560
LEFT, RIGHT = 108, 24
TOPS, HEIGHTS = (112, 326), (190, 160)
"""Positions of the axes of accuracy and of loss."""
MAX_MARKED_EPOCHS = 12
"""Longer curves have no markers; without them a single epoch would be invisible."""
LOG_SCALE_ABOVE = 10.0
"""A loss above this, and far above the others, needs a logarithmic axis."""
MAX_LOSS = 1e30
"""Larger losses count as infinite."""
ACCURACIES = "train_accuracy", "val_accuracy"
LOSSES = "train_loss", "val_loss"


@style.drawing()
def draw_curve(rows: Sequence["EpochRow"], *, title: str) -> bytes:
    """Draw accuracy and loss on training and validation images, epoch by epoch, as PNG.

    The best epoch, each reduction of the learning rate, the start of fine-tuning, and epochs whose
    loss is not finite are marked. The picture is 900 pixels wide and 560 high.
    """
    return style.render_png(style.WIDTH, HEIGHT, title, lambda figure: _draw(figure, rows))


def _draw(figure: "Figure", rows: Sequence["EpochRow"]) -> None:
    if not rows:
        style.draw_placeholder(figure, "No epoch has ended yet")
        return
    width = style.WIDTH - LEFT - RIGHT
    places = zip(TOPS, HEIGHTS, strict=True)
    upper, lower = (style.place_axes(figure, LEFT, top, width, high) for top, high in places)
    lines = _draw_lines(upper, rows, ACCURACIES)
    _draw_lines(lower, rows, LOSSES)
    _scale_accuracy(upper, rows)
    _scale_loss(lower, rows)
    for axes in (upper, lower):
        _scale_epochs(axes, rows)
        _mark_second_phase(axes, rows, is_named=axes is lower)
    marks = _mark_best(upper, lower, rows) + _mark_reductions(lower, rows)
    marks += _mark_not_finite(lower, rows)
    upper.set_xticklabels([])
    middles = [top + high / 2 for top, high in zip(TOPS, HEIGHTS, strict=True)]
    for y, name in zip(middles, ("accuracy", "loss"), strict=True):
        style.draw_text(figure, 20, y, name, color=style.MUTED, align="center", rotation=90)
    style.draw_text(
        figure, LEFT + width / 2, HEIGHT - 20, "epoch", color=style.MUTED, align="center"
    )
    style.draw_legend(
        figure, lines + marks, left=style.EDGE, right=style.WIDTH - RIGHT, y=style.HEAD + 18
    )


def _number(value: float | None) -> float:
    """Return NaN, which is not drawn, for None, NaN and infinity."""
    return value if value is not None and abs(value) <= MAX_LOSS else math.nan


def _finite(rows: Sequence["EpochRow"], names: Sequence[str]) -> list[float]:
    values = (_number(getattr(row, name)) for row in rows for name in names)
    return [it for it in values if not math.isnan(it)]


def _draw_lines(
    axes: "Axes", rows: Sequence["EpochRow"], names: tuple[str, str]
) -> list["Line2D"]:
    from analysis.report.figures import theme

    epochs = [row.epoch for row in rows]
    marker = "o" if len(rows) <= MAX_MARKED_EPOCHS else ""
    drawn = []
    for name, label, color, dashes in (
        (names[0], "training", theme.BLUE, (0, (4, 2))),
        (names[1], "validation", theme.ORANGE, "-"),
    ):
        values = [_number(getattr(row, name)) for row in rows]
        drawn += axes.plot(
            epochs,
            values,
            label=label,
            color=color,
            linestyle=dashes,
            linewidth=style.points(4),
            marker=marker,
            markersize=style.points(8),
        )
    return drawn


def _scale_epochs(axes: "Axes", rows: Sequence["EpochRow"]) -> None:
    from matplotlib.ticker import MaxNLocator

    first, last = rows[0].epoch, rows[-1].epoch
    room = max(0.5, 0.015 * (last - first))
    axes.set_xlim(first - 0.5, last + room)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=10, integer=True, min_n_ticks=1))
    axes.grid(axis="x", color=style.LINE, linewidth=style.points(1))


def _scale_accuracy(axes: "Axes", rows: Sequence["EpochRow"]) -> None:
    values = _finite(rows, ACCURACIES) or [0.0, 1.0]
    room = max(0.03, 0.12 * (max(values) - min(values)))
    axes.set_ylim(max(-0.02, min(values) - room), min(1.02, max(values) + room))
    _tick_values(axes)


def _scale_loss(axes: "Axes", rows: Sequence["EpochRow"]) -> None:
    values = _finite(rows, LOSSES) or [0.0, 1.0]
    least, most = min(values), max(values)
    if least > 0 and most > max(LOG_SCALE_ABOVE, 20 * median(values)):
        axes.set_yscale("log")
        axes.set_ylim(least / 1.5, most * 1.5)
        axes.minorticks_off()
        axes.yaxis.set_major_formatter(lambda value, _: _short(value))
        axes.grid(axis="y", color=style.LINE, linewidth=style.points(1))
        return
    low = min(0.0, least)
    axes.set_ylim(low, low + 1.15 * (most - low or 1.0))
    _tick_values(axes)


def _short(value: float) -> str:
    """Write a power of ten as 0.1, 100 or 1e6."""
    return f"{value:g}" if value < 1000 else f"1e{math.log10(value):.0f}"


def _tick_values(axes: "Axes") -> None:
    from matplotlib.ticker import MaxNLocator

    axes.yaxis.set_major_locator(MaxNLocator(nbins=4))
    axes.grid(axis="y", color=style.LINE, linewidth=style.points(1))


def _mark_best(upper: "Axes", lower: "Axes", rows: Sequence["EpochRow"]) -> list["Line2D"]:
    """Mark the first epoch with the highest validation accuracy, in both panels."""
    from analysis.report.figures import theme

    known = [row for row in rows if not math.isnan(_number(row.val_accuracy))]
    if not known:
        return []
    best = max(known, key=lambda row: row.val_accuracy)
    for axes in (upper, lower):
        axes.axvline(best.epoch, color=theme.RED, alpha=0.4, linewidth=style.points(2), zorder=1)
    return upper.plot(
        [best.epoch],
        [best.val_accuracy],
        label=f"best {best.val_accuracy:.4f}, epoch {best.epoch}",
        color=theme.RED,
        linestyle="",
        marker="*",
        markersize=style.points(24),
        markeredgecolor="white",
        zorder=4,
    )


def _mark_reductions(axes: "Axes", rows: Sequence["EpochRow"]) -> list["Line2D"]:
    from analysis.report.figures import theme
    from analysis.report.figures.curves import rate_reductions

    reduced = set(rate_reductions(rows))
    values = {row.epoch: _number(row.val_loss) for row in rows if row.epoch in reduced}
    if not values:
        return []
    return axes.plot(
        list(values),
        list(values.values()),
        label="rate reduced",
        color=theme.RED,
        linestyle="",
        marker="v",
        markersize=style.points(14),
        markeredgecolor="white",
        zorder=3,
    )


def _mark_second_phase(axes: "Axes", rows: Sequence["EpochRow"], *, is_named: bool) -> None:
    from analysis.report.figures.curves import second_phase

    begin = second_phase(rows)
    if begin is None:
        return
    axes.axvline(
        begin - 0.5, color=style.MUTED, linestyle=":", linewidth=style.points(3), zorder=1
    )
    if not is_named:
        return
    is_late = begin > (rows[0].epoch + rows[-1].epoch) / 2
    axes.annotate(
        "fine-tuning",
        (begin - 0.5, 1),
        xycoords=("data", "axes fraction"),
        xytext=(-6 if is_late else 6, -4),
        textcoords="offset points",
        horizontalalignment="right" if is_late else "left",
        verticalalignment="top",
        fontsize=style.points(style.LABEL),
        color=style.MUTED,
    )


def _mark_not_finite(axes: "Axes", rows: Sequence["EpochRow"]) -> list["Line2D"]:
    """Put crosses at the top where a loss is not finite."""
    from analysis.report.figures import theme

    broken = [
        row.epoch
        for row in rows
        if math.isnan(_number(row.train_loss)) or math.isnan(_number(row.val_loss))
    ]
    if not broken:
        return []
    return axes.plot(
        broken,
        [0.9] * len(broken),
        label="not finite",
        transform=axes.get_xaxis_transform(),
        color=theme.RED,
        linestyle="",
        marker="x",
        markersize=style.points(14),
        markeredgewidth=style.points(4),
    )
