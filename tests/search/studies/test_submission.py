"""Submitting studies: a bad plan is refused before anything is written or computed."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.distributions import FloatDistribution, IntDistribution

from search.errors import DataError, SettingsError, StudyMismatchError
from search.studies.open_study import OpenStudy
from spaces import SpaceError
from storage import StoreError, create_study, load_study, update_settings

MakeStudy = Callable[..., OpenStudy]


def test_new_study_begins_with_known_good_configs(make_study: MakeStudy) -> None:
    opened = make_study(space={"stages": {"low": 1, "high": 3}}, budget={"trials": 12})
    waiting = opened.study.get_trials(states=(optuna.trial.TrialState.WAITING,))
    assert 1 <= len(waiting) <= 4
    fixed = waiting[0].system_attrs["fixed_params"]
    assert set(fixed) <= set(opened.space.domains)


def test_study_that_another_submission_creates_meanwhile_is_resumed(
    make_study: MakeStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    def create_second(*arguments: Any, **options: Any) -> Any:
        monkeypatch.setattr("search.studies.submission.create_study", create_study)
        make_study(budget={"trials": 9})
        return create_study(*arguments, **options)

    monkeypatch.setattr("search.studies.submission.create_study", create_second)
    opened = make_study(budget={"trials": 5})
    assert load_study(opened.store, opened.name).n_trials == 5
    queue = [str(trial.system_attrs["fixed_params"]) for trial in opened.study.trials]
    assert len(queue) == len(set(queue)) > 0


def test_same_plan_again_resumes_with_the_new_budget(make_study: MakeStudy) -> None:
    first = make_study()
    again = make_study(budget={"trials": 7})
    assert again.study_id == first.study_id
    assert load_study(again.store, again.name).n_trials == 7
    assert again.settings == first.settings


@pytest.mark.parametrize(
    ("tables", "difference"),
    [
        ({"space": {"channels": 16}}, "`stage1_channels`: 8 there, 16 here"),
        ({"training": {"max_epochs": 9}}, "`max_epochs`: 3 there, 9 here"),
        ({"search": {"seed": 9}}, "`seed`: 1 there, 9 here"),
        ({"data": {"color": "rgb"}}, "fingerprints .*; `color`: auto there, rgb here"),
        ({"data": {"image_size": 24}}, "its images: .*blobs.npz at 16 px.* at 24 px.* here"),
    ],
)
def test_study_of_that_name_with_other_settings_is_refused(
    make_study: MakeStudy, tables: dict[str, dict[str, Any]], difference: str
) -> None:
    make_study()
    with pytest.raises(StudyMismatchError, match=f"A study 'small' exists .*{difference}"):
        make_study(**tables)


@pytest.mark.parametrize(
    ("tables", "error", "message"),
    [
        ({"data": {"source": "/no/such"}}, DataError, "No such file or folder: /no/such"),
        ({"space": {"families": ["plane"]}}, SpaceError, "Received: `plane`"),
        ({"space": {"families": ["all", "vggg"]}}, SpaceError, "vgg. Received: `vggg`"),
        ({"space": {"chanels": 8}}, SpaceError, r"chanels"),
        (
            {"space": {"backbone": "xception"}},
            SettingsError,
            "^--backbones is for .* the families plain; add transfer to --families",
        ),
        ({"transfer": {"weights": "none"}}, SettingsError, r"^`weights` in \[transfer\] is for"),
        ({"transfer": {"image_size": 64}}, SettingsError, "^`image_size` in .*add transfer to"),
        ({"search": {"pruner": "medain"}}, SettingsError, "Received: 'medain'"),
        ({"search": {"max_parameters": 5}}, SpaceError, "--max-parameters"),
        ({"store": {"url": "mysql://u:secret@host/db"}}, StoreError, r"Received: mysql://u:\*\*\*@"),
        (
            {"space": {"stages": 5, "pool": True, "pool_size": 3}},
            SpaceError,
            "Received: 16×16 pixels; raise --image-size",
        ),
    ],
)  # fmt: skip
def test_bad_plan_leaves_no_store_and_no_artifacts(
    make_study: MakeStudy,
    tmp_path: Path,
    tables: dict[str, dict[str, Any]],
    error: type[Exception],
    message: str,
) -> None:
    store = {"url": f"sqlite:///{tmp_path / 'store.db'}", **tables.pop("store", {})}
    with pytest.raises(error, match=message):
        make_study(store=store, **tables)
    assert [path.name for path in tmp_path.iterdir()] == ["blobs.npz"]


def test_worker_refuses_other_images_than_the_studys(make_study: MakeStudy) -> None:
    opened = make_study()
    prepared = opened.settings.images["scratch"]
    changed = {"scratch": prepared.model_copy(update={"fingerprint": "0" * 64})}
    other = opened.settings.model_copy(update={"images": changed})
    update_settings(opened.store, opened.study_id, other.model_dump_json())
    with pytest.raises(StudyMismatchError, match="those of the study 000000000000"):
        OpenStudy.load(opened.store, opened.name)
    Path(prepared.path).unlink()
    with pytest.raises(DataError, match=r"are not at .*, and not in its artifacts"):
        OpenStudy.load(opened.store, opened.name)


def test_resumed_study_finds_its_images_and_artifacts_where_they_are_now(
    make_study: MakeStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = make_study()
    shutil.rmtree(opened.settings.artifacts)
    monkeypatch.setenv("CONVSEARCH_CACHE", str(tmp_path / "elsewhere"))
    again = make_study()
    assert Path(again.settings.images["scratch"].path).parent == tmp_path / "elsewhere"
    assert again.artifacts.folder.is_dir()


def test_study_with_the_id_of_a_deleted_one_has_none_of_its_parameters(
    make_study: MakeStudy,
) -> None:
    opened = make_study()
    storage = opened.store.optuna_storage
    storage.check_distribution(opened.study_id, "x", IntDistribution(1, 9))
    OpenStudy.load(opened.store, opened.name)
    storage.check_distribution(opened.study_id, "x", FloatDistribution(0.0, 1.0))


def test_optuna_opens_the_study(make_study: MakeStudy) -> None:
    opened = make_study()
    url = opened.store.url.render_as_string(hide_password=False)
    study = optuna.load_study(study_name="small", storage=url)
    assert study.direction == optuna.study.StudyDirection.MAXIMIZE
