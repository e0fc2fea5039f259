import io
from collections.abc import Callable

import pytest
from rich.console import Console

from search.cli.views.studies import show_settings
from search.studies.open_study import OpenStudy
from storage import load_study


@pytest.fixture
def options_of(opened: OpenStudy) -> Callable[..., list[str]]:
    """Show a study whose image settings differ, and return the lines of its options."""

    def show(**data: object) -> list[str]:
        settings = opened.settings.model_copy(
            update={"data": opened.settings.data.model_copy(update=data)}
        )
        out = io.StringIO()
        console = Console(file=out, width=200, markup=False, highlight=False)
        show_settings(console, load_study(opened.store, opened.name), settings)
        return [it for it in out.getvalue().splitlines() if it.startswith("  options")]

    return show


def test_settings_of_images_that_differ_are_shown_as_options(
    options_of: Callable[..., list[str]],
) -> None:
    found = options_of(
        merge={"new class": ("0", "1")},
        window="lung",
        where=("site=a\x1b[31m", "age=3"),
        fix_leaks=True,
    )
    assert found == [
        "  options   --window lung --merge 'new class=0,1' --where 'site=a?[31m,age=3' --fix-leaks"
    ]


def test_defaults_are_not_shown_as_options(options_of: Callable[..., list[str]]) -> None:
    assert options_of() == []
