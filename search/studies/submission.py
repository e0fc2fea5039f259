"""Submitting a study: everything is checked and prepared before anything is spent."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from analysis.confirmation_study import CONFIRMATION_SUFFIX
from search.artifacts import Artifacts, read_artifacts_url, share_inputs
from search.artifacts.stores import DATABASE
from search.artifacts.study_artifacts import folder_name
from search.data import PreparedSet, Progress, default_cache_dir, prepare
from search.errors import SettingsError
from search.settings.plan import DEFAULT_N_TRIALS, StudyPlan, store_url
from search.settings.stored import ImageSet, StudySettings, WeightsFile
from search.strategy.family_quota import trials_per_family
from search.strategy.pruner import make_pruner
from search.studies.compatibility import (
    check_compatible,
    check_versions,
    installed_versions,
    package_versions,
    with_current_locations,
)
from search.studies.initial_trials import (
    InitialTrialsSource,
    NewStudy,
    check_warm_start,
    initial_trials_source,
)
from search.studies.resource_limits import count_workers, resolve_limits
from search.studies.space import read_space
from search.trainer.pretrained_weights import check_backbones, check_costs, check_weights
from spaces import FamilyModule, Limits, SearchSpace
from storage import (
    QueuedConfig,
    Store,
    StudyRecord,
    count_done,
    create_study,
    list_studies,
    load_study,
    set_budget,
    update_settings,
)


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
    artifacts: Artifacts
    n_workers: int
    is_new: bool
    notes: tuple[str, ...] = ()


def submit(
    plan: StudyPlan,
    *,
    n_workers: int | None = None,
    progress: Progress | None = None,
    prepared: Mapping[str, PreparedSet] | None = None,
    initial_trials: InitialTrialsSource | None = None,
) -> Submission:
    """Create the study of a plan, or opens it again with the plan's budget.

    Args:
        plan: What to search, on what.
        n_workers: How many workers share this machine; by default what the plan says, or one for
            each core.
        progress: Told how far the preparation of images is, and the sharing of them.
        prepared: Images, by image set, that need not be prepared again.
        initial_trials: What a new study begins with; by default what `[study] warm_start` says.

    Raises:
        SearchError: If the source, the settings or the folder cannot be used, or a study of that
            name has other ones.
        SpaceError: If the space cannot be narrowed so, or no network in it fits the images.
        StoreError: If the store cannot be used.
    """
    if study_name(plan).endswith(CONFIRMATION_SUFFIX):
        raise SettingsError(
            f"--study: names that end in {CONFIRMATION_SUFFIX} are kept for what "
            f"`convsearch confirm` makes. "
            f"Received: {study_name(plan)}"
        )
    modules, space = read_space(plan)
    url = _check_plan(plan, space)
    n_workers = n_workers or count_workers(plan, space)
    limits = {name: resolve_limits(plan, n_workers, name) for name in space.image_sets}
    data = dict(prepared or {})
    data = {name: data.get(name) or _prepare(plan, name, progress) for name in space.image_sets}
    weights = _check_networks(plan, space, data, limits, progress)
    settings = _make_settings(
        plan, space, url, modules=modules, data=data, limits=limits, weights=weights
    )
    new_study = NewStudy(
        Store.open(url), study_name(plan), settings, space, data, _budget(plan)[0]
    )
    if new_study.name in list_studies(new_study.store):
        return _resume(new_study, plan, n_workers, progress)
    return _create(
        new_study, plan, n_workers, progress, initial_trials or initial_trials_source(plan.study)
    )


def _check_plan(plan: StudyPlan, space: SearchSpace) -> str:
    """Refuse what can be refused at no cost, and return the store's URL."""
    make_pruner(plan.search.pruner, plan.training.max_epochs)
    if "transfer" in space.image_sets:
        check_backbones(space, plan.transfer)
    url = store_url(plan.store.url)
    _artifacts_url(plan, url)
    Store.check(url)
    check_warm_start(plan.study, url, study_name(plan))
    return url


def _prepare(plan: StudyPlan, image_set: str, progress: Progress | None) -> PreparedSet:
    data = plan.data
    if image_set == "transfer":
        data = data.model_copy(update={"image_size": plan.transfer.image_size})
    return prepare(data, default_cache_dir(), progress)


def _check_networks(
    plan: StudyPlan,
    space: SearchSpace,
    data: Mapping[str, PreparedSet],
    limits: Mapping[str, Limits],
    progress: Progress | None,
) -> WeightsFile | None:
    """Make sure that networks of the space fit the images, and return backbones' weights."""
    for name, images in data.items():
        part = space.of_image_set(name)
        part.check_image_shape(images.image_shape, images.n_classes, limits[name])
    if "transfer" not in data:
        return None
    images = data["transfer"]
    check_costs(space, images.image_shape, images.n_classes, limits["transfer"])
    return check_weights(space, plan.transfer, progress)


def _make_settings(
    plan: StudyPlan,
    space: SearchSpace,
    url: str,
    *,
    modules: tuple[FamilyModule, ...],
    data: Mapping[str, PreparedSet],
    limits: dict[str, Limits],
    weights: WeightsFile | None,
) -> StudySettings:
    """Return what the store keeps of the plan."""
    return StudySettings(
        version=installed_versions()["convsearch"],
        optuna=installed_versions()["optuna"],
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
        versions=package_versions(),
    )


def study_name(plan: StudyPlan) -> str:
    """Return the study's name: the plan's, or the stem of its source."""
    return plan.study.name or Path(plan.data.source).absolute().stem


def _create(
    new_study: NewStudy,
    plan: StudyPlan,
    n_workers: int,
    progress: Progress | None,
    initial_trials: InitialTrialsSource,
) -> Submission:
    """Create the study with what it tries first; one that came between is resumed."""
    artifacts = _upload_inputs(new_study, new_study.settings, progress)
    initial = initial_trials(new_study)
    n_trials, timeout_s = _budget(plan)
    record, is_new = create_study(
        new_study.store,
        new_study.name,
        settings=new_study.settings.model_dump_json(),
        n_trials=n_trials,
        timeout_s=timeout_s,
        priority=plan.study.priority or 0,
        queue=[QueuedConfig(params) for params in initial.queue[:n_trials]],
    )
    if not is_new:
        return _resume(new_study, plan, n_workers, progress)
    return Submission(
        store=new_study.store,
        record=record,
        settings=new_study.settings,
        data=new_study.data,
        artifacts=artifacts,
        n_workers=n_workers,
        is_new=True,
        notes=initial.notes,
    )


def _resume(
    new_study: NewStudy, plan: StudyPlan, n_workers: int, progress: Progress | None
) -> Submission:
    """Open the study that is there, if it is the same, with the plan's budget."""
    store, name = new_study.store, new_study.name
    n_trials, timeout_s = _budget(plan)
    record = load_study(store, name)
    known = StudySettings.read(record.settings)
    check_versions(known)
    check_compatible(name, known, new_study.settings, new_study.space)
    is_given = plan.store.artifacts is not None
    settings = with_current_locations(known, new_study.settings, is_artifacts_given=is_given)
    notes: tuple[str, ...] = ()
    n_done = count_done(store, record.study_id)
    if n_trials is not None and n_trials < n_done:
        notes = (f"the budget is {n_trials} trials, and {n_done} are done",)
    if settings.artifacts != known.artifacts:
        notes += (f"artifacts go to {settings.artifacts}; those so far stay in {known.artifacts}",)
    artifacts = _upload_inputs(new_study, settings, progress)
    update_settings(store, record.study_id, settings.model_dump_json())
    set_budget(
        store,
        record.study_id,
        n_trials=n_trials,
        timeout_s=timeout_s,
        priority=plan.study.priority,
    )
    return Submission(
        store=store,
        record=load_study(store, name),
        settings=settings,
        data=new_study.data,
        artifacts=artifacts,
        n_workers=n_workers,
        is_new=False,
        notes=notes,
    )


def _upload_inputs(
    new_study: NewStudy, settings: StudySettings, progress: Progress | None
) -> Artifacts:
    """Put what workers need where they find it, before the study is there for them."""
    artifacts = Artifacts.of_study(settings, new_study.store, new_study.name)
    artifacts.create()
    share_inputs(artifacts.store, settings, progress)
    return artifacts


def _budget(plan: StudyPlan) -> tuple[int | None, float | None]:
    n_trials, timeout_s = plan.budget.trials, plan.budget.timeout
    if n_trials is None and timeout_s is None:
        n_trials = DEFAULT_N_TRIALS
    return n_trials, timeout_s


def _family_trials(plan: StudyPlan, space: SearchSpace) -> int:
    """Return how many trials each of several families is granted before the search picks."""
    n_families = len(space.families)
    if n_families == 1:
        return 0
    n_trials = plan.budget.trials or DEFAULT_N_TRIALS
    return plan.search.family_trials or trials_per_family(n_trials, n_families)


def _artifacts_url(plan: StudyPlan, url: str) -> str:
    """Return where artifacts go: by default beside a SQLite file, or in a server's database."""
    if plan.store.artifacts is not None:
        return read_artifacts_url(plan.store.artifacts)
    file = Store.file_of(url)
    return str(file.parent.resolve() / "convsearch_artifacts") if file else DATABASE


def _artifacts_folder(plan: StudyPlan) -> str:
    """Return the study's folder there; a place that other stores may use too keeps them apart."""
    name = folder_name(study_name(plan))
    given = plan.store.artifacts
    is_shared = given is not None and read_artifacts_url(given) != DATABASE
    return f"{name}-{secrets.token_hex(4)}" if is_shared else name
