"""Tables: the numbers of the facts, with headings in each language."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from analysis.errors import ReportError
from analysis.report import tables
from analysis.report.facts import Facts
from analysis.report.texts import LANGUAGES

MakeFacts = Callable[..., Facts]


def test_data_table_counts_images_and_adds_them_up(facts: Facts) -> None:
    table = tables.data_table(facts)
    assert list(table.columns) == ["training", "validation", "test", "total"]
    assert table.loc["glioma", "training"] == facts.data.counts["train"]["glioma"]
    total = sum(sum(counts.values()) for counts in facts.data.counts.values())
    assert table["total"].iloc[-1] == total


def test_data_table_keeps_a_class_with_the_name_of_the_total(make_facts: MakeFacts) -> None:
    table = tables.data_table(make_facts(classes=("total", "none")))
    assert list(table.index) == ["total", "none", "total"]
    assert table["training"].tolist() == [820, 760, 1580]


@pytest.mark.parametrize(("n", "shown"), [(3, 3), (0, 0), (1000, None)])
def test_ranking_table_has_the_best_trials(facts: Facts, n: int, shown: int | None) -> None:
    placed = [it.trial for it in facts.ranking.trials if it.rank is not None]
    assert tables.ranking_table(facts, n)["trial"].tolist() == placed[:shown]


def test_winner_table_shows_the_parameters(facts: Facts) -> None:
    assert set(tables.winner_table(facts).index) == set(facts.winner.trial.params)


def test_layers_table_adds_up_to_the_network(facts: Facts) -> None:
    table = tables.layers_table(facts)
    assert table["parameters"].sum() == sum(it.parameters for it in facts.winner.layers)
    assert table.loc["stem", "shape"] == "64 × 64 × 16"


def test_confirmation_table_marks_the_leader_and_worse_configs(facts: Facts) -> None:
    verdicts = tables.confirmation_table(facts)["verdict"].tolist()
    assert verdicts == ["leader, recommended", "not distinguishable from the leader", "behind"]


def test_confirmation_table_without_a_confirmation_has_no_row(make_facts: MakeFacts) -> None:
    assert tables.confirmation_table(make_facts(with_confirmation=False)).empty


def test_scores_have_their_intervals(facts: Facts) -> None:
    row = tables.scores_table(facts, "test").loc["Accuracy"]
    score = facts.examined["test"].evaluation.accuracy
    assert row.tolist() == pytest.approx([score.value, score.low, score.high], abs=1e-4)


def test_class_scores_are_by_class(facts: Facts) -> None:
    table = tables.class_scores_table(facts, "val")
    assert list(table.index) == list(facts.data.classes)
    score = facts.examined["val"].evaluation.classes[0].specificity
    assert table["specificity", "95 % upper bound"].iloc[0] == pytest.approx(score.high, abs=1e-4)


def test_score_equal_in_all_resamples_has_no_interval(facts_all_right: Facts) -> None:
    scores = tables.scores_table(facts_all_right)
    assert scores.loc["Accuracy"].notna().all()
    assert scores.loc["Macro F1"].isna().tolist() == [False, True, True]
    classes = tables.class_scores_table(facts_all_right)
    assert classes["ROC AUC"].isna().all().tolist() == [False, True, True]
    assert classes["sensitivity"].notna().all(axis=None)


def test_space_table_says_yes_and_no(facts: Facts) -> None:
    assert tables.space_table(facts).loc["batch_normalization", "values"] == "yes, no"


@pytest.mark.parametrize("table", [tables.scores_table, tables.class_scores_table])
def test_scores_of_a_split_without_scores_are_refused(
    make_facts: MakeFacts, table: Callable[..., object]
) -> None:
    with pytest.raises(ReportError, match=r"evaluated \(val\). Received: 'test'"):
        table(make_facts(with_test=False), "test")


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("name", [it for it in dir(tables) if it.endswith("_table")])
def test_tables_are_translated(facts: Facts, name: str, lang: str) -> None:
    table = getattr(tables, name)(facts, lang=lang)
    headings = " ".join(map(str, [*table.columns.to_flat_index(), table.index.name]))
    is_russian = any("а" <= letter <= "я" for letter in headings.lower())
    assert is_russian == (lang == "ru")


def test_tables_escape_names_as_html(facts: Facts) -> None:
    assert "<script>" not in tables.data_table(facts)._repr_html_()


def test_families_without_a_complete_trial_have_no_best_one(facts: Facts) -> None:
    family = replace(facts.ranking.families[0], trial=None, val_accuracy=None, parameters=None)
    ranking = replace(facts.ranking, families=(family,))
    table = tables.families_table(replace(facts, ranking=ranking))
    assert table["trial"].isna().all()
    assert table["trials"].tolist() == [family.n_trials]
