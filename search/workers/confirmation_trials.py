"""What a worker of a confirmation minds: each training's config and seed, and when to stop.

A config that is clearly behind the others needs no further training.
"""

from dataclasses import dataclass
from hashlib import sha256

import optuna

from search.studies.open_study import OpenStudy
from spaces import Config
from storage import end_if_nothing_waits

ENDED = "All trainings are done."


@dataclass(frozen=True, slots=True)
class Retraining:
    """A training of a config again.

    Attributes:
        key: What tells it from the others, since a config that is trained again is no repeat.
        is_right: Whether the config is the one that is to be trained again.
        refusal: Why it is not trained, if it need not be.
    """

    key: str
    is_right: bool
    refusal: str | None


def examine(opened: OpenStudy, trial: optuna.Trial, config: Config) -> Retraining:
    """Says what is to be done with a training whose config was drawn."""
    from analysis.confirmation_study import CONFIRMS

    origin = trial.user_attrs.get(CONFIRMS)
    if origin is None:  # Somebody enqueued it by Optuna.
        return Retraining(config.key(), is_right=False, refusal=None)
    key = sha256(f"{config.key()} {trial.number}".encode()).hexdigest()
    is_right = config.key() == origin["key"]
    return Retraining(key, is_right, _refuse(opened, origin["trial"]))


def end(opened: OpenStudy) -> None:
    """Ends a confirmation that has no training left to begin."""
    end_if_nothing_waits(opened.store, opened.study_id, ENDED)


def _refuse(opened: OpenStudy, trial: int) -> str | None:
    from analysis.confirmation.comparison import clearly_behind
    from analysis.confirmation.trainings import load_trainings

    found = load_trainings(opened.store, opened.settings.confirms)
    candidates = () if found is None else found.candidates
    n_images = next(iter(opened.data.values())).counts["val"]
    if trial not in clearly_behind(candidates, resolution=1 / n_images):
        return None
    return f"The config of trial {trial} is clearly behind, and is not trained any more."
