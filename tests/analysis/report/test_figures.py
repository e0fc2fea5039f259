from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState, create_trial

from analysis.report import figures
from analysis.report.figures import curves, theme
from analysis.report.figures.parameters import Axis, axis_of, shown_parameters
from analysis.results.classification_metrics import evaluate

MAX_JSON_BYTES = 6_000_000
STUDY_FIGURES = (
    figures.plot_history,
    figures.plot_families,
    figures.plot_learning_curves,
    figures.plot_top_curves,
    figures.plot_importance,
    figures.plot_slices,
    figures.plot_parallel,
    figures.plot_pareto,
    figures.plot_pruning,
)
EVALUATION_FIGURES = (
    figures.plot_confusion,
    figures.plot_roc,
    figures.plot_precision_recall,
    figures.plot_calibration,
)


def traces(figure, **wanted):
    return [
        it
        for it in figure.data
        if all(getattr(it, name) == value for name, value in wanted.items())
    ]


def test_history_has_a_mark_for_each_trial_with_a_place(facts):
    figure = figures.plot_history(facts)
    marks = sum(len(it.x) for it in traces(figure, mode="markers"))
    assert marks == sum(it.rank is not None for it in facts.ranking.trials)


def test_history_line_ends_at_the_best_value(facts):
    line = traces(figures.plot_history(facts), mode="lines")[0]
    assert list(line.y) == sorted(line.y)
    assert line.y[-1] == pytest.approx(facts.ranking.trials[0].val_accuracy, abs=1e-5)


def test_families_have_a_box_each_of_their_complete_trials(facts):
    points = traces(figures.plot_families(facts), boxpoints="all")
    counts = {it.y[0]: len(it.x) for it in points}
    expected = Counter(it.family for it in facts.ranking.complete)
    assert counts == dict(expected)


def test_boxes_of_families_cover_all_values_even_if_points_are_left_out(facts, monkeypatch):
    monkeypatch.setattr("analysis.report.figures.families.MAX_POINTS", 6)
    figure = figures.plot_families(facts)
    assert sum(len(it.x) for it in traces(figure, boxpoints="all")) == 6
    boxes = [it for it in figure.data if it.q1 is not None]
    assert len(boxes) == len({it.family for it in facts.ranking.complete})
    for box in boxes:
        values = [it.val_accuracy for it in facts.ranking.complete if it.family == box.y[0]]
        drawn = (box.lowerfence[0], box.q1[0], box.median[0], box.q3[0], box.upperfence[0])
        assert drawn == pytest.approx(np.quantile(values, (0, 0.25, 0.5, 0.75, 1)), abs=1e-5)


def test_best_so_far_reaches_the_last_trial_even_if_it_was_pruned(facts):
    last = max(theme.trials_with_value(facts.ranking.trials), key=lambda it: it.trial)
    trials = tuple(
        replace(it, state="PRUNED") if it == last else it for it in facts.ranking.trials
    )
    cut = replace(facts, ranking=replace(facts.ranking, trials=trials))
    assert traces(figures.plot_history(cut), mode="lines")[0].x[-1] == last.trial


def test_marks_of_reduced_rates_do_not_overlap_the_best_epoch(facts):
    figure = figures.plot_learning_curves(facts)
    panels = {it.name: it.yaxis for it in traces(figure, mode="markers")}
    assert panels["learning rate reduced"] != panels["best epoch"]


def test_sixteen_lines_look_different():
    assert len({tuple(theme.line_style(place).values()) for place in range(16)}) == 16


def test_ninth_of_the_top_curves_does_not_look_like_the_first(facts):
    curve = facts.winner.curve
    figure = figures.plot_top_curves(replace(facts, curves=dict.fromkeys(range(9), curve)))
    looks = [(it.line.color, it.line.dash) for it in figure.data]
    assert looks[8] != looks[0]


@pytest.mark.parametrize(("low", "high"), [(85, 85), (84, 86), (0.001, 0.001), (12, 4_000_000)])
def test_short_logarithmic_axes_have_ticks(low, high):
    assert theme.log_ticks(low, high)["tickvals"]


def test_ticks_are_formatted_for_the_language(facts):
    assert theme.log_ticks(0.001, 0.1, lang="ru")["ticktext"][0] == "0,001"
    axis = Axis("dropout", (), is_log=False, low=0.25, high=0.5)
    assert [label for _, label in axis.ticks("ru")] == ["0,25", "0,5"]
    assert [label for _, label in axis.ticks("en")] == ["0.25", "0.5"]
    labels = {it.text for it in figures.plot_parallel(facts, lang="ru").layout.annotations}
    assert not any("." in it and it[0].isdigit() for it in labels)


def labels_of(figure, axis):
    return figure.layout[axis].tickvals


@pytest.mark.parametrize(
    ("plot", "axis", "expected"),
    [
        (figures.plot_history, "xaxis", (0, 1, 2, 3)),
        (figures.plot_pruning, "xaxis", (0, 1, 2, 3)),
        (figures.plot_learning_curves, "xaxis2", (1, 2, 3)),
        (figures.plot_top_curves, "xaxis", (1, 2, 3)),
    ],
)
def test_short_axes_of_whole_numbers_have_whole_ticks(plot, axis, expected, facts_all_right):
    assert labels_of(plot(facts_all_right), axis) == expected


def test_long_axes_of_whole_numbers_are_left_to_plotly(facts):
    assert labels_of(figures.plot_history(facts), "xaxis") is None
    assert labels_of(figures.plot_slice(facts, "dropout"), "xaxis") is None


def test_whole_parameters_have_whole_ticks(facts):
    axis = axis_of("residual_stages", facts)
    assert axis.is_integer
    ticks = labels_of(figures.plot_slice(facts, "residual_stages"), "xaxis")
    assert ticks == tuple(range(axis.low, axis.high + 1))


def test_few_counts_of_images_have_whole_ticks():
    predictions = np.array([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3]])
    evaluation = evaluate(np.array([0, 1, 0]), predictions, ("a", "b"), n_resamples=20)
    assert labels_of(figures.plot_calibration(evaluation), "yaxis2") == (0, 1)


@pytest.mark.parametrize(("lang", "expected"), [("en", ("yes", "no")), ("ru", ("да", "нет"))])
def test_booleans_are_drawn_as_words(facts, lang, expected):
    slice_ = figures.plot_slice(facts, "augmentation", lang=lang)
    assert slice_.layout.xaxis.categoryarray == expected
    assert {x for it in slice_.data for x in it.x} == set(expected)
    annotations = {it.text for it in figures.plot_parallel(facts, lang=lang).layout.annotations}
    assert annotations >= set(expected)
    assert not annotations & {"True", "False"}


def test_importance_has_percents_in_the_common_format(facts):
    figure = figures.plot_importance(facts)
    assert list(figure.data[0].x)[-1] == pytest.approx(100 * facts.importance["family"])
    assert figure.layout.xaxis.ticksuffix == "\u00a0%"
    assert figure.data[0].texttemplate == "%{x:.0f}\u00a0%"


def test_large_numbers_on_axes_are_abbreviated_in_the_language():
    assert theme.log_ticks(1e4, 1e7)["ticktext"][0] == "10k"
    assert theme.log_ticks(1e4, 1e7, lang="ru")["ticktext"][::3] == ["10 тыс.", "10 млн"]
    assert Axis("units", (), is_log=True, low=8, high=2048).ticks()[1][1] == "2048"


def test_learning_curves_mark_best_epoch_reductions_and_second_phase(facts):
    figure = figures.plot_learning_curves(facts)
    marks = {it.name: list(it.x) for it in traces(figure, mode="markers")}
    assert marks["best epoch"] == [facts.winner.best_epoch]
    assert marks["learning rate reduced"] == [8, 15]
    assert marks["early stopping"] == [18]
    assert {it.x0 for it in figure.layout.shapes} == {10.5}


def test_start_of_the_second_phase_is_not_shown_as_a_reduction(facts):
    assert curves.second_phase(facts.winner.curve) == 11
    assert 11 not in curves.rate_reductions(facts.winner.curve)


def test_training_to_the_limit_of_its_phase_did_not_stop_early(facts):
    settings = {**facts.search.settings, "max_epochs": 8}
    at_limit = replace(facts, search=replace(facts.search, settings=settings))
    assert curves.stopped_early(facts)
    assert not curves.stopped_early(at_limit)


def test_pruning_adds_up_to_the_limit_of_epochs(facts):
    trained, by_pruner, by_patience = figures.plot_pruning(facts).data
    limit = facts.search.settings["max_epochs"]
    assert set(np.add(np.add(trained.y, by_pruner.y), by_patience.y)) == {limit}
    assert sum(by_pruner.y) == facts.search.epochs_saved_by_pruner


def test_pareto_lines_are_the_fronts_of_the_ranking(facts):
    lines = traces(figures.plot_pareto(facts), mode="lines")
    for line, cost in zip(lines, ("parameters", "seconds"), strict=True):
        assert list(line.text) == [f"#{it.trial}" for it in facts.ranking.front(cost)]


def test_parallel_draws_each_complete_trial_through_each_axis(facts):
    n_axes = len(shown_parameters(facts)) + 1
    x = [at for line in figures.plot_parallel(facts).data for at in line.x]
    assert x.count(None) == len(facts.ranking.complete)
    assert x.count(n_axes - 1) == len(facts.ranking.complete)


def counts_of_bands(facts):
    return [list(line.x).count(None) for line in figures.plot_parallel(facts).data]


def test_bands_of_parallel_are_by_place_among_all_trials(facts, monkeypatch):
    n = len(facts.ranking.complete)
    n_top = n - round(0.9 * n)
    assert counts_of_bands(facts)[2] == n_top
    monkeypatch.setattr("analysis.report.figures.parallel_coordinates.MAX_LINES", n // 2)
    downsample = counts_of_bands(facts)
    assert sum(downsample) == n // 2
    assert downsample[2] == n_top


@pytest.mark.parametrize("n_trials", [1, 2, 4])
def test_best_trial_is_always_in_the_top_band(make_facts, n_trials):
    facts = make_facts(n_trials=n_trials, with_confirmation=False)
    counts = counts_of_bands(facts)
    assert counts[2] == 1
    assert sum(counts) == n_trials


def test_slices_show_only_trials_that_have_the_parameter(facts):
    figure = figures.plot_slice(facts, "inception_width")
    expected = [it for it in facts.ranking.trials if "inception_width" in it.params and it.rank]
    assert sum(len(it.x) for it in figure.data) == len(expected)


def test_numbers_that_are_choices_are_drawn_as_choices(facts):
    axis = axis_of("batch_size", facts)
    assert axis.choices == (16, 32, 64, 128)
    assert axis_of("learning_rate", facts).is_log
    assert not axis_of("dropout", facts).is_log


def test_without_importance_the_parameters_of_most_trials_are_shown(facts):
    assert "family" in shown_parameters(replace(facts, importance={}))


def test_confusion_has_counts_and_shares_of_rows(facts):
    evaluation = facts.examined["test"].evaluation
    cells = figures.plot_confusion(evaluation).data[0]
    assert [list(row) for row in cells.customdata] == [list(row) for row in evaluation.confusion]
    assert np.sum(cells.z, axis=1) == pytest.approx(1, abs=1e-4)


def test_rates_of_a_class_without_images_are_left_out():
    evaluation = evaluate(
        np.array([0, 1, 0, 1]),
        np.array([[0.9, 0.1, 0.0], [0.2, 0.8, 0.0], [0.6, 0.4, 0.0], [0.7, 0.3, 0.0]]),
        ("a", "b", "none of it"),
        n_resamples=20,
    )
    assert len(figures.plot_roc(evaluation).data) == 2
    assert len(figures.plot_precision_recall(evaluation).data) == 2
    assert len(figures.plot_confusion(evaluation).data[0].z) == 3


def test_calibration_shows_its_error_and_counts_all_images(facts):
    evaluation = facts.examined["test"].evaluation
    figure = figures.plot_calibration(evaluation)
    assert f"{evaluation.calibration_error:.3f}" in figure.layout.title.text
    assert sum(traces(figure, type="bar")[0].y) == evaluation.n


def test_confirmation_has_each_mean_with_its_interval(facts):
    figure = figures.plot_confirmation(facts.confirmation)
    found = {
        y: (x - down, x, x + up)
        for it in figure.data
        for x, y, up, down in zip(it.x, it.y, it.error_x.array, it.error_x.arrayminus, strict=True)
    }
    for it in facts.confirmation.standings:
        assert found[f"#{it.trial}"] == pytest.approx((it.low, it.mean, it.high), abs=1e-4)


def test_confirmation_of_single_seeds_has_means_only(facts):
    bare = replace(facts.confirmation.leader, deviation=None, low=None, high=None, chance=None)
    figure = figures.plot_confirmation(replace(facts.confirmation, standings=(bare,)))
    assert list(figure.data[0].error_x.array) == [0]


def test_names_of_users_are_shown_and_not_read_as_markup(facts):
    figure = figures.plot_roc(facts.examined["test"].evaluation)
    assert all("<script" not in it.name for it in figure.data)
    assert theme.escape_label("<b>&</b>") == "&lt;b&gt;&amp;&lt;/b&gt;"
    assert "<script" not in theme.wrap_label("<script>alert(1)</script>")


@pytest.mark.parametrize("plot", STUDY_FIGURES)
def test_figures_are_drawn_of_a_single_trial(plot, make_facts):
    facts = make_facts(n_trials=1)
    assert plot(replace(facts, importance={})).layout.title.text


@pytest.mark.parametrize("plot", EVALUATION_FIGURES)
def test_figures_are_labelled_in_russian(plot, facts):
    evaluation = facts.examined["test"].evaluation
    assert plot(evaluation).layout.title.text != plot(evaluation, lang="ru").layout.title.text


@pytest.mark.slow
def test_figures_of_five_thousand_trials_are_small_and_say_what_is_left_out(make_facts):
    facts = make_facts(n_trials=5000)
    drawn = [plot(facts) for plot in STUDY_FIGURES]
    assert sum(len(it.to_json()) for it in drawn) < MAX_JSON_BYTES
    assert "(400 of 4,999 shown)" in figures.plot_pruning(facts).layout.title.text


def test_thinned_points_include_the_best_trials_and_both_ends(facts):
    trials = theme.trials_with_value(facts.ranking.trials)
    kept = theme.downsample_trials(trials, 10)
    assert len(kept) == 10
    assert {it.rank for it in kept} >= {1, 2, 3, 4, 5}
    assert theme.downsample(range(100), 7)[0] == 0
    assert theme.downsample(range(100), 7)[-1] == 99


def make_trials(values):
    domains = {"good": FloatDistribution(0, 1), "idle": FloatDistribution(0, 1)}
    rng = np.random.default_rng(0)
    return [
        create_trial(
            state=TrialState.COMPLETE,
            value=value,
            params={"good": value, "idle": float(rng.uniform())},
            distributions=domains,
        )
        for value in values
    ]


def test_parameter_that_determines_the_value_is_the_most_important():
    found = figures.importance_of(make_trials(np.linspace(0, 1, 60).tolist()))
    assert list(found) == ["good", "idle"]
    assert sum(found.values()) == pytest.approx(1)
    assert found["good"] > 0.8


@pytest.mark.parametrize("values", [[], [0.5], [0.1, 0.2, 0.3], [0.5] * 40])
def test_too_few_or_equal_trials_have_no_importance(values):
    assert figures.importance_of(make_trials(values)) == {}


def test_parameter_of_a_few_trials_is_not_called_important(facts):
    found = figures.importance_of(facts.trials)
    n_uses = Counter(
        name for it in facts.trials if it.state == TrialState.COMPLETE for name in it.params
    )
    assert found
    assert all(n_uses[name] >= 8 for name in found)
