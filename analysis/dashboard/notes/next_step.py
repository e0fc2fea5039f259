"""The next command for a study."""

from analysis.confirmation_study import CONFIRMATION_SUFFIX
from analysis.dashboard.notes.markdown import command
from analysis.dashboard.notes.settings import Settings
from analysis.results.status import StudyStatus


def next_step(status: StudyStatus, is_confirmed: bool | None) -> str:
    """Return a line with the next command; empty while workers run.

    `is_confirmed` is whether the best configs were trained again, None if unknown.
    """
    name = status.record.name
    if status.record.is_optuna_only:
        return f"{command('study export', name)} exports all trials." if status.trials else ""
    if status.is_over:
        step = _after_the_end(status, is_confirmed)
    elif status.workers:
        return ""
    else:
        step = _resume_command(status)
    return f"**Next:** {step}"


def confirmed_study(status: StudyStatus) -> str:
    """Return the name of the study that a confirmation confirms; empty for a search."""
    if status.record.is_optuna_only:
        return ""
    recorded = Settings.read(status.record).confirms
    if recorded or not status.is_confirmation:
        return recorded
    return status.record.name.removesuffix(CONFIRMATION_SUFFIX)


def _resume_command(status: StudyStatus) -> str:
    search = confirmed_study(status)
    if search:
        return f"{command('confirm', search, _permission(status))} resumes it."
    if status.record.is_stopped:
        return f"{command('study resume', status.record.name)} opens it again."
    return f"{command('worker', status.record.name)} runs its trials."


def _after_the_end(status: StudyStatus, is_confirmed: bool | None) -> str:
    search = confirmed_study(status)
    if search:
        return f"{command('report', search, _permission(status))} writes the report of both."
    name, permission = status.record.name, _permission(status)
    if status.best is None:
        return f"{command('rank --all', name)} shows the outcome of each trial."
    report = f"{command('report', name, permission)} writes the report and the model."
    if is_confirmed:
        return report
    again = "trains the best again from other seeds"
    again += ": the best of many is optimistic" if is_confirmed is False else ", if not done yet"
    return f"{command('confirm', name, permission)} {again}; then {report}"


def _permission(status: StudyStatus) -> str:
    """Return the option that a command needs to run the modules that a study names."""
    return "--trust-modules" if Settings.read(status.record).has_modules else ""
