"""Quality of a network's predictions: scores with intervals, and curves.

Intervals are 95 % percentile intervals of one bootstrap over images, or over groups of dependent
ones (patients, slides); those of proportions that are 0 or 1 are exact.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.results.confidence_intervals import (
    N_RESAMPLES,
    Floats,
    Score,
    bootstrap_interval,
    count_units,
    draw_resamples,
    proportion_interval,
)

N_BINS = 10
"""Bins of the calibration curve, as in Guo et al."""
MAX_POINTS = 200
"""Maximum number of points of a curve; more look no better and make a report large."""

OVERALL_SCORES = ("accuracy", "balanced_accuracy", "macro_f1", "macro_auc")
"""Scores of all classes together."""
CLASS_SCORES = ("sensitivity", "specificity", "auc")
"""Scores of each class, in the order of `ClassScores`."""

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class ClassScores:
    """Scores of one class against all others."""

    name: str
    n: int
    sensitivity: Score
    specificity: Score
    auc: Score


@dataclass(frozen=True, slots=True)
class Curve:
    """Points of a curve, each coordinate from 0 to 1."""

    x: tuple[float, ...]
    y: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Bin:
    """Predictions of similar confidence: their number, mean confidence and accuracy."""

    n: int
    confidence: float
    accuracy: float


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Scores of a network's predictions.

    `confusion[i][j]` counts images of class `i` predicted as class `j`. `roc` and
    `precision_recall` have a curve of each class against all others. `calibration_error` is the
    expected one: the mean distance of confidence and accuracy over `calibration`, weighted by
    images. `n_groups` is None if images are independent.
    """

    n: int
    n_groups: int | None
    accuracy: Score
    balanced_accuracy: Score
    macro_f1: Score
    macro_auc: Score
    classes: tuple[ClassScores, ...]
    confusion: tuple[tuple[int, ...], ...]
    roc: Mapping[str, Curve]
    precision_recall: Mapping[str, Curve]
    calibration: tuple[Bin, ...]
    calibration_error: float

    def to_json(self) -> dict[str, Any]:
        """Return the evaluation as JSON values."""
        return asdict(self)


def evaluate(
    labels: Ints,
    probabilities: Floats,
    class_names: Sequence[str],
    *,
    groups: Sequence[object] | None = None,
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
) -> Evaluation:
    """Score predictions against the true classes.

    `labels` are positions in `class_names`, `probabilities` have a row per image that adds up to
    1, and `groups` has the group of each image, or is None if images are independent.

    Raises:
        ValueError: If shapes do not agree, or there is no image.

    Source: Efron and Tibshirani, "An Introduction to the Bootstrap", chapter 13; Guo et al., "On
        Calibration of Modern Neural Networks", https://arxiv.org/abs/1706.04599 (calibration).
    """
    from sklearn.metrics import confusion_matrix

    labels, probabilities = np.asarray(labels), np.asarray(probabilities, dtype=np.float64)
    n, n_classes = len(labels), len(class_names)
    if n == 0 or probabilities.shape != (n, n_classes):
        raise ValueError(
            f"Expected probabilities of shape ({n or 'at least 1'}, {n_classes}). "
            f"Received: {probabilities.shape}."
        )
    weights = draw_resamples(n, groups, n_resamples, seed)
    found = _measure(labels, probabilities, np.ones((1, n)))
    resampled = _measure(labels, probabilities, weights)
    predictions = probabilities.argmax(axis=1)
    bins = _calibrate(labels == predictions, probabilities.max(axis=1))

    def score(name: str) -> Score:
        return bootstrap_interval(found[name], resampled[name])

    def proportion(name: str, k: int, mask: NDArray[np.bool_]) -> Score:
        n_units = count_units(groups, mask)
        return proportion_interval(found[name][:, k], resampled[name][:, k], n_units)

    return Evaluation(
        n=n,
        n_groups=None if groups is None else len(set(groups)),
        accuracy=proportion_interval(
            found["accuracy"], resampled["accuracy"], count_units(groups, labels >= 0)
        ),
        balanced_accuracy=score("balanced_accuracy"),
        macro_f1=score("macro_f1"),
        macro_auc=score("macro_auc"),
        classes=tuple(
            ClassScores(
                name=name,
                n=int((labels == k).sum()),
                sensitivity=proportion("sensitivity", k, labels == k),
                specificity=proportion("specificity", k, labels != k),
                auc=bootstrap_interval(found["auc"][:, k], resampled["auc"][:, k]),
            )
            for k, name in enumerate(class_names)
        ),
        confusion=tuple(
            tuple(map(int, row))
            for row in confusion_matrix(labels, predictions, labels=range(n_classes))
        ),
        roc={name: _roc(labels == k, probabilities[:, k]) for k, name in enumerate(class_names)},
        precision_recall={
            name: _precision_recall(labels == k, probabilities[:, k])
            for k, name in enumerate(class_names)
        },
        calibration=bins,
        calibration_error=sum(it.n * abs(it.confidence - it.accuracy) for it in bins) / n,
    )


def _measure(labels: Ints, probabilities: Floats, weights: Floats) -> dict[str, Floats]:
    """Compute all scores of all resamples at once, each of shape `(r,)` or `(r, n_classes)`.

    A class without images in a resample has NaN, which is to be left out.
    """
    n_classes = probabilities.shape[1]
    predictions = probabilities.argmax(axis=1)
    is_class = (labels[:, None] == np.arange(n_classes)).astype(np.float64)
    is_predicted = (predictions[:, None] == np.arange(n_classes)).astype(np.float64)
    total = weights.sum(axis=1, keepdims=True)
    n_of_class, n_predicted = weights @ is_class, weights @ is_predicted
    hits = weights @ (is_class * is_predicted)
    with np.errstate(divide="ignore", invalid="ignore"):
        sensitivity = hits / n_of_class
        specificity = 1 - (n_predicted - hits) / (total - n_of_class)
        f1 = 2 * hits / (n_of_class + n_predicted)
    auc = np.stack(
        [_auc(is_class[:, k], probabilities[:, k], weights) for k in range(n_classes)], axis=1
    )
    return {
        "accuracy": hits.sum(axis=1) / total[:, 0],
        "balanced_accuracy": _mean(sensitivity),
        "macro_f1": _mean(f1),
        "macro_auc": _mean(auc),
        "sensitivity": sensitivity,
        "specificity": specificity,
        "auc": auc,
    }


def _auc(is_class: Floats, scores: Floats, weights: Floats) -> Floats:
    """Return the probability that an image of the class scores higher; ties count half."""
    order = np.argsort(scores, kind="stable")
    weights, is_class, scores = weights[:, order], is_class[order], scores[order]
    positive, negative = weights * is_class, weights * (1 - is_class)
    below = np.cumsum(negative, axis=1)
    first = np.searchsorted(scores, scores, side="left")
    last = np.searchsorted(scores, scores, side="right") - 1
    padded = np.concatenate([np.zeros((len(weights), 1)), below], axis=1)
    ranks = (padded[:, first] + below[:, last]) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        area: Floats = (positive * ranks).sum(axis=1) / (positive.sum(axis=1) * below[:, -1])
    return area


def _mean(values: Floats) -> Floats:
    """Return the mean over classes, ignoring NaN."""
    is_known = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        mean: Floats = np.where(is_known, values, 0).sum(axis=1) / is_known.sum(axis=1)
    return mean


def _roc(is_class: NDArray[np.bool_], scores: Floats) -> Curve:
    from sklearn.metrics import roc_curve

    if is_class.all() or not is_class.any():
        return Curve((), ())
    false_positives, true_positives, _ = roc_curve(is_class, scores)
    return _downsample(false_positives, true_positives)


def _precision_recall(is_class: NDArray[np.bool_], scores: Floats) -> Curve:
    from sklearn.metrics import precision_recall_curve

    if not is_class.any():
        return Curve((), ())
    precision, recall, _ = precision_recall_curve(is_class, scores)
    return _downsample(recall[::-1], precision[::-1])


def _downsample(x: Floats, y: Floats) -> Curve:
    """Return a curve of at most `MAX_POINTS` points, with both ends."""
    indices = np.unique(np.linspace(0, len(x) - 1, min(len(x), MAX_POINTS)).round().astype(int))
    return Curve(tuple(map(float, x[indices])), tuple(map(float, y[indices])))


def _calibrate(is_right: NDArray[np.bool_], confidence: Floats) -> tuple[Bin, ...]:
    """Return the non-empty bins of equal width."""
    bin_of = np.minimum((confidence * N_BINS).astype(int), N_BINS - 1)
    found = []
    for bin_index in range(N_BINS):
        is_here = bin_of == bin_index
        if is_here.any():
            n = int(is_here.sum())
            mean = float(confidence[is_here].mean())
            found.append(Bin(n, mean, float(is_right[is_here].mean())))
    return tuple(found)
