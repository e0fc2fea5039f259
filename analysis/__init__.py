"""Results of a study (ranking, families, status), its report and its dashboard.

Figures and tables take the `facts` of a study from `search.gather_facts`, and `lang`, the language
of their labels: `en` or `ru`. They need Plotly and pandas, which are loaded on first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from analysis.results.families import FamilySummary, family_of, summarize_families
from analysis.results.ranking import METRICS, Cost, RankedTrial, Ranking, rank
from analysis.results.status import StudyStatus, follow_status, load_status

if TYPE_CHECKING:
    from analysis.report.data_files import facts_to_json
    from analysis.report.facts import Facts
    from analysis.report.figures import (
        plot_calibration,
        plot_confirmation,
        plot_confusion,
        plot_families,
        plot_history,
        plot_importance,
        plot_learning_curves,
        plot_parallel,
        plot_pareto,
        plot_pictures,
        plot_precision_recall,
        plot_pruning,
        plot_roc,
        plot_slices,
        plot_top_curves,
    )
    from analysis.report.tables import (
        class_scores_table,
        confirmation_table,
        data_table,
        families_table,
        layers_table,
        ranking_table,
        scores_table,
        space_table,
        winner_table,
    )
    from analysis.report.write import write_report

__all__ = [
    "METRICS",
    "Cost",
    "Facts",
    "FamilySummary",
    "RankedTrial",
    "Ranking",
    "StudyStatus",
    "class_scores_table",
    "confirmation_table",
    "data_table",
    "facts_to_json",
    "families_table",
    "family_of",
    "follow_status",
    "layers_table",
    "load_status",
    "plot_calibration",
    "plot_confirmation",
    "plot_confusion",
    "plot_families",
    "plot_history",
    "plot_importance",
    "plot_learning_curves",
    "plot_parallel",
    "plot_pareto",
    "plot_pictures",
    "plot_precision_recall",
    "plot_pruning",
    "plot_roc",
    "plot_slices",
    "plot_top_curves",
    "rank",
    "ranking_table",
    "scores_table",
    "space_table",
    "summarize_families",
    "winner_table",
    "write_report",
]

_ELSEWHERE = {
    "Facts": "analysis.report.facts",
    "facts_to_json": "analysis.report.data_files",
    "write_report": "analysis.report.write",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'analysis' has no attribute {name!r}")
    kind = "figures" if name.startswith("plot_") else "tables"
    found = getattr(import_module(_ELSEWHERE.get(name, f"analysis.report.{kind}")), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
