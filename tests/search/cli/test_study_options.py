"""Options of studies: help shows the defaults of the settings, and every option has a key."""

from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from search import defaults
from search.cli import options
from search.cli.main import app
from search.cli.study_options import STUDY_OPTIONS, StudyOptions, with_study_options
from search.errors import SettingsError
from search.settings.option_keys import OPTION_KEYS, OPTION_NAMES
from search.settings.plan import StudyPlan

NOT_BY_FIELD = {
    ("budget", "trials"): str(defaults.N_TRIALS),
    ("search", "max_parameters"): f"{defaults.MAX_PARAMETERS:,}",
    ("study", "priority"): str(defaults.PRIORITY),
}
"""Defaults that are worked out when a study is submitted: the fields have None."""


def shown_default(name: str) -> Any:
    run = typer.main.get_command(app).commands["run"]  # type: ignore[attr-defined]
    return next(it for it in run.params if it.name == name).show_default


def field_of(table: str, key: str) -> Any:
    return StudyPlan.model_fields[table].annotation.model_fields[key]  # type: ignore[union-attr]


@pytest.mark.parametrize("place", [it for it in OPTION_NAMES if it[0] != "space"])
def test_option_shows_the_default_of_its_field(place: tuple[str, str]) -> None:
    field = field_of(*place)
    name = next(name for name, keys in OPTION_KEYS.items() if place in keys)
    expected = NOT_BY_FIELD.get(place)
    if not field.is_required() and field.default:  # Nothing is shown as a word.
        value = field.default
        expected = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
    if expected is not None:
        assert shown_default(name).partition(", ")[0] == expected


def test_every_option_of_a_study_has_a_key() -> None:
    assert set(STUDY_OPTIONS) <= set(OPTION_KEYS)


@pytest.mark.parametrize("table", ["data", "training", "search", "transfer", "study", "store"])
def test_every_key_has_a_description(table: str) -> None:
    fields = StudyPlan.model_fields[table].annotation.model_fields  # type: ignore[union-attr]
    assert all(field.description for field in fields.values())


def test_merged_classes_are_parsed() -> None:
    assert options.parse_merge("new=a, b;other=c") == {"new": ["a", "b"], "other": ["c"]}
    assert options.parse_merge(None) is None
    for text in ("new", "=a", "new=", "a=b;c"):
        with pytest.raises(SettingsError, match="--merge: expected classes such as new=a,b"):
            options.parse_merge(text)


def test_lists_of_splits_are_parsed() -> None:
    parsed = options.parse_split_list("test=my list.txt, val=b.txt")
    assert parsed == {"test": "my list.txt", "val": "b.txt"}
    assert options.parse_split_list(None) is None
    for text in ("test", "test=", "=a.txt", "test=a,test=b", ""):
        with pytest.raises(SettingsError, match="--split-list: expected files such as"):
            options.parse_split_list(text)


def test_repeated_lists_are_joined() -> None:
    @with_study_options("exclude", "merge", "split_list", "where")
    def command(given: StudyOptions) -> None:
        values.update(given.values)

    values: dict[tuple[str, str], Any] = {}
    app = typer.Typer()
    app.command()(command)
    arguments = ["scans", "--exclude", "a*, b", "--exclude", "c", "--merge", "x=a,b", "--merge"]
    arguments += ["y=c", "--split-list", "test=t.txt", "--split-list", "val=v.txt"]
    found = CliRunner().invoke(app, arguments)
    assert found.exit_code == 0, found.output
    assert values["data", "exclude"] == ["a*", "b", "c"]
    assert values["data", "merge"] == {"x": ["a", "b"], "y": ["c"]}
    assert values["data", "split_list"] == {"test": "t.txt", "val": "v.txt"}
    assert values["data", "where"] is None
