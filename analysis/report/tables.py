"""The tables of a report as data frames, to look at in a notebook and to go on from.

Numbers are plain ones; headings and the names of scores are in the language asked for.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from analysis.errors import ReportError
from analysis.report.facts import Facts
from analysis.report.phrases import Phrases
from analysis.report.texts import NO_BREAK_SPACE, Texts, texts
from analysis.results.classification_metrics import CLASS_SCORES, OVERALL_SCORES, Evaluation, Score

DIGITS = 4


def data_table(facts: Facts, *, lang: str = "en") -> pd.DataFrame:
    """Return the number of images by class (rows) and split (columns), with sums.

    Args:
        facts: Of the study.
        lang: The language of the headings: `en` or `ru`.
    """
    labels = texts(lang)
    names = {split: _label(labels, "split", split) for split in facts.data.counts}
    frame = pd.DataFrame(
        {names[split]: dict(counts) for split, counts in facts.data.counts.items()},
        index=list(facts.data.classes),
    )
    frame = frame.fillna(0).astype(int)
    total = labels.say("word.total")
    frame[total] = frame.sum(axis=1)
    sums = pd.DataFrame([frame.sum()], index=[total])  # A class may be called so too.
    return pd.concat([frame, sums]).rename_axis(labels.say("data.class"))


def space_table(facts: Facts, *, lang: str = "en") -> pd.DataFrame:
    """Return the values that each parameter could take, in the order of the space."""
    words = Phrases(texts(lang))
    rows = [(name, words.domain(values)) for name, values in facts.search.space.items()]
    return _frame(("search.parameter", "search.values"), rows, lang)


def families_table(facts: Facts, *, lang: str = "en") -> pd.DataFrame:
    """Return the best trial of each family, and the seconds that all its trials took."""
    rows = [
        (
            it.family,
            it.trial,
            it.val_accuracy,
            it.parameters,
            it.n_trials,
            it.n_complete,
            it.n_pruned,
            round(it.seconds, 1),
        )
        for it in facts.ranking.families
    ]
    keys = (
        "result.family",
        "result.trial",
        "result.val_accuracy",
        "result.parameters",
        "result.trials",
        "search.state.complete",
        "search.state.pruned",
        "axis.seconds",
    )
    return _frame(keys, rows, lang)


def ranking_table(facts: Facts, n: int = 10, *, lang: str = "en") -> pd.DataFrame:
    """Return the `n` best trials.

    Args:
        facts: Of the study.
        n: How many; all that have a place, if there are fewer.
        lang: The language of the headings: `en` or `ru`.
    """
    rows = [
        (
            it.rank,
            it.trial,
            it.family,
            it.val_accuracy,
            it.metrics.get("balanced_accuracy"),
            it.metrics.get("macro_auc"),
            it.best_epoch,
            it.epochs,
            round(it.seconds, 1),
            it.parameters,
        )
        for it in [it for it in facts.ranking.trials if it.rank is not None][: max(n, 0)]
    ]
    keys = (
        "result.rank",
        "result.trial",
        "result.family",
        "result.val_accuracy",
        "result.balanced",
        "result.auc",
        "curves.best",
        "result.epochs",
        "axis.seconds",
        "result.parameters",
    )
    return _frame(keys, rows, lang)


def winner_table(facts: Facts, *, lang: str = "en") -> pd.DataFrame:
    """Return the hyperparameters of the exported network."""
    rows = list(Phrases(texts(lang)).hyperparameters(facts).items())
    return _frame(("search.parameter", "test.value"), rows, lang)


def layers_table(facts: Facts, *, lang: str = "en") -> pd.DataFrame:
    """Return the layers of the exported network; shapes are without the batch."""
    words = Phrases(texts(lang))
    rows = [
        (
            it.name,
            words.name("layer", it.kind),
            " × ".join(map(str, it.shape)),
            it.parameters,
            ", ".join(it.inputs),
        )
        for it in facts.winner.layers
    ]
    names = [texts(lang, "notebook").say(f"layers.{name}") for name in ("name", "kind", "shape")]
    names += [texts(lang).say("result.parameters"), texts(lang, "notebook").say("layers.inputs")]
    return pd.DataFrame(rows, columns=names).set_index(names[0])


def confirmation_table(facts: Facts, *, lang: str = "en") -> pd.DataFrame:
    """Return what several trainings of the leading configs said, the best mean first.

    `low` to `high` is the 95 % interval of the mean; without a confirmation there is no row.
    """
    labels, found = texts(lang), facts.confirmation
    rows = []
    for it in () if found is None else found.standings:
        verdict = "behind" if it.is_separable else "equal"
        if found is not None and it is found.leader:
            verdict = "leader"
        words = labels.say(f"sure.{verdict}")
        if found is not None and it.trial == found.recommended.trial:
            words = f"{words}, {labels.say('sure.recommended')}"
        chance = None if it.chance is None else round(it.chance, 3)
        numbers = (it.n_seeds, it.mean, it.deviation, it.low, it.high, chance)
        rows.append((it.trial, it.parameters, *numbers, words))
    keys = (
        "result.trial",
        "result.parameters",
        "sure.seeds",
        "sure.mean",
        "sure.deviation",
        "interval.low",
        "interval.high",
        "sure.chance",
        "sure.verdict",
    )
    return _frame(keys, rows, lang)


def scores_table(facts: Facts, split: str = "test", *, lang: str = "en") -> pd.DataFrame:
    """Return the scores of the exported network on a split, with 95 % intervals.

    Args:
        facts: Of the study.
        split: `val`, or `test` once it was opened.
        lang: The language of the headings: `en` or `ru`.

    Raises:
        ReportError: If the network was not examined on that split.
    """
    evaluation, labels = _examined(facts, split), texts(lang)
    rows = [
        (labels.say(f"test.{name}"), *_score(getattr(evaluation, name))) for name in OVERALL_SCORES
    ]
    keys = ("test.score", "test.value", "interval.low", "interval.high")
    return _frame(keys, rows, lang)


def class_scores_table(facts: Facts, split: str = "test", *, lang: str = "en") -> pd.DataFrame:
    """Return sensitivity, specificity and ROC AUC of each class, each with its 95 % interval.

    Args:
        facts: Of the study.
        split: `val`, or `test` once it was opened.
        lang: The language of the headings: `en` or `ru`.

    Raises:
        ReportError: If the network was not examined on that split.
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
        raise ReportError(f"Expected a split that was examined ({known}). Received: {split!r}.")
    return facts.examined[split].evaluation


def _score(score: Score) -> tuple[float, float, float]:
    """Return a score and the ends of its interval, which a constant one has not."""
    if score.is_constant:
        return score.value, math.nan, math.nan
    return score.value, score.low, score.high


def _frame(keys: Sequence[str], rows: Sequence[Sequence[object]], lang: str) -> pd.DataFrame:
    """Return rows under headings, the first column as the index; whole numbers stay whole."""
    labels: Mapping[str, Any] = {key: _heading(key, lang) for key in keys}
    frame = pd.DataFrame(rows, columns=list(labels.values())).convert_dtypes()
    return frame.set_index(labels[keys[0]]).round(DIGITS)


def _heading(key: str, lang: str) -> str:
    labels = texts(lang)
    heading = labels.say(key) if key in labels else texts(lang, "notebook").say(key)
    return heading.replace(NO_BREAK_SPACE, " ")  # Columns are asked for by what a keyboard has.


def _label(labels: Texts, group: str, name: str) -> str:
    key = f"{group}.{name}"
    return labels.say(key) if key in labels else name
