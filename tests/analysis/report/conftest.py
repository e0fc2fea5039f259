import os
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from analysis.report.facts import Facts
from tests.analysis.report import made_facts

CHROMIUMS = ("chromium", "chromium-browser", "google-chrome")
OPTIONS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture(scope="session")
def make_facts() -> Callable[..., Facts]:
    return made_facts.make_facts


@pytest.fixture(scope="session")
def facts() -> Facts:
    return made_facts.make_facts()


@pytest.fixture(scope="session")
def facts_all_right() -> Facts:
    """A study of few short trials whose network makes no mistake on the test images."""
    return made_facts.make_easy_facts()


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """A real headless Chromium; without one, tests are skipped unless they are asked for."""
    found = next(filter(None, map(shutil.which, CHROMIUMS)), None)
    if found is None:
        if os.environ.get("CONVSEARCH_NEEDS_BROWSER") == "1":
            pytest.fail(f"Expected one of {', '.join(CHROMIUMS)} on the path.")
        pytest.skip("no Chromium is installed")
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=found, args=list(OPTIONS))
        yield chromium
        chromium.close()
