"""`data fetch`: the list of sets, what it prints, its options, and misuse."""

import hashlib
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from search.data import public_sets
from tests.tools import file_server
from tests.tools.file_server import FileServer, serve_file

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    """A mirror of one set, whose checksum is in the table."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (600, 28, 28), dtype=np.uint8)
    file = io.BytesIO()
    np.savez(file, images=images, labels=np.arange(600) % 2)
    found = public_sets.public_sets()["breastmnist"]
    md5 = {**found.md5, 28: hashlib.md5(file.getvalue()).hexdigest()}
    table = {**public_sets.public_sets(), "breastmnist": replace(found, md5=md5)}
    monkeypatch.setattr(public_sets, "public_sets", lambda: table)
    monkeypatch.setattr("spaces.downloads.files.sleep", lambda _: None)
    with serve_file(file.getvalue()) as running:
        yield running


@pytest.mark.parametrize("arguments", [(), ("--list",), ("breastmnist", "--list")])
def test_known_sets_are_listed(call: Call, arguments: tuple[str, ...]) -> None:
    code, out, err = call("data", "fetch", *arguments)
    assert (code, err) == (0, "")
    row = next(line for line in out.splitlines() if "pneumoniamnist" in line)
    for part in ("chest X-rays", " 2 ", "5,856", "CC BY 4.0"):
        assert part in row
    assert "Sizes: 28, 64, 128, 224 pixels (--size)" in out
    assert "chestmnist" not in out


def test_known_sets_are_listed_as_json(call: Call) -> None:
    code, out, _ = call("data", "fetch", "--json")
    sets = json.loads(out)["sets"]
    assert code == 0
    assert len(sets) == 11
    assert sets[0]["name"] == "pathmnist"
    assert sets[0]["sizes"] == [28, 64, 128, 224]


def test_fetched_set_is_shown_with_its_license_and_the_next_command(
    call: Call, server: FileServer, tmp_path: Path
) -> None:
    code, out, err = call("data", "fetch", "breastmnist", "--to", "a folder", "--url", server.url)
    path = Path("a folder", "breastmnist.npz")
    assert code == 0
    assert err == f"Downloading {server.url}/breastmnist.npz\n"
    assert "License: CC BY 4.0, https://creativecommons.org/licenses/by/4.0/" in out
    assert "Al-Dhabyani" in out
    assert f"Next: convsearch data inspect '{path}'" in out.splitlines()[-1]
    assert (tmp_path / path).is_file()
    code, out, err = call("data", "inspect", str(path))
    assert code == 0
    assert "normal or benign" in out


def test_cache_folder_and_the_mirror_of_the_environment_are_defaults(
    call: Call, server: FileServer, cache_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONVSEARCH_SETS_URL", server.url)
    code, out, err = call("data", "fetch", "BreastMNIST", "--json")
    document = json.loads(out)
    assert code == 0
    assert document["path"] == str(cache_folder / "sets" / "breastmnist.npz")
    assert document["downloaded"]
    assert document["classes"] == ["malignant", "normal or benign"]
    assert Path(document["license_path"]).is_file()
    code, out, err = call("data", "fetch", "breastmnist", "--json")
    assert not json.loads(out)["downloaded"]
    assert err == ""


def test_failed_download_is_two_lines_and_exit_code_1(
    call: Call, server: FileServer, tmp_path: Path
) -> None:
    server.answers = [file_server.status(404)]
    code, out, err = call("data", "fetch", "breastmnist", "--to", ".", "--url", server.url)
    assert (code, out) == (1, "")
    error = err.split("Error: ")[1].strip().splitlines()
    assert len(error) == 2
    assert "answered 404" in error[0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("breastmnst",), "Did you mean `breastmnist`?"),
        (("chestmnist",), "chestmnist cannot be a source: an image may have several"),
        (("breastmnist", "--size", "32"), "--size: expected one of 28, 64, 128, 224"),
        (("breastmnist", "--size", "big"), "--size"),
        (("breastmnist", "--url", "file:///tmp"), "expected an address such as https://"),
        (("breastmnist", "--url", "https://u:secret@h"), "https://u:***@h"),
    ],
)
def test_misuse_is_exit_code_2(
    call: Call, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    code, out, err = call("data", "fetch", *arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert len(err.strip().splitlines()) <= 2
    assert list(tmp_path.iterdir()) == []
