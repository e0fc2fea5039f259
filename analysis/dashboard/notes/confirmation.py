"""The part of a note that compares the configs of a confirmation."""

from functools import lru_cache

from analysis.confirmation.comparison import Candidate, Confirmation, Standing, compare_configs
from analysis.confirmation.trainings import Trainings, gather_trainings
from analysis.confirmation_study import origin_of_training
from analysis.dashboard.notes.formatting import show_count, show_score
from analysis.dashboard.notes.markdown import escape, table
from analysis.report.facts import DataFacts
from analysis.results.families import family_of
from analysis.results.status import StudyStatus

MAX_ROWS = 20
HEADS = (
    "Trial of the search", "Family", "Seeds done", "Mean on validation", "95 % interval",
    "Probability of being best", "Parameters",
)  # fmt: skip


def confirmation_parts(status: StudyStatus, data: DataFacts | None) -> list[str]:
    """Return a table of the configs that are trained again, the best mean first, and a summary.

    Without facts about the images only means are shown.
    """
    trainings = gather_trainings(status.record, status.trials)
    if not trainings.trainings:
        return []
    if not trainings.candidates:
        return ["None of the configs has a value yet."]
    n_images = 0 if data is None else sum(data.counts.get("val", {}).values())
    found = _compare(trainings.candidates, 1 / n_images if n_images else 1.0)
    origins = ((origin_of_training(row), family_of(row)) for row in status.trials)
    families = {origin["trial"]: family for origin, family in origins if origin is not None}
    rows = [
        _row(it, trainings, families.get(it.trial, ""), is_comparable=n_images > 0)
        for it in found.standings[:MAX_ROWS]
    ]
    leader = f"The best mean is {show_score(found.leader.mean)}, of trial {found.leader.trial}."
    recommendation = trainings.describe_recommendation(found) if n_images else leader
    return ["### Configs trained again", table(HEADS, rows), recommendation]


@lru_cache(maxsize=16)
def _compare(candidates: tuple[Candidate, ...], resolution: float) -> Confirmation:
    return compare_configs(candidates, resolution=resolution)


def _row(
    standing: Standing, trainings: Trainings, family: str, *, is_comparable: bool
) -> list[str]:
    n_wanted = sum(it.trial == standing.trial for it in trainings.trainings)
    low, high = show_score(standing.low), show_score(standing.high)
    return [
        f"{standing.trial}",
        escape(family or "–", 60),
        f"{standing.n_seeds} of {n_wanted}",
        show_score(standing.mean) or "–",
        f"{low}–{high}" if is_comparable and low and high else "–",
        f"{standing.chance:.0%}" if is_comparable and standing.chance is not None else "–",
        show_count(standing.parameters) or "–",
    ]
