"""README.md and the pages of docs/: navigation, links, generated tables, and code blocks.

Comments above a block say what is done with it; `CONTRIBUTING.md` lists them.
"""

import configparser
import importlib.util
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from search.cli.main import OPTIONAL_VALUES
from search.errors import SettingsError
from spaces.families import builtin_families

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(path for path in DOCS.rglob("*.md") if "hooks" not in path.relative_to(DOCS).parts)
TEXTS = [ROOT / "README.md", *PAGES]
CLASSES = ("glioma", "meningioma", "normal")
N_EACH, SIDE = 20, 16
STUDY = (
    "run scans/ --families plain --trials 2 --max-epochs 2 --image-size 16 --seed 1 "
    "--max-parameters 100000"
)
"""What makes the study of pages that need one."""

_BLOCK = re.compile(
    r"(?P<notes>(?:^ *<!-- test: .*? -->\n\n?)*)"
    r"^(?P<indent> *)```(?P<language>\w+)[^\n]*\n(?P<text>.*?)^(?P=indent)```",
    re.MULTILINE | re.DOTALL,
)
_NOTE = re.compile(r"<!-- test: (.*?) -->")
_RUN = re.compile(r"run(?:, exit (?P<code>\d+))?(?: (?P<options>--.*))?")
_FILE = re.compile(r"file (?P<name>[\w./-]+)")
_SKIP = re.compile(r"skip because \w.+")
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block of a page, and the notes for its test."""

    place: str
    language: str
    text: str
    notes: tuple[str, ...]

    @property
    def is_skipped(self) -> bool:
        return any(_SKIP.fullmatch(note) for note in self.notes)

    @property
    def file(self) -> str | None:
        return next((m["name"] for note in self.notes if (m := _FILE.fullmatch(note))), None)

    @property
    def run(self) -> re.Match[str] | None:
        return next((m for note in self.notes if (m := _RUN.fullmatch(note))), None)

    @property
    def commands(self) -> list[list[str]]:
        """The arguments of each `convsearch` that the block shows."""
        lines = [line[2:] for line in self.text.splitlines() if line.startswith("$ ")]
        found = [shlex.split(line, comments=True) for line in lines]
        return [words[1:] for words in found if words and words[0] == "convsearch"]


def blocks_of(path: Path) -> Iterator[Block]:
    text = path.read_text(encoding="utf-8")
    for match in _BLOCK.finditer(text):
        line = text[: match.start("language")].count("\n") + 1
        body = re.sub(rf"^{match['indent']}", "", match["text"], flags=re.MULTILINE)
        notes = tuple(it for it in _NOTE.findall(match["notes"]) if it != "study")
        yield Block(f"{path.relative_to(ROOT)}:{line}", match["language"], body, notes)


BLOCKS = [block for path in TEXTS for block in blocks_of(path)]


def blocks_in(*languages: str) -> Any:
    found = [it for it in BLOCKS if it.language in languages and not it.is_skipped]
    return pytest.mark.parametrize("block", found, ids=lambda it: it.place)


@pytest.fixture(scope="module")
def reference() -> ModuleType:
    """The hook that makes the tables."""
    path = DOCS / "hooks" / "reference.py"
    spec = importlib.util.spec_from_file_location("docs_reference", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def nav(reference: ModuleType) -> list[str]:
    """The pages of the navigation, in order."""
    config = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))

    class Config:
        nav = config["nav"]

    reference.on_config(Config)

    def pages(entry: Any) -> Iterator[str]:
        match entry:
            case str():
                yield entry
            case dict() | list():
                for part in entry.values() if isinstance(entry, dict) else entry:
                    yield from pages(part)

    return list(pages(config["nav"]))


def test_navigation_has_every_page_once(nav: list[str]) -> None:
    assert sorted(nav) == sorted(str(path.relative_to(DOCS)) for path in PAGES)


@pytest.mark.parametrize("path", TEXTS, ids=lambda it: str(it.relative_to(ROOT)))
def test_links_lead_to_files(path: Path) -> None:
    text = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    targets = [link for link in _LINK.findall(text) if not re.match(r"https?:|mailto:|#", link)]
    missing = [it for it in targets if not (path.parent / it.partition("#")[0]).exists()]
    assert missing == []


@pytest.mark.parametrize("path", TEXTS, ids=lambda it: str(it.relative_to(ROOT)))
def test_notes_for_tests_are_known(path: Path) -> None:
    notes = _NOTE.findall(path.read_text(encoding="utf-8"))
    kinds = (_RUN, _FILE, _SKIP)
    unknown = [it for it in notes if it != "study" and not any(k.fullmatch(it) for k in kinds)]
    assert unknown == []
    used = [note for block in blocks_of(path) for note in block.notes]
    assert len(used) == len(notes) - notes.count("study"), "a note stands above no block"


def test_decisions_begin_with_their_title_and_date(reference: ModuleType) -> None:
    for path in reference.decision_files():
        title, _, dated = path.read_text(encoding="utf-8").splitlines()[:3]
        assert title.startswith("# ")
        assert dated == f"Decided on {path.name[:10]}."


def test_architecture_shows_every_package() -> None:
    picture = (DOCS / "images" / "packages.svg").read_text(encoding="utf-8")
    shown = set(re.findall(r">(\w+)</text>", picture))
    packages = ("search", "analysis", "storage", "spaces")
    there = {path.parent.name for name in packages for path in ROOT.glob(f"{name}/*/__init__.py")}
    assert shown == there
    table = (DOCS / "architecture.md").read_text(encoding="utf-8").partition("Within `search`")[2]
    rows = re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)
    assert sorted(rows) == sorted(path.parent.name for path in ROOT.glob("search/*/__init__.py"))


def test_every_setting_is_in_the_reference(reference: ModuleType) -> None:
    from search.settings.plan import StudyPlan

    text = reference.describe_settings()
    sections = dict(re.findall(r"## `\[(\w+)\]`\n(.*?)(?=\n## |\Z)", text, re.DOTALL))
    for name, field in StudyPlan.model_fields.items():
        if name == "space":
            continue
        rows = re.findall(r"^\| `(\w+)` \| (.+) \|$", sections[name], re.MULTILINE)
        assert [key for key, _ in rows] == list(field.annotation.model_fields)  # type: ignore[union-attr]
        for key, cells in rows:
            assert cells.partition("|")[0].strip(), f"[{name}] {key} cannot be used with"


def test_every_parameter_is_in_the_reference(reference: ModuleType) -> None:
    from spaces import SearchSpace, family_names

    text = reference.describe_parameters()
    for family in family_names():
        assert f"### Family `{family}`" in text
        for name in SearchSpace.create([family]).domains:
            shared = re.sub(r"^([a-z]+)[0-9]+_", r"\1N_", name)
            assert f"| `{shared}` |" in text or f"| `{name}` |" in text


def test_every_family_is_in_the_table_of_families() -> None:
    rows = re.findall(r"^\| `(\w+)` \|", (DOCS / "families.md").read_text("utf-8"), re.MULTILINE)
    assert rows[: len(builtin_families())] == list(builtin_families())


def test_every_command_and_option_is_in_the_reference(reference: ModuleType) -> None:
    text = reference.describe_commands()
    sections = dict(re.findall(r"## `convsearch ([\w ]+)`\n(.*?)(?=\n## |\Z)", text, re.DOTALL))
    commands = dict(reference.commands())
    assert list(sections) == list(commands)
    assert {"run", "worker", "study fork", "data inspect"} < set(commands)
    for path, command in commands.items():
        for param in command.params:
            for name in (*param.opts, *param.secondary_opts):
                is_shown = re.search(rf"`{re.escape(name)}[ `\[]", sections[path]) is not None
                is_argument = param.param_type_name == "argument"
                assert is_argument or is_shown != bool(getattr(param, "hidden", False)), name


def test_pages_with_generated_parts_name_generators(reference: ModuleType) -> None:
    marks = [m for path in PAGES for m in reference._MARK.findall(path.read_text("utf-8"))]
    assert sorted(marks) == sorted(reference.GENERATORS)


@blocks_in("console")
def test_commands_are_known(block: Block, reference: ModuleType) -> None:
    for arguments in block.commands:
        _parse(reference, arguments)


@blocks_in("python")
def test_python_compiles(block: Block) -> None:
    compile(block.text, block.place, "exec")


@blocks_in("toml")
def test_study_files_are_right(block: Block, tmp_path: Path, clean_registry: None) -> None:
    from search.settings.study_file import make_plan, read_plan
    from spaces import FamilyModule, SearchSpace, choose_families, family_names

    tables = tomllib.loads(block.text)
    tables.setdefault("data", {}).setdefault("source", "demo")
    _write_files(tmp_path, block.place)
    modules = [str(tmp_path / name) for name in tables.get("space", {}).get("modules", ())]
    own = [name for module in modules for name in FamilyModule.find(module).load()]
    make_plan(tables, {}, {})
    space = {k: v for k, v in tables.get("space", {}).items() if k not in {"families", "modules"}}
    families = tables.get("space", {}).get("families", [*family_names()])
    SearchSpace.create(choose_families(families, own), space)
    (tmp_path / "study.toml").write_text(block.text)
    if "source" in tomllib.loads(block.text).get("data", {}):
        read_plan(str(tmp_path / "study.toml"), {}, {})


@blocks_in("yaml")
def test_yaml_parses(block: Block) -> None:
    assert list(yaml.safe_load_all(block.text))


@blocks_in("ini")
def test_ini_parses(block: Block) -> None:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.read_string(block.text)
    assert parser.sections()


@blocks_in("json")
def test_json_parses(block: Block) -> None:
    json.loads(block.text)


@blocks_in("sh")
def test_shell_parses(block: Block) -> None:
    subprocess.run(["sh", "-n"], input=block.text, text=True, check=True)


def test_an_unknown_option_is_found(reference: ModuleType) -> None:
    with pytest.raises(Exception, match="No such option"):
        _parse(reference, ["run", "scans/", "--famlies", "plain"])


def test_a_wrong_study_file_is_found() -> None:
    from search.settings.study_file import make_plan

    with pytest.raises(SettingsError, match="Unknown key"):
        make_plan({"data": {"source": "demo"}, "training": {"epochs": 3}}, {}, {})


@pytest.fixture(scope="module")
def studied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with images and the finished study of pages that need one."""
    folder = tmp_path_factory.mktemp("studied")
    _make_images(folder)
    _run_command(shlex.split(STUDY), folder, "the study of the page")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(
    "path",
    [path for path in TEXTS if any(block.run for block in blocks_of(path))],
    ids=lambda it: str(it.relative_to(ROOT)),
)
def test_page_does_what_it_shows(
    path: Path, tmp_path: Path, reference: ModuleType, studied: Path
) -> None:
    if "study" in _NOTE.findall(path.read_text(encoding="utf-8")):
        shutil.copytree(studied, tmp_path, dirs_exist_ok=True)
    else:
        _make_images(tmp_path)
    for block in blocks_of(path):
        if block.file is not None:
            _write(tmp_path / block.file, block.text)
        if block.run is None:
            continue
        expected = int(block.run["code"] or 0)
        if block.language == "python":
            _run([sys.executable, "-c", block.text], tmp_path, block.place, expected)
            continue
        for arguments in block.commands:
            extra = shlex.split(block.run["options"] or "")
            is_for_it = _knows(reference, arguments, extra)
            _run_command(
                [*arguments, *(extra if is_for_it else ())], tmp_path, block.place, expected
            )


def _find(reference: ModuleType, arguments: list[str]) -> tuple[Any, list[str]]:
    """Returns the command that arguments name, and those that are its own."""
    commands = dict(reference.commands())
    for n in (2, 1):
        path = " ".join(arguments[:n])
        if path in commands:
            return commands[path], arguments[n:]
    raise AssertionError(f"no such command: {' '.join(arguments)}")


def _parse(reference: ModuleType, arguments: list[str]) -> None:
    """Has a command take its arguments, without running it."""
    arguments = [OPTIONAL_VALUES.get(it, it) for it in arguments if it != "--debug"]
    if not arguments or arguments[0] in {"--help", "-h", "--version"}:
        return
    command, own = _find(reference, arguments)
    if not {"--help", "-h"}.intersection(own):
        command.make_context(command.name, own)


def _knows(reference: ModuleType, arguments: list[str], extra: list[str]) -> bool:
    """Whether a command has all of some options."""
    command, _ = _find(reference, arguments)
    known = {name for param in command.params for name in param.opts}
    return known.issuperset(it.partition("=")[0] for it in extra if it.startswith("--"))


def _run_command(arguments: list[str], folder: Path, place: str, expected: int = 0) -> None:
    _run([sys.executable, "-m", "search", *arguments], folder, place, expected)


def _run(command: list[str], folder: Path, place: str, expected: int) -> None:
    environment = {**os.environ, "CONVSEARCH_CACHE": str(folder / ".cache")}
    environment["PYTHONPATH"] = os.pathsep.join(
        filter(None, [str(ROOT), environment.get("PYTHONPATH")])
    )
    environment.pop("CONVSEARCH_STORE", None)
    done = subprocess.run(
        command,
        check=False,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=500,
    )
    what = f"{place}: {shlex.join(command[2:])[:300]}\n{done.stdout[-2000:]}{done.stderr[-3000:]}"
    assert done.returncode == expected, what


def _write_files(folder: Path, place: str) -> None:
    """Writes the files of a block's page."""
    for block in blocks_of(ROOT / place.rpartition(":")[0]):
        if block.file is not None:
            _write(folder / block.file, block.text)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _make_images(folder: Path) -> None:
    """Makes `scans/`, whose classes differ in brightness, and two new images."""
    rng = np.random.default_rng(0)

    def write(path: Path, brightness: int) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = rng.normal(brightness, 25, (SIDE, SIDE)).clip(0, 255).astype("uint8")
        Image.fromarray(pixels).save(path)

    for i, name in enumerate(CLASSES):
        for j in range(N_EACH):
            write(folder / "scans" / name / f"{j:02}.png", 60 + 60 * i)
    write(folder / "new" / "patient7.png", 60)
    write(folder / "new" / "patient8.png", 180)
