import json
import re
from base64 import b64encode
from dataclasses import replace
from hashlib import sha256

import pytest

from analysis.report.facts import Caution
from analysis.report.html_page import Script
from analysis.report.page import render_page
from analysis.report.phrases import Phrases
from analysis.report.texts import texts
from analysis.results.confidence_intervals import Score
from tests.analysis.report.page_reader import Reader

SECTIONS = ["data", "search", "result", "sure", "test", "mattered", "again", "reading"]
MAX_BYTES = 12_000_000
CAUTION = "caution."
KINDS = sorted(it.removeprefix(CAUTION) for it in texts("en").entries if it.startswith(CAUTION))
MOMENT = "2026-03-02T09:30:00+00:00"
OF_PLACEHOLDERS = {"parameter": "dropout", "trials": "3, 7", "first": MOMENT, "last": MOMENT}
"""Values that are no numbers."""


@pytest.fixture(scope="module")
def page(facts):
    return render_page(facts)


@pytest.fixture(scope="module")
def reader(page):
    return Reader(page)


def test_page_has_one_title_and_all_sections_in_order(reader):
    assert reader.count("h1") == 1
    assert [attrs["id"] for tag, attrs in reader.tags if tag == "section"] == SECTIONS
    links = {attrs["href"] for tag, attrs in reader.tags if tag == "a"}
    assert links >= {f"#{name}" for name in SECTIONS}


def test_page_begins_with_the_answer(reader, facts):
    accuracy = facts.examined["test"].evaluation.accuracy
    headline = " ".join(reader.text.split())
    assert f"Best network: {facts.winner.trial.family}, validation accuracy" in headline
    assert f"test accuracy {accuracy.value:.3f} (95 % interval {accuracy.low:.3f}" in headline


def test_page_loads_nothing(page, reader):
    assert all(it.startswith(("data:", "#")) for it in reader.loads)
    style = next(text for attrs, text in reader.scripts if "url(" in text or ":root" in text)
    assert "url(" not in style
    assert "@import" not in style
    assert len(page.encode()) < MAX_BYTES


def test_policy_forbids_all_loads_and_allows_the_two_scripts_by_hash(reader):
    policy = next(attrs["content"] for tag, attrs in reader.tags if attrs.get("http-equiv"))
    assert policy.startswith("default-src 'none';")
    assert "unsafe-eval" not in policy
    run = [text for attrs, text in reader.scripts if not attrs and ":root" not in text]
    assert len(run) == 2
    for text in run:
        digest = b64encode(sha256(text.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy


def test_names_from_users_are_text_and_never_markup(page, reader):
    assert "<script>alert(1)" not in page
    assert "<b>MRI" not in page
    assert "<script>alert(1)</script>" in reader.text
    assert "brain <b>MRI</b>" in reader.text


def test_data_of_figures_is_json_without_any_tag(reader):
    found = next(text for attrs, text in reader.scripts if attrs.get("id") == "figures")
    assert "<" not in found
    drawn = json.loads(found)
    places = {attrs["data-figure"] for _, attrs in reader.tags if "data-figure" in attrs}
    assert places == set(drawn)
    assert len(drawn) >= 20


def test_images_have_alternative_texts(reader):
    images = [attrs for tag, attrs in reader.tags if tag == "img"]
    assert len(images) == 12 + 2 * 12
    assert all(attrs["alt"] for attrs in images)


def test_figures_and_panels_have_labels(reader):
    pictured = [attrs for _, attrs in reader.tags if attrs.get("role") == "img"]
    assert all(attrs["aria-label"] for attrs in pictured)


def test_cautions_are_stated_once_and_linked_from_their_sections(reader, facts):
    assert reader.text.count("lies at the edge of its range") == 1
    edge = next(n for n, it in enumerate(facts.cautions, start=1) if it.kind == "edge")
    assert reader.count("li", id=f"caution-{edge}") == 1
    assert reader.count("a", href=f"#caution-{edge}") == 1
    section = reader.text[reader.text.rindex("What mattered") :]
    assert "Keep in mind: dropout at the edge of its range." in " ".join(section.split())


def test_links_to_cautions_have_targets(make_facts):
    for parts in ({"with_test": False}, {"with_weights": False, "is_partial": True}):
        page = Reader(render_page(make_facts(n_trials=6, **parts)))
        ids = {attrs["id"] for _, attrs in page.tags if "id" in attrs}
        links = {attrs["href"][1:] for tag, attrs in page.tags if tag == "a"}
        assert links <= ids


@pytest.mark.parametrize("lang", ["en", "ru"])
@pytest.mark.parametrize("kind", KINDS)
def test_each_caution_has_a_short_text(kind, lang):
    words = texts(lang)
    caution = Caution(kind, values_for(words.entries[CAUTION + kind]))
    [(place, said)] = Phrases(words).reminders([caution], {kind})
    assert place == 1
    assert said != kind


def test_score_without_an_interval_says_why(facts, facts_all_right):
    text = Reader(render_page(facts_all_right)).text
    assert "1.000–1.000" not in text
    assert text.count("– *") == 3 + len(facts.data.classes)
    assert text.count("* All predictions are correct, so no interval can be given") == 2
    assert "no interval can be given" not in Reader(render_page(facts)).text


def test_reason_is_correct_if_only_some_scores_are_constant():
    say = Phrases(texts("en")).no_interval
    constant, other = Score(1.0, 1.0, 1.0), Score(0.9, 0.8, 0.95)
    assert say(other, [other, other]) == ""
    assert say(other, [other, constant]).startswith("No interval can be given")
    unknown = Score(float("nan"), float("nan"), float("nan"))
    assert say(other, [unknown]) == ""


def test_names_of_choices_are_translated(facts_all_right):
    text = " ".join(Reader(render_page(facts_all_right, lang="ru")).text.split())
    assert "автоматический" in text
    assert "да, нет" in text
    assert "в семействе plain;" in text


def test_page_says_when_the_test_images_were_used(reader):
    assert "2026-03-02 09:30 (UTC), by confirm, for trial 4 of brain" in reader.text


def test_page_has_the_command_that_trains_the_winner_again(reader, facts):
    assert facts.winner.command in reader.text


def test_names_of_files_are_shown_only_on_request(make_facts):
    facts = make_facts(n_trials=6)
    named = replace(facts, data=replace(facts.data, names_left_out=("patient7.png",)))
    assert "patient7.png" in Reader(render_page(named)).text
    assert "Excluded files" not in Reader(render_page(facts)).text


def test_missing_parts_are_reported_as_missing(make_facts):
    facts = make_facts(with_test=False, with_confirmation=False, is_partial=True)
    text = " ".join(Reader(render_page(facts)).text.split())
    assert "not evaluated on the test images yet" in text
    assert "scores on the 400 images of the validation split" in text
    assert "The winner has not been confirmed" in text
    assert "this report is partial" in text


def test_page_without_weights_says_so(make_facts):
    facts = make_facts(n_trials=5, with_weights=False, with_confirmation=False)
    text = Reader(render_page(facts)).text
    assert "The network's weights are not available" in text
    assert "Its layers are unknown" in text


def test_bare_facts_make_a_page(make_facts):
    facts = make_facts(n_trials=1, with_weights=False, with_confirmation=False)
    bare = replace(
        facts,
        curves={},
        importance={},
        cautions=(),
        winner=replace(facts.winner, curve=()),
        data=replace(facts.data, samples=(), split=None),
    )
    text = Reader(render_page(bare)).text
    assert "Its learning curve is not in the store" in text
    assert "too few different trials" in text


def test_russian_page_has_russian_texts_and_numbers(facts):
    page = Reader(render_page(facts, lang="ru"))
    assert page.count("html", lang="ru") == 1
    assert "Лучшая сеть" in page.text
    assert f"{facts.winner.val_accuracy:.4f}".replace(".", ",") in page.text
    assert not re.search(r"\{\w+\}", page.text)


def values_for(sentence):
    return {it: OF_PLACEHOLDERS.get(it, 0.25) for it in re.findall(r"\{(\w+)\}", sentence)}


@pytest.mark.parametrize("lang", ["en", "ru"])
@pytest.mark.parametrize("kind", KINDS)
def test_each_caution_has_a_sentence_with_its_values(kind, lang):
    words = texts(lang)
    values = values_for(words.entries[CAUTION + kind])
    sentence = Phrases(words).caution(Caution(kind, values))
    assert sentence != kind
    assert "T09" not in sentence
    shown = {"2026-03-02 09:30" if it == MOMENT else it for it in values.values()}
    for value in shown:
        assert (value if isinstance(value, str) else words.number(value)) in sentence


def test_caution_without_a_sentence_is_shown_by_its_kind():
    assert Phrases(texts("en")).caution(Caution("unheard_of", {})) == "unheard_of"


def test_unknown_language_is_refused(facts):
    with pytest.raises(ValueError, match="expected en or ru"):
        render_page(facts, lang="de")


@pytest.mark.parametrize(("n_trials", "is_there"), [(2, False), (12, True)])
def test_accuracy_by_parameter_is_mentioned_only_with_figures(make_facts, n_trials, is_there):
    text = Reader(render_page(make_facts(n_trials=n_trials, with_confirmation=False))).text
    assert ("Accuracy by parameter" in text) == is_there


def test_script_that_would_close_its_tag_is_refused():
    with pytest.raises(ValueError, match="without an end tag"):
        Script.of("let x = '</script>'")
