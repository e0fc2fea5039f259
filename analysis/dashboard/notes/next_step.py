"""Which command does the next thing with a study."""

from analysis.confirmation_study import CONFIRMATION_SUFFIX
from analysis.dashboard.notes.markdown import code, command
from analysis.dashboard.notes.settings import Settings
from analysis.results.status import StudyStatus


def next_step(status: StudyStatus, is_confirmed: bool | None) -> str:
    """Return a line that says what comes next; nothing where workers do it.

    Args:
        status: The study now.
        is_confirmed: Whether its best configs were trained again, None where that is not known.
    """
    name = status.record.name
    if status.record.is_optuna_only:
        return f"{command('study export', name)} gives all trials." if status.trials else ""
    if status.is_over:
        step = _after_the_end(status, is_confirmed)
    elif status.workers:
        return ""
    else:
        step = _resume_command(status)
    return f"**Next:** {step}"


def confirmed_study(status: StudyStatus) -> str:
    """Return the study that a confirmation confirms; nothing for a search."""
    if status.record.is_optuna_only:
        return ""
    told = Settings.read(status.record).confirms
    if told or not status.is_confirmation:
        return told
    return status.record.name.removesuffix(CONFIRMATION_SUFFIX)


def _resume_command(status: StudyStatus) -> str:
    search = confirmed_study(status)
    if search:
        return f"{command('confirm', search)} goes on."
    if status.record.is_stopped:
        return f"the {code('convsearch run')} or {code('submit')} that began it goes on."
    return f"{command('worker', status.record.name)} works on it."


def _after_the_end(status: StudyStatus, is_confirmed: bool | None) -> str:
    search = confirmed_study(status)
    if search:
        return f"{command('report', search)} writes the report of both."
    name = status.record.name
    if status.best is None:
        return f"{command('rank --all', name)} shows what became of each trial."
    report = f"{command('report', name)} writes the report and the model."
    if is_confirmed:
        return report
    again = "trains the best again from other seeds, if that was not done yet"
    if is_confirmed is False:
        again = "trains the best again from other seeds: the best of many trials flatters"
    return f"{command('confirm', name)} {again}; then {report}"
