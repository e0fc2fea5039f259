from pathlib import Path

import pytest
from pydantic import ValidationError

from search.data import DataSettings, default_cache_dir


def test_defaults_suit_a_laptop() -> None:
    settings = DataSettings(source="images")
    assert (settings.image_size, settings.color, settings.max_images) == (32, "auto", 3000)
    assert settings.split == (0.7, 0.15, 0.15)
    assert settings.seed == 0
    assert not settings.strict


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("image_sise", 32, "Extra inputs are not permitted"),
        ("image_size", 7, "greater than or equal to 8"),
        ("image_size", 513, "less than or equal to 512"),
        ("image_size", "32", "valid integer"),
        ("image_size", True, "valid integer"),
        ("color", "gray", "'auto', 'grey' or 'rgb'"),
        ("max_images", 0, "greater than or equal to 1"),
        ("max_images", -5, "greater than or equal to 1"),
        ("split", (0.5, 0.5, 0.0), "three fractions above 0 that sum to 1"),
        ("split", (0.7, 0.2, 0.2), r"Received: \[0.7, 0.2, 0.2\]"),
        ("split", (float("nan"), 0.2, 0.2), "three fractions above 0"),
        ("split", (0.7, 0.3), "Field required"),
        ("seed", -1, "greater than or equal to 0"),
        ("source", "", "at least 1 character"),
        ("strict", "yes", "valid boolean"),
    ],
)
def test_setting_out_of_range_is_refused(key: str, value: object, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        DataSettings(**{"source": "images", key: value})


def test_settings_cannot_be_changed_afterwards() -> None:
    settings = DataSettings(source="images")
    with pytest.raises(ValidationError, match="frozen"):
        settings.image_size = 64


def test_cache_folder_is_the_one_named_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONVSEARCH_CACHE", "/elsewhere")
    assert default_cache_dir() == Path("/elsewhere")


def test_cache_folder_follows_the_platform(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CONVSEARCH_CACHE", raising=False)
    monkeypatch.setenv("HOME", "/home/ada")
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", "/var/cache/ada")
    assert default_cache_dir() == Path("/var/cache/ada/convsearch")
    monkeypatch.setenv("XDG_CACHE_HOME", "relative/is/ignored")
    assert default_cache_dir() == Path("/home/ada/.cache/convsearch")
    monkeypatch.setattr("sys.platform", "darwin")
    assert default_cache_dir() == Path("/home/ada/Library/Caches/convsearch")
