import json
import re
from importlib.resources import files

import pytest

from analysis.report.texts import LANGUAGES, plural_form, texts

FORMS = {"en": {"one", "other"}, "ru": {"one", "few", "many"}}


def placeholders(entry: str | dict[str, str]) -> set[str]:
    written = entry if isinstance(entry, str) else " ".join(entry.values())
    return set(re.findall(r"\{(\w+)\}", written))


def test_languages_have_the_same_texts_with_the_same_placeholders():
    found = {
        lang: {key: placeholders(entry) for key, entry in texts(lang).entries.items()}
        for lang in LANGUAGES
    }
    assert found["ru"] == found["en"]


@pytest.mark.parametrize("lang", LANGUAGES)
def test_counting_texts_have_all_plural_forms_of_the_language(lang):
    for key, entry in texts(lang).entries.items():
        if not isinstance(entry, str):
            assert set(entry) == FORMS[lang], key


def test_files_hold_each_key_once():
    for lang in LANGUAGES:
        written = files("analysis.report.texts").joinpath(f"{lang}.json").read_text("utf-8")
        pairs = json.loads(written, object_pairs_hook=list)
        assert len({key for key, _ in pairs}) == len(pairs)


@pytest.mark.parametrize(
    ("n", "expected"),
    [
        (0, "0 изображений"),
        (1, "1 изображение"),
        (2, "2 изображения"),
        (5, "5 изображений"),
        (11, "11 изображений"),
        (14, "14 изображений"),
        (21, "21 изображение"),
        (104, "104 изображения"),
        (112, "112 изображений"),
        (1001, "1\u202f001 изображение"),
    ],
)
def test_russian_counts_take_their_form(n, expected):
    assert texts("ru").count("count.images", n) == expected


def test_english_counts_take_their_form():
    assert [plural_form("en", n) for n in (0, 1, 2)] == ["other", "one", "other"]


def test_numbers_are_written_as_the_language_does():
    assert texts("en").number(1234567) == "1,234,567"
    assert texts("ru").number(1234567) == "1\u202f234\u202f567"
    assert texts("en").number(0.92137, 3) == "0.921"
    assert texts("ru").number(0.92137, 3) == "0,921"
    assert texts("ru").percent(0.5, 0) == "50\u202f%"
    assert texts("en").number(2.5e-6) == "2.5 × 10⁻⁶"
    assert texts("en").number(float("nan")) == texts("en").number(None) == "–"


@pytest.mark.parametrize(
    ("seconds", "expected"), [(4.26, "4.3 s"), (48.4, "48 s"), (90, "1.5 min"), (5400, "1.5 h")]
)
def test_durations_are_written_in_the_unit_that_suits_them(seconds, expected):
    assert texts("en").duration(seconds) == expected


def test_unknown_language_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"expected en or ru\. Received: de"):
        texts("de")


def test_values_are_never_read_as_placeholders():
    said = texts("en").say("page.title", study="{study.__class__}")
    assert "{study.__class__}" in said


@pytest.mark.parametrize("lang", LANGUAGES)
def test_command_that_trains_again_is_said_to_need_the_store(lang):
    about = texts(lang).say("again.about")
    assert "--store" in about
    assert "$CONVSEARCH_STORE" in about
