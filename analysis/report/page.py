"""The page `report.html`, a single file that opens without a network.

It contains Plotly's script, figures as data, and images. Its content security policy keeps
browsers from loading anything else, and from running scripts other than the two in it.
"""

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from analysis.report.architecture import draw_architecture
from analysis.report.facts import Facts
from analysis.report.image_uris import heat_uri, picture_uri
from analysis.report.page_figures import PageFigures
from analysis.report.phrases import Phrases
from analysis.report.texts import texts
from analysis.results.classification_metrics import OVERALL_SCORES

N_TOP = 10
"""Number of trials of the ranking that are shown."""
CAUTIONS_BY_SECTION: Mapping[str, tuple[str, ...]] = {
    "data": ("leaks", "unbalanced", "duplicates", "small_validation"),
    "search": ("partial", "partial_time", "few_trials"),
    "result": ("baseline", "no_weights", "no_model"),
    "sure": (
        "confirmation_unfinished",
        "searched_after_confirm",
        "not_separable",
        "lost_trainings",
    ),
    "test": ("test_used_before", "small_test", "worse_on_test"),
    "mattered": ("edge", "few_for_importance"),
}
"""Kinds of cautions that a section repeats, unless its own text says the same."""


@dataclass(frozen=True, slots=True)
class Script:
    """A script of the page, and the hash by which the policy permits it."""

    text: Markup
    csp_source: str

    @classmethod
    def of(cls, text: str) -> "Script":
        """Return a script to embed in a page.

        Raises:
            ValueError: If it would end its own tag.
        """
        if "</script" in text.lower() or "<!--" in text:
            raise ValueError("Expected a script without an end tag or a comment of HTML in it.")
        digest = b64encode(sha256(text.encode("utf-8")).digest()).decode("ascii")
        return cls(Markup(text), f"'sha256-{digest}'")  # Ours, or Plotly's.


def render_page(facts: Facts, *, lang: str = "en") -> str:
    """Return the report of a study as one HTML page, which says which parts are missing.

    Raises:
        ValueError: If there are no texts in the language.
    """
    words = texts(lang)
    scripts = _scripts()
    context: dict[str, Any] = {
        "facts": facts,
        "lang": lang,
        "say": words.say,
        "count": words.count,
        "number": words.number,
        "percent": words.percent,
        "duration": words.duration,
        "phrases": Phrases(words),
        "figures": PageFigures(facts, lang),
        "panels": draw_architecture(facts.winner.layers, words),
        "picture_uri": picture_uri,
        "heat_uri": heat_uri,
        "n_top": N_TOP,
        "places": CAUTIONS_BY_SECTION,
        "overall": OVERALL_SCORES,
        "examination": facts.examined.get("test") or facts.examined.get("val"),
        "test": facts.examined.get("test"),
        "style": _resource("report.css"),
        "scripts": scripts,
        "policy": _policy(scripts),
    }
    return _environment().get_template("report.html.jinja").render(context)


def _policy(scripts: Mapping[str, Script]) -> str:
    """Return the content security policy; Plotly adds inline styles while it draws."""
    allowed = " ".join(script.csp_source for script in scripts.values())
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )


@cache
def _scripts() -> Mapping[str, Script]:
    return {"plotly": Script.of(get_plotlyjs()), "page": Script.of(str(_resource("report.js")))}


@cache
def _resource(name: str) -> Markup:
    """Return a file of the package, which needs no escaping."""
    return Markup(files("analysis.report").joinpath("templates", name).read_text(encoding="utf-8"))


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("analysis.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
