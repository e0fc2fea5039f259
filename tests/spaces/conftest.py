"""Fixtures for the tests of spaces: a whole space, and a quiet TensorFlow on the CPU."""

import os

import pytest

from spaces import SearchSpace

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")


@pytest.fixture(scope="session")
def plain_space() -> SearchSpace:
    """All of the family `plain`, as a study without a study file searches it."""
    return SearchSpace.create(["plain"])
