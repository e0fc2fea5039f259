"""Running a study: submit it, run local workers until its budget is spent, and rank its trials."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from analysis import Ranking, StudyStatus, follow_status, load_status, rank
from search.data import Progress
from search.machine.gpus import CPU, Device, choose_gpus, n_cores
from search.settings.plan import StudyTable, store_url
from search.studies.resolved_plan import ResolvedPlan
from search.studies.submission import Submission, submit
from search.workers.local_workers import LocalWorkers, supervise
from storage import StoreUnavailableError, count_epochs

View = Callable[[StudyStatus], None]
"""Shows the status of a study; called twice a second."""


@dataclass(frozen=True, slots=True)
class RunResult:
    """What came of a run: the ranking, the last status, and the signal that ended it, or 0.

    `store` is the URL that the command named, without its password: empty where it is the default
    or `$CONVSEARCH_STORE`.
    """

    store: str
    ranking: Ranking
    status: StudyStatus
    signal: int = 0

    @property
    def is_interrupted(self) -> bool:
        """Whether somebody ended it: by a signal, or by `convsearch stop`."""
        return bool(self.signal) or self.status.record.is_stopped


def run_plan(
    plan: ResolvedPlan,
    *,
    progress: Progress | None = None,
    on_submit: Callable[[Submission], None] | None = None,
    on_stop: Callable[[], None] = lambda: None,
    view: View | None = None,
) -> RunResult:
    """Run the study of a plan on local workers until its budget is spent.

    Args:
        plan: The study, its budget and its workers.
        progress: Told how far the images are prepared.
        on_submit: Given the study before its workers start.
        on_stop: Called as soon as Ctrl-C or SIGTERM came: workers take seconds to leave.
        view: Shows the study's status while it is worked on.

    Raises:
        SearchError, SpaceError, StoreError: As `submit` does.
        WorkerError: If workers cannot start, or keep dying.
    """
    gpus = choose_local_gpus(plan.tables.study)
    submission = submit(plan, n_workers=len(gpus) or None, progress=progress)
    return run_submission(
        submission,
        gpus,
        url=plan.tables.store.url,
        on_submit=on_submit,
        on_stop=on_stop,
        view=view,
    )


def choose_local_gpus(local: StudyTable) -> tuple[Device, ...]:
    """Return a place on a GPU for each local worker; none where they train on the processor.

    Raises:
        SettingsError: If the GPUs that are named are not there.
    """
    return choose_gpus(
        local.gpus,
        trainers_per_gpu=local.trainers_per_gpu,
        n_workers=None if local.workers == "auto" else local.workers,
    )


def run_submission(
    submission: Submission,
    gpus: Sequence[Device] = (),
    *,
    url: str | None = None,
    on_submit: Callable[[Submission], None] | None = None,
    on_stop: Callable[[], None] = lambda: None,
    view: View | None = None,
) -> RunResult:
    """Run a study that was submitted on local workers until its budget is spent.

    Args:
        submission: The study; its store is closed at the end.
        gpus: The workers' places; without any they train on the processor.
        url: Of the store, as the command named it.
        on_submit: Given the study before its workers start.
        on_stop: Called as soon as Ctrl-C or SIGTERM came: workers take seconds to leave.
        view: Shows the study's status while it is worked on.

    Raises:
        StoreError: If the store cannot be used any more.
        WorkerError: If workers cannot start, or keep dying.
    """
    if on_submit is not None:
        on_submit(submission)
    name = submission.record.name
    workers = LocalWorkers(
        name,
        devices=tuple(gpus) or (CPU,) * submission.n_workers,
        store_url=store_url(url),
        n_threads=max(1, n_cores() // submission.n_workers),
        log=submission.artifacts.worker_log,
        count_progress=lambda: count_epochs(submission.store, submission.record.study_id),
    )

    read_status = follow_status(submission.store, name)

    def show() -> None:
        if view is not None:
            view(read_status())

    try:
        signals = supervise(
            workers, on_stop=on_stop, on_signal=submission.store.retry.begin_shutdown, on_poll=show
        )
        status = load_status(submission.store, name)
        ranking = rank(submission.store, name)
    except StoreUnavailableError as error:
        if not submission.store.retry.is_shutting_down:
            raise
        raise KeyboardInterrupt from error  # Who asked us to leave was not to wait for a ranking.
    finally:
        submission.store.close()
    named = submission.store.shown_url if url else ""
    return RunResult(named, ranking, status, signals[0] if signals else 0)
