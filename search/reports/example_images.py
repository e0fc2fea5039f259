"""Images of a report: some of the training images, and those that its network was sure about."""

from collections.abc import Iterator

import numpy as np

from analysis.report.facts import Examination, Picture
from analysis.results.classification_metrics import evaluate
from search.data import PreparedSet
from search.trainer.predictions import Answers

N_SAMPLES = 3
"""Sample images of each class."""
MAX_SAMPLED_CLASSES = 12
N_MISTAKES = 12


def sample(images: PreparedSet) -> Iterator[Picture]:
    """Gives some training images of each class, always the same."""
    labels, pixels = images.labels("train"), images.images("train")
    for label, name in enumerate(images.classes[:MAX_SAMPLED_CLASSES]):
        places = np.flatnonzero(labels == label)
        chosen = np.linspace(0, len(places) - 1, min(N_SAMPLES, len(places))).astype(int)
        for place in places[chosen]:
            yield Picture(np.array(pixels[place]), name)


def examine(answers: Answers, images: PreparedSet) -> Examination:
    """Scores a network's answers on a split, with its surest mistakes and some right answers."""
    classes = images.classes
    heats = dict(zip(map(int, answers.heat_images), answers.heat, strict=True))
    taken = answers.probabilities.argmax(axis=1)
    confidence = answers.probabilities.max(axis=1)

    def picture(place: int) -> Picture:
        return Picture(
            pixels=np.array(images.images(answers.split)[place]),
            label=classes[int(answers.labels[place])],
            answer=classes[int(taken[place])],
            confidence=float(confidence[place]),
            heat=heats.get(place),
        )

    is_right = taken == answers.labels
    by_confidence = np.argsort(-confidence, kind="stable")
    wrong = by_confidence[~is_right[by_confidence]]
    return Examination(
        split=answers.split,
        evaluation=evaluate(answers.labels, answers.probabilities, classes),
        mistakes=tuple(picture(int(place)) for place in wrong[:N_MISTAKES]),
        right=tuple(picture(place) for place in heats if is_right[place]),
    )
