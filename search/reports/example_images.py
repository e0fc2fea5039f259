"""Example images of a report: training images, confident mistakes and correct predictions."""

from collections.abc import Iterator

import numpy as np

from analysis.report.facts import Picture, SplitEvaluation
from analysis.results.classification_metrics import evaluate
from search.data import PreparedSet
from search.trainer.predictions import N_MISTAKES, SplitPredictions

N_SAMPLES = 3
"""Sample images of each class."""
MAX_SAMPLED_CLASSES = 12


def sample_images(images: PreparedSet) -> Iterator[Picture]:
    """Return some training images of each class, deterministically."""
    labels, pixels = images.labels("train"), images.images("train")
    for label, name in enumerate(images.classes[:MAX_SAMPLED_CLASSES]):
        places = np.flatnonzero(labels == label)
        chosen = np.linspace(0, len(places) - 1, min(N_SAMPLES, len(places))).astype(int)
        for place in places[chosen]:
            yield Picture(np.array(pixels[place]), name)


def examine_predictions(predictions: SplitPredictions, images: PreparedSet) -> SplitEvaluation:
    """Evaluate predictions, with examples of confident mistakes and of correct predictions."""
    classes = images.classes
    heats = dict(zip(map(int, predictions.heat_images), predictions.heat, strict=True))
    predicted = predictions.probabilities.argmax(axis=1)
    confidence = predictions.probabilities.max(axis=1)

    def picture(place: int) -> Picture:
        return Picture(
            pixels=np.array(images.images(predictions.split)[place]),
            label=classes[int(predictions.labels[place])],
            answer=classes[int(predicted[place])],
            confidence=float(confidence[place]),
            heat=heats.get(place),
        )

    is_correct = predicted == predictions.labels
    by_confidence = np.argsort(-confidence, kind="stable")
    wrong = by_confidence[~is_correct[by_confidence]]
    return SplitEvaluation(
        split=predictions.split,
        evaluation=evaluate(
            predictions.labels,
            predictions.probabilities,
            classes,
            groups=images.groups(predictions.split),
        ),
        mistakes=tuple(picture(int(place)) for place in wrong[:N_MISTAKES]),
        right=tuple(picture(place) for place in heats if is_correct[place]),
    )
