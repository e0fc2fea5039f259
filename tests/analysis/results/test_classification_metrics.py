"""Classification metrics against scikit-learn and hand counts, and coverage of intervals."""

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    f1_score,
    recall_score,
    roc_auc_score,
)

from analysis.results.classification_metrics import Evaluation, evaluate

NAMES = ("csf", "grey", "white")


def predictions(
    n: int, seed: int, *, accuracy: float = 0.8
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return predictions of which a known share is right on average."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, n)
    is_right = rng.random(n) < accuracy
    said = np.where(is_right, labels, (labels + rng.integers(1, 3, n)) % 3)
    probabilities = rng.dirichlet(np.ones(3), n)
    probabilities[np.arange(n), said] += 1.0
    return labels, probabilities / probabilities.sum(axis=1, keepdims=True)


def test_scores_are_those_of_scikit_learn() -> None:
    labels, probabilities = predictions(300, 0)
    probabilities = probabilities.round(1)  # ties
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    found = evaluate(labels, probabilities, NAMES, n_resamples=50)
    said = probabilities.argmax(axis=1)
    assert found.accuracy.value == pytest.approx(accuracy_score(labels, said))
    assert found.balanced_accuracy.value == pytest.approx(balanced_accuracy_score(labels, said))
    assert found.macro_f1.value == pytest.approx(f1_score(labels, said, average="macro"))
    assert found.macro_auc.value == pytest.approx(
        roc_auc_score(labels, probabilities, multi_class="ovr", average="macro")
    )
    recalls = recall_score(labels, said, average=None)
    assert [it.sensitivity.value for it in found.classes] == pytest.approx(list(recalls))
    for k, scores in enumerate(found.classes):
        is_other = labels != k
        assert scores.specificity.value == pytest.approx((said[is_other] != k).mean())
        assert scores.n == (labels == k).sum()
    assert np.array(found.confusion).sum() == 300
    assert np.trace(np.array(found.confusion)) == (labels == said).sum()


def test_perfect_predictions_have_an_interval() -> None:
    labels = np.arange(30) % 3
    found = evaluate(labels, np.eye(3)[labels], NAMES)
    assert found.accuracy.value == found.accuracy.high == 1.0
    assert found.accuracy.low == pytest.approx(0.025 ** (1 / 30))
    assert found.macro_auc.value == 1.0
    assert found.calibration_error == 0.0
    assert evaluate(labels, np.eye(3)[(labels + 1) % 3], NAMES).accuracy.high == pytest.approx(
        1 - 0.025 ** (1 / 30)
    )


def test_calibration_error_is_the_one_worked_by_hand() -> None:
    labels = np.array([0, 0, 1, 1])
    probabilities = np.array([[0.95, 0.05], [0.95, 0.05], [0.75, 0.25], [0.25, 0.75]])
    found = evaluate(labels, probabilities, ("a", "b"), n_resamples=10)
    assert [(it.n, it.confidence, it.accuracy) for it in found.calibration] == [
        (2, pytest.approx(0.75), 0.5),
        (2, pytest.approx(0.95), 1.0),
    ]
    assert found.calibration_error == pytest.approx((2 * 0.25 + 2 * 0.05) / 4)


def test_class_without_images_does_not_affect_means() -> None:
    labels = np.array([0, 1] * 10)
    probabilities = np.tile([[0.6, 0.3, 0.1], [0.3, 0.6, 0.1]], (10, 1))
    found = evaluate(labels, probabilities, NAMES, n_resamples=50)
    assert found.balanced_accuracy.value == 1.0
    assert found.roc["white"].x == ()
    assert np.isnan(found.classes[2].sensitivity.value)


@pytest.mark.parametrize("shape", [(5, 2), (4, 3)])
def test_other_shapes_are_refused(shape: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match=r"Expected probabilities of shape \(5, 3\)"):
        evaluate(np.zeros(5, int), np.zeros(shape), NAMES)


def covered(found: Evaluation, truth: float) -> bool:
    return found.accuracy.low <= truth <= found.accuracy.high


@pytest.mark.slow
def test_intervals_have_their_nominal_coverage() -> None:
    truth = 0.85
    hits = [
        covered(evaluate(*predictions(300, seed, accuracy=truth), NAMES, n_resamples=400), truth)
        for seed in range(200)
    ]
    assert 0.92 <= np.mean(hits) <= 0.98


@pytest.mark.slow
def test_intervals_over_groups_cover_where_those_over_images_do_not() -> None:
    """Ten slices of a patient that are all right or all wrong count as one observation."""
    truth, n_groups, size = 0.8, 60, 10
    by_group, by_image = [], []
    for seed in range(200):
        labels, probabilities = predictions(n_groups, seed, accuracy=truth)
        labels, probabilities = np.repeat(labels, size), np.repeat(probabilities, size, axis=0)
        groups = [f"patient {i // size}" for i in range(n_groups * size)]
        grouped = evaluate(labels, probabilities, NAMES, groups=groups, n_resamples=400)
        by_group.append(covered(grouped, truth))
        by_image.append(covered(evaluate(labels, probabilities, NAMES, n_resamples=100), truth))
        assert grouped.n_groups == n_groups
    assert 0.92 <= np.mean(by_group) <= 0.98
    assert np.mean(by_image) < 0.6


def test_same_seed_gives_the_same_intervals() -> None:
    first, second = (evaluate(*predictions(100, 1), NAMES, seed=3) for _ in range(2))
    assert first == second
    assert first != evaluate(*predictions(100, 1), NAMES, seed=4)


def test_json_contains_only_numbers() -> None:
    document = evaluate(*predictions(50, 1), NAMES, n_resamples=20).to_json()
    assert set(document["accuracy"]) == {"value", "low", "high"}
    assert document["roc"]["grey"]["x"][0] == 0.0


def test_class_with_perfect_recall_has_an_interval() -> None:
    labels = np.array([0] * 4 + [1] * 20)
    probabilities = np.eye(2)[labels]
    found = evaluate(labels, probabilities, ["few", "many"])
    few, many = found.classes
    assert few.sensitivity.value == few.specificity.value == 1.0
    assert few.sensitivity.low == pytest.approx(0.025 ** (1 / 4))
    assert few.specificity.low == many.sensitivity.low == pytest.approx(0.025 ** (1 / 20))
    wrong = evaluate(labels, 1 - probabilities, ["few", "many"])
    assert wrong.classes[0].sensitivity.high == pytest.approx(1 - 0.025 ** (1 / 4))
    grouped = evaluate(labels, probabilities, ["few", "many"], groups=[0, 0, 1, 1, *range(20)])
    assert grouped.classes[0].sensitivity.low == pytest.approx(0.025 ** (1 / 2))
