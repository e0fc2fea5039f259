"""Reading a study: its ranking, its families and its status."""

from analysis.families import FamilySummary, family_of, summarize_families
from analysis.ranking import METRICS, Cost, RankedTrial, Ranking, rank
from analysis.status import StudyStatus, follow_status, load_status

__all__ = [
    "METRICS",
    "Cost",
    "FamilySummary",
    "RankedTrial",
    "Ranking",
    "StudyStatus",
    "family_of",
    "follow_status",
    "load_status",
    "rank",
    "summarize_families",
]
