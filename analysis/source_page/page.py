"""The page of a source, a single file that opens without a network."""

from typing import Any

from markupsafe import Markup

from analysis.report.html_page import content_policy, environment, page_scripts, resource
from analysis.report.image_uris import picture_uri
from analysis.report.page_figures import DrawnFigures
from analysis.report.phrases import Phrases
from analysis.report.texts import texts
from analysis.source_page import figures
from analysis.source_page.facts import SourceFacts
from spaces.wording import plural

PACKAGE = "analysis.source_page"
SPLITS = {"train": "training", "val": "validation", "test": "test", "": "not used"}


def render_source_page(facts: SourceFacts) -> str:
    """Return the page of a source of images."""
    words = texts("en")
    scripts = page_scripts()
    context: dict[str, Any] = {
        "facts": facts,
        "lang": words.lang,
        "say": words.say,
        "number": words.number,
        "plural": plural,
        "code_to_html": Phrases(words).code_to_html,
        "split_words": SPLITS,
        "count_heads": [
            *("found" if it == "all" else f"found, {SPLITS[it]}" for it in facts.found),
            *(f"used, {SPLITS[it]}" for it in facts.used),
        ],
        "only_some": _only_some(len(facts.classes)),
        "figures": SourceFigures(facts),
        "picture_uri": picture_uri,
        "style": resource("report.css") + resource("source.css", PACKAGE),
        "scripts": scripts,
        "policy": content_policy(scripts),
    }
    return environment(PACKAGE).get_template("source.html.jinja").render(context)


class SourceFigures(DrawnFigures):
    """Draws the figures that the template requests."""

    def __init__(self, facts: SourceFacts) -> None:
        super().__init__()
        self._facts = facts

    def draw(self, name: str, about: str) -> Markup:
        """Return the placeholder of a figure, with its title and the caption `about`."""
        plots = {
            "sizes": figures.plot_sizes,
            "intensities": figures.plot_intensities,
            "groups": figures.plot_groups,
        }
        return self.place(name, plots[name](self._facts), about)


def _only_some(n_classes: int) -> str:
    n_shown = figures.MAX_CLASSES
    return (
        f" The first {n_shown} of {n_classes:,} classes are shown." if n_classes > n_shown else ""
    )
