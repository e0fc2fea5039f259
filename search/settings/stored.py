"""The settings of a study as stored for its workers."""

import json
import logging
from typing import Any

from pydantic import Field, ValidationError

from search import defaults
from search.data import DataSettings
from search.errors import StudyMismatchError
from search.settings.plan import SearchSettings, Table, TrainingSettings, TransferSettings
from spaces import FamilyModule, Limits, SpaceError, locate_module
from spaces.models.backbones import Mode
from storage import Store, find_study, load_study, parse_object

logger = logging.getLogger(__name__)


class ImageSet(Table):
    """The file and fingerprint of a prepared set.

    `baseline` is the validation accuracy that intensity statistics alone reach.
    """

    path: str
    fingerprint: str
    baseline: float | None = None


class WeightsFile(Table):
    """The weights of a study's backbones, as in `spaces.models.Weights`, with their digest."""

    source: str
    mode: Mode | None
    digest: str


class StudySettings(Table):
    """The settings of a study in the store.

    `images` and `limits` are by image set, `scratch` or `transfer`; `modules` register users'
    families; `space` is `spaces.SearchSpace` as JSON. `limits` and versions are those of the
    machine that created the study; `family_trials` follows from its first budget, 0 with one
    family. `artifacts` is the result of `read_artifacts_url`, `artifacts_folder` the study's
    folder there, by default its name. `creation` distinguishes the study from an earlier one of
    the same name, and maybe id. A confirmation study has the name and `creation` of the study
    that it confirms in `confirms` and `confirms_creation`.
    """

    version: str
    optuna: str | None = None
    data: DataSettings
    images: dict[str, ImageSet]
    weights: WeightsFile | None = None
    modules: tuple[FamilyModule, ...] = ()
    space: dict[str, Any]
    training: TrainingSettings
    search: SearchSettings
    transfer: TransferSettings
    limits: dict[str, Limits]
    family_trials: int = 0
    artifacts: str
    artifacts_folder: str = ""
    max_files_mb: int = defaults.MAX_FILES_MB
    creation: str = ""
    confirms: str = ""
    confirms_creation: str = ""
    versions: dict[str, str] = Field(default_factory=dict)

    @classmethod
    def load(cls, store: Store, study: str) -> "StudySettings":
        """Load the settings of a study.

        Raises:
            StudyNotFoundError: If there is no such study, or it is a plain Optuna study.
            StudyMismatchError: As in `read`.
        """
        return cls.read(load_study(store, study).settings)

    @classmethod
    def read(cls, text: str) -> "StudySettings":
        """Parse the settings from JSON.

        Raises:
            StudyMismatchError: If an incompatible version of convsearch wrote them.
        """
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            raise StudyMismatchError(
                f"The study was made by another convsearch ({_version_in(text)}) whose settings "
                "this one cannot read. Go on with that one, or name a new study with --study."
            ) from error

    @property
    def baseline(self) -> float | None:
        """The validation accuracy that intensity statistics alone reach; None if not recorded."""
        known = [it.baseline for it in self.images.values() if it.baseline is not None]
        return max(known, default=None)

    def load_modules(self, study: str, *, trust_modules: bool) -> list[str]:
        """Run the users' modules of a study, and return the families that they register.

        Whoever can write to the store decides which file is run.

        Raises:
            SpaceError: If this process has not run a module yet and the caller does not trust the
                study's, or as `FamilyModule.load` does.
        """
        for module in self.modules:
            if module.is_loaded:
                continue
            if not trust_modules:
                raise SpaceError(
                    f"Study {study} has families of {module.source}, whose code would be run. If "
                    "you trust that file, add --trust-modules (in Python: trust_modules=True)."
                )
            place = locate_module(module.source) or module.source
            logger.info("running the code of %s, a module of study %s", place, study)
        return [family for module in self.modules for family in module.load()]


def load_baseline(store: Store, study: str) -> float | None:
    """Return the baseline of a study; None if it has none, as a plain Optuna study.

    Raises:
        StudyNotFoundError: If there is no such study.
    """
    record = find_study(store, study)
    if record.is_optuna_only:
        return None
    try:
        return StudySettings.read(record.settings).baseline
    except StudyMismatchError:
        return None


def creation_in(text: str) -> str:
    """Return the `creation` in the JSON of a study's settings, without reading the others.

    Raises:
        StoreDamagedError: If they are no JSON object.
    """
    return str(parse_object(text).get("creation", ""))


def _version_in(text: str) -> str:
    try:
        return f"version {json.loads(text)['version']}"
    except (ValueError, KeyError, TypeError):
        return "of an unknown version"
