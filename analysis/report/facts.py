"""What a report tells, as data: gathered once from a study, then drawn and written.

Nothing here names a file, a folder, a person or a machine.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from optuna.trial import FrozenTrial

from analysis.confirmation.comparison import Confirmation
from analysis.results.classification_metrics import Evaluation
from analysis.results.ranking import RankedTrial, Ranking
from storage import EpochRow

Pixels = NDArray[np.uint8]
"""An image, shape `(height, width, channels)` with 1 or 3 channels."""


@dataclass(frozen=True, slots=True)
class Picture:
    """An image of a split, with its class, and what a network made of it where one was asked.

    `answer` is the class that it was taken for, `confidence` its probability. `heat` is the
    Grad-CAM of that answer, shape `(height, width)`, 0 to 255: where the network looked.
    """

    pixels: Pixels
    label: str
    answer: str | None = None
    confidence: float | None = None
    heat: NDArray[np.uint8] | None = None


@dataclass(frozen=True, slots=True)
class DataFacts:
    """The images of a study.

    `kind` is `folder`, `npz` or `demo`. `counts` are images by split, then by class.
    `image_shapes` is by image set: `scratch`, `transfer`. `n_duplicates` are images left out since
    an equal one is in another split, `n_conflicts` groups of equal images with unequal classes,
    `n_broken` images that could not be read. `samples` are training images, some of each class.
    `split` are the shares of train, val and test where the source had none, None where it had.
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
    """False where an older convsearch prepared the images, and did not say who split them."""
    names_left_out: tuple[str, ...] = ()
    """Names of files left out: only where somebody asked for names."""


@dataclass(frozen=True, slots=True)
class SearchFacts:
    """How a study searched.

    `space` gives each parameter's values in words, in the order of the space. `settings` are the
    rules of training by name, as `max_epochs`. `versions` are of the packages that created it.
    `machine_s` is the time of all epochs of all trials, `active_s` that with a worker at work.
    `epochs_saved_by_...` count the epochs that the pruner, and early stopping, did not train.
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
class LayerFacts:
    """A layer of a network: `shape` is its output's without the batch, `inputs` name layers.

    `kind` is the toolbox's name of it: `conv2d`, `max_pool`, `batch_norm`, `dense`, ...; the first
    one is `image`.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    parameters: int
    inputs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WinnerFacts:
    """The network that is exported.

    `trial` is the place in the ranking of the search that its config has; `source` is the study
    that its weights come from, the search itself or its confirmation, and `source_trial` the
    number there. `curve` is the training that these weights come from. `command` trains it again.
    """

    trial: RankedTrial
    source: str
    source_trial: int
    val_accuracy: float
    curve: tuple[EpochRow, ...]
    best_epoch: int
    layers: tuple[LayerFacts, ...]
    command: str

    @property
    def seconds(self) -> float:
        """The time of all epochs of the training that its weights come from."""
        return sum(row.seconds for row in self.curve)

    @property
    def is_confirmed(self) -> bool:
        """Whether it was chosen among several trainings of each leading config."""
        return self.source.endswith("/confirm")


@dataclass(frozen=True, slots=True)
class SplitEvaluation:
    """A network's answers on a split, scored.

    `mistakes` are the most confident wrong answers, most confident first; `right` some right
    ones, both with heat maps as far as there are any.
    """

    split: str
    evaluation: Evaluation
    mistakes: tuple[Picture, ...] = ()
    right: tuple[Picture, ...] = ()


@dataclass(frozen=True, slots=True)
class TestUse:
    """A use of the test split: when (ISO 8601, UTC), by what command, and for which network."""

    at: str
    by: str
    study: str
    trial: int
    is_of_deleted: bool = False
    """Whether that study was deleted since; one of its name is another."""

    __test__ = False  # Not a test, whatever pytest makes of the name.


@dataclass(frozen=True, slots=True)
class Caution:
    """Something to know before the result is believed; texts are by `kind`, filled with `values`.

    Kinds: `edge` (parameter, value, low, high), `few_trials` (n), `unbalanced` (ratio),
    `test_used_before` (n, first, last), `not_separable` (trials: a text such as "3, 7"),
    `partial` (done, budget), `partial_time` (done), `confirmation_unfinished` (),
    `few_for_importance` (n), `unconfirmed` (), `searched_after_confirm` (n),
    `no_weights` (trial), `no_model` (), `lost_trainings` (trials), `small_validation` (n, step),
    `duplicates` (n), `small_test` (n), `worse_on_test` (val, test), `no_test` ().
    """

    kind: str
    values: Mapping[str, Any] = field(default_factory=dict)


class SearchResults(Protocol):
    """What figures of a search are drawn from; members are those of `Facts`."""

    @property
    def ranking(self) -> Ranking:
        """All trials, best first."""

    @property
    def trials(self) -> Sequence[FrozenTrial]:
        """The same, as Optuna has them."""

    @property
    def curves(self) -> Mapping[int, Sequence[EpochRow]]:
        """Learning curves of the best trials, by number."""

    @property
    def importance(self) -> Mapping[str, float]:
        """Of the parameters, where it is known."""

    @property
    def families(self) -> Sequence[str]:
        """That were searched."""

    @property
    def max_epochs(self) -> int | None:
        """The most epochs of a phase of training."""


@dataclass(frozen=True, slots=True)
class Facts:
    """All that a report tells of a study.

    `curves` are learning curves of the best trials, by number; `trials` are all that Optuna knows,
    for its own plots. `examined` is by split: `val`, and `test` once it was opened. `importance`
    is by parameter, the largest first, and adds up to 1.
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
    """Trials whose configs were trained again, and no training came to a value."""

    @property
    def families(self) -> tuple[str, ...]:
        """That were searched."""
        return self.search.families

    @property
    def max_epochs(self) -> int | None:
        """The most epochs of a phase of training."""
        return self.search.settings.get("max_epochs")
