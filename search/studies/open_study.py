"""A study as its workers use it: store, settings, space and data."""

from dataclasses import dataclass

import optuna

from search.artifacts import Artifacts, fetch_prepared, fetch_weights
from search.data import PreparedSet
from search.settings.stored import StudySettings
from search.strategy.pruner import make_pruner
from search.strategy.sampler import make_sampler
from search.studies.compatibility import check_versions
from search.trainer.pretrained_weights import check_local_weights
from spaces import Limits, SearchSpace
from spaces.families import find_family
from storage import Store, load_optuna_study, load_study


@dataclass(frozen=True, slots=True)
class OpenStudy:
    """A study that a worker can join."""

    store: Store
    study_id: int
    name: str
    settings: StudySettings
    space: SearchSpace
    data: dict[str, PreparedSet]
    """By image set, `scratch` or `transfer`."""
    study: optuna.Study
    artifacts: Artifacts
    n_configs: int | None
    """Number of configs in the space, None if too many to count."""

    @classmethod
    def load(cls, store: Store, name: str, *, trust_modules: bool = False) -> "OpenStudy":
        """Load a study, fetch missing inputs from its artifacts, and check them.

        `trust_modules` allows to run modules that the study names and this process has not run.

        Raises:
            StudyNotFoundError: If the store has no such study.
            DataError, ArtifactError: If a prepared set is not found or cannot be fetched.
            StudyMismatchError: If versions, prepared images or weights differ from the study's.
            SpaceError: If a user's module is missing, changed or not trusted, or the weights are
                missing.
        """
        record = load_study(store, name)
        store.optuna_storage.forget_study(record.study_id)
        settings = StudySettings.read(record.settings)
        check_versions(settings)
        artifacts = Artifacts.of_study(settings, store, name)
        data = {key: fetch_prepared(artifacts.store, it) for key, it in settings.images.items()}
        settings.load_modules(name, trust_modules=trust_modules)
        space = SearchSpace.from_json(settings.space)
        if settings.weights is not None:
            weights = fetch_weights(artifacts.store, settings.weights)
            settings = settings.model_copy(update={"weights": weights})
            check_local_weights(weights, space, settings.transfer.image_size)
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
            store, record.study_id, name, settings, space, data, study, artifacts, space.count()
        )

    @property
    def is_confirmation(self) -> bool:
        """Whether the study only trains configs of another study again."""
        return bool(self.settings.confirms)

    def data_of(self, family: str) -> PreparedSet:
        """Return the images of a family, fetched again if their file is gone.

        Raises:
            DataError, ArtifactError: If they are not found or cannot be fetched.
            StudyMismatchError: If another set is in their place.
        """
        return self._ensure(find_family(family).image_set)

    def cached_data_of(self, family: str) -> PreparedSet:
        """Return the images of a family for their shape; their file may be gone."""
        return self.data.get(find_family(family).image_set) or self.data_of(family)

    def has_data_of(self, family: str) -> bool:
        """Whether the file of a family's images is still there."""
        found = self.data.get(find_family(family).image_set)
        return found is not None and found.path.is_file()

    def ensure_data(self) -> None:
        """Fetch images whose file is gone: the cache may be emptied while a study is open."""
        for image_set in self.settings.images:
            self._ensure(image_set)

    def _ensure(self, image_set: str) -> PreparedSet:
        found = self.data.get(image_set)
        if found is None or not found.path.is_file():
            found = fetch_prepared(self.artifacts.store, self.settings.images[image_set])
            self.data[image_set] = found
        return found

    def limits_of(self, family: str) -> Limits:
        """Return the limits of a network of a family."""
        return self.settings.limits[find_family(family).image_set]
