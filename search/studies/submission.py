"""Submitting a study: its inputs are checked and prepared before the study is created."""

from collections.abc import Mapping
from dataclasses import dataclass

from analysis.confirmation_study import CONFIRMATION_SUFFIX
from search import defaults
from search.artifacts import Artifacts, share_inputs
from search.data import PreparedSet, Progress, default_cache_dir, prepare
from search.errors import SettingsError
from search.settings.plan import StudyPlan
from search.settings.stored import ImageSet, StudySettings, WeightsFile
from search.strategy.family_quota import trials_per_family
from search.strategy.pruner import make_pruner
from search.studies.compatibility import (
    check_compatible,
    check_versions,
    version_stamp,
    with_current_locations,
)
from search.studies.initial_trials import (
    InitialTrialsSource,
    NewStudy,
    check_warm_start,
    choose_initial_trials,
)
from search.studies.resolved_plan import ResolvedPlan
from search.studies.resource_limits import count_workers, resolve_limits
from search.studies.space_table import read_space
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
    """A study ready for workers; `notes` are lines about its first trials or its budget."""

    store: Store
    record: StudyRecord
    settings: StudySettings
    data: Mapping[str, PreparedSet]
    artifacts: Artifacts
    n_workers: int
    is_new: bool
    notes: tuple[str, ...] = ()


def submit(
    plan: ResolvedPlan,
    *,
    n_workers: int | None = None,
    progress: Progress | None = None,
    prepared: Mapping[str, PreparedSet] | None = None,
    initial_trials: InitialTrialsSource = choose_initial_trials,
) -> Submission:
    """Create the study of a plan, or resume it with the plan's budget.

    `n_workers` is the number of workers that share this machine, by default that of the plan.
    `prepared` images, by image set, are not prepared again.

    Raises:
        SearchError: If source, settings or artifacts cannot be used, or differ from an existing
            study of that name.
        SpaceError: If the space is invalid, or no network in it fits the images.
        StoreError: If the store cannot be used.
    """
    if plan.name.endswith(CONFIRMATION_SUFFIX):
        raise SettingsError(
            f"--study: names that end in {CONFIRMATION_SUFFIX} are kept for what "
            f"`convsearch confirm` makes. Received: {plan.name}"
        )
    tables = plan.tables
    modules, space = read_space(tables)
    _check_plan(plan, space)
    n_workers = n_workers or count_workers(tables, space)
    limits = {name: resolve_limits(tables, n_workers, name) for name in space.image_sets}
    data = dict(prepared or {})
    data = {name: data.get(name) or _prepare(tables, name, progress) for name in space.image_sets}
    weights = _check_networks(tables, space, data, limits, progress)
    settings = _make_settings(
        plan, space, modules=modules, data=data, limits=limits, weights=weights
    )
    new_study = NewStudy(Store.open(plan.store_url), plan, settings, space, data)
    if plan.name in list_studies(new_study.store):
        return _resume(new_study, n_workers, progress)
    return _create(new_study, n_workers, progress, initial_trials)


def _check_plan(plan: ResolvedPlan, space: SearchSpace) -> None:
    """Run the checks that cost nothing."""
    make_pruner(plan.tables.search.pruner, plan.tables.training.max_epochs)
    if "transfer" in space.image_sets:
        check_backbones(space, plan.tables.transfer)
    Store.check(plan.store_url)
    check_warm_start(plan)


def _prepare(tables: StudyPlan, image_set: str, progress: Progress | None) -> PreparedSet:
    data = tables.data
    if image_set == "transfer":
        data = data.model_copy(update={"image_size": tables.transfer.image_size})
    return prepare(data, default_cache_dir(), progress)


def _check_networks(
    tables: StudyPlan,
    space: SearchSpace,
    data: Mapping[str, PreparedSet],
    limits: Mapping[str, Limits],
    progress: Progress | None,
) -> WeightsFile | None:
    """Check that networks of the space fit the images, and return the backbones' weights."""
    for name, images in data.items():
        part = space.of_image_set(name)
        part.check_image_shape(images.image_shape, images.n_classes, limits[name])
    if "transfer" not in data:
        return None
    images = data["transfer"]
    check_costs(space, images.image_shape, images.n_classes, limits["transfer"])
    return check_weights(space, tables.transfer, progress)


def _make_settings(
    plan: ResolvedPlan,
    space: SearchSpace,
    *,
    modules: tuple[FamilyModule, ...],
    data: Mapping[str, PreparedSet],
    limits: dict[str, Limits],
    weights: WeightsFile | None,
) -> StudySettings:
    """Return the settings to store."""
    tables = plan.tables
    return StudySettings(
        **version_stamp(),
        data=tables.data,
        images={
            name: ImageSet(
                path=str(images.path),
                fingerprint=images.fingerprint,
                baseline=images.metadata.get("baseline"),
            )
            for name, images in data.items()
        },
        weights=weights,
        modules=modules,
        space=space.to_json(),
        training=tables.training,
        search=tables.search,
        transfer=tables.transfer,
        limits=limits,
        family_trials=_family_trials(tables, space),
        artifacts=plan.artifacts,
        artifacts_folder=plan.artifacts_folder,
        max_files_mb=tables.store.max_files_mb,
    )


def _create(
    new_study: NewStudy,
    n_workers: int,
    progress: Progress | None,
    initial_trials: InitialTrialsSource,
) -> Submission:
    """Create the study with its first trials; resume one created meanwhile."""
    store, plan, settings = new_study.store, new_study.plan, new_study.settings
    artifacts = upload_inputs(store, plan.name, settings, progress)
    initial = initial_trials(new_study)
    record, is_new = create_study(
        store,
        plan.name,
        settings=settings.model_dump_json(),
        n_trials=plan.n_trials,
        timeout_s=plan.timeout_s,
        priority=plan.tables.study.priority or defaults.PRIORITY,
        queue=[QueuedConfig(params) for params in initial.queue[: plan.n_trials]],
    )
    if not is_new:
        return _resume(new_study, n_workers, progress)
    return Submission(
        store, record, settings, new_study.data, artifacts, n_workers, True, initial.notes
    )


def _resume(new_study: NewStudy, n_workers: int, progress: Progress | None) -> Submission:
    """Resume a compatible study with the plan's budget."""
    store, plan = new_study.store, new_study.plan
    record = load_study(store, plan.name)
    known = StudySettings.read(record.settings)
    check_versions(known)
    check_compatible(plan.name, known, new_study.settings, new_study.space)
    is_given = plan.tables.store.artifacts is not None
    settings = with_current_locations(known, new_study.settings, is_artifacts_given=is_given)
    notes: tuple[str, ...] = ()
    n_done = count_done(store, record.study_id)
    if plan.n_trials is not None and plan.n_trials < n_done:
        notes = (f"the budget is {plan.n_trials} trials, and {n_done} are done",)
    if settings.artifacts != known.artifacts:
        notes += (f"artifacts go to {settings.artifacts}; those so far stay in {known.artifacts}",)
    artifacts = upload_inputs(store, plan.name, settings, progress)
    update_settings(store, record.study_id, settings.model_dump_json())
    set_budget(
        store,
        record.study_id,
        n_trials=plan.n_trials,
        timeout_s=plan.timeout_s,
        priority=plan.tables.study.priority,
    )
    record = load_study(store, plan.name)
    return Submission(store, record, settings, new_study.data, artifacts, n_workers, False, notes)


def upload_inputs(
    store: Store, name: str, settings: StudySettings, progress: Progress | None
) -> Artifacts:
    """Upload what workers need to the artifacts of a study, before they can see the study."""
    artifacts = Artifacts.of_study(settings, store, name)
    artifacts.create()
    share_inputs(artifacts.store, settings, progress)
    return artifacts


def _family_trials(tables: StudyPlan, space: SearchSpace) -> int:
    """Return the trials of each family before the search picks among several, 0 with one."""
    n_families = len(space.families)
    if n_families == 1:
        return 0
    n_trials = tables.budget.trials or defaults.N_TRIALS
    return tables.search.family_trials or trials_per_family(n_trials, n_families)
