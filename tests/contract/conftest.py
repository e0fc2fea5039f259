"""Fixtures for tests of what users and other programs rely on, compared with `expected/`.

After an intended change, `CONTRACT=write pytest tests/contract` writes those files again.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
EXPECTED = Path(__file__).with_name("expected")
TRAINER = Path(__file__).with_name("standin_trainer.py")
USE_STANDIN = f"""
import subprocess, sys
original = subprocess.Popen.__init__
def start(self, command, *others, **options):
    if list(command[1:3]) == ["-P", "-m"] and command[3].startswith("search."):
        command = [sys.executable, {str(TRAINER)!r}]
    original(self, command, *others, **options)
subprocess.Popen.__init__ = start
"""
"""Replaces the trainer, the one child process that is started by the path of a module."""
RUN_ALL = """
import contextlib, io, json, sys
from search.__main__ import main
found = []
for command in json.loads(sys.argv[1]):
    sys.argv = ["convsearch", *command]
    with contextlib.redirect_stdout(io.StringIO()) as out:
        try:
            main()
        except SystemExit as leaving:
            found.append((leaving.code, out.getvalue()))
print(json.dumps(found))
"""

Check = Callable[[str, Any], None]


@dataclass(frozen=True, slots=True)
class Lab:
    """A folder with images and a store, in which commands run as processes."""

    folder: Path
    has_standin: bool = False
    """Whether trainings are made up, without TensorFlow."""

    @property
    def store(self) -> Path:
        return self.folder / "convsearch.db"

    def run(self, *arguments: str, code: int | None = 0) -> str:
        """Run a command, and return its output."""
        done = self._start("-m", "search", *arguments)
        if code is not None:
            assert done.returncode == code, done.stderr
        return done.stdout

    def ask(self, *arguments: str, code: int | None = 0) -> Any:
        """Run a command with `--json`, and return its document."""
        return json.loads(self.run(*arguments, "--json", code=code))

    def run_all(self, *commands: Sequence[str]) -> list[tuple[int, str]]:
        """Run commands in one process, and return exit code and output of each."""
        done = self._start("-c", RUN_ALL, json.dumps(commands))
        assert done.returncode == 0, done.stderr
        return [tuple(it) for it in json.loads(done.stdout)]

    def _start(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        paths = [str(ROOT)]
        if self.has_standin:
            site = self.folder / "site"
            site.mkdir(exist_ok=True)
            (site / "sitecustomize.py").write_text(USE_STANDIN)
            paths.append(str(site))
        settings = {
            "PYTHONPATH": os.pathsep.join(paths),
            "CONVSEARCH_CACHE": str(self.folder / "cache"),
            "CONVSEARCH_STORE": "sqlite:///convsearch.db",
            "CUDA_VISIBLE_DEVICES": "",
            "TZ": "UTC",
        }
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=self.folder,
            env={**os.environ, **settings},
            capture_output=True,
            text=True,
            check=False,
        )


def write_images(path: Path, *, n: int = 90, size: int = 32) -> None:
    """Write noise of three classes, with a bright blob in the place of its class."""
    labels = np.arange(n) % 3
    images = np.random.default_rng(0).integers(0, 120, (n, size, size), np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[10 * label : 10 * label + 8, 8:24] += 80
    np.savez_compressed(path, images=images, labels=labels)


def shape_of(document: Any, place: str = "") -> dict[str, list[str]]:
    """Return the types of the values at each place of a JSON document."""
    found: dict[str, set[str]] = {}

    def collect(value: Any, place: str) -> None:
        kind = "number" if type(value) in {int, float} else type(value).__name__
        found.setdefault(place or "(all)", set()).add(kind)
        if isinstance(value, dict):
            for key, inner in value.items():
                collect(inner, f"{place}.{key}".lstrip("."))
        elif isinstance(value, list):
            for inner in value:
                collect(inner, f"{place}[]")

    collect(document, place)
    return {place: sorted(kinds) for place, kinds in sorted(found.items())}


def to_text(document: Mapping[str, Any]) -> str:
    """Format a document with a line for each value, and for each item of a long one."""
    return "{\n " + ",\n ".join(f'"{key}": {lines(it)}' for key, it in document.items()) + "\n}\n"


def lines(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    if len(text) < 90 or not isinstance(value, list | dict):
        return text
    if isinstance(value, list):
        items, (first, last) = [json.dumps(it, ensure_ascii=False) for it in value], "[]"
    else:
        items = [f'"{key}": {json.dumps(it, ensure_ascii=False)}' for key, it in value.items()]
        first, last = "{}"
    return first + "\n  " + ",\n  ".join(items) + f"\n {last}"


def close_to(value: Any) -> Any:
    """Make fractions equal within rounding: processors differ in the last digits."""
    if isinstance(value, dict):
        return {key: close_to(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [close_to(inner) for inner in value]
    return pytest.approx(value, rel=1e-9, abs=1e-12) if isinstance(value, float) else value


@pytest.fixture
def shape() -> Callable[[Any], dict[str, list[str]]]:
    """Return the types of the values at each place of a JSON document."""
    return shape_of


@pytest.fixture
def expect() -> Callable[[str, Any], Any]:
    """Return the content of the file `name`, given what was found."""

    def read(name: str, found: Any) -> Any:
        path = EXPECTED / f"{name}.json"
        if os.environ.get("CONTRACT") == "write":
            path.write_text(to_text(found))
        return json.loads(path.read_text())

    return read


@pytest.fixture
def check(expect: Callable[[str, Any], Any]) -> Check:
    """Compare what was found with the file `name`."""

    def compare(name: str, found: Any) -> None:
        assert found == close_to(expect(name, found))

    return compare


@pytest.fixture
def make_lab(tmp_path: Path) -> Callable[[], Lab]:
    """Make a lab with an empty folder, in which networks are trained."""
    return lambda: Lab(tmp_path)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """A lab with images, in which trainings are simulated."""
    made = Lab(tmp_path_factory.mktemp("lab"), has_standin=True)
    write_images(made.folder / "images.npz")
    return made
