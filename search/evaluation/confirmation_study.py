"""The study of a confirmation: it trains the best configs of a search again from other seeds.

Its trainings are ordinary trials, which any worker may run or resume. They are queued seed by
seed, so that all configs have about the same number of trainings at any time.
"""

import secrets
from collections.abc import Iterator, Sequence
from shlex import quote

from analysis import RankedTrial, load_status, rank
from analysis.confirmation.trainings import is_confirmation_of
from analysis.confirmation_study import CONFIRMS_ATTRIBUTE, confirmation_name
from search import defaults
from search.artifacts import Artifacts
from search.artifacts.names import folder_name
from search.data import Progress
from search.errors import NoResultError, SettingsError
from search.machine.cores import n_cores
from search.settings.stored import StudySettings
from search.strategy.seeds import CONFIRMATION, derive_seed
from search.studies.compatibility import version_stamp
from search.studies.open_study import OpenStudy
from search.studies.submission import Submission, upload_inputs
from spaces import Config
from storage import (
    QueuedConfig,
    Store,
    create_study,
    enqueue,
    list_studies,
    load_study,
    load_trials,
    set_budget,
)


def submit_confirmation(
    store: Store,
    study: str,
    *,
    top: int = defaults.CONFIRM_TOP,
    n_seeds: int = defaults.CONFIRM_SEEDS,
    n_workers: int | None = None,
    trust_modules: bool = False,
    progress: Progress | None = None,
) -> Submission:
    """Create the confirmation of a study, or add trainings to it.

    The `top` best configs are trained `n_seeds` times each. `n_workers` is the number of local
    workers, by default one for each core; `trust_modules` allows to run modules that the study
    names.

    Raises:
        NoResultError: If no trial of the study is complete.
        SettingsError: If the study is a confirmation itself, or has one of an earlier study or
            with other modules.
        StudyNotFoundError: If there is no such study.
        SearchError, SpaceError: If its images, weights or modules are not available.
    """
    opened = OpenStudy.load(store, study, trust_modules=trust_modules)
    if opened.is_confirmation:
        raise SettingsError(
            f"{study} is a confirmation itself: confirm {opened.settings.confirms}, with more "
            "--seeds or a larger --top."
        )
    leaders = rank(store, study).complete[:top]
    if not leaders:
        raise NoResultError(
            f"No trial of {study} is complete yet, so there is nothing to confirm. "
            f"`convsearch status {study}` shows how far it is."
        )
    notes = tuple(_note(store, study, len(leaders), top))
    name, queue, is_new = confirmation_name(study), _make_queue(leaders, n_seeds), False
    if name not in list_studies(store):
        settings = _settings_of(opened.settings, study)
        upload_inputs(store, name, settings, progress)
        _, is_new = create_study(
            store,
            name,
            settings=settings.model_dump_json(),
            n_trials=len(queue),
            priority=load_study(store, study).priority,
            queue=queue,
        )
    if not is_new:
        _resume(opened, queue, progress)
    record = load_study(store, name)
    settings = StudySettings.read(record.settings)
    return Submission(
        store=store,
        record=record,
        settings=settings,
        data=opened.data,
        artifacts=Artifacts.of_study(settings, store, name),
        n_workers=n_workers or n_cores(),
        is_new=is_new,
        notes=notes,
    )


def _note(store: Store, study: str, n_leaders: int, top: int) -> Iterator[str]:
    """Describe what a confirmation lacks of what was requested."""
    if not load_status(store, study).is_over:
        yield f"{study} is not over: its best so far are trained again, and later ones are not"
    if n_leaders < top:
        yield f"trained again: {n_leaders} of the {top} wanted, since no more are complete"


def _resume(opened: OpenStudy, queue: Sequence[QueuedConfig], progress: Progress | None) -> None:
    """Queue further trainings, and reopen the confirmation if any are left."""
    store, record = opened.store, load_study(opened.store, confirmation_name(opened.name))
    if not is_confirmation_of(record, load_study(store, opened.name)):
        raise SettingsError(
            f"{record.name} belongs to an earlier study of that name: "
            f"`convsearch study delete {quote(record.name)}` first."
        )
    settings = StudySettings.read(record.settings)
    if settings.modules != opened.settings.modules:  # Workers run them, and trust was not asked.
        raise SettingsError(
            f"{record.name} names other modules than {opened.name}, whose code would be run: "
            f"`convsearch study delete {quote(record.name)}` first."
        )
    upload_inputs(store, record.name, settings, progress)
    enqueue(store, record.study_id, queue)
    rows = [row for row in load_trials(store, record.study_id) if row.state != "FAIL"]
    if any(row.state in {"WAITING", "RUNNING"} for row in rows):
        set_budget(store, record.study_id, n_trials=len(rows), timeout_s=None)


def _settings_of(confirmed: StudySettings, study: str) -> StudySettings:
    """Return the study's settings with another seed and folder, and without a pruner."""
    seed = derive_seed(confirmed.search.seed, 0, CONFIRMATION)
    search = {"seed": seed, "pruner": "none", "sampler": "random"}
    name = folder_name(confirmation_name(study))
    is_shared = confirmed.artifacts_folder not in {"", folder_name(study)}
    folder = f"{name}-{secrets.token_hex(4)}" if is_shared else name
    return confirmed.model_copy(
        update={
            **version_stamp(),
            "search": confirmed.search.model_copy(update=search),
            "family_trials": 0,
            "artifacts_folder": folder,
            "confirms": study,
            "confirms_creation": confirmed.creation,
        }
    )


def _make_queue(leaders: Sequence[RankedTrial], n_seeds: int) -> list[QueuedConfig]:
    keys = {leader.trial: Config.from_json(leader.config).key() for leader in leaders}
    return [
        QueuedConfig(
            it.params,
            {CONFIRMS_ATTRIBUTE: {"trial": it.trial, "seed": seed, "key": keys[it.trial]}},
        )
        for seed in range(n_seeds)
        for it in leaders
    ]
