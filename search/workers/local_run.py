"""Local runs: submit a study, run local workers until its budget is spent, rank its trials."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from analysis import Ranking, StudyStatus, follow_status, load_status, rank
from search.data import Progress
from search.machine.cores import n_cores
from search.machine.gpus import CPU, Device, choose_gpus
from search.settings.plan import StudyTable
from search.settings.store_url import store_url
from search.studies.resolved_plan import ResolvedPlan
from search.studies.submission import Submission, submit
from search.workers.local_workers import LocalWorkers, find_answering, supervise
from storage import StoreLostError, StoreUnavailableError, count_epochs

View = Callable[[StudyStatus], None]
"""Shows the status of a study; called twice a second."""


@dataclass(frozen=True, slots=True)
class RunResult:
    """The result of a run: the ranking, the last status, and the signal that ended it, or 0.

    `store` is the URL that was given, without its password, or empty if none was.
    """

    store: str
    ranking: Ranking
    status: StudyStatus
    signal: int = 0

    @property
    def is_interrupted(self) -> bool:
        """Whether it was ended by a signal or by `convsearch stop`."""
        return bool(self.signal) or self.status.record.is_stopped


@dataclass(frozen=True, slots=True)
class RunCallbacks:
    """Functions that a run calls."""

    on_submit: Callable[[Submission], None] = lambda _submission: None  # Before workers start.
    on_stop: Callable[[], None] = lambda: None  # On Ctrl-C or SIGTERM; stopping takes seconds.
    view: View | None = None


def run_plan(
    plan: ResolvedPlan,
    callbacks: RunCallbacks = RunCallbacks(),
    *,
    progress: Progress | None = None,
) -> RunResult:
    """Run the study of a plan on local workers until its budget is spent.

    Raises:
        SearchError, SpaceError, StoreError: As `submit` does.
        WorkerError: If workers cannot start, or keep dying.
    """
    gpus = choose_local_gpus(plan.tables.study)
    submission = submit(plan, n_workers=len(gpus) or None, progress=progress)
    return run_submission(submission, gpus, callbacks, url=plan.tables.store.url)


def choose_local_gpus(local: StudyTable) -> tuple[Device, ...]:
    """Assign a GPU to each local worker; none if they train on the CPU.

    Raises:
        SettingsError: If the GPUs in the settings do not exist.
    """
    return choose_gpus(
        local.gpus,
        trainers_per_gpu=local.trainers_per_gpu,
        n_workers=None if local.workers == "auto" else local.workers,
    )


def run_submission(
    submission: Submission,
    gpus: Sequence[Device] = (),
    callbacks: RunCallbacks = RunCallbacks(),
    *,
    url: str | None = None,
) -> RunResult:
    """Run a submitted study on local workers until its budget is spent, and close its store.

    There is a worker for each of the `gpus`; without any, the workers train on the CPU.

    Raises:
        StoreError: If the store becomes unavailable.
        WorkerError: If workers cannot start, or keep dying.
    """
    callbacks.on_submit(submission)
    name = submission.record.name
    read_status = follow_status(submission.store, name)
    workers = LocalWorkers(
        name,
        devices=tuple(gpus) or (CPU,) * submission.n_workers,
        store_url=store_url(url),
        n_threads=max(1, n_cores() // submission.n_workers),
        log=submission.artifacts.worker_log,
        count_progress=lambda: count_epochs(submission.store, submission.record.study_id),
        find_answering=lambda: find_answering(read_status()),
    )

    def show() -> None:
        if callbacks.view is not None:
            callbacks.view(read_status())

    try:
        signals = supervise(
            workers,
            on_stop=callbacks.on_stop,
            on_signal=submission.store.retry.begin_shutdown,
            on_poll=show,
        )
        status = load_status(submission.store, name)
        ranking = rank(submission.store, name)
    except StoreLostError as error:
        raise StoreLostError(f"{error}{_where_weights_are(submission)}") from error
    except StoreUnavailableError as error:
        if not submission.store.retry.is_shutting_down:
            raise
        raise KeyboardInterrupt from error  # Do not wait for the ranking.
    finally:
        submission.store.close()
    named = submission.store.shown_url if url else ""
    return RunResult(named, ranking, status, signals[0] if signals else 0)


def _where_weights_are(submission: Submission) -> str:
    """Return a sentence on the weights and checkpoints of a lost store, if files are left."""
    folder = submission.artifacts.folder
    has_files = any(folder.glob("trial-*"))
    return f" Weights and checkpoints are still in {folder}." if has_files else ""
