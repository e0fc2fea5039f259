"""A user's family is shown in rankings, notes, reports and plots like a built-in one."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from optuna.distributions import CategoricalDistribution
from rich.console import Console

from analysis.dashboard.notes import trial_note
from analysis.report import figures, tables
from analysis.report.facts import Facts
from analysis.report.figures.theme import family_style
from analysis.report.page import render_page
from analysis.results.ranking import Ranking, rank_rows
from search.cli.views.ranking import show_family_ranking, show_ranking
from spaces import FamilyModule, SearchSpace
from spaces.families import builtin_families
from spaces.parameters.stub_trials import PreferredTrial
from storage import Curve, Outcome, TrialRow
from tests.analysis.report import made_facts

EXAMPLE = Path(__file__).parents[1] / "examples" / "wide.py"
OWN_WORDS = """
    def summary(self):
        return f"one layer of {self.width}"

    def describe(self):
        return f"a wide layer of {self.width} channels"
"""
FIELDS = "width 64"

pytestmark = pytest.mark.usefixtures("clean_registry")


@pytest.fixture(params=["own words", "no words"])
def has_description(request: pytest.FixtureRequest, tmp_path: Path) -> bool:
    """Load a module with the family `wide`, whose network may have a description of its own."""
    has_description: bool = request.param == "own words"
    module = tmp_path / "wide.py"
    text = EXAMPLE.read_text()
    build = "    def build(self, x, layers):"
    assert build in text
    module.write_text(text.replace(build, OWN_WORDS + "\n" + build) if has_description else text)
    assert FamilyModule.find(str(module)).load() == ("wide",)
    return has_description


def make_row(number: int, family: str, value: float) -> TrialRow:
    preferred = SearchSpace.create([family]).known_good()[0]
    config = SearchSpace.create([family]).suggest(PreferredTrial(preferred))
    return TrialRow(
        trial_id=number + 1,
        number=number,
        state="COMPLETE",
        value=value,
        params={"family": family},
        attributes={"config": config.to_json(), "parameters": 1000, "max_epochs": 5},
        outcome=Outcome("complete", value=value),
        curve=Curve(5, 50.0, 4, value),
        started=datetime(2026, 1, 1),
        finished=datetime(2026, 1, 1, 0, 1),
    )


def show(view: Callable[[Console, Ranking], None], ranking: Ranking) -> str:
    console = Console(width=160)
    with console.capture() as capture:
        view(console, ranking)
    return capture.get()


def test_family_is_in_the_ranking(has_description: bool) -> None:
    rows = [make_row(0, "plain", 0.8), make_row(1, "wide", 0.9)]
    ranking = rank_rows("own", rows)
    assert ranking.trials[0].family == "wide"
    summary = "one layer of 64" if has_description else FIELDS
    assert f"wide, {summary}, " in show(show_ranking, ranking)
    by_family = show(show_family_ranking, ranking).splitlines()
    assert [line.split()[0] for line in by_family if "0.9000" in line] == ["wide"]


def test_family_is_in_the_note_of_a_trial(has_description: bool) -> None:
    description = "a wide layer of 64 channels" if has_description else FIELDS
    assert f"**wide**: {description} → " in trial_note(make_row(0, "wide", 0.9))


@pytest.fixture
def facts(monkeypatch: pytest.MonkeyPatch) -> Facts:
    """Facts of a study that searched `wide` instead of `inception`."""

    def rename(family: Any) -> Any:
        return "wide" if family == "inception" else family

    families = tuple(map(rename, made_facts.FAMILIES))
    shared = {**made_facts.SHARED, "family": CategoricalDistribution(families)}
    conditional = {(n, rename(v)): domains for (n, v), domains in made_facts.CONDITIONAL.items()}
    goodness = {rename(family): value for family, value in made_facts.GOODNESS.items()}
    monkeypatch.setattr(made_facts, "FAMILIES", families)
    monkeypatch.setattr(made_facts, "SHARED", shared)
    monkeypatch.setattr(made_facts, "CONDITIONAL", conditional)
    monkeypatch.setattr(made_facts, "GOODNESS", goodness)
    made = made_facts.make_facts(with_confirmation=False, with_weights=False)
    return replace(made, search=replace(made.search, families=families))


def test_family_is_in_the_plots_with_a_style_of_its_own(facts: Facts) -> None:
    style = family_style(facts.families, "wide")
    assert style not in {family_style(facts.families, name) for name in builtin_families()}
    for plot in (figures.plot_history, figures.plot_pareto):
        assert "wide" in {trace.name for trace in plot(facts).data}
    assert "wide" in {y for trace in figures.plot_families(facts).data for y in trace.y or ()}


def test_family_is_in_the_report(facts: Facts) -> None:
    assert "wide" in tables.families_table(facts).index
    assert "wide" in tables.ranking_table(facts).to_numpy().ravel().tolist()
    assert ">wide<" in render_page(facts)
