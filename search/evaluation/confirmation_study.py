"""Confirming a search: its best configs are trained again from other seeds, in a study beside it.

Picking the best of many by one value each flatters it. The trainings are trials like any: other
workers may take them, and what is killed goes on. Seed by seed they are queued, so that all
configs are known about equally well at any time.
"""

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import replace
from shlex import quote

from analysis import RankedTrial, load_status, rank
from analysis.confirmation.trainings import is_confirmation_of
from analysis.confirmation_study import CONFIRMS_ATTRIBUTE, confirmation_name
from search import defaults
from search.artifacts import Artifacts
from search.artifacts.names import folder_name
from search.data import Progress
from search.errors import NoResultError, SettingsError
from search.machine.gpus import n_cores
from search.settings.stored import StudySettings
from search.strategy.seeds import CONFIRMATION, derive_seed
from search.studies.compatibility import version_stamp
from search.studies.open_study import OpenStudy
from search.studies.submission import Submission, upload_inputs
from spaces import Config
from storage import (
    QueuedConfig,
    Store,
    StudyRecord,
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
    progress: Progress | None = None,
) -> Submission:
    """Create the study that confirms another one, or has it train what is wanted beyond before.

    Args:
        store: The store of both.
        study: The study whose best configs are trained again.
        top: How many of them.
        n_seeds: How often each.
        n_workers: How many local workers there will be; one for each core by default.
        progress: Told how far the sharing of images is.

    Raises:
        NoResultError: If no trial of the study is complete.
        SettingsError: If the study is a confirmation itself, or has one of an earlier study.
        StudyNotFoundError: If there is no such study.
        SearchError, SpaceError: If its images, weights or modules cannot be had.
    """
    opened = OpenStudy.load(store, study)
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
    name, queue = confirmation_name(study), _make_queue(leaders, n_seeds)
    if name in list_studies(store):
        return replace(_resume(opened, queue, n_workers, progress), notes=notes)
    settings = _settings_of(opened.settings, study)
    upload_inputs(store, name, settings, progress)
    record, is_new = create_study(
        store,
        name,
        settings=settings.model_dump_json(),
        n_trials=len(queue),
        priority=load_study(store, study).priority,
        queue=queue,
    )
    if not is_new:
        return replace(_resume(opened, queue, n_workers, progress), notes=notes)
    return replace(_submission(opened, record, n_workers, is_new=True), notes=notes)


def _note(store: Store, study: str, n_leaders: int, top: int) -> Iterator[str]:
    """Tell of what a confirmation begins with that is less than was asked for."""
    if not load_status(store, study).is_over:
        yield f"{study} is not over: its best so far are trained again, and later ones are not"
    if n_leaders < top:
        yield f"trained again: {n_leaders} of the {top} wanted, since no more are complete"


def _resume(
    opened: OpenStudy,
    queue: Sequence[QueuedConfig],
    n_workers: int | None,
    progress: Progress | None,
) -> Submission:
    """Add what is not trained yet, and opens the study again where anything is left to do."""
    store, record = opened.store, load_study(opened.store, confirmation_name(opened.name))
    if not is_confirmation_of(record, load_study(store, opened.name)):
        raise SettingsError(
            f"{record.name} belongs to an earlier study of that name: "
            f"`convsearch study delete {quote(record.name)}` first."
        )
    upload_inputs(store, record.name, StudySettings.read(record.settings), progress)
    enqueue(store, record.study_id, queue)
    rows = [row for row in load_trials(store, record.study_id) if row.state != "FAIL"]
    if any(row.state in {"WAITING", "RUNNING"} for row in rows):
        set_budget(store, record.study_id, n_trials=len(rows), timeout_s=None)
    return _submission(opened, load_study(store, record.name), n_workers, is_new=False)


def _submission(
    opened: OpenStudy, record: StudyRecord, n_workers: int | None, *, is_new: bool
) -> Submission:
    settings = StudySettings.read(record.settings)
    return Submission(
        store=opened.store,
        record=record,
        settings=settings,
        data=opened.data,
        artifacts=Artifacts.of_study(settings, opened.store, record.name),
        n_workers=n_workers or n_cores(),
        is_new=is_new,
    )


def _settings_of(confirmed: StudySettings, study: str) -> StudySettings:
    """Return what the confirmation trains by: all as in the study, but for seeds and pruner."""
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
    return [
        QueuedConfig(
            leader.params,
            {
                CONFIRMS_ATTRIBUTE: {
                    "trial": leader.trial,
                    "seed": seed,
                    "key": Config.from_json(leader.config).key(),
                }
            },
        )
        for seed in range(n_seeds)
        for leader in leaders
    ]
