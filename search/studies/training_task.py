"""The task of a trainer, made from what the study says and what the trial drew."""

from dataclasses import asdict
from pathlib import Path

from search.data import default_cache_dir
from search.studies.open_study import OpenStudy
from search.trainer.protocol import Task
from spaces import Config

FEATURES_FOLDER = "features"


def make_task(
    opened: OpenStudy,
    config: Config,
    *,
    seed: int,
    checkpoint: Path | None = None,
    resume_from: Path | None = None,
) -> Task:
    """Return what a trainer has to know to train a config.

    Args:
        opened: The study.
        config: What to train.
        seed: Of the trial.
        checkpoint: Where to save after each epoch; None for nowhere.
        resume_from: The checkpoint to go on from, if it is another one.

    Raises:
        DataError: If the study's images are nowhere to be had.
    """
    training, weights = opened.settings.training, opened.settings.weights
    data = opened.data_of(config.family)
    return Task(
        config=config.to_json(),
        data=str(data.path),
        fingerprint=data.fingerprint,
        checkpoint=str(checkpoint or ""),
        resume_from=str(resume_from or ""),
        seed=seed,
        max_epochs=training.max_epochs,
        patience=training.patience,
        plateau_patience=training.plateau_patience,
        plateau_factor=training.plateau_factor,
        min_learning_rate=training.min_learning_rate,
        weights=None if weights is None else weights.model_dump(),
        features=str(default_cache_dir() / FEATURES_FOLDER),
        modules=tuple(map(asdict, opened.settings.modules)),
    )
