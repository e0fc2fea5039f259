"""Sentences and cells that a page's template asks for, in its language."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from markupsafe import Markup, escape

from analysis.evaluation import Score
from analysis.report.facts import Caution, Facts
from analysis.report.texts import Texts

RATE_DIGITS, SCORE_DIGITS = 4, 3


class Phrases:
    """What numbers, values and cautions read like in one language."""

    def __init__(self, texts: Texts) -> None:
        self._texts = texts

    def name(self, prefix: str, key: str) -> str:
        """Gives the word for something that has one, or its own name."""
        full = f"{prefix}.{key}"
        return self._texts.say(full) if full in self._texts else key

    def names(self, prefix: str, keys: Iterable[str]) -> list[str]:
        """Gives the words for several things."""
        return [self.name(prefix, key) for key in keys]

    def value(self, value: Any) -> str:
        """Gives a parameter's or a setting's value as it was drawn."""
        if isinstance(value, bool):
            return self._texts.say("word.yes" if value else "word.no")
        if isinstance(value, float):
            return self._texts.number(value)
        return "–" if value is None else str(value)

    def accuracy(self, value: float | None) -> str:
        """Gives a validation accuracy with four digits, as the ranking does."""
        return self._texts.number(value, RATE_DIGITS)

    def score(self, value: float | None) -> str:
        """Gives a score with three digits."""
        return self._texts.number(value, SCORE_DIGITS)

    def interval(self, low: float | None, high: float | None) -> str:
        """Gives an interval of scores; a dash for none."""
        if low is None or high is None:
            return "–"
        return f"{self.score(low)}–{self.score(high)}"

    def scored(self, score: Score) -> str:
        """Gives a score with its interval in brackets."""
        return f"{self.score(score.value)} ({self.interval(score.low, score.high)})"

    def coded(self, text: str) -> Markup:
        """Gives a text as HTML, with what stands between backticks as code."""
        return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))

    def caution(self, caution: Caution) -> str:
        """Gives the sentence of a caution; its kind where it has none."""
        key = f"caution.{caution.kind}"
        if key not in self._texts:
            return caution.kind
        return self._texts.say(key, **{name: _read(it) for name, it in caution.values.items()})

    def cautions(self, cautions: Iterable[Caution], kinds: Iterable[str]) -> list[str]:
        """Gives the sentences of the cautions of some kinds."""
        wanted = set(kinds)
        return [self.caution(it) for it in cautions if it.kind in wanted]

    def moment(self, at: str) -> str:
        """Gives an ISO 8601 time to the minute."""
        return at[:16].replace("T", " ")

    def hyperparameters(self, facts: Facts) -> Mapping[str, str]:
        """Gives the winner's parameters in the order of the space, then any others."""
        params = facts.winner.trial.params
        order = [it for it in facts.search.space if it in params]
        order += [it for it in params if it not in facts.search.space]
        return {name: self.value(params[name]) for name in order}

    def budget(self, facts: Facts) -> str:
        """Gives what the search might spend."""
        search = facts.search
        parts = []
        if search.n_trials is not None:
            parts.append(self._texts.count("count.trials", search.n_trials))
        if search.timeout_s is not None:
            parts.append(self._texts.duration(search.timeout_s))
        return ", ".join(parts) or "–"

    def size(self, shape: tuple[int, ...]) -> str:
        """Gives a shape as `64 × 64 × 1`."""
        return " × ".join(map(str, shape))


def _read(value: object) -> object:
    """Gives a caution's value as a sentence has it: moments to the minute."""
    if isinstance(value, str) and len(value) > 16 and value[10:11] == "T":
        return value[:16].replace("T", " ")
    return value
