"""The dashboard's generated notes on a study and on each trial, in Markdown.

They are made from rows alone, thousands in a second: no network is built.
"""

from analysis.dashboard.notes.architecture import describe_architecture, describe_training
from analysis.dashboard.notes.study import multi_objective_note, study_facts, study_note
from analysis.dashboard.notes.trial import trial_note

__all__ = [
    "describe_architecture",
    "describe_training",
    "multi_objective_note",
    "study_facts",
    "study_note",
    "trial_note",
]
