"""Families whose own code raises: their tracebacks, and when the study ends because of them."""

import logging
import re

import optuna

from search.strategy.family_quota import MAX_EPOCHS, family_of
from search.studies.open_study import OpenStudy
from spaces import locate_module, module_of
from storage import last_outcomes

logger = logging.getLogger(__name__)

TRACEBACK = "traceback"  # The user attribute of a trial that ended with an exception.
MAX_TRACEBACK = 8000  # Characters kept of a traceback: its end, where the error is.
MAX_CONSECUTIVE_ERRORS = 3  # The study ends when a user's family raises so often in a row.
N_RECENT_TRIALS = 100


def record_traceback(trial: optuna.Trial, text: str) -> None:
    """Record the end of a traceback with the trial, before the trial is finished."""
    logger.error("trial %s: %s", trial.number, text)
    trial.set_user_attr(TRACEBACK, text[-MAX_TRACEBACK:])


def explain_broken_family(opened: OpenStudy) -> str | None:
    """Return the message on a user's family that raised three times in a row, or None."""
    if not opened.settings.modules:
        return None
    kinds = dict(last_outcomes(opened.store, opened.study_id, N_RECENT_TRIALS))
    if "fail" not in kinds.values():
        return None
    trials = {trial.number: trial for trial in opened.study.get_trials(deepcopy=False)}
    for family in opened.space.families:
        module = module_of(family)
        numbers = [n for n in kinds if _is_of_family(opened, trials[n], family)]
        if module is None:
            continue
        raised = [n for n in numbers[:MAX_CONSECUTIVE_ERRORS] if _has_raised(trials[n], module)]
        if len(raised) == MAX_CONSECUTIVE_ERRORS:
            last = trials[raised[0]].user_attrs
            reason = last.get("reason", "an exception")
            return (
                f"The family `{family}` raised {MAX_CONSECUTIVE_ERRORS} times in a row, the last "
                f"time {reason.rstrip('.')} ({_locate_error(module, last.get(TRACEBACK, ''))}). "
                f"Fix it and name a new study with --study; the full traceback is the attribute "
                f"`{TRACEBACK}` of trial {raised[0]}."
            )
    return None


def _locate_error(module: str, text: str) -> str:
    """Return the last line of the module in a traceback, or the module's name."""
    path = locate_module(module)
    lines = re.findall(rf'"{re.escape(str(path))}", line (\d+)', text)
    return f"{path} line {lines[-1]}" if lines else module


def _has_raised(trial: optuna.trial.FrozenTrial, module: str) -> bool:
    """Whether the module's own code raised, rather than, for instance, a full disk."""
    text = trial.user_attrs.get(TRACEBACK)
    if text is None:
        return False
    was_drawn = MAX_EPOCHS in trial.user_attrs  # Before that, only the family's own code runs.
    return not was_drawn or f'"{locate_module(module)}", line ' in text


def _is_of_family(opened: OpenStudy, trial: optuna.trial.FrozenTrial, family: str) -> bool:
    only = opened.space.families if len(opened.space.families) == 1 else (None,)
    return (family_of(trial) or only[0]) == family
