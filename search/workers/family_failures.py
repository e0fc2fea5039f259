"""Families whose own code raises: the traceback that is kept, and when a study gives one up."""

import logging
import re

import optuna

from search.strategy.family_quota import MAX_EPOCHS, family_of
from search.studies.open_study import OpenStudy
from spaces import locate_module, module_of
from storage import last_outcomes

logger = logging.getLogger(__name__)

TRACEBACK = "traceback"
"""The user attribute of a trial that ended with an exception."""
MAX_TRACEBACK = 8000
"""Characters of a traceback that are kept: its end, where the error is."""
MAX_CONSECUTIVE_ERRORS = 3
"""Trials of a user's family that raise one after the other before the study stops."""
N_RECENT_TRIALS = 100


def record_traceback(trial: optuna.Trial, text: str) -> None:
    """Keep the end of a traceback with the trial; before its end is told, since none is after."""
    logger.error("trial %s: %s", trial.number, text)
    trial.set_user_attr(TRACEBACK, text[-MAX_TRACEBACK:])


def explain_broken_family(opened: OpenStudy) -> str | None:
    """Say which user's family has raised three times running; None where none has."""
    if not opened.settings.modules:
        return None
    kinds = dict(last_outcomes(opened.store, opened.study_id, N_RECENT_TRIALS))
    if "fail" not in kinds.values():
        return None
    trials = {trial.number: trial for trial in opened.study.get_trials(deepcopy=False)}
    for family in opened.space.families:
        module = module_of(family)
        numbers = [n for n in kinds if _is_of_family(opened, trials[n], family)][
            :MAX_CONSECUTIVE_ERRORS
        ]
        if module is None:
            continue
        raised = [number for number in numbers if _has_raised(trials[number], module)]
        if len(raised) == MAX_CONSECUTIVE_ERRORS:
            last = trials[raised[0]].user_attrs
            reason = last.get("reason", "an exception")
            return (
                f"The family `{family}` raised {MAX_CONSECUTIVE_ERRORS} times "
                f"running, the last time "
                f"{reason.rstrip('.')} ({_locate_error(module, last.get(TRACEBACK, ''))}). Mend "
                f"it and name a new study with --study; the whole traceback is the attribute "
                f"`{TRACEBACK}` of trial {raised[0]}."
            )
    return None


def _locate_error(module: str, text: str) -> str:
    """Return the last line of a module's own that a traceback names, else the module."""
    path = locate_module(module)
    lines = re.findall(rf'"{re.escape(str(path))}", line (\d+)', text)
    return f"{path} line {lines[-1]}" if lines else module


def _has_raised(trial: optuna.trial.FrozenTrial, module: str) -> bool:
    """Whether it was the module's code that raised: a full disk ends a training too."""
    text = trial.user_attrs.get(TRACEBACK)
    if text is None:
        return False
    was_drawn = MAX_EPOCHS in trial.user_attrs  # before that, only what a family says is used
    return not was_drawn or f'"{locate_module(module)}", line ' in text


def _is_of_family(opened: OpenStudy, trial: optuna.trial.FrozenTrial, family: str) -> bool:
    only = opened.space.families if len(opened.space.families) == 1 else (None,)
    return (family_of(trial) or only[0]) == family
