"""Reading a study: its ranking and its status."""

from analysis.ranking import RankedTrial, Ranking, rank
from analysis.status import StudyStatus, load_status

__all__ = ["RankedTrial", "Ranking", "StudyStatus", "load_status", "rank"]
