"""The trials of a confirmation; those of a config that is clearly behind are skipped."""

from dataclasses import dataclass
from hashlib import sha256

import optuna

from search.studies.open_study import OpenStudy
from spaces import Config
from storage import end_if_queue_empty

END_REASON = "All trainings are done."


@dataclass(frozen=True, slots=True)
class TrainingCheck:
    """The check of a trial that trains a config again."""

    key: str  # Differs between trainings of one config, so that they are no repeats.
    is_expected_config: bool
    skip_reason: str | None  # Why the trial is not trained; None if it is.


def check_training(opened: OpenStudy, trial: optuna.Trial, config: Config) -> TrainingCheck:
    """Check whether a trial has the expected config, and whether to skip it."""
    from analysis.confirmation_study import CONFIRMS_ATTRIBUTE

    origin = trial.user_attrs.get(CONFIRMS_ATTRIBUTE)
    if origin is None:  # It was enqueued through Optuna.
        return TrainingCheck(config.key(), is_expected_config=False, skip_reason=None)
    key = sha256(f"{config.key()} {trial.number}".encode()).hexdigest()
    is_expected_config = config.key() == origin["key"]
    return TrainingCheck(key, is_expected_config, _skip_reason(opened, origin["trial"]))


def end_if_done(opened: OpenStudy) -> None:
    """End the confirmation if there is no trial left to start."""
    end_if_queue_empty(opened.store, opened.study_id, END_REASON)


def _skip_reason(opened: OpenStudy, trial: int) -> str | None:
    from analysis.confirmation.comparison import find_ruled_out
    from analysis.confirmation.trainings import load_trainings

    found = load_trainings(opened.store, opened.settings.confirms)
    candidates = () if found is None else found.candidates
    n_images = next(iter(opened.data.values())).counts["val"]
    if trial not in find_ruled_out(candidates, resolution=1 / n_images):
        return None
    return f"The config of trial {trial} is clearly behind, and is not trained any more."
