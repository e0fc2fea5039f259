"""The grid of pictures: one image each, and a second one with a heat map."""

from collections.abc import Callable
from dataclasses import replace

from analysis.report.facts import Facts
from analysis.report.figures import plot_pictures


def test_each_picture_is_drawn_under_its_class(facts: Facts) -> None:
    figure = plot_pictures(facts.data.samples)
    assert len(figure.data) == len(facts.data.samples)
    titles = [it.text for it in figure.layout.annotations]
    assert titles[0] == "glioma"
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in titles


def test_a_picture_with_a_heat_map_is_drawn_twice_with_its_prediction(facts: Facts) -> None:
    mistake = facts.examined["test"].mistakes[0]
    figure = plot_pictures([mistake])
    assert len(figure.data) == 2
    assert figure.data[0].source != figure.data[1].source
    title = figure.layout.annotations[0].text.replace("<br>", " ")
    assert f"{mistake.label} predicted as {mistake.answer}" in title


def test_a_picture_without_a_heat_map_is_drawn_once(facts: Facts) -> None:
    mistake = replace(facts.examined["test"].mistakes[0], heat=None)
    assert len(plot_pictures([mistake]).data) == 1


def test_no_pictures_are_an_empty_figure() -> None:
    assert len(plot_pictures([]).data) == 0


def test_more_pictures_make_a_higher_figure(make_facts: Callable[..., Facts]) -> None:
    samples = make_facts(n_trials=8).data.samples
    low, high = plot_pictures(samples[:6]), plot_pictures(samples[:7])
    assert high.layout.height > low.layout.height
