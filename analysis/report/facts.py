"""The facts of a report as data: gathered once from a study, then drawn and written.

They contain no names of files, folders, persons or machines.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from optuna.trial import FrozenTrial

from analysis.confirmation.comparison import Confirmation
from analysis.report.preparation import Preparation
from analysis.results.classification_metrics import Evaluation
from analysis.results.ranking import RankedTrial, Ranking
from spaces import DrawnLayer
from storage import EpochRow

Pixels = NDArray[np.uint8]
"""An image, shape `(height, width, channels)` with 1 or 3 channels."""


@dataclass(frozen=True, slots=True)
class Picture:
    """An image of a split with its class, and a network's prediction if there is one.

    `answer` is the predicted class, `confidence` its probability. `heat` is the Grad-CAM of that
    class, shape `(height, width)`, 0 to 255.
    """

    pixels: Pixels
    label: str
    answer: str | None = None
    confidence: float | None = None
    heat: NDArray[np.uint8] | None = None


@dataclass(frozen=True, slots=True)
class DataFacts:
    """The images of a study.

    `kind` is `folder`, `manifest`, `npz`, `hdf5` or `demo`. `counts` are images by split, then by
    class. `image_shapes` is by image set: `scratch`, `transfer`. `n_duplicates` counts images
    excluded because an identical one, or a near duplicate, is in another split, `n_conflicts`
    groups of identical images with different classes, `n_broken` unreadable images. `samples` are
    training images, some of each class. `split` are the shares of train, val and test, None if the
    source has splits.
    """

    kind: str
    classes: tuple[str, ...]
    counts: Mapping[str, Mapping[str, int]]
    image_shapes: Mapping[str, tuple[int, int, int]]
    fingerprint: str
    n_duplicates: int
    n_conflicts: int
    n_broken: int
    split: tuple[float, float, float] | None
    seed: int
    samples: tuple[Picture, ...] = ()
    is_split_known: bool = True
    """False if an older convsearch prepared the images and did not record who split them."""
    n_leaks: int = 0
    """Pairs of near duplicates in different splits, which the study allowed."""
    has_weights: bool = False
    """Whether training images have different weights in the loss."""
    baseline: float | None = None
    """Validation accuracy that intensity statistics alone reach; None if unknown."""
    preparation: Preparation = field(default_factory=Preparation)
    """How the images were made and chosen."""
    names_left_out: tuple[str, ...] = ()
    """Names of excluded files, if they were asked for."""


@dataclass(frozen=True, slots=True)
class SearchFacts:
    """The search of a study.

    `space` has each parameter's values in words, in the order of the space. `settings` are the
    training settings by name, such as `max_epochs`, `versions` those of the packages used.
    `machine_s` is the time of all epochs of all trials, `active_s` the time with an active worker.
    `epochs_saved_by_pruner` and `..._by_patience` (early stopping) were not trained.
    """

    families: tuple[str, ...]
    space: Mapping[str, str]
    sampler: str
    pruner: str
    seed: int
    n_trials: int | None
    timeout_s: float | None
    active_s: float
    machine_s: float
    counts: Mapping[str, int]
    n_epochs: int
    epochs_saved_by_pruner: int
    epochs_saved_by_patience: int
    settings: Mapping[str, Any]
    versions: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class WinnerFacts:
    """The exported network.

    `trial` is the trial of the search with its config. `source` is the study that trained its
    weights, the search itself or its confirmation; `source_trial` is the number there, and `curve`
    the learning curve of that training. `command` retrains the network.
    """

    trial: RankedTrial
    source: str
    source_trial: int
    val_accuracy: float
    curve: tuple[EpochRow, ...]
    best_epoch: int
    layers: tuple[DrawnLayer, ...]
    command: str

    @property
    def seconds(self) -> float:
        """The time of all epochs of the training of its weights."""
        return sum(row.seconds for row in self.curve)

    @property
    def is_confirmed(self) -> bool:
        """Whether its config was chosen in a confirmation."""
        return self.source.endswith("/confirm")


@dataclass(frozen=True, slots=True)
class SplitEvaluation:
    """The scores of a network on a split.

    `mistakes` are the most confident wrong predictions, most confident first; `right` are some
    correct ones. Both have heat maps if there are any.
    """

    split: str
    evaluation: Evaluation
    mistakes: tuple[Picture, ...] = ()
    right: tuple[Picture, ...] = ()


@dataclass(frozen=True, slots=True)
class TestUse:
    """A use of the test split: time (ISO 8601, UTC), command, and network."""

    at: str
    by: str
    study: str
    trial: int
    is_of_deleted: bool = False
    """Whether that study has been deleted; one of the same name is another study."""

    __test__ = False  # Not a test, despite the name.


@dataclass(frozen=True, slots=True)
class Caution:
    """A reason for doubt; its text is found by `kind` and filled with `values`.

    Kinds: `edge` (parameter, value, low, high), `few_trials` (n), `unbalanced` (ratio),
    `test_used_before` (n, first, last), `not_separable` (trials: a text such as "3, 7"),
    `partial` (done, budget), `partial_time` (done), `confirmation_unfinished` (),
    `few_for_importance` (n), `unconfirmed` (), `searched_after_confirm` (n),
    `no_weights` (trial), `no_model` (), `lost_trainings` (trials), `small_validation` (n, step),
    `leaks` (n), `duplicates` (n), `baseline` (val, baseline), `small_test` (n),
    `worse_on_test` (val, test), `no_test` ().
    """

    kind: str
    values: Mapping[str, Any] = field(default_factory=dict)


class SearchResults(Protocol):
    """The members of `Facts` that figures of a search use."""

    @property
    def ranking(self) -> Ranking:
        """All trials, best first."""

    @property
    def trials(self) -> Sequence[FrozenTrial]:
        """The same as trials of Optuna."""

    @property
    def curves(self) -> Mapping[int, Sequence[EpochRow]]:
        """Learning curves of the best trials, by number."""

    @property
    def importance(self) -> Mapping[str, float]:
        """Importance of parameters, if known."""

    @property
    def families(self) -> Sequence[str]:
        """The families that were searched."""

    @property
    def max_epochs(self) -> int | None:
        """The maximum epochs of a training phase."""


@dataclass(frozen=True, slots=True)
class Facts:
    """All facts of a report.

    `curves` are learning curves of the best trials, by number; `trials` are all trials of Optuna.
    `examined` is by split: `val`, and `test` once it was used. `importance` is by parameter, the
    largest first, and adds up to 1.
    """

    study: str
    is_partial: bool
    data: DataFacts
    search: SearchFacts
    ranking: Ranking
    trials: tuple[FrozenTrial, ...]
    winner: WinnerFacts
    curves: Mapping[int, tuple[EpochRow, ...]]
    importance: Mapping[str, float] = field(default_factory=dict)
    confirmation: Confirmation | None = None
    examined: Mapping[str, SplitEvaluation] = field(default_factory=dict)
    test_uses: tuple[TestUse, ...] = ()
    cautions: tuple[Caution, ...] = ()
    is_search_over: bool = True
    lost_trials: tuple[int, ...] = ()
    """Trials whose configs were retrained, and all trainings failed."""

    @property
    def families(self) -> tuple[str, ...]:
        """The families that were searched."""
        return self.search.families

    @property
    def max_epochs(self) -> int | None:
        """The maximum epochs of a training phase."""
        return self.search.settings.get("max_epochs")
