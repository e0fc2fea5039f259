"""Trials of an earlier study in another space."""

from pathlib import Path

import pytest

from search.studies.prior_trials import map_config
from spaces import FamilyModule, SearchSpace, SpaceError

EXAMPLE = Path(__file__).parents[2] / "examples" / "wide.py"


@pytest.mark.usefixtures("clean_registry")
@pytest.mark.parametrize(
    ("families", "error", "is_raised"),
    [
        (["plain"], SpaceError("not there"), False),
        (["plain"], ZeroDivisionError("a bug of ours"), True),
        (["plain", "wide"], ZeroDivisionError("a bug of a user"), False),
    ],
)
def test_only_errors_of_users_count_as_not_in_the_space(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    families: list[str],
    error: Exception,
    is_raised: bool,
) -> None:
    FamilyModule.find(str(EXAMPLE)).load()
    space = SearchSpace.create(families)

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(SearchSpace, "suggest", fail)
    if is_raised:
        with pytest.raises(ZeroDivisionError):
            map_config(space, {}, {})
        return
    assert map_config(space, {}, {}) is None
    assert ("a bug of a user" in caplog.text) == ("wide" in families)
