"""`data inspect --html`: the page beside the summary."""

import json
from pathlib import Path

import pytest

from tests.search.cli.conftest import Call


def test_page_is_written_beside_the_summary(call: Call, blobs: Path, tmp_path: Path) -> None:
    code, out, err = call("data", "inspect", str(blobs), "--html", "page.html")
    assert code == 0
    assert "96 grey images in 3 classes" in out
    assert "page.html has pictures of the set" in err
    assert err.count("\n") == 1
    assert (tmp_path / "page.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert (tmp_path / "page.html").stat().st_mode & 0o777 == 0o600


def test_json_stays_on_standard_output(call: Call, blobs: Path) -> None:
    code, out, _ = call("data", "inspect", str(blobs), "--html", "page.html", "--json")
    assert code == 0
    assert json.loads(out)["kind"] == "npz"
    assert out == call("data", "inspect", str(blobs), "--json")[1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--html", "missing/page.html"), "Error: --html: there is no folder missing."),
        (("--html", "blobs.npz"), "Error: --html: expected a name that ends with .html."),
        (("--shared",), "Error: --shared says who may read a page: give --html too"),
    ],
)
def test_misuse_is_said_in_a_line(
    call: Call, blobs: Path, options: tuple[str, ...], message: str
) -> None:
    content = blobs.read_bytes()
    code, out, err = call("data", "inspect", "blobs.npz", *options)
    assert (code, out) == (2, "")
    assert err.startswith(message)
    assert err.count("\n") == 1
    assert blobs.read_bytes() == content
