"""The part of a note that tells how the configs of a confirmation compare."""

from analysis.companions import origin_of
from analysis.confirmation import Confirmation, Standing
from analysis.dashboard.notes.markdown import escape, table
from analysis.dashboard.notes.words import join, show_count, show_score
from analysis.families import family_of
from analysis.report.facts import DataFacts
from analysis.status import StudyStatus
from analysis.trainings import Trainings, gather_trainings

MAX_ROWS = 20
HEADS = (
    "Trial of the search", "Family", "Seeds done", "Mean on validation", "95 % interval",
    "Chance to be the best", "Parameters",
)  # fmt: skip


def confirmation_parts(status: StudyStatus, data: DataFacts | None) -> list[str]:
    """Gives a table of the configs that are trained again, the best mean first, and what it says.

    Args:
        status: Of the confirmation.
        data: Its images; without them it is not known how fine a value can be.
    """
    trainings = gather_trainings(status.record, status.trials)
    if not trainings.trainings:
        return []
    n_images = 0 if data is None else sum(data.counts.get("val", {}).values())
    found = trainings.judge(1 / n_images if n_images else 0.0)
    if found is None:
        return ["None of the configs has a value yet."]
    families = {
        str(origin["trial"]): family_of(row)
        for row in status.trials
        if (origin := origin_of(row)) is not None
    }
    rows = [_row(it, trainings, families) for it in found.standings[:MAX_ROWS]]
    return ["### Configs trained again", table(HEADS, rows), _conclude(found, trainings)]


def _row(standing: Standing, trainings: Trainings, families: dict[str, str]) -> list[str]:
    n_wanted = sum(it.trial == standing.trial for it in trainings.trainings)
    low, high = show_score(standing.low), show_score(standing.high)
    return [
        escape(str(standing.trial), 60),
        escape(families.get(str(standing.trial)) or "–", 60),
        f"{standing.n_seeds} of {n_wanted}",
        show_score(standing.mean) or "–",
        f"{low}–{high}" if low and high else "–",
        "–" if standing.chance is None else f"{standing.chance:.0%}",
        show_count(standing.parameters) or "–",
    ]


def _conclude(found: Confirmation, trainings: Trainings) -> str:
    """Says which config is to be taken, or what is known until that can be said."""
    leader = found.leader
    if leader.n_seeds < 2:
        return "No config has two values yet."
    if not trainings.is_telling:
        return f"**Best mean so far:** {show_score(leader.mean)}, of trial {leader.trial}."
    others = [it.trial for it in found.standings if it.trial != found.recommended.trial]
    equal = [it.trial for it in found.standings if not it.is_separable and it.trial in others]
    apart = f" Not told apart from the best: {join(list(map(str, equal)))}." if equal else ""
    return f"**Recommended:** trial {found.recommended.trial} of the search.{apart}"
