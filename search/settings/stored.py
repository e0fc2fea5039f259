"""The settings of a study as the store keeps them: all that a worker needs."""

import json
from typing import Any

from pydantic import Field, ValidationError

from search import defaults
from search.data import DataSettings
from search.errors import StudyMismatchError
from search.settings.plan import SearchSettings, Table, TrainingSettings, TransferSettings
from spaces import FamilyModule, Limits
from spaces.models.backbones import Mode
from storage import Store, load_study


class ImageSet(Table):
    """A prepared set that a study trains on: the path of its file, and its fingerprint."""

    path: str
    fingerprint: str


class WeightsFile(Table):
    """The weights of a study's backbones: as `spaces.models.Weights`, and their digest."""

    source: str
    mode: Mode | None
    digest: str


class StudySettings(Table):
    """What the store keeps of a plan.

    `images` and `limits` are by image set, `scratch` or `transfer`; `modules` register users'
    families; `space` is the record of a `spaces.SearchSpace`. Limits are those of the machine that
    created the study, `family_trials` those of its first budget, 0 where there is one family.
    `version`, `optuna` and `versions` are those that created it. `artifacts` is the result of
    `read_artifacts_url`, `artifacts_folder` the study's folder there, by default its name.
    `creation` distinguishes the study from an earlier one with its name, and maybe its id.
    `confirms` names the study whose best configs this one trains again, and only those;
    `confirms_creation` is the `creation` of that study.
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
            StudyMismatchError: As `read` does.
        """
        return cls.read(load_study(store, study).settings)

    @classmethod
    def read(cls, text: str) -> "StudySettings":
        """Read the settings from JSON.

        Raises:
            StudyMismatchError: If another version of convsearch wrote settings that this one
                cannot read.
        """
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            raise StudyMismatchError(
                f"The study was made by another convsearch ({_version_in(text)}) whose settings "
                "this one cannot read. Go on with that one, or name a new study with --study."
            ) from error


def _version_in(text: str) -> str:
    try:
        return f"version {json.loads(text)['version']}"
    except (ValueError, KeyError, TypeError):
        return "of an unknown version"
