"""Study files and options: what overrides what, and which errors name which key."""

from pathlib import Path

import pytest

from search.errors import SettingsError
from search.settings.study_file import read_plan
from search.studies.space_table import read_space

NAMES = {("budget", "trials"): "--trials", ("study", "workers"): "--workers"}


def write(folder: Path, text: str) -> str:
    path = folder / "study.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_study_file_sets_every_table(tmp_path: Path) -> None:
    text = """
        [study]
        name = "mine"
        workers = 3
        [data]
        source = "images"
        image_size = 48
        [space]
        families = ["plain"]
        stages = 2
        [training]
        max_epochs = 7
        trial_timeout = "5m"
        [search]
        sampler = "random"
        pruner = "median"
        seed = 4
        [budget]
        timeout = "2h"
        [store]
        url = "sqlite:///mine.db"
    """
    plan = read_plan(write(tmp_path, text), {}, NAMES)
    assert (plan.study.name, plan.study.workers) == ("mine", 3)
    assert (plan.data.source, plan.data.image_size) == (str(tmp_path / "images"), 48)
    assert plan.space == {"families": ["plain"], "stages": 2}
    assert (plan.training.max_epochs, plan.training.trial_timeout) == (7, 300)
    assert (plan.search.sampler, plan.search.pruner, plan.search.seed) == ("random", "median", 4)
    assert (plan.budget.trials, plan.budget.timeout) == (None, 7200)
    assert plan.store.url == "sqlite:///mine.db"


def test_option_wins_over_study_file(tmp_path: Path) -> None:
    path = write(tmp_path, "[data]\nsource = 'images'\n[budget]\ntrials = 5\n")
    assert read_plan(path, {("budget", "trials"): None}, NAMES).budget.trials == 5
    assert read_plan(path, {("budget", "trials"): 8}, NAMES).budget.trials == 8


@pytest.mark.parametrize("modules", ["'wide.py'", "['wide.py']"])
def test_paths_in_a_study_file_are_relative_to_it(tmp_path: Path, modules: str) -> None:
    text = f"[data]\nsource = 'demo'\n[space]\nmodules = {modules}\n"
    text += "[transfer]\nweights = 'mine.weights.h5'\n"
    plan = read_plan(write(tmp_path, text), {}, NAMES)
    assert plan.space["modules"] == [str(tmp_path / "wide.py")]
    assert plan.transfer.weights == str(tmp_path / "mine.weights.h5")
    given = {("transfer", "weights"): "other.weights.h5"}
    assert read_plan(write(tmp_path, text), given, NAMES).transfer.weights == "other.weights.h5"


@pytest.mark.parametrize("weights", ["imagenet", "none"])
def test_weights_by_name_stay_a_name(tmp_path: Path, weights: str) -> None:
    path = write(tmp_path, f"[data]\nsource = 'x'\n[transfer]\nweights = '{weights}'\n")
    assert read_plan(path, {}, NAMES).transfer.weights == weights


@pytest.mark.parametrize(
    ("table", "line", "message"),
    [
        (
            "training",
            "epochs = 3",
            r"^Unknown key `epochs` in \[training\]\. .*mean `max_epochs`\?$",
        ),
        (
            "trainign",
            "max_epochs = 3",
            r"^Unknown table \[trainign\]\. Did you mean `training`\?$",
        ),
        (
            "training",
            "max_epochs = 'many'",
            r"^`max_epochs` in \[training\]: expected a whole number.*'many'\.$",
        ),
        (
            "training",
            "max_epochs = 0",
            r"^`max_epochs` in \[training\]: expected 1 or more\. .* 0\.$",
        ),
        (
            "budget",
            "timeout = 'soon'",
            r"^`timeout` in \[budget\]: Expected a duration such as 90s",
        ),
        ("budget", "timeout = '-5m'", r"^`timeout` in \[budget\]: expected more than 0"),
        ("budget", "timeout = true", r"^`timeout` in \[budget\]: Expected a number"),
        ("training", "min_learning_rate = inf", r"^`min_learning_rate` in \[training\]: "),
        ("search", "max_memory = true", r"^`max_memory` in \[search\]: Expected a number"),
        ("search", "max_operations = 1e400", r"^`max_operations` in \[search\]: "),
        ("study", 'name = "a\\n"', r"^`name` in \[study\]: Expected a text of one line"),
        ("search", "sampler = 'tep'", r"^`sampler` in \[search\]: expected 'tpe' or 'random'"),
        ("data", "source = 'x'\nsplit = [0.5, 0.5, 0.5]", r"`split` in \[data\]: Expected three"),
        ("training", "max_epochs", r"is not valid TOML"),
        ("store", "[training]\nmax_epochs = 3\n[[space]]", r"^\[space\]: expected a table\. Rec"),
    ],
)
def test_error_in_a_study_file_names_the_key(
    tmp_path: Path, table: str, line: str, message: str
) -> None:
    text = f"[{table}]\n{line}\n"
    source = "" if "[data]" in text else "\n[data]\nsource = 'images'\n"
    with pytest.raises(SettingsError, match=message) as error:
        read_plan(write(tmp_path, text + source), {}, NAMES)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (f"max_epochs = {'9' * 5000}", "is not valid TOML: Exceeds the limit"),
        (f"max_epochs = 0x{'f' * 5000}", "whole numbers of at most 64 bits"),
        (f"max_epochs = '{'x' * 3000}'", "texts of at most 1,000 characters"),
        (f"{'x' * 3000} = 1", "texts of at most 1,000 characters"),
        ('trial_timeout = "a\\u0000"', "none of them null"),
        (f"max_epochs = {'[' * 500}{']' * 500}", "deep|recursion"),
        (f"max_epochs = {[1] * 900}", "expected a whole number"),
    ],
)  # fmt: skip
def test_value_that_no_setting_has_is_a_short_error(
    tmp_path: Path, line: str, message: str
) -> None:
    text = f"[data]\nsource = 'images'\n[training]\n{line}\n"
    with pytest.raises(SettingsError, match=message) as error:
        read_plan(write(tmp_path, text), {}, NAMES)
    assert len(str(error.value)) < 400


@pytest.mark.parametrize("key", ["families", "modules", "backbone"])
@pytest.mark.parametrize("value", ["3", "true", "1979-05-27", "[3]", "[['plain']]", "{a = 1}"])
def test_names_of_another_type_are_refused(tmp_path: Path, key: str, value: str) -> None:
    families = "" if key == "families" else "families = ['transfer']\n"
    text = f"[data]\nsource = 'images'\n[space]\n{families}{key} = {value}\n"
    with pytest.raises(SettingsError, match=f"Expected `{key}` in .space. to be a name or a list"):
        read_space(read_plan(write(tmp_path, text), {}, NAMES))


def test_error_in_an_option_names_the_option() -> None:
    with pytest.raises(SettingsError, match=r"^--trials: expected 1 or more\. Received: 0\.$"):
        read_plan("images", {("budget", "trials"): 0}, NAMES)
    with pytest.raises(SettingsError, match=r"^--workers: expected 1 or more\. Received: 0\.$"):
        read_plan("images", {("study", "workers"): 0}, NAMES)


def test_study_file_without_a_source_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"^\[data\] is missing"):
        read_plan(write(tmp_path, "[study]\nname = 'x'\n"), {}, NAMES)
    with pytest.raises(SettingsError, match=r"^\[data\] lacks `source`"):
        read_plan(write(tmp_path, "[data]\nimage_size = 32\n"), {}, NAMES)


def test_missing_and_huge_study_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"Cannot read the study file .*none\.toml"):
        read_plan(str(tmp_path / "none.toml"), {}, NAMES)
    with pytest.raises(SettingsError, match="larger than a study file may be"):
        read_plan(write(tmp_path, "#" * 1_000_001), {}, NAMES)


def test_tables_and_lists_are_relative_to_the_file(tmp_path: Path) -> None:
    text = """
        [data]
        source = "t.csv"
        root = "images"
        join = "more.csv"
        split_list = {test = "lists/test.txt", val = "/data/val.txt"}
    """
    data = read_plan(write(tmp_path, text), {}, {}).data
    assert data.root == str(tmp_path / "images")
    assert data.join == str(tmp_path / "more.csv")
    assert data.split_list == {
        "test": str(tmp_path / "lists/test.txt"), "val": "/data/val.txt"
    }  # fmt: skip
    with pytest.raises(SettingsError, match="split_list"):
        read_plan(write(tmp_path, text.replace("test =", "tests =")), {}, {})
