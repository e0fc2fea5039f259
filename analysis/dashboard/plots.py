"""Plots of a study that the dashboard shows beside optuna-dashboard's."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import plotly.graph_objects as go
from optuna.trial import FrozenTrial

from analysis.dashboard.study_cache import StudySnapshot
from analysis.report.figures import (
    importance_of,
    plot_history,
    plot_parameter_ranges,
    plot_pareto,
    plot_pruning,
    plot_top_curves,
)
from analysis.results.families import family_of
from analysis.results.ranking import Cost, Ranking, rank_rows
from storage import EpochRow, Store, load_curve

N_CURVES = 10


def _plot_cost(found: "PlotData", *, cost: Cost) -> go.Figure:
    """Draw the accuracy against one cost, named in the title."""
    figure = plot_pareto(found, costs=(cost,))
    return figure.update_layout(title_text=f"{figure.layout.title.text}: {COST_NAMES[cost]}")


COST_NAMES: Mapping[Cost, str] = {"parameters": "parameters", "seconds": "time"}
Draw = Callable[["PlotData"], go.Figure]
PLOTS: Mapping[str, Draw] = {
    "accuracy_by_family": plot_history,
    "best_curves": plot_top_curves,
    "accuracy_and_parameters": partial(_plot_cost, cost="parameters"),
    "accuracy_and_time": partial(_plot_cost, cost="seconds"),
    "where_the_best_lie": plot_parameter_ranges,
    "epochs_saved": plot_pruning,
}
"""By the plot's id in the dashboard, in the order shown."""


@dataclass(frozen=True, slots=True)
class PlotData:
    """The data that figures are drawn from: see `SearchResults`."""

    ranking: Ranking
    trials: Sequence[FrozenTrial]
    curves: Mapping[int, Sequence[EpochRow]]
    importance: Mapping[str, float]
    families: Sequence[str]
    max_epochs: int | None

    @classmethod
    def of(cls, store: Store, snapshot: StudySnapshot, max_epochs: int | None) -> "PlotData":
        """Gather the data; curves of the best trials are read from the store."""
        rows = [it.row for it in snapshot.trials]
        ranking = rank_rows(snapshot.study.study_name, rows)
        ids = {row.number: row.trial_id for row in rows}
        best = [it.trial for it in ranking.complete[:N_CURVES]]
        trials = [it.frozen for it in snapshot.trials]
        return cls(
            ranking=ranking,
            trials=trials,
            curves={number: load_curve(store, ids[number]) for number in best},
            importance=importance_of(trials),
            families=tuple(dict.fromkeys(filter(None, map(family_of, rows)))),
            max_epochs=max_epochs,
        )


def draw_plots(store: Store, snapshot: StudySnapshot, max_epochs: int | None) -> dict[str, str]:
    """Draw the plots as JSON for Plotly, by id.

    There are none for a study without a value, for a plain Optuna study, whose values need not be
    accuracies, and for a confirmation, which compares means.
    """
    is_search = (
        snapshot.is_convsearch
        and snapshot.status is not None
        and not snapshot.status.is_confirmation
    )
    if not is_search or not any(it.row.value is not None for it in snapshot.trials):
        return {}
    found = PlotData.of(store, snapshot, max_epochs)
    figures = ((name, draw(found)) for name, draw in PLOTS.items())
    return {
        name: figure.update_layout(height=None, autosize=True).to_json()
        for name, figure in figures
        if figure.data
    }
