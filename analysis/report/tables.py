"""Tables of a report as data frames, to show in a notebook or to process further.

Numbers are not formatted. Headings and names of scores are in the language `lang`: `en` or `ru`.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import pandas as pd

from analysis.confirmation.comparison import Standing
from analysis.errors import ReportError
from analysis.report.facts import Facts
from analysis.report.phrases import Phrases
from analysis.report.texts import NO_BREAK_SPACE, texts
from analysis.results.classification_metrics import CLASS_SCORES, OVERALL_SCORES, Evaluation
from analysis.results.confidence_intervals import Score
from analysis.results.families import FamilySummary
from analysis.results.ranking import RankedTrial
from spaces import DrawnLayer

DIGITS = 4
Item = TypeVar("Item")
Columns = Mapping[str, Callable[[Item], object]]
"""The values of a table's columns, by the key of their heading."""


def data_table(facts: Facts, *, lang: str = "en") -> pd.DataFrame:
    """Return the number of images by class (rows) and split (columns), with sums."""
    labels = texts(lang)
    name = Phrases(labels).name
    frame = pd.DataFrame(
        {name("split", split): dict(counts) for split, counts in facts.data.counts.items()},
        index=list(facts.data.classes),
    )
    frame = frame.fillna(0).astype(int)
    total = labels.say("word.total")
    frame[total] = frame.sum(axis=1)
    sums = pd.DataFrame([frame.sum()], index=[total])  # A class may have the same name.
    return pd.concat([frame, sums]).rename_axis(labels.say("data.class"))


def space_table(facts: Facts, *, lang: str = "en") -> pd.DataFrame:
    """Return the possible values of each parameter, in the order of the space."""
    words = Phrases(texts(lang))
    rows = [(name, words.domain(values)) for name, values in facts.search.space.items()]
    return _frame(("search.parameter", "search.values"), rows, lang)


def families_table(facts: Facts, *, lang: str = "en") -> pd.DataFrame:
    """Return the best trial of each family, its numbers of trials, and the seconds of all."""
    columns: Columns[FamilySummary] = {
        "result.family": lambda it: it.family,
        "result.trial": lambda it: it.trial,
        "result.val_accuracy": lambda it: it.val_accuracy,
        "result.parameters": lambda it: it.parameters,
        "result.trials": lambda it: it.n_trials,
        "search.state.complete": lambda it: it.n_complete,
        "search.state.pruned": lambda it: it.n_pruned,
        "axis.seconds": lambda it: round(it.seconds, 1),
    }
    return _tabulate(columns, facts.ranking.families, lang)


def ranking_table(facts: Facts, n: int = 10, *, lang: str = "en") -> pd.DataFrame:
    """Return the `n` best trials, or all ranked ones if there are fewer."""
    columns: Columns[RankedTrial] = {
        "result.rank": lambda it: it.rank,
        "result.trial": lambda it: it.trial,
        "result.family": lambda it: it.family,
        "result.val_accuracy": lambda it: it.val_accuracy,
        "result.balanced": lambda it: it.metrics.get("balanced_accuracy"),
        "result.auc": lambda it: it.metrics.get("macro_auc"),
        "curves.best": lambda it: it.best_epoch,
        "result.epochs": lambda it: it.epochs,
        "axis.seconds": lambda it: round(it.seconds, 1),
        "result.parameters": lambda it: it.parameters,
    }
    ranked = [it for it in facts.ranking.trials if it.rank is not None]
    return _tabulate(columns, ranked[: max(n, 0)], lang)


def winner_table(facts: Facts, *, lang: str = "en") -> pd.DataFrame:
    """Return the hyperparameters of the exported network."""
    rows = list(Phrases(texts(lang)).hyperparameters(facts).items())
    return _frame(("search.parameter", "test.value"), rows, lang)


def layers_table(facts: Facts, *, lang: str = "en") -> pd.DataFrame:
    """Return the layers of the exported network; shapes are without the batch."""
    words = Phrases(texts(lang))
    columns: Columns[DrawnLayer] = {
        "layers.name": lambda it: it.name,
        "layers.kind": lambda it: words.name("layer", it.kind),
        "layers.shape": lambda it: words.size(it.shape),
        "result.parameters": lambda it: it.parameters,
        "layers.inputs": lambda it: ", ".join(it.inputs),
    }
    return _tabulate(columns, facts.winner.layers, lang)


def confirmation_table(facts: Facts, *, lang: str = "en") -> pd.DataFrame:
    """Return the results of retraining the leading configs, the best mean first.

    The interval is that of the mean; without a confirmation there are no rows.
    """
    say, found = texts(lang).say, facts.confirmation

    def verdict(it: Standing) -> str:
        key = "behind" if it.is_separable else "equal"
        words = say(f"sure.{'leader' if found and it is found.leader else key}")
        is_recommended = found and it.trial == found.recommended.trial
        return f"{words}, {say('sure.recommended')}" if is_recommended else words

    columns: Columns[Standing] = {
        "result.trial": lambda it: it.trial,
        "result.parameters": lambda it: it.parameters,
        "sure.seeds": lambda it: it.n_seeds,
        "sure.mean": lambda it: it.mean,
        "sure.deviation": lambda it: it.deviation,
        "interval.low": lambda it: it.low,
        "interval.high": lambda it: it.high,
        "sure.chance": lambda it: None if it.chance is None else round(it.chance, 3),
        "sure.verdict": verdict,
    }
    return _tabulate(columns, found.standings if found else (), lang)


def scores_table(facts: Facts, split: str = "test", *, lang: str = "en") -> pd.DataFrame:
    """Return the scores of the exported network on `test` or `val`, with 95 % intervals.

    Raises:
        ReportError: If the network was not evaluated on that split.
    """
    evaluation, labels = _examined(facts, split), texts(lang)
    rows = [
        (labels.say(f"test.{name}"), *_score(getattr(evaluation, name))) for name in OVERALL_SCORES
    ]
    return _frame(("test.score", "test.value", "interval.low", "interval.high"), rows, lang)


def class_scores_table(facts: Facts, split: str = "test", *, lang: str = "en") -> pd.DataFrame:
    """Return sensitivity, specificity and ROC AUC of each class, each with its 95 % interval.

    Raises:
        ReportError: If the network was not evaluated on that split.
    """
    labels = texts(lang)
    ends = [_heading(key, lang) for key in ("test.value", "interval.low", "interval.high")]
    names = [(labels.say("test.images"), "")]
    for score in CLASS_SCORES:
        names += [(labels.say(f"test.{score}"), end) for end in ends]
    classes = _examined(facts, split).classes
    rows = [
        (it.n, *_score(it.sensitivity), *_score(it.specificity), *_score(it.auc)) for it in classes
    ]
    index = pd.Index([it.name for it in classes], name=labels.say("data.class"))
    return pd.DataFrame(rows, index, pd.MultiIndex.from_tuples(names)).round(DIGITS)


def _examined(facts: Facts, split: str) -> Evaluation:
    if split not in facts.examined:
        known = ", ".join(facts.examined) or "none"
        raise ReportError(f"Expected a split that was evaluated ({known}). Received: {split!r}.")
    return facts.examined[split].evaluation


def _score(score: Score) -> tuple[float, float, float]:
    """Return a score and the ends of its interval, NaN for a constant one."""
    if score.is_constant:
        return score.value, math.nan, math.nan
    return score.value, score.low, score.high


def _tabulate(columns: "Columns[Item]", items: Sequence[Item], lang: str) -> pd.DataFrame:
    rows = [[value_of(it) for value_of in columns.values()] for it in items]
    return _frame(tuple(columns), rows, lang)


def _frame(keys: Sequence[str], rows: Sequence[Sequence[object]], lang: str) -> pd.DataFrame:
    """Return rows under headings, with the first column as the index; integers stay integers."""
    labels: Mapping[str, Any] = {key: _heading(key, lang) for key in keys}
    frame = pd.DataFrame(rows, columns=list(labels.values())).convert_dtypes()
    return frame.set_index(labels[keys[0]]).round(DIGITS)


def _heading(key: str, lang: str) -> str:
    labels = texts(lang)
    heading = labels.say(key) if key in labels else texts(lang, "notebook").say(key)
    return heading.replace(NO_BREAK_SPACE, " ")  # Users type the names of columns.
