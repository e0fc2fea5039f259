"""Figures of a report, one kind per file: facts in, a Plotly figure out.

`lang` is the language of the labels. Where figures stand on the page is left to `page_figures`.
"""

from analysis.report.figures.calibration import plot_calibration
from analysis.report.figures.confirmation import plot_confirmation
from analysis.report.figures.confusion import plot_confusion
from analysis.report.figures.curves import plot_learning_curves, plot_top_curves
from analysis.report.figures.families import plot_families
from analysis.report.figures.history import plot_history
from analysis.report.figures.importance import importance_of, plot_importance
from analysis.report.figures.parallel_coordinates import plot_parallel
from analysis.report.figures.parameter_ranges import plot_parameter_ranges
from analysis.report.figures.pareto import plot_pareto
from analysis.report.figures.pictures import plot_pictures
from analysis.report.figures.pruning import plot_pruning
from analysis.report.figures.slices import plot_slice, plot_slices
from analysis.report.figures.thresholds import plot_precision_recall, plot_roc

__all__ = [
    "importance_of",
    "plot_calibration",
    "plot_confirmation",
    "plot_confusion",
    "plot_families",
    "plot_history",
    "plot_importance",
    "plot_learning_curves",
    "plot_parallel",
    "plot_parameter_ranges",
    "plot_pareto",
    "plot_pictures",
    "plot_precision_recall",
    "plot_pruning",
    "plot_roc",
    "plot_slice",
    "plot_slices",
    "plot_top_curves",
]
