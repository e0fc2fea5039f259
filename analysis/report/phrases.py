"""Phrases of the page in its language: values, intervals, cautions."""

import re
from collections.abc import Container, Iterable, Mapping
from typing import Any

from markupsafe import Markup, escape

from analysis.report.facts import Caution, Facts
from analysis.report.texts import Texts
from analysis.results.confidence_intervals import Score

RATE_DIGITS, SCORE_DIGITS = 4, 3
BOOLEANS = {"true": True, "false": False}
FRACTION = re.compile(r"(?<![\w.])\d+(?:\.\d+(?:e[-+]\d+)?|e[-+]\d+)(?![\w.])")
STEP = re.compile(r" by (\d+)$")


class Phrases:
    """Formats numbers, values and cautions in one language."""

    def __init__(self, texts: Texts) -> None:
        self._texts = texts

    def name(self, prefix: str, key: str) -> str:
        """Return the word for a key, or the key itself if there is none."""
        full = f"{prefix}.{key}"
        return self._texts.say(full) if full in self._texts else key

    def names(self, prefix: str, keys: Iterable[str]) -> list[str]:
        """Return the words for several keys."""
        return [self.name(prefix, key) for key in keys]

    def value(self, value: Any) -> str:
        """Return the value of a parameter or a setting."""
        return self._texts.value(value)

    def domain(self, values: str) -> str:
        """Return the description of a parameter's possible values in the language."""
        parts = [self._texts.value(BOOLEANS.get(it, it)) for it in values.split(", ")]
        parts = [FRACTION.sub(lambda it: self._texts.number(float(it[0])), it) for it in parts]
        parts = [STEP.sub(lambda it: self._texts.say("search.step", n=it[1]), it) for it in parts]
        return ("; " if any("," in it for it in parts) else ", ").join(parts)

    def accuracy(self, value: float | None) -> str:
        """Return a validation accuracy with four decimals, as in the ranking."""
        return self._texts.number(value, RATE_DIGITS)

    def score(self, value: float | None) -> str:
        """Return a score with three decimals."""
        return self._texts.number(value, SCORE_DIGITS)

    def interval(self, low: float | None, high: float | None) -> str:
        """Return an interval of scores, or a dash."""
        if low is None or high is None:
            return "–"
        return f"{self.score(low)}–{self.score(high)}"

    def score_interval(self, score: Score) -> str:
        """Return the interval of a score, or a reference to the footnote."""
        return "– *" if score.is_constant else self.interval(score.low, score.high)

    def no_interval(self, accuracy: Score, scores: Iterable[Score]) -> str:
        """Return why some scores have no interval; an empty text if all have one."""
        if not any(it.is_constant for it in scores):
            return ""
        return self._texts.say("test.all_right" if accuracy.value == 1 else "test.no_interval")

    def code_to_html(self, text: str) -> Markup:
        """Return a text as HTML, with text between backticks as code."""
        return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))

    def caution(self, caution: Caution) -> str:
        """Return the sentence of a caution, or its kind if there is none."""
        return self._sentence_with("caution", caution)

    def _sentence_with(self, prefix: str, caution: Caution) -> str:
        key = f"{prefix}.{caution.kind}"
        if key not in self._texts:
            return caution.kind
        return self._texts.say(
            key, **{name: _format_value(it) for name, it in caution.values.items()}
        )

    def reminders(
        self, cautions: Iterable[Caution], kinds: Container[str]
    ) -> list[tuple[int, str]]:
        """Return short forms of the cautions of some kinds, with their number among all."""
        return [
            (place, self._sentence_with("mind", it))
            for place, it in enumerate(cautions, start=1)
            if it.kind in kinds
        ]

    def to_minute(self, at: str) -> str:
        """Return an ISO 8601 time to the minute."""
        return to_minute(at)

    def hyperparameters(self, facts: Facts) -> Mapping[str, str]:
        """Return the winner's parameters in the order of the space, then any others."""
        params = facts.winner.trial.params
        order = [it for it in facts.search.space if it in params]
        order += [it for it in params if it not in facts.search.space]
        return {name: self.value(params[name]) for name in order}

    def budget(self, facts: Facts) -> str:
        """Return the budget of the search."""
        search = facts.search
        parts = []
        if search.n_trials is not None:
            parts.append(self._texts.count("count.trials", search.n_trials))
        if search.timeout_s is not None:
            parts.append(self._texts.duration(search.timeout_s))
        return ", ".join(parts) or "–"

    def size(self, shape: tuple[int, ...]) -> str:
        """Return a shape as `64 × 64 × 1`."""
        return " × ".join(map(str, shape))


def _format_value(value: object) -> object:
    """Return a caution's value for a sentence: times to the minute."""
    is_time = isinstance(value, str) and len(value) > 16 and value[10:11] == "T"
    return to_minute(str(value)) if is_time else value


def to_minute(at: str) -> str:
    """Return an ISO 8601 time to the minute."""
    return at[:16].replace("T", " ")
