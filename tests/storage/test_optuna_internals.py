"""The installed Optuna has every private name that `storage.optuna_internals` uses."""

import inspect
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import optuna
import pytest
from optuna.samplers import TPESampler
from optuna.samplers._tpe import sampler as tpe
from optuna.storages import InMemoryStorage, RDBStorage
from optuna.study import StudyDirection
from optuna.study._frozen import FrozenStudy

import storage
from storage import Store, StoreVersionError
from storage import optuna_internals as internals

ROOT = Path(storage.__file__).parents[1]
PRIVATE = re.compile(
    r"(?<!self)\._(study_id|trial_id|storage|distributions|params|user_attrs|system_attrs)\b"
    r"|\b_(cached_frozen_trial|get_trials|create_new_trial|set_trial_param|get_best_trial_id)\b"
    r"|\boptuna(\.\w+)*\._\w+|\"fixed_params\"|\"constraints:"
)


def make_study() -> optuna.Study:
    study = optuna.create_study(direction="maximize", storage=InMemoryStorage())
    study.enqueue_trial({"x": 0.5})
    return study


def parameters(function: object) -> list[str]:
    return list(inspect.signature(function).parameters)  # type: ignore[arg-type]


def test_ids_are_those_of_the_storage() -> None:
    study = make_study()
    in_memory = internals.storage_of(study)
    assert internals.study_id_of(study) == in_memory.get_study_id_from_name(study.study_name)
    (frozen,) = in_memory.get_all_studies()
    assert internals.study_id_of(frozen) == internals.study_id_of(study)
    trial = study.ask()
    assert internals.trial_id_of(trial) == internals.trial_id_of(study.trials[0])
    assert in_memory.get_trial(internals.trial_id_of(trial)).number == trial.number


def test_view_of_a_study_reads_another_storage() -> None:
    study, other = make_study(), InMemoryStorage()
    view = internals.with_storage(study, other)
    assert internals.storage_of(view) is other
    assert internals.storage_of(study) is not other


def test_reported_steps_are_those_of_a_running_trial() -> None:
    trial = make_study().ask()
    trial.report(0.5, 1)
    trial.report(0.6, 3)
    assert internals.reported_steps(trial) == {1, 3}


def test_frozen_study_is_one_of_optuna() -> None:
    made = internals.make_frozen_study(
        study_id=7,
        name="digits",
        directions=[StudyDirection.MAXIMIZE],
        user_attrs={"a": 1},
        system_attrs={"b": 2},
    )
    assert isinstance(made, FrozenStudy)
    assert (made.study_name, internals.study_id_of(made)) == ("digits", 7)
    assert made.direction == StudyDirection.MAXIMIZE


def test_methods_of_rdb_storage_are_there() -> None:
    for name in (internals.LIST_TRIALS_METHOD, *internals.CACHE_METHODS):
        assert callable(getattr(RDBStorage, name))
    assert parameters(getattr(RDBStorage, internals.LIST_TRIALS_METHOD)) == [
        "self", "study_id", "states", "included_trial_ids", "trial_id_greater_than"
    ]  # fmt: skip


def test_undocumented_parts_of_rdb_storage_are_there(tmp_path: Path) -> None:
    opened = RDBStorage(
        f"sqlite:///{tmp_path / 'o.db'}", skip_compatibility_check=True, skip_table_creation=False
    )
    assert opened.get_head_version() in opened.get_all_versions()
    assert callable(opened.upgrade)
    assert opened.scoped_session.bind is opened.engine
    opened.remove_session()
    opened.engine.dispose()


def test_parts_of_tpe_are_there() -> None:
    assert parameters(tpe._split_trials)[:3] == ["study", "trials", "n_below"]
    assert parameters(tpe.default_gamma) == ["x"]
    assert parameters(TPESampler._sample) == ["self", "study", "trial", "search_space"]
    assert parameters(TPESampler._build_parzen_estimator) == [
        "self", "study", "search_space", "trials", "handle_below"
    ]  # fmt: skip
    assert parameters(TPESampler._get_internal_repr) == [
        "self", "trials", "search_space", "study"
    ]  # fmt: skip
    assert parameters(TPESampler._get_params) == ["self", "trial", "study"]
    assert parameters(TPESampler._compute_acquisition_func) == [
        "self", "samples", "mpe_below", "mpe_above"
    ]  # fmt: skip
    assert parameters(TPESampler._compare) == ["samples", "acquisition_func_vals"]
    sampler = TPESampler(seed=1)
    assert sampler._rng.rng is not None
    assert sampler._n_ei_candidates == 24


def test_attribute_keys_are_those_that_optuna_writes() -> None:
    study = make_study()
    trial = study.ask()
    trial.set_constraint("size", -1.0)
    (frozen,) = study.trials
    assert internals.fixed_params_of(frozen) == {"x": 0.5}
    assert frozen.system_attrs == {
        internals.FIXED_PARAMS: {"x": 0.5},
        f"{internals.CONSTRAINT_PREFIX}size": -1.0,
    }
    old = optuna.create_trial(system_attrs={internals.CONSTRAINTS: [1.0]}, value=0.0)
    assert old.constraints == {"0": 1.0}


def test_tested_range_is_that_of_the_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert internals.TESTED_RANGE in project["dependencies"]


@pytest.mark.parametrize("version", ["5.1.0", "5.1.0.dev", "4.9", "6.0.0", "5"])
def test_untested_optuna_is_refused_when_a_store_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    monkeypatch.setattr("optuna.__version__", version)
    with pytest.raises(StoreVersionError, match=rf"Optuna {version}\. .*'optuna>=5\.0,<5\.1'"):
        Store.open(f"sqlite:///{tmp_path / 'new.db'}")
    assert not list(tmp_path.iterdir())


def test_patch_of_the_tested_optuna_is_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("optuna.__version__", "5.0.9")
    internals.check_optuna_version()


@pytest.mark.parametrize("package", ["search", "analysis", "storage", "spaces"])
def test_private_names_of_optuna_are_used_in_one_module_only(package: str) -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in sorted((ROOT / package).rglob("*.py"))
        if path.name != "optuna_internals.py"
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if PRIVATE.search(line)
    ]
    assert found == []


@pytest.mark.parametrize("name", internals.CACHE_METHODS)
def test_store_can_be_imported_with_an_optuna_that_lacks_a_private_method(name: str) -> None:
    """Otherwise nobody would read which versions of Optuna are supported."""
    code = f"from optuna.storages import RDBStorage; del RDBStorage.{name}; import storage"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
