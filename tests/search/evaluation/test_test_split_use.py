"""Scoring: a split is predicted once, and each use of the test split is recorded."""

from collections.abc import Callable
from typing import Any, cast

import numpy as np
import pytest

from search.data import PreparedSet
from search.errors import WeightsNotFoundError
from search.evaluation.model_selection import Winner
from search.evaluation.test_split_use import WinnerPredictor, load_test_uses
from search.evaluation.trained_network import Evaluator
from search.studies.open_study import OpenStudy
from search.trainer.predictions import SplitPredictions
from storage import delete_study, save_predictions

MakeStudy = Callable[..., OpenStudy]


class Network:
    """A trial's network that guesses or fails, and counts its predictions."""

    def __init__(
        self, opened: OpenStudy, *, fails: bool = False, lacks_weights: bool = False
    ) -> None:
        self.opened, self.fails, self.n_asked = opened, fails, 0
        self.lacks_weights = lacks_weights

    @property
    def data(self) -> PreparedSet:
        return self.opened.data_of("plain")

    def prepare(self) -> None:
        if self.lacks_weights:
            raise WeightsNotFoundError("gone")

    def predict(self, split: str) -> SplitPredictions:
        self.n_asked += 1
        if self.fails:
            raise KeyboardInterrupt
        labels = np.asarray(self.data.labels(split))
        probabilities = np.full((len(labels), self.data.n_classes), 1 / self.data.n_classes)
        empty = np.zeros((0, 16, 16), np.uint8)
        return SplitPredictions(split, labels, probabilities, np.zeros(0, np.int64), empty)


def ask(opened: OpenStudy, split: str, network: Network, trial: int = 0) -> SplitPredictions:
    winner = Winner(trial, opened.name, trial, 0.5)
    predictor = WinnerPredictor(opened.store, winner, "convsearch report")
    return predictor.predictions(split, cast("Evaluator", network))


def uses(opened: OpenStudy) -> list[tuple[str, str, int]]:
    return [(use.by, use.study, use.trial) for use in load_test_uses(opened)]


def test_split_is_predicted_once_and_then_read(opened: OpenStudy) -> None:
    network = Network(opened)
    first = [ask(opened, split, network) for split in ("val", "test")]
    again = [ask(opened, split, network) for split in ("val", "test")]
    assert network.n_asked == 2
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one.probabilities, other.probabilities)
    assert uses(opened) == [("convsearch report", "small", 0)]


def test_use_of_the_test_split_is_recorded_even_if_interrupted(opened: OpenStudy) -> None:
    with pytest.raises(KeyboardInterrupt):
        ask(opened, "val", Network(opened, fails=True))
    assert uses(opened) == []
    with pytest.raises(KeyboardInterrupt):
        ask(opened, "test", Network(opened, fails=True))
    assert uses(opened) == [("convsearch report", "small", 0)]


def test_network_without_weights_does_not_use_the_test_split(opened: OpenStudy) -> None:
    with pytest.raises(WeightsNotFoundError):
        ask(opened, "test", Network(opened, lacks_weights=True))
    assert uses(opened) == []


def test_use_of_the_same_images_by_a_deleted_study_is_known(
    opened: OpenStudy, make_study: MakeStudy
) -> None:
    ask(opened, "test", Network(opened), trial=2)
    other = make_study(study={"name": "other"})
    delete_study(opened.store, "small")
    assert uses(other) == [("convsearch report", "small", 2)]
    assert [use.is_of_deleted for use in load_test_uses(other)] == [True]
    anew = make_study()
    ask(anew, "test", Network(anew), trial=2)
    assert [use.is_of_deleted for use in load_test_uses(anew)] == [True, False]
    different = make_study(study={"name": "different"}, data={"image_size": 12})
    assert uses(different) == []


@pytest.mark.parametrize("data", [b"", b"broken", b"\x00" * 100])
def test_unreadable_predictions_are_computed_again(opened: OpenStudy, data: Any) -> None:
    save_predictions(opened.store, opened.study_id, 0, "val", data)
    network = Network(opened)
    ask(opened, "val", network)
    assert network.n_asked == 1
