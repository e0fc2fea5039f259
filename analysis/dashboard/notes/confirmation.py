"""The part of a note that tells how the configs of a confirmation compare."""

from collections.abc import Mapping
from statistics import fmean

from analysis.companions import origin_of
from analysis.dashboard.notes.markdown import escape, table
from analysis.dashboard.notes.words import show_score
from analysis.families import family_of
from analysis.status import StudyStatus
from storage import TrialRow

MAX_ROWS = 20


def confirmation_parts(status: StudyStatus) -> list[str]:
    """Gives a table of the configs that are trained again, the best mean first."""
    trainings: dict[str, list[TrialRow]] = {}
    for row in status.trials:
        origin = origin_of(row)
        if origin is not None:
            trainings.setdefault(str(origin.get("trial", "?")), []).append(row)
    if not trainings:
        return []
    values = {trial: _values(rows) for trial, rows in trainings.items()}
    order = sorted(trainings, key=lambda it: (-fmean(values[it]) if values[it] else 1.0, it))
    rows = [_row(trial, trainings[trial], values) for trial in order[:MAX_ROWS]]
    heads = ("Trial of the search", "Family", "Seeds done", "Mean on validation", "Lowest–highest")
    return ["### Configs trained again", table(heads, rows), _leading(status)]


def _row(trial: str, rows: list[TrialRow], values: Mapping[str, list[float]]) -> list[str]:
    found = values[trial]
    spread = f"{show_score(min(found))}–{show_score(max(found))}" if len(found) > 1 else "–"
    return [
        escape(trial, 60),
        escape(next(filter(None, map(family_of, rows)), "–"), 60),
        f"{len(found)} of {len(rows)}",
        show_score(fmean(found)) or "–" if found else "–",
        spread,
    ]


def _values(rows: list[TrialRow]) -> list[float]:
    return [row.value for row in rows if row.state == "COMPLETE" and row.value is not None]


def _leading(status: StudyStatus) -> str:
    found = status.leading
    if found is None:
        return "No config has two values yet."
    when = "at the end" if status.is_over else "so far"
    return f"**Best mean {when}:** {show_score(found.mean)}, of trial {escape(found.trial)}."
