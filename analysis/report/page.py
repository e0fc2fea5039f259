"""The page `report.html`, a single file: Plotly's script, figures as data, and images."""

from collections.abc import Mapping
from typing import Any

from analysis.report.architecture import draw_architecture
from analysis.report.facts import Facts
from analysis.report.html_page import content_policy, environment, page_scripts, resource
from analysis.report.image_uris import heat_uri, picture_uri
from analysis.report.page_figures import PageFigures
from analysis.report.phrases import Phrases
from analysis.report.preparation_phrases import describe_preparation
from analysis.report.texts import texts
from analysis.results.classification_metrics import OVERALL_SCORES

N_TOP = 10
"""Number of trials of the ranking that are shown."""
CAUTIONS_BY_SECTION: Mapping[str, tuple[str, ...]] = {
    "data": ("leaks", "unbalanced", "weighted", "duplicates", "small_validation"),
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


def render_page(facts: Facts, *, lang: str = "en") -> str:
    """Return the report of a study as one HTML page, which says which parts are missing.

    Raises:
        ValueError: If there are no texts in the language.
    """
    words = texts(lang)
    scripts = page_scripts()
    context: dict[str, Any] = {
        "facts": facts,
        "lang": lang,
        "say": words.say,
        "count": words.count,
        "number": words.number,
        "percent": words.percent,
        "duration": words.duration,
        "phrases": Phrases(words),
        "made": describe_preparation(facts.data.preparation, words),
        "figures": PageFigures(facts, lang),
        "panels": draw_architecture(facts.winner.layers, words),
        "picture_uri": picture_uri,
        "heat_uri": heat_uri,
        "n_top": N_TOP,
        "places": CAUTIONS_BY_SECTION,
        "overall": OVERALL_SCORES,
        "examination": facts.examined.get("test") or facts.examined.get("val"),
        "test": facts.examined.get("test"),
        "style": resource("report.css"),
        "scripts": scripts,
        "policy": content_policy(scripts),
    }
    return environment().get_template("report.html.jinja").render(context)
