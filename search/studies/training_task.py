"""The task of a trainer, from the study's settings and the trial's config."""

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
    """Return the task of training a config of a study from a trial's seed.

    `checkpoint` is saved after each epoch, and resumed from unless `resume_from` is given.

    Raises:
        DataError: If the study's images are not found.
    """
    weights = opened.settings.weights
    data = opened.data_of(config.family)
    return Task(
        config=config.to_json(),
        data=str(data.path),
        fingerprint=data.fingerprint,
        checkpoint=str(checkpoint or ""),
        resume_from=str(resume_from or ""),
        seed=seed,
        **opened.settings.training.rules(),
        weights=None if weights is None else weights.model_dump(),
        features=str(default_cache_dir() / FEATURES_FOLDER),
        modules=tuple(map(asdict, opened.settings.modules)),
    )
