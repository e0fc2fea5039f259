import json
import re
from importlib.resources import files

import pytest

from analysis.report.phrases import Phrases
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
def test_russian_counts_have_the_right_plural_form(n, expected):
    assert texts("ru").count("count.images", n) == expected


def test_english_counts_have_the_right_plural_form():
    assert [plural_form("en", n) for n in (0, 1, 2)] == ["other", "one", "other"]


def test_numbers_are_formatted_for_the_language():
    assert texts("en").number(1234567) == "1,234,567"
    assert texts("ru").number(1234567) == "1\u202f234\u202f567"
    assert texts("en").number(0.92137, 3) == "0.921"
    assert texts("ru").number(0.92137, 3) == "0,921"
    assert texts("en").number(2.5e-6) == "2.5 × 10⁻⁶"
    assert texts("en").number(float("nan")) == texts("en").number(None) == "–"


@pytest.mark.parametrize("lang", LANGUAGES)
def test_percents_have_one_format_everywhere(lang):
    assert texts(lang).percent(0.5, 0) == "50\u00a0%"
    for part in ("", "notebook"):
        written = json.dumps(dict(texts(lang, part).entries), ensure_ascii=False)
        assert len(re.findall(r"\d\u00a0%", written)) == written.count("%") > 0


def test_values_are_written_in_words_of_the_language():
    assert [texts("en").value(it) for it in (True, False, None)] == ["yes", "no", "–"]
    assert [texts("ru").value(it) for it in (True, 0.5, "adam")] == ["да", "0,5", "adam"]


@pytest.mark.parametrize(
    ("values", "english", "russian"),
    [
        ("true, false", "yes, no", "да, нет"),
        ("0.0001–0.01", "0.0001–0.01", "0,0001–0,01"),
        ("1e-06–0.1", "1 × 10⁻⁶–0.1", "1 × 10⁻⁶–0,1"),
        ("0.1, 0.25", "0.1, 0.25", "0,1; 0,25"),
        ("8–2048 by 8", "8–2048 in steps of 8", "8–2048 с шагом 8"),
        ("adam, MobileNetV3.5, v1", "adam, MobileNetV3.5, v1", "adam, MobileNetV3.5, v1"),
    ],
)
def test_domains_are_described_in_the_language(values, english, russian):
    assert Phrases(texts("en")).domain(values) == english
    assert Phrases(texts("ru")).domain(values) == russian


TECHNICAL = {
    *(
        "--store",
        "AUC",
        "CONVSEARCH_STORE",
        "DICOM",
        "ECE",
        "F1",
        "Grad-CAM",
        "Hyperband",
        "JavaScript",
        "NumPy",
        "PED-ANOVA",
    ),
    *("ROC", "ROC-кривые", "TPE", "UTC", "confirm", "convsearch", "npz", "precision", "seed"),
}
"""Names that are the same in each language."""


@pytest.mark.parametrize("part", ["", "notebook"])
def test_russian_texts_contain_no_english_words(part):
    entries = texts("ru", part).entries.values()
    forms = [form for it in entries for form in ([it] if isinstance(it, str) else it.values())]
    said = re.sub(r"\{\w+\}", " ", " ".join(forms))
    assert set(re.findall(r"[\w-]*[A-Za-z][\w-]*", said)) <= TECHNICAL


@pytest.mark.parametrize(
    ("seconds", "expected"), [(4.26, "4.3 s"), (48.4, "48 s"), (90, "1.5 min"), (5400, "1.5 h")]
)
def test_durations_are_written_in_a_suitable_unit(seconds, expected):
    assert texts("en").duration(seconds) == expected


def test_unknown_language_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"expected en or ru\. Received: de"):
        texts("de")


def test_values_are_never_read_as_placeholders():
    said = texts("en").say("page.title", study="{study.__class__}")
    assert "{study.__class__}" in said


@pytest.mark.parametrize("lang", LANGUAGES)
def test_text_of_the_reproduce_command_mentions_the_store(lang):
    about = texts(lang).say("again.about")
    assert "--store" in about
    assert "$CONVSEARCH_STORE" in about
