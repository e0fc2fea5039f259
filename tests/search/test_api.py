"""The public function `search.run`."""

from pathlib import Path

import pytest

import search
from analysis import rank
from search.errors import SettingsError


@pytest.mark.slow
def test_run_searches_and_ranks(blobs: Path, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'store.db'}"
    seen = []
    ranking = search.run(
        blobs, study="mine", store=url, trials=2, workers=1, max_epochs=2, image_size=16, seed=3,
        families=["plain"], tables={"space": {"stages": 1, "channels": 8}}, view=seen.append,
    )  # fmt: skip
    assert len(ranking.complete) == 2
    assert rank(url, "mine") == ranking
    assert seen[-1].n_done == 2


def test_unknown_key_is_named(blobs: Path) -> None:
    with pytest.raises(SettingsError, match=r"Unknown key `epochs` in \[training\]"):
        search.run(blobs, tables={"training": {"epochs": 3}})


def test_package_exports_nothing_else() -> None:
    with pytest.raises(AttributeError, match="No search attribute walk"):
        search.walk  # noqa: B018
