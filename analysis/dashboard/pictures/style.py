"""The common style of pictures: layout in pixels, colors, fonts, and literal text.

Sizes are in pixels of a picture that is `WIDTH` wide, readable at a third of that width.
"""

import io
import logging
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from threading import RLock
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

WIDTH = 900
DPI = 100
EDGE = 20
TITLE, LABEL, SMALL, LEAST = 26, 20, 17, 12
"""Font sizes, from the title to the smallest one."""
HEAD = 64
"""Height of the title."""

TEXT, MUTED, LINE, PAPER = "#1c2530", "#55606d", "#dde2e7", "#f6f7f8"
"""Colors of the report's page in light mode."""

MISSING = "\ufffd"
"""Replaces a character that no font has."""
MAX_CHARACTERS = 200
_FONT = "DejaVu Sans"
"""Included in matplotlib."""
_OTHER_FONTS = (
    "Noto Sans CJK SC",
    "Noto Sans CJK JP",
    "Microsoft YaHei",
    "PingFang SC",
    "Hiragino Sans GB",
    "Malgun Gothic",
    "Arial Unicode MS",
)
"""Fonts for characters that `_FONT` lacks, if installed."""
_UNTOUCHED_SETTINGS = frozenset(
    {"backend", "backend_fallback", "interactive", "toolbar", "timezone"}
)
"""Settings that do not affect the look; reading the first one would load pyplot."""

_one_at_a_time = RLock()


@contextmanager
def drawing() -> Iterator[None]:
    """Let one thread draw, with default settings: matplotlib's are global to the process.

    Drawing holds the interpreter's lock anyway, so waiting costs nothing.
    """
    with _one_at_a_time:
        with _silent():
            import matplotlib
            import matplotlib.font_manager
        usual = matplotlib.rcParamsDefault
        changed = {
            name: usual[name]
            for name in usual.keys() - _UNTOUCHED_SETTINGS
            if matplotlib.rcParams[name] != usual[name]
        }
        settings: Any = {**changed, "font.family": _fonts(), "text.parse_math": False}
        with matplotlib.rc_context(settings):
            yield


def render_png(
    width: float, height: float, title: str, draw: Callable[["Figure"], None], *, zoom: float = 1.0
) -> bytes:
    """Return a picture of `width` × `height` pixels as PNG, within `drawing`.

    The title is magnified by `zoom`, and truncated if it is too long; `draw` draws the rest.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from PIL import Image

    figure = Figure(figsize=(round(width) / DPI, round(height) / DPI), dpi=DPI, facecolor="white")
    canvas: Any = FigureCanvasAgg(figure)
    head = truncate(title, width - 2 * EDGE, zoom * TITLE, bold=True)
    draw_text(figure, EDGE, zoom * HEAD / 2, head, size=zoom * TITLE, bold=True)
    draw(figure)
    canvas.draw()
    png = io.BytesIO()
    Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3]).save(png, format="PNG")
    return png.getvalue()


def draw_text(
    figure: "Figure",
    x: float,
    y: float,
    text: str,
    *,
    size: float = LABEL,
    color: str = TEXT,
    bold: bool = False,
    align: str = "left",
    valign: str = "center",
    rotation: float = 0,
) -> None:
    """Write a line of text at `x` from the left and `y` from the top.

    The text must come from `sanitize` or `truncate`. It is aligned at `x` by its `left`, `center`
    or `right`, and at `y` by its `top`, `center`, `baseline` or `bottom`; `rotation` is in degrees
    counterclockwise about that point.
    """
    wide, high = figure.get_size_inches() * DPI
    figure.text(
        x / wide,
        1 - y / high,
        text,
        fontsize=points(size),
        color=color,
        fontweight="bold" if bold else "normal",
        horizontalalignment=align,
        verticalalignment="center_baseline" if valign == "center" else valign,
        rotation=rotation,
        rotation_mode="anchor",
        parse_math=False,
    )


def draw_rule(figure: "Figure", left: float, right: float, y: float) -> None:
    """Draw a thin horizontal line."""
    from matplotlib.lines import Line2D

    high = figure.get_size_inches()[1] * DPI
    figure.add_artist(
        Line2D([left, right], [high - y] * 2, transform=None, color=MUTED, linewidth=points(2))
    )


def place_axes(figure: "Figure", left: float, top: float, width: float, height: float) -> "Axes":
    """Return axes with ticks but without spines."""
    wide, high = figure.get_size_inches() * DPI
    axes = figure.add_axes((left / wide, 1 - (top + height) / high, width / wide, height / high))
    axes.tick_params(length=0, pad=8, labelsize=points(LABEL), labelcolor=MUTED)
    for spine in axes.spines.values():
        spine.set_visible(False)
    return axes


def draw_placeholder(figure: "Figure", text: str) -> None:
    """Write a reason in the middle of an empty picture."""
    wide, high = figure.get_size_inches() * DPI
    draw_text(figure, wide / 2, (HEAD + high) / 2, text, color=MUTED, align="center")


def draw_legend(
    figure: "Figure", lines: Sequence["Line2D"], *, left: float, right: float, y: float
) -> None:
    """Draw a legend of lines and markers in one row from `left` to `right`."""
    from matplotlib.lines import Line2D

    samples = [22 if line.get_linestyle() == "None" else 48 for line in lines]
    labels = [str(line.get_label()) for line in lines]
    size, gap = float(LABEL), 22
    while size > LEAST:
        widths = [width_of(label, size) for label in labels]
        if left + sum(samples) + sum(widths) + len(lines) * (8 + gap) - gap <= right:
            break
        size -= 0.5
    x = left
    high = figure.get_size_inches()[1] * DPI
    for line, label, sample in zip(lines, labels, samples, strict=True):
        ends = [x + 4, x + sample - 4] if sample > 22 else [x + sample / 2]
        shown = Line2D(ends, [high - y] * len(ends))
        shown.update_from(line)
        shown.set(transform=None, clip_on=False)
        figure.add_artist(shown)
        draw_text(figure, x + sample + 8, y, label, size=size)
        x += sample + 8 + width_of(label, size) + gap


def truncate(text: object, width: float, size: float, *, bold: bool = False) -> str:
    """Return text as one line, truncated to `width` pixels."""
    line = sanitize(text)
    if width_of(line, size, bold=bold) <= width:
        return line
    low, high = 0, len(line) - 1
    while low < high:
        middle = (low + high + 1) // 2
        if width_of(_cut(line, middle), size, bold=bold) <= width:
            low = middle
        else:
            high = middle - 1
    return _cut(line, low)


def sanitize(text: object) -> str:
    """Return text as one line of at most `MAX_CHARACTERS` that the fonts have."""
    signs = (
        it if it.isprintable() else " "
        for it in str(text)[: 4 * MAX_CHARACTERS]
        if _is_visible(it)
    )
    known = _known_characters()
    line = " ".join("".join(signs).split())[: MAX_CHARACTERS + 1]
    line = "".join(it if ord(it) in known else MISSING for it in line)
    return line if len(line) <= MAX_CHARACTERS else _cut(line, MAX_CHARACTERS - 1)


def width_of(line: str, size: float, *, bold: bool = False) -> float:
    """Return the width of a line in pixels."""
    from matplotlib.font_manager import FontProperties

    weight = "bold" if bold else "normal"
    font = FontProperties(family=_fonts(), size=points(size), weight=weight)
    width, _, _ = _ruler().get_text_width_height_descent(line, font, ismath=False)
    return float(width)


def size_for(line: str, width: float, *, bold: bool = False) -> float:
    """Return the font size at which a line has a width."""
    return 100 * width / max(1.0, width_of(line, 100, bold=bold))


def points(pixels: float) -> float:
    """Convert pixels to points."""
    return pixels * 72 / DPI


def _cut(line: str, n: int) -> str:
    return f"{line[:n].rstrip()}…"


@contextmanager
def _silent() -> Iterator[None]:
    """Suppress matplotlib's warnings about its configuration folder and font cache."""
    logger = logging.getLogger("matplotlib")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


def _is_visible(sign: str) -> bool:
    """Whether a character is more than a formatting instruction."""
    return unicodedata.category(sign) != "Cf"


@cache
def _fonts() -> list[str]:
    """Return the fonts to look up a character in, in order."""
    from matplotlib.font_manager import fontManager

    here = {font.name for font in fontManager.ttflist}
    return [_FONT, *(name for name in _OTHER_FONTS if name in here)]


@cache
def _known_characters() -> frozenset[int]:
    """Return the code points of the fonts; matplotlib warns about others."""
    from matplotlib.font_manager import FontProperties, findfont, get_font

    paths = [findfont(FontProperties(family=[name])) for name in _fonts()]
    return frozenset(code for path in paths for code in get_font(path).get_charmap())


@cache
def _ruler() -> Any:
    from matplotlib.backends.backend_agg import RendererAgg

    renderer: Any = RendererAgg
    return renderer(1, 1, DPI)
