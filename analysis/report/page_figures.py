"""Figures of the page: their placeholders, and their data as one JSON document."""

import json
from collections.abc import Callable, Mapping

import plotly.graph_objects as go
from markupsafe import Markup

from analysis.report import figures
from analysis.report.facts import Facts
from analysis.report.figures.parameters import shown_parameters

STUDY_FIGURES: Mapping[str, Callable[..., go.Figure]] = {
    "history": figures.plot_history,
    "families": figures.plot_families,
    "curves": figures.plot_learning_curves,
    "top_curves": figures.plot_top_curves,
    "importance": figures.plot_importance,
    "parallel": figures.plot_parallel,
    "pareto": figures.plot_pareto,
    "pruning": figures.plot_pruning,
}
EVALUATION_FIGURES: Mapping[str, Callable[..., go.Figure]] = {
    "confusion": figures.plot_confusion,
    "roc": figures.plot_roc,
    "precision_recall": figures.plot_precision_recall,
    "calibration": figures.plot_calibration,
}
WIDE_FIGURES = frozenset({"parallel"})
"""Figures that are wider than a phone and scroll in their own box."""
MARGIN_TOP, WIDE_MARGIN_TOP = 16, 48


class DrawnFigures:
    """The figures of a page: their placeholders, and their data for the script."""

    def __init__(self) -> None:
        self._drawn: dict[str, go.Figure] = {}

    def place(
        self, name: str, figure: go.Figure, about: str, *, margin_top: int = MARGIN_TOP
    ) -> Markup:
        """Return the placeholder of a figure, with its title and the caption `about`."""
        title = figure.layout.title.text
        figure.update_layout(title=None, margin_t=margin_top)
        self._drawn[name] = figure
        return Markup(
            '<figure class="{kind}"{focus}><h3>{title}</h3>{place}'
            "<figcaption>{about}</figcaption></figure>"
        ).format(
            kind="figure wide" if name in WIDE_FIGURES else "figure",
            focus=Markup(' tabindex="0"') if name in WIDE_FIGURES else "",
            title=_unescape(title),
            place=self._placeholder(name, f"{title}. {about}"),
            about=about,
        )

    def to_json(self) -> Markup:
        """Return all figures drawn so far, escaped for a script element."""
        found = {name: json.loads(it.to_json()) for name, it in self._drawn.items()}
        for it in found.values():
            it["layout"].pop("template", None)
        written = json.dumps(found, ensure_ascii=False, separators=(",", ":"))
        for sign in "<>&\u2028\u2029":
            written = written.replace(sign, f"\\u{ord(sign):04x}")
        return Markup(written)

    def _placeholder(self, name: str, label: str, *, kind: str = "plot") -> Markup:
        """Return the empty box of a figure, with its height."""
        return Markup(
            '<div class="{kind}" id="figure-{name}" data-figure="{name}" role="img" '
            'aria-label="{label}" style="height:{height}px"></div>'
        ).format(
            kind=kind, name=name, label=_unescape(label), height=self._drawn[name].layout.height
        )


class PageFigures(DrawnFigures):
    """Draws the figures that the template of a report requests."""

    def __init__(self, facts: Facts, lang: str) -> None:
        super().__init__()
        self._facts = facts
        self._lang = lang

    def draw(self, name: str, about: str) -> Markup:
        """Return the placeholder of a figure, with its title and the caption `about`."""
        margin_top = WIDE_MARGIN_TOP if name in WIDE_FIGURES else MARGIN_TOP
        return self.place(name, self._plot(name), about, margin_top=margin_top)

    def draw_slices(self) -> Markup:
        """Return the placeholders of a small figure per important parameter."""
        placeholders = []
        for number, parameter in enumerate(shown_parameters(self._facts)):
            name = f"slice{number}"
            self._drawn[name] = figures.plot_slice(self._facts, parameter, lang=self._lang)
            placeholders.append(self._placeholder(name, parameter, kind="plot small"))
        return Markup("").join(placeholders)

    def _plot(self, name: str) -> go.Figure:
        if name in STUDY_FIGURES:
            return STUDY_FIGURES[name](self._facts, lang=self._lang)
        if name == "confirmation":
            confirmation = self._facts.confirmation
            if confirmation is None:
                raise LookupError("There is no confirmation to draw.")
            return figures.plot_confirmation(confirmation, lang=self._lang)
        examined = self._facts.examined
        examination = examined.get("test") or examined["val"]
        return EVALUATION_FIGURES[name](examination.evaluation, lang=self._lang)


def _unescape(text: str) -> str:
    """Return a text of Plotly without HTML entities."""
    return Markup(text).unescape()
