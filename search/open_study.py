"""An open study: its store, settings, space and data together, as its workers use them."""

from dataclasses import dataclass
from pathlib import Path

import optuna

from search.artifacts import Artifacts
from search.data import PreparedSet
from search.errors import DataError, StudyMismatchError
from search.pruning import make_pruner
from search.sampling import make_sampler
from search.settings import StudySettings
from spaces import SearchSpace
from storage import Store, load_optuna_study, load_study


@dataclass(frozen=True, slots=True)
class OpenStudy:
    """A study that a worker can join."""

    store: Store
    study_id: int
    name: str
    settings: StudySettings
    space: SearchSpace
    data: PreparedSet
    study: optuna.Study
    artifacts: Artifacts
    n_configs: int | None
    """How many configs the space has, None when there are too many to count."""

    @classmethod
    def load(cls, store: Store, name: str) -> "OpenStudy":
        """Loads a study with what its workers need, and makes sure that its data are the same.

        Raises:
            StudyNotFoundError: If the store has no such study.
            DataError: If the prepared set is missing or damaged.
            StudyMismatchError: If the prepared set has another fingerprint.
            SpaceError: If a module with families of users is missing or has another content.
        """
        record = load_study(store, name)
        settings = StudySettings.model_validate_json(record.settings)
        data = _open_data(settings)
        for module in settings.modules:
            module.load()
        space = SearchSpace.from_json(settings.space)
        study = load_optuna_study(
            store,
            name,
            sampler=make_sampler(settings.search.sampler, settings.search.seed),
            pruner=make_pruner(
                settings.search.pruner,
                settings.training.max_epochs,
                n_phases=space.n_phases,
                family_trials=settings.family_trials,
            ),
        )
        return cls(
            store=store,
            study_id=record.study_id,
            name=name,
            settings=settings,
            space=space,
            data=data,
            study=study,
            artifacts=Artifacts.of_study(settings.artifacts, name),
            n_configs=space.count(),
        )


def _open_data(settings: StudySettings) -> PreparedSet:
    if not Path(settings.prepared).is_file():
        raise DataError(
            f"The prepared images of the study are not at {settings.prepared}. "
            "Run `convsearch run` on the source again to prepare them."
        )
    data = PreparedSet.open(Path(settings.prepared))
    data.verify()
    if data.fingerprint != settings.fingerprint:
        raise StudyMismatchError(
            f"The prepared images have the fingerprint {data.fingerprint[:12]}, those of the "
            f"study {settings.fingerprint[:12]}. Prepare the study's own images."
        )
    return data
