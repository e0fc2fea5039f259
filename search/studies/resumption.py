"""Opening a study again that was stopped or has ended, without its source or study file."""

from dataclasses import dataclass

from search.errors import SettingsError
from storage import Store, StudyRecord, count_done, is_time_up, load_study, set_budget


@dataclass(frozen=True, slots=True)
class Resumption:
    """A study that is open again, its number of trials that are done, and its budget before."""

    record: StudyRecord
    n_done: int
    n_trials_before: int | None


def resume(store: Store, study: str, *, n_trials: int | None = None) -> Resumption:
    """Open a study again; its number of trials stays as it was unless `n_trials` is given.

    Raises:
        StudyNotFoundError: If there is no such study.
        SettingsError: If nothing would be left to do.
    """
    record = load_study(store, study)
    n_done = count_done(store, record.study_id)
    wanted = record.n_trials if n_trials is None else n_trials
    if wanted is not None and wanted <= n_done:
        if n_trials is None:
            raise SettingsError(
                f"All {wanted} trials of {study} are done: name more with --trials."
            )
        raise SettingsError(
            f"Expected --trials of more than {n_done}, which are done in {study}. Received: "
            f"{wanted}"
        )
    if is_time_up(record):
        raise SettingsError(
            f"The time of {study} is over: name more with the command that began it, as "
            "`convsearch run SOURCE --timeout TIME`."
        )
    set_budget(store, record.study_id, n_trials=wanted, timeout_s=record.timeout_s)
    return Resumption(load_study(store, study), n_done, record.n_trials)
