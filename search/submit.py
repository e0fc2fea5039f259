"""Submitting a study: everything is checked and prepared before anything is spent."""

import logging
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from search.artifacts import Artifacts, read_artifacts_url, share
from search.artifacts.kinds import DATABASE, is_folder
from search.artifacts.study import folder_name
from search.beginning import Beginning, NewStudy, Prelude, prelude_of
from search.data import PreparedSet, Progress, default_cache_dir, prepare
from search.data.parallel import n_cores
from search.default_store import store_url
from search.errors import SettingsError, StudyMismatchError
from search.fair_start import share_trials
from search.memory import total_mb
from search.pruning import make_pruner
from search.settings import (
    DEFAULT_N_TRIALS,
    ImageSet,
    StudyPlan,
    StudySettings,
    TransferSettings,
    WeightsFile,
)
from search.versions import check_versions, here
from search.weights import DEFAULT_BACKBONES, check_backbones, check_costs, check_weights
from spaces import FamilyModule, Limits, SearchSpace, choose_families, find_family
from spaces.models.backbones import find_backbone
from storage import (
    Store,
    StudyRecord,
    create_study,
    list_studies,
    load_optuna_study,
    load_study,
    set_budget,
    update_settings,
)

logger = logging.getLogger(__name__)

DEFAULT_FAMILIES = ("plain", "vgg", "inception", "residual", "dense")
"""Those that train from scratch: `transfer` may have to download weights, so it is named."""
DEFAULT_MAX_PARAMETERS = 10_000_000
OPERATIONS_PER_PIXEL = 150_000_000 / 32**2
"""The costliest networks of the space take a hundred times the median's time and are no better
for it, so the default keeps an epoch of 2,000 images within half a minute of one core."""
TRAINER_MB = 700.0
"""What a trainer and its worker take before the first network."""
LEAST_MEMORY_MB = {"scratch": 256.0, "transfer": 640.0}
"""What each worker has for a network at least, by image set: the least that a search needs."""
MOST_MEMORY_MB = 4096.0
KNOWN_GOOD_SHARE = 3
"""At most every third trial of the budget is a known-good config; the rest is searched. Of several
families each begins with as many as its fair start has trials."""


@dataclass(frozen=True, slots=True)
class Submission:
    """A study that is ready for workers; `is_new` tells it from one that is resumed.

    `data` is by image set: what families from scratch train on, and what pretrained ones do.
    `notes` are lines about what the study begins with.
    """

    store: Store
    record: StudyRecord
    settings: StudySettings
    data: Mapping[str, PreparedSet]
    is_new: bool
    n_workers: int
    notes: tuple[str, ...] = ()

    @property
    def artifacts(self) -> Artifacts:
        """The study's files."""
        return Artifacts.of_study(self.settings, self.store, self.record.name)


def submit(
    plan: StudyPlan,
    *,
    n_workers: int | None = None,
    progress: Progress | None = None,
    prepared: Mapping[str, PreparedSet] | None = None,
    prelude: Prelude | None = None,
) -> Submission:
    """Creates the study of a plan, or opens it again with the plan's budget.

    Args:
        plan: What to search, on what.
        n_workers: How many workers share this machine; by default what the plan says, or one for
            each core.
        progress: Told how far the preparation of images is.
        prepared: Images, by image set, that need not be prepared again.
        prelude: What a new study begins with; by default what `[study] warm_start` says.

    Raises:
        SearchError: If the source, the settings or the folder cannot be used, or a study of that
            name has other ones.
        SpaceError: If the space cannot be narrowed so, or no network in it fits the images.
        StoreError: If the store cannot be used.
    """
    modules, space = _read_space(plan)
    make_pruner(plan.search.pruner, plan.training.max_epochs)
    if "transfer" in space.image_sets:
        check_backbones(space, plan.transfer)
    url = store_url(plan.store.url)
    _artifacts_url(plan, url)
    Store.check(url)
    n_workers = n_workers or _count_workers(plan, space)
    limits = {name: _resolve_limits(plan, n_workers, name) for name in space.image_sets}
    data = dict(prepared or {})
    data = {name: data.get(name) or _prepare(plan, name, progress) for name in space.image_sets}
    for name, images in data.items():
        shape, part = images.image_shape, space.of_image_set(name)
        part.check_image_shape(shape, images.n_classes, limits[name])
    weights = None
    if "transfer" in data:
        images = data["transfer"]
        check_costs(space, images.image_shape, images.n_classes, limits["transfer"])
        weights = check_weights(space, plan.transfer, progress)
    settings = StudySettings(
        version=here()["convsearch"],
        optuna=here()["optuna"],
        data=plan.data,
        images={
            name: ImageSet(path=str(images.path), fingerprint=images.fingerprint)
            for name, images in data.items()
        },
        weights=weights,
        modules=modules,
        space=space.to_json(),
        training=plan.training,
        search=plan.search,
        transfer=plan.transfer,
        limits=limits,
        family_trials=_family_trials(plan, space),
        artifacts=_artifacts_url(plan, url),
        artifacts_folder=_artifacts_folder(plan),
        max_files_mb=plan.store.max_files_mb,
        creation=secrets.token_hex(16),
    )
    store = Store.open(url)
    draft = NewStudy(store, study_name(plan), settings, space, data, _queue(plan, settings, space))
    if draft.name in list_studies(store):
        record, settings = _resume(draft, plan)
        return Submission(store, record, settings, data, False, n_workers)
    _share(draft, settings)
    beginning = (prelude or prelude_of(plan.study))(draft)
    record = _create(draft, plan, beginning)
    return Submission(store, record, settings, data, True, n_workers, beginning.notes)


def _read_space(plan: StudyPlan) -> tuple[tuple[FamilyModule, ...], SearchSpace]:
    """Loads the modules that the `[space]` table names, and gives them with the space."""
    table = dict(plan.space)
    modules = tuple(map(FamilyModule.find, _as_names(table.pop("modules", ()))))
    own = [family for module in modules for family in module.load()]
    families = table.pop("families", (*DEFAULT_FAMILIES, *own))
    names = choose_families(_as_names(families), own)
    if all(find_family(name).image_set != "transfer" for name in names):
        _refuse_transfer(plan, names)
    if "transfer" in names:
        table["backbone"] = _read_backbones(table.get("backbone", DEFAULT_BACKBONES))
    return modules, SearchSpace.create(names, table)


def _refuse_transfer(plan: StudyPlan, families: Sequence[str]) -> None:
    """Refuses what is said of backbones in a study that has none."""
    default = TransferSettings().model_dump()
    given = ["--backbones"] if "backbone" in plan.space else []
    given += [f"`{key}` in [transfer]" for key, value in plan.transfer if value != default[key]]
    if given:
        raise SettingsError(
            f"{given[0]} is for pretrained backbones alone. Received: the families "
            f"{', '.join(families)}; add transfer to --families."
        )


def _read_backbones(names: object) -> list[str]:
    """Gives backbones their own names: `MobileNetV2` is `mobilenet_v2`."""
    return [find_backbone(name).name for name in _as_names(names)]


def _prepare(plan: StudyPlan, image_set: str, progress: Progress | None) -> PreparedSet:
    data = plan.data
    if image_set == "transfer":
        data = data.model_copy(update={"image_size": plan.transfer.image_size})
    return prepare(data, default_cache_dir(), progress)


def study_name(plan: StudyPlan) -> str:
    """Gives the study's name: the plan's, or the stem of its source."""
    return plan.study.name or Path(plan.data.source).absolute().stem


def _create(draft: NewStudy, plan: StudyPlan, beginning: Beginning) -> StudyRecord:
    """Creates the study, with what it tries first; one that came between is resumed."""
    n_trials, timeout_s = _budget(plan)
    record, is_new = create_study(
        draft.store,
        draft.name,
        settings=draft.settings.model_dump_json(),
        n_trials=n_trials,
        timeout_s=timeout_s,
        priority=plan.study.priority or 0,
    )
    if not is_new:
        return _resume(draft, plan)[0]
    study = load_optuna_study(draft.store, draft.name)
    for params in beginning.queue[:n_trials]:
        study.enqueue_trial(dict(params))
    return record


def _resume(draft: NewStudy, plan: StudyPlan) -> tuple[StudyRecord, StudySettings]:
    """Opens the study that is there, if it is the same, with the plan's budget."""
    store, name, settings = draft.store, draft.name, draft.settings
    n_trials, timeout_s = _budget(plan)
    record = load_study(store, name)
    known = StudySettings.read(record.settings)
    check_versions(known)
    _check_same(name, known, settings, draft.space)
    settings = _moved(known, settings, is_artifacts_given=plan.store.artifacts is not None)
    _share(draft, settings)
    update_settings(store, record.study_id, settings.model_dump_json())
    set_budget(
        store,
        record.study_id,
        n_trials=n_trials,
        timeout_s=timeout_s,
        priority=plan.study.priority,
    )
    return load_study(store, name), settings


def _share(draft: NewStudy, settings: StudySettings) -> None:
    """Puts what workers need where they find it, before the study is there for them."""
    artifacts = Artifacts.of_study(settings, draft.store, draft.name)
    artifacts.create()
    share(artifacts.store, settings)


def _budget(plan: StudyPlan) -> tuple[int | None, float | None]:
    n_trials, timeout_s = plan.budget.trials, plan.budget.timeout
    if n_trials is None and timeout_s is None:
        n_trials = DEFAULT_N_TRIALS
    return n_trials, timeout_s


def _queue(plan: StudyPlan, settings: StudySettings, space: SearchSpace) -> list[dict[str, Any]]:
    return _known_good(space, settings.family_trials, _budget(plan)[0])


def _moved(
    known: StudySettings, settings: StudySettings, *, is_artifacts_given: bool
) -> StudySettings:
    """Gives the known settings with the places of today: equal images may lie elsewhere now."""
    names = ["images", "weights", "modules", "max_files_mb"]
    is_there = not is_folder(known.artifacts) or Path(known.artifacts).is_dir()
    if known.artifacts != settings.artifacts and (is_artifacts_given or not is_there):
        names += ["artifacts", "artifacts_folder"]
    return known.model_copy(update={name: getattr(settings, name) for name in names})


def _family_trials(plan: StudyPlan, space: SearchSpace) -> int:
    """Gives how many trials each of several families is granted before the search picks."""
    n_families = len(space.families)
    if n_families == 1:
        return 0
    n_trials = plan.budget.trials or DEFAULT_N_TRIALS
    return plan.search.family_trials or share_trials(n_trials, n_families)


def _known_good(
    space: SearchSpace, family_trials: int, n_trials: int | None
) -> list[dict[str, Any]]:
    """Gives what to try first: known-good configs, as many as the budget leaves room for."""
    if family_trials:
        return space.known_good(family_trials)[:n_trials]
    configs = [params for params in space.known_good() if params]
    return configs if n_trials is None else configs[: max(1, n_trials // KNOWN_GOOD_SHARE)]


def _check_same(
    name: str, known: StudySettings, settings: StudySettings, space: SearchSpace
) -> None:
    differences = []
    for image_set in known.images.keys() & settings.images.keys():
        there, here = (it.images[image_set].fingerprint for it in (known, settings))
        if there != here:
            differences.append(
                f"its images: {_describe(known, image_set)} there, "
                f"{_describe(settings, image_set)} here (fingerprints {there[:12]} and "
                f"{here[:12]})"
            )
    differences += _weights_differences(known.weights, settings.weights)
    differences += _module_differences(known.modules, settings.modules)
    if _digests(known.modules) == _digests(settings.modules):
        differences += space.differences(SearchSpace.from_json(known.space))
    for table in ("training", "search"):
        there, here = getattr(known, table).model_dump(), getattr(settings, table).model_dump()
        differences += _table_differences(there, here)
    if differences:
        raise StudyMismatchError(
            f"A study {name!r} exists with other settings: {'; '.join(differences)}. "
            "Give this one another name with --study."
        )


def _describe(settings: StudySettings, image_set: str) -> str:
    data = settings.data
    size = settings.transfer.image_size if image_set == "transfer" else data.image_size
    return f"{data.source} at {size} px, seed {data.seed}"


def _weights_differences(there: WeightsFile | None, here: WeightsFile | None) -> list[str]:
    if there is None or here is None or (there.digest, there.mode) == (here.digest, here.mode):
        return []  # Where the file lies may change; other families are told of already.
    names = [f"{it.source} ({it.mode}, SHA-256 {it.digest[:12]})" for it in (there, here)]
    return [f"`weights`: {names[0]} there, {names[1]} here"]


def _digests(modules: Sequence[FamilyModule]) -> list[str]:
    return [module.sha256 for module in modules]


def _module_differences(there: Sequence[FamilyModule], here: Sequence[FamilyModule]) -> list[str]:
    if _digests(there) == _digests(here):  # Where the files lie may change.
        return []
    names = [
        ", ".join(f"{module.source} ({module.sha256[:12]})" for module in modules) or "none"
        for modules in (there, here)
    ]
    return [f"`modules`: {names[0]} there, {names[1]} here"]


def _table_differences(there: Mapping[str, Any], here: Mapping[str, Any]) -> list[str]:
    return [
        f"`{key}`: {there[key]} there, {here[key]} here"
        for key in here
        if there.get(key) != here[key]
    ]


def _as_names(families: object) -> list[str]:
    names = [families] if isinstance(families, str) else families or ()
    return [str(name).strip() for name in names]  # type: ignore[attr-defined]


def _count_workers(plan: StudyPlan, space: SearchSpace) -> int:
    """Gives how many local workers to run: one for each core that has the memory for one."""
    if plan.study.workers != "auto":
        return plan.study.workers
    least = max(LEAST_MEMORY_MB[name] for name in space.image_sets)
    most = int(total_mb() // (TRAINER_MB + least))
    return max(1, min(n_cores(), most))


def _resolve_limits(plan: StudyPlan, n_workers: int, image_set: str) -> Limits:
    """Fills in the limits for this machine: four fifths of its memory, shared by its workers.

    A backbone was chosen by name, so it has no other bound than what the user says.
    """
    share = 0.8 * total_mb() / n_workers - TRAINER_MB
    memory_mb = round(min(MOST_MEMORY_MB, max(LEAST_MEMORY_MB[image_set], share)))
    search, is_scratch = plan.search, image_set == "scratch"
    operations = OPERATIONS_PER_PIXEL * plan.data.image_size**2 if is_scratch else None
    if search.max_operations is not None:
        operations = 1e6 * search.max_operations
    return Limits(
        max_parameters=search.max_parameters or (DEFAULT_MAX_PARAMETERS if is_scratch else None),
        max_memory_mb=search.max_memory or memory_mb,
        max_operations=None if operations is None else round(operations),
    )


def _artifacts_url(plan: StudyPlan, url: str) -> str:
    """Gives the place of artifacts: by default beside a SQLite file, or in a server's database."""
    if plan.store.artifacts is not None:
        return read_artifacts_url(plan.store.artifacts)
    file = Store.file_of(url)
    return str(file.parent.resolve() / "convsearch_artifacts") if file else DATABASE


def _artifacts_folder(plan: StudyPlan) -> str:
    """Gives the study's folder there; a place that other stores may use too keeps them apart."""
    name = folder_name(study_name(plan))
    given = plan.store.artifacts
    is_shared = given is not None and read_artifacts_url(given) != DATABASE
    return f"{name}-{secrets.token_hex(4)}" if is_shared else name
