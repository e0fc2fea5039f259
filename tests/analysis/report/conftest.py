from collections.abc import Callable

import pytest

from analysis.report.facts import Facts
from tests.analysis.report import made_facts


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
