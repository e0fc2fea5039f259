"""Modules of users: found, run once, and refused with one sentence if something is wrong."""

import random
import sys
from pathlib import Path

import pytest

from spaces import Config, FamilyModule, SearchSpace, SpaceError, choose_families, module_of
from spaces.families import Family, family_names, register_family
from spaces.user_families import known_good_of

EXAMPLE = Path(__file__).parents[1] / "examples" / "wide.py"

pytestmark = pytest.mark.usefixtures("clean_registry")


@pytest.fixture
def module(tmp_path: Path) -> Path:
    path = tmp_path / "own.py"
    path.write_text(EXAMPLE.read_text().replace('"wide"', '"own"'))
    return path


def test_module_registers_its_family_once(module: Path) -> None:
    found = FamilyModule.find(str(module))
    assert found.load() == found.load() == ("own",)
    assert module_of("own") == str(module)
    assert module_of("plain") is None


def test_configs_of_a_module_survive_json(module: Path) -> None:
    FamilyModule.find(str(module)).load()
    config = SearchSpace.create(["own"]).random_config(random.Random(0))
    assert Config.from_json(config.to_json()) == config


def test_relative_path_becomes_absolute(module: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(module.parent)
    assert FamilyModule.find("own.py") == FamilyModule.find(str(module))


def test_module_by_its_importable_name(module: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(module.parent)
    monkeypatch.delitem(sys.modules, "own", raising=False)
    found = FamilyModule.find("own")
    assert found.source == "own"
    assert found.load() == ("own",)


@pytest.mark.parametrize("source", ["nowhere.py", "no_such_module_of_anyone"])
def test_missing_module_is_refused(source: str) -> None:
    with pytest.raises(SpaceError, match=f"Received: .*{source}, which is not there"):
        FamilyModule.find(source)


def test_other_content_than_the_studys_is_refused(module: Path) -> None:
    found = FamilyModule.find(str(module))
    module.write_text(module.read_text() + "\n# changed\n")
    with pytest.raises(SpaceError, match=r"own\.py is not the module of the study: its SHA-256"):
        found.load()


def test_deleted_module_is_refused(module: Path) -> None:
    found = FamilyModule.find(str(module))
    module.unlink()
    with pytest.raises(SpaceError, match=r"\(SHA-256 [0-9a-f]{12}\.\.\.\) is not on this machine"):
        found.load()


def test_same_file_in_the_workers_folder_is_used(
    module: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = FamilyModule.find(str(module))
    (tmp_path / "elsewhere").mkdir()
    module.rename(tmp_path / "elsewhere" / "own.py")
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert found.load() == ("own",)


def test_changed_module_replaces_its_families(module: Path) -> None:
    FamilyModule.find(str(module)).load()
    module.write_text(module.read_text().replace('"own"', '"renamed"'))
    assert FamilyModule.find(str(module)).load() == ("renamed",)
    assert "own" not in family_names()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("def", "SyntaxError: invalid syntax"),
        ("import sys; sys.exit(3)", "SystemExit: 3"),
        ("import no_such_library", "ModuleNotFoundError: No module named 'no_such_library'"),
    ],
)
def test_module_that_cannot_be_run_is_refused(module: Path, text: str, message: str) -> None:
    module.write_text(f"{module.read_text()}\n{text}\n")
    with pytest.raises(
        SpaceError, match=rf"Cannot load .*own\.py of \[space\] modules: {message}"
    ):
        FamilyModule.find(str(module)).load()
    assert "own" not in family_names()


def test_name_that_is_taken_is_refused(module: Path) -> None:
    module.write_text(EXAMPLE.read_text().replace('"wide"', '"plain"'))
    with pytest.raises(SpaceError, match=r"Cannot load .*Received: `plain`, which is taken"):
        FamilyModule.find(str(module)).load()


def test_module_without_a_family_is_refused(module: Path) -> None:
    module.write_text("x = 1\n")
    with pytest.raises(SpaceError, match=r"own\.py to register a family. Received: none"):
        FamilyModule.find(str(module)).load()


def test_all_families_are_those_of_the_package_and_of_the_study(module: Path) -> None:
    package = family_names()
    own = FamilyModule.find(str(module)).load()
    assert choose_families(["all"], own) == (*package, "own")
    assert choose_families(["all"], ()) == package
    assert choose_families(["own", "plain"], own) == ("own", "plain")


def test_unknown_name_beside_all_is_refused_with_the_known_ones() -> None:
    with pytest.raises(SpaceError, match=r"known family: dense, .*`vggg`; did you mean `vgg`"):
        choose_families(["all", "vggg"], ())


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("return {", "return 1 / 0, {", "`parameters` raised ZeroDivisionError: division by zero"),
        ("return {", "{", "`parameters` raised TypeError: 'NoneType' object is not iterable"),
        ("IntRange(8, 256, log=True)", "5", "`parameters` raised TypeError: expected the domain"),
        ("return [{", "import sys; sys.exit(2); [{", "`known_good` raised SystemExit: 2"),
        ("return [{", "yield [][1]; [{", "`known_good` raised IndexError: list index"),
    ],
)
def test_family_whose_space_cannot_be_read_is_named(
    module: Path, old: str, new: str, message: str
) -> None:
    module.write_text(module.read_text().replace(old, new, 1))
    FamilyModule.find(str(module)).load()
    with pytest.raises(SpaceError, match=rf"family `own` of .*own\.py: its {message}"):
        SearchSpace.create(["own"]).known_good()


def test_parameter_of_a_common_name_is_refused(module: Path) -> None:
    module.write_text(module.read_text().replace('"wide_width": Int', '"batch_size": Int'))
    FamilyModule.find(str(module)).load()
    with pytest.raises(SpaceError, match=r"family `own`. Received: `batch_size`, which all"):
        SearchSpace.create(["own"])


def test_family_registered_only_in_this_process_is_refused() -> None:
    kind = type("Here", (Family,), {m: lambda *_: {} for m in ("parameters", "suggest")})
    register_family("here")(type("Here", (kind,), {"known_good": lambda _: []}))
    with pytest.raises(SpaceError, match=r"in .space. modules.*Received: `here`"):
        choose_families(["here"], ())


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ('{"width": 64}', "`known_good` has width = 64, but the parameter does not exist"),
        (
            '{"wide_width": 640}',
            "`known_good` has wide_width = 640, but the parameter takes 8–256",
        ),
    ],
)
def test_known_good_config_that_the_family_does_not_accept_is_refused(
    tmp_path: Path, given: str, error: str
) -> None:
    path = tmp_path / "wide.py"
    path.write_text(EXAMPLE.read_text().replace('{"wide_width": 64, ', given[:-1] + ", "))
    FamilyModule.find(str(path)).load()
    with pytest.raises(SpaceError, match=error):
        known_good_of("wide")
