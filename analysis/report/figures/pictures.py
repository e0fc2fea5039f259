"""Images in a grid, with their classes, predictions and heat maps."""

from collections.abc import Sequence
from html import escape

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from analysis.report.facts import Picture
from analysis.report.figures.theme import escape_label, new_figure
from analysis.report.image_uris import heat_uri, picture_uri
from analysis.report.texts import texts

N_COLUMNS = 6
ROW_HEIGHT = 214
GAP_X, GAP_Y = 0.015, 60
"""Gaps between columns, as a share of the width, and between rows, in pixels."""


def plot_pictures(pictures: Sequence[Picture], *, lang: str = "en") -> go.Figure:
    """Draw pictures in a grid, row by row, each with its class and prediction.

    A picture with a heat map is shown twice, the second time with the map over it.
    """
    cells = [cell for picture in pictures for cell in _cells(picture, lang)]
    if not cells:
        return new_figure("", lang=lang, height=ROW_HEIGHT)
    n_rows = -(-len(cells) // N_COLUMNS)
    height = n_rows * ROW_HEIGHT
    grid = make_subplots(
        n_rows,
        N_COLUMNS,
        subplot_titles=[title for title, _ in cells],
        horizontal_spacing=GAP_X,
        vertical_spacing=GAP_Y / height if n_rows > 1 else 0,
    )
    for place, (_, source) in enumerate(cells):
        row, column = divmod(place, N_COLUMNS)
        grid.add_trace(go.Image(source=source, hoverinfo="skip"), row=row + 1, col=column + 1)
    figure = new_figure("", lang=lang, height=height, figure=grid)
    figure.update_xaxes(visible=False, constrain="domain")
    figure.update_yaxes(visible=False, constrain="domain")
    figure.update_annotations(font_size=11)
    figure.update_layout(margin={"l": 0, "r": 0, "t": 58, "b": 4})
    return figure


def _cells(picture: Picture, lang: str) -> list[tuple[str, str]]:
    """Return the titles and images of a picture."""
    cells = [(_title(picture, lang), picture_uri(picture.pixels))]
    heatmap = heat_uri(picture)
    return cells if heatmap is None else [*cells, ("Grad-CAM", heatmap)]


def _title(picture: Picture, lang: str) -> str:
    if picture.answer is None:
        return escape_label(picture.label)
    labels = texts(lang)
    is_right = picture.answer == picture.label
    text = labels.say(
        "test.found" if is_right else "test.taken_for",
        label=escape_label(picture.label),
        answer=escape_label(picture.answer),
    )
    sure = labels.say("test.sure", confidence=labels.percent(picture.confidence))
    return f"{_wrap(text)}<br>{escape(sure)}"


def _wrap(text: str) -> str:
    """Break a long line in two near its middle."""
    if len(text) <= 26:
        return text
    spaces = [place for place, letter in enumerate(text) if letter == " "]
    if not spaces:
        return text
    middle = min(spaces, key=lambda place: abs(place - len(text) / 2))
    return f"{text[:middle]}<br>{text[middle + 1 :]}"
