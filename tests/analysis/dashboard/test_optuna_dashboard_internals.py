"""The undocumented parts of optuna-dashboard that we use are as expected."""

import importlib
import inspect
import re
from importlib.metadata import requires, version

import optuna
import optuna_dashboard
import pytest
from optuna_dashboard import _note
from optuna_dashboard.preferential import _study as preferential

from analysis.dashboard import optuna_dashboard_internals as internals
from analysis.errors import DashboardVersionError


def test_installed_version_is_the_tested_one() -> None:
    assert version("optuna-dashboard").startswith(f"{internals.TESTED_VERSION}.")


def test_another_version_is_refused_with_the_tested_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.metadata.version", lambda _: "0.99.1")
    with pytest.raises(DashboardVersionError, match=r"optuna-dashboard 0\.21, .*: 0\.99\.1"):
        importlib.reload(internals)


def test_requirement_allows_no_other_version() -> None:
    major, minor = map(int, internals.TESTED_VERSION.split("."))
    wanted = {f">={major}.{minor}", f"<{major}.{minor + 1}"}
    found = next(it for it in requires("convsearch") or [] if it.startswith("optuna-dashboard"))
    assert set(re.findall(r"[<>]=?[\d.]+", found)) == wanted


@pytest.mark.parametrize(
    ("function", "parameters"),
    [
        (internals.get_note_from_system_attrs, ["system_attrs", "trial_id"]),
        (internals.note_ver_key, ["trial_id"]),
        (internals.get_pareto_front_trials, ["trials", "directions"]),
        (internals.serialize_attrs, ["attrs"]),
        (internals.serialize_distribution, ["distribution"]),
        (internals.serialize_frozen_trial, ["study_id", "trial", "study_system_attrs"]),
        (
            internals.serialize_study_detail,
            ["study", "best_trials", "trials", "intersection", "union"],
        ),
    ],
)
def test_parameters_are_as_expected(function: object, parameters: list[str]) -> None:
    assert callable(function)
    assert list(inspect.signature(function).parameters)[: len(parameters)] == parameters


def test_names_of_attributes_are_those_of_the_dashboard() -> None:
    assert _note.note_ver_key(None).startswith(internals.USER_ATTRIBUTE_PREFIX)
    assert preferential._SYSTEM_ATTR_PREFERENTIAL_STUDY == internals.PREFERENTIAL_ATTRIBUTE


def test_caches_can_be_cleared() -> None:
    app = optuna_dashboard.wsgi(optuna.storages.InMemoryStorage())
    app._inmemory_cache._trials_cache[0] = []
    internals.param_importance_cache[0] = None
    internals.clear_caches(app)
    assert not internals.param_importance_cache
    assert not app._inmemory_cache._trials_cache
