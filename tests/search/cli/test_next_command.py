import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from search.cli.commands import data
from search.cli.next_command import needed_options, search_command
from tests.search.cli.conftest import Call


def test_options_can_be_pasted_into_a_shell() -> None:
    url = "sqlite:////my scans/store.db"
    words = shlex.split(f"convsearch confirm scans{needed_options(url, trusts_modules=True)}")
    assert words == ["convsearch", "confirm", "scans", "--store", url, "--trust-modules"]


def test_default_store_needs_no_option() -> None:
    assert needed_options("") == needed_options(None) == ""


@pytest.mark.parametrize(
    "values",
    [
        {"where": ["View Position=PA", "Age=7"], "separator": "|", "positive": "it's"},
        {"merge": {"tumor": ["glioma", "meningioma"], "x": ["y"]}, "strict": True},
        {"split_list": {"test": "my tests.txt", "val": "b.txt"}, "fix_leaks": False},
        {"split": [0.5, 0.25, 0.25], "image_size": 64, "seed": None},
        {"separator": "-", "group_from": "-([0-9]+)-"},
    ],
)
def test_search_takes_the_options_that_were_given(
    monkeypatch: pytest.MonkeyPatch, values: Mapping[str, Any]
) -> None:
    """The options are parsed again by the real command line."""
    seen = {}
    monkeypatch.setattr(data, "_settings", lambda given: seen.update(given.values))
    monkeypatch.setattr("search.data.inspect_source", lambda *_, **__: 1 / 0)
    given = {("data", name): value for name, value in values.items()}
    words = shlex.split(search_command("my scans", given, {"path_column": "a b"}))
    assert words[:3] == ["convsearch", "run", "my scans"]
    CliRunner().invoke(data.app, ["inspect", *words[2:]])
    parsed = {key: value for key, value in seen.items() if value is not None}
    expected = {key: value for key, value in given.items() if value is not None and value}
    assert parsed == {**expected, ("data", "path_column"): "a b"}


def make_images(*names: str) -> None:
    for seed, name in enumerate(names):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(seed).integers(0, 256, (16, 16), dtype=np.uint8)
        Image.fromarray(pixels).save(name)


def test_inspect_ends_with_the_command_for_guessed_columns(call: Call) -> None:
    make_images(*(f"{i}.png" for i in range(12)))
    rows = [f"{i}.png,{'ab'[i % 2]},{i // 2}" for i in range(12)]
    Path("my table.csv").write_text("\n".join(["image,dx,patient id", *rows]))
    code, out, err = call("data", "inspect", "my table.csv", "--label-column", "dx")
    assert code == 0, err
    assert out.splitlines()[-2:] == [
        "If the guesses are right, search with:",
        "convsearch run 'my table.csv' --label-column dx --path-column image --group-column"
        " 'patient id'",
    ]


def test_inspect_ends_with_the_command_for_a_likely_group(call: Call) -> None:
    make_images(*(f"scans/{'ab'[i % 2]}/patient{i // 4}_{i}.png" for i in range(40)))
    code, out, err = call("data", "inspect", "scans")
    assert code == 0, err
    words = shlex.split(out.splitlines()[-1])
    assert words[:4] == ["convsearch", "run", "scans", "--group-from"]
    code, out, err = call("data", "inspect", *words[2:])
    assert code == 0, err
    assert "Groups: 10" in out
    assert "convsearch run" not in out
