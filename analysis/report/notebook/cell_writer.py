"""Cells of a notebook: their texts in one language, with names escaped for Markdown."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from html import escape
from typing import Literal

from analysis.report.facts import Caution, Facts
from analysis.report.phrases import Phrases
from analysis.report.texts import texts
from analysis.results.confidence_intervals import Score

MARKDOWN_SPECIAL = re.compile(r"([\\`*_\[\]{}$~#|!])")
"""Characters with a meaning in Markdown or in mathematics within it."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of a notebook, as text."""

    kind: Literal["markdown", "code"]
    source: str


class CellWriter:
    """Collects cells about the facts of a study in one language."""

    def __init__(self, facts: Facts, lang: str) -> None:
        self.facts, self.lang = facts, lang
        self.page, self._own = texts(lang), texts(lang, "notebook")
        self.phrases = Phrases(self.page)
        self.cells: list[Cell] = []

    @property
    def winner(self) -> dict[str, str]:
        """The winner's trial and family, as values for texts."""
        trial = self.facts.winner.trial
        return {"trial": str(trial.trial), "family": escape_markdown(trial.family)}

    @property
    def val(self) -> str:
        """The winner's validation accuracy, formatted."""
        return self.phrases.accuracy(self.facts.winner.val_accuracy)

    def add_text(self, *paragraphs: str) -> None:
        """Add a cell of text without the empty paragraphs."""
        if any(paragraphs):
            self.cells.append(Cell("markdown", "\n\n".join(filter(None, paragraphs))))

    def add_code(self, *lines: str) -> None:
        """Add a cell of code."""
        self.cells.append(Cell("code", "\n".join(lines)))

    def add_call(self, function: str, *arguments: str) -> None:
        """Add a cell that calls a function of `analysis`, by default with the facts."""
        given = list(arguments or ("facts",))
        if self.lang != "en":
            given.append(f"lang={python_literal(self.lang)}")
        self.add_code(f"analysis.{function}({', '.join(given)})")

    def say(self, key: str, **values: object) -> str:
        """Return a text of the notebook, or else of the page."""
        return (self._own if key in self._own else self.page).say(key, **values)

    def count(self, key: str, n: int, **values: object) -> str:
        """Return a text about `n` things."""
        return (self._own if key in self._own else self.page).count(key, n, **values)

    def caution(self, caution: Caution) -> str:
        """Return the sentence of a caution, with escaped names."""
        values = {
            name: escape_markdown(it) if isinstance(it, str) else it
            for name, it in caution.values.items()
        }
        return self.phrases.caution(replace(caution, values=values))

    def on_test(self, known: str, unknown: str) -> str:
        """Return the text `known` about the test accuracy, or `unknown` if there is none."""
        test = self.facts.examined.get("test")
        if test is None:
            return self.say(unknown)
        return self.say(
            known,
            val=self.val,
            test=self.phrases.score(test.evaluation.accuracy.value),
            images=self.count("count.images", test.evaluation.n),
            **self.interval_values(test.evaluation.accuracy),
        )

    def interval_values(self, score: Score) -> dict[str, str]:
        """Return the ends of a score's interval, formatted."""
        return {"low": self.phrases.score(score.low), "high": self.phrases.score(score.high)}


def escape_markdown(text: object) -> str:
    """Return a name escaped for Markdown, on one line."""
    return escape(MARKDOWN_SPECIAL.sub(r"\\\1", " ".join(str(text).split())), quote=False)


def bullet_list(items: Iterable[str]) -> str:
    """Return a list in Markdown; an empty text without items."""
    return "\n".join(f"- {item}" for item in items)


def code_block(text: str) -> str:
    """Return a block of code in Markdown, with a fence that the text does not contain."""
    longest = max(map(len, re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}shell\n{text}\n{fence}"


def python_literal(text: str) -> str:
    """Return a text as a literal of Python, in double quotes if that needs no escape."""
    literal = repr(text)
    return literal if '"' in text or "'" in text else f'"{literal[1:-1]}"'
