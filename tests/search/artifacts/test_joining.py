"""Joining a study from any machine: a worker with the store's URL gets the study's files."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from analysis import load_status
from search.artifacts import fetch_weights, share_inputs
from search.artifacts.shared_inputs import prepared_name
from search.data import PreparedSet
from search.errors import ArtifactError, DataError, StudyMismatchError
from search.settings.stored import StudySettings, WeightsFile
from search.studies.deletion import remove_study
from search.studies.open_study import OpenStudy
from storage import Store, load_study, update_settings

ROOT = Path(__file__).resolve().parents[3]
FAKE = ROOT / "tests" / "search" / "fake_trainer.py"
WORKER = """
import sys
from search.studies.open_study import OpenStudy
from search.settings.store_url import store_url
from search.trainer.pool import TrainerPool
from search.workers.worker import Worker
from storage import Store
opened = OpenStudy.load(Store.open(store_url(None), create=False), "small")
Worker(opened, TrainerPool(command=(sys.executable, sys.argv[1], "well"))).run()
"""
MakeStudy = Callable[..., OpenStudy]


@dataclass(frozen=True)
class Elsewhere:
    """Another machine, which has a cache of its own."""

    cache: Path

    def fetched(self) -> list[str]:
        return sorted(path.name for path in self.cache.glob("prepared-*"))


@pytest.fixture(params=["folder", "database", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A value of `--artifacts` for each kind of artifact store."""
    if request.param == "s3":
        request.getfixturevalue("s3_environment")
        return "s3://studies/prefix"
    return str(tmp_path / "shared") if request.param == "folder" else "database"


@pytest.fixture
def elsewhere(
    cache_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], Elsewhere]:
    """Make this process act as another machine: with another cache and without these files."""

    def move() -> Elsewhere:
        cache_folder.rename(tmp_path / "out of reach")
        monkeypatch.setenv("CONVSEARCH_CACHE", str(tmp_path / "elsewhere"))
        return Elsewhere(tmp_path / "elsewhere")

    return move


def load_again(opened: OpenStudy) -> OpenStudy:
    return OpenStudy.load(opened.store, opened.name)


def change_settings(opened: OpenStudy, **values: Any) -> None:
    """Change the settings of a study that are in the store."""
    known = StudySettings.load(opened.store, opened.name)
    changed = known.model_copy(update=values)
    update_settings(opened.store, opened.study_id, changed.model_dump_json())


def test_prepared_images_come_from_the_artifacts_once(
    make_study: MakeStudy,
    place: str,
    elsewhere: Callable[[], Elsewhere],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    opened = make_study(store={"artifacts": place})
    here = opened.data["scratch"]
    other_machine = elsewhere()
    data = load_again(opened).data["scratch"]
    assert data.path.parent == other_machine.cache
    assert (data.images("train") == here.images("train")).all()
    monkeypatch.setattr(type(opened.artifacts.store), "get", None)
    assert load_again(opened).data["scratch"].path == data.path


def test_deleted_cache_is_rebuilt_from_the_artifacts(make_study: MakeStudy) -> None:
    opened = make_study()
    path = Path(opened.settings.images["scratch"].path)
    path.unlink()
    assert load_again(opened).data["scratch"].fingerprint == opened.data["scratch"].fingerprint


def test_other_images_at_the_recorded_path_are_not_used(
    make_study: MakeStudy, place: str, elsewhere: Callable[[], Elsewhere], tmp_path: Path
) -> None:
    other = make_study(study={"name": "other"}, data={"image_size": 12, "source": "demo"})
    opened = make_study(store={"artifacts": place})
    other_machine = elsewhere()
    recorded = Path(opened.settings.images["scratch"].path)
    recorded.parent.mkdir()
    moved = tmp_path / "out of reach" / Path(other.settings.images["scratch"].path).name
    recorded.write_bytes(moved.read_bytes())
    data = load_again(opened).data["scratch"]
    assert data.fingerprint == opened.data["scratch"].fingerprint
    assert data.path.parent == other_machine.cache


def test_damaged_images_in_the_artifacts_are_refused_and_not_kept(
    make_study: MakeStudy, elsewhere: Callable[[], Elsewhere], tmp_path: Path
) -> None:
    opened = make_study(store={"artifacts": "database"})
    name = prepared_name(opened.settings.images["scratch"])
    content = bytearray(opened.data["scratch"].path.read_bytes())
    content[-1] ^= 1
    (tmp_path / "damaged").write_bytes(content)
    opened.artifacts.store.put(name, tmp_path / "damaged")
    other_machine = elsewhere()
    with pytest.raises(ArtifactError, match=r"prepared-.* is damaged"):
        load_again(opened)
    assert other_machine.fetched() == []
    share_inputs(opened.artifacts.store, opened.settings)


def test_damaged_images_in_the_cache_are_not_trained_on(make_study: MakeStudy) -> None:
    opened = make_study(store={"artifacts": "database"})
    opened.artifacts.store.delete(opened.artifacts.store.sizes())
    path = opened.data["scratch"].path
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"are damaged at .*, and not in its artifacts\. Run"):
        load_again(opened)


def test_images_that_are_nowhere_are_an_error(
    make_study: MakeStudy, elsewhere: Callable[[], Elsewhere]
) -> None:
    opened = make_study(store={"artifacts": "database"})
    opened.artifacts.store.delete(opened.artifacts.store.sizes())
    other_machine = elsewhere()
    with pytest.raises(DataError, match=r"are not at .*, and not in its artifacts\. Run"):
        load_again(opened)
    assert other_machine.fetched() == []


def test_studies_of_the_same_images_share_one_copy(make_study: MakeStudy) -> None:
    for name in ("one", "two"):
        opened = make_study(study={"name": name}, store={"artifacts": "database"})
    assert len(opened.artifacts.store.sizes()) == 1


def test_sharing_reports_progress_in_megabytes(
    make_study: MakeStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("search.artifacts.shared_inputs.MB", 100)
    opened = make_study(store={"artifacts": "database"})
    opened.artifacts.store.delete(opened.artifacts.store.sizes())
    reported: list[tuple[int, int, str]] = []
    share_inputs(
        opened.artifacts.store, opened.settings, lambda *how_far: reported.append(how_far)
    )
    n_hundreds = opened.data["scratch"].path.stat().st_size // 100
    assert reported[-1] == (n_hundreds, n_hundreds, "megabytes shared")


def test_artifacts_folder_without_room_for_images_causes_a_warning(
    make_study: MakeStudy, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("search.artifacts.folder._link", fail)
    assert make_study().data
    assert "workers on other machines cannot join: Cannot use the artifacts" in caplog.text


def test_database_without_room_for_images_is_an_error_before_a_study_is_created(
    make_study: MakeStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("search.artifacts.study_artifacts.MB", 1000)
    with pytest.raises(ArtifactError, match=r"No room for prepared-.*max_files_mb"):
        make_study(store={"artifacts": "database", "max_files_mb": 1})
    store = Store.open(f"sqlite:///{tmp_path / 'store.db'}")
    with pytest.raises(LookupError, match="Studies there: none"):
        load_study(store, "small")


def test_weights_file_is_fetched_from_the_artifacts(
    make_study: MakeStudy, place: str, elsewhere: Callable[[], Elsewhere], tmp_path: Path
) -> None:
    opened = make_study(store={"artifacts": place})
    path = tmp_path / "some.weights.h5"
    path.write_bytes(b"some weights")
    weights = WeightsFile(
        source=str(path), mode=None, digest=hashlib.sha256(b"some weights").hexdigest()
    )
    share_inputs(opened.artifacts.store, opened.settings.model_copy(update={"weights": weights}))
    other_machine = elsewhere()
    assert fetch_weights(opened.artifacts.store, weights) == weights
    for content in (None, b"other weights"):  # On the machine that joins.
        path.unlink()
        if content is not None:
            path.write_bytes(content)
        fetched = fetch_weights(opened.artifacts.store, weights)
        assert Path(fetched.source).parent == other_machine.cache
        assert Path(fetched.source).read_bytes() == b"some weights"
        path.touch()


def test_weights_that_are_nowhere_are_returned_unchanged(
    make_study: MakeStudy, tmp_path: Path
) -> None:
    weights = WeightsFile(source=str(tmp_path / "none.h5"), mode=None, digest="0" * 64)
    assert fetch_weights(make_study().artifacts.store, weights) == weights


@pytest.mark.parametrize(
    ("versions", "message"),
    [
        ({"version": "0.9.3"}, r"made with convsearch 0\.9\.3, .* has 0\.1\.0\. Install .* 0\.9 "),
        ({"version": "1.1.0"}, r"made with convsearch 1\.1\.0, .*'convsearch==1\.\*'"),
        ({"optuna": "4.9.0"}, r"made with optuna 4\.9\.0, .*'optuna==4\.\*'"),
    ],
)
def test_study_of_another_release_series_is_refused_with_the_difference(
    make_study: MakeStudy, versions: dict[str, str], message: str
) -> None:
    opened = make_study()
    change_settings(opened, **versions)
    with pytest.raises(StudyMismatchError, match=message):
        load_again(opened)
    with pytest.raises(StudyMismatchError, match=message):
        make_study()


@pytest.mark.parametrize("versions", [{"version": "0.1.99"}, {"optuna": "5.99"}, {"optuna": None}])
def test_study_of_the_same_release_series_is_joined(
    make_study: MakeStudy, versions: dict[str, str]
) -> None:
    opened = make_study()
    change_settings(opened, **versions)
    assert load_again(opened).name == "small"


def test_studies_record_no_credentials(
    make_study: MakeStudy, s3_environment: None, tmp_path: Path
) -> None:
    opened = make_study(store={"artifacts": "s3://studies/prefix"})
    opened.store.close()
    recorded = b"".join(path.read_bytes() for path in tmp_path.glob("store.db*"))
    assert b"s3://studies/prefix" in recorded
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL"):
        assert os.environ[name].encode() not in recorded


def test_studies_of_one_name_in_a_shared_folder_have_separate_folders(
    make_study: MakeStudy, tmp_path: Path
) -> None:
    folder = str(tmp_path / "shared")
    one = make_study(store={"artifacts": folder})
    two = make_study(store={"artifacts": folder, "url": f"sqlite:///{tmp_path / 'two.db'}"})
    again = make_study(store={"artifacts": folder})
    assert one.artifacts.folder != two.artifacts.folder
    assert one.artifacts.folder == again.artifacts.folder


def test_deleted_study_leaves_its_images_in_a_shared_bucket(
    make_study: MakeStudy, s3_environment: None
) -> None:
    opened = make_study(store={"artifacts": "s3://studies/prefix"})
    opened.data.clear()
    (line,) = remove_study(opened.store, opened.name).kept
    assert line.endswith(" in s3://studies/prefix: other stores may use it.")
    assert len(opened.artifacts.store.sizes()) == 1


def test_worker_on_another_machine_needs_only_the_url_of_the_store(
    make_study: MakeStudy, store_url: str, tmp_path: Path
) -> None:
    opened = make_study(store={"url": store_url, "artifacts": "database"})
    path = opened.data["scratch"].path
    path.rename(path.with_name("out of reach"))
    folder, cache = tmp_path / "their folder", tmp_path / "their cache"
    folder.mkdir()
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "CONVSEARCH_STORE": store_url,
        "CONVSEARCH_CACHE": str(cache),
    }
    done = subprocess.run(
        [sys.executable, "-c", WORKER, str(FAKE)],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert load_status(opened.store, opened.name).counts["complete"] == 3
    fetched = PreparedSet.open(cache / prepared_name(opened.settings.images["scratch"]))
    assert fetched.fingerprint == opened.data["scratch"].fingerprint
    assert sorted(opened.artifacts.store.sizes(opened.artifacts.name)) == [
        f"small/trial-{number}.0.safetensors" for number in range(3)
    ]
    for number in range(3):
        assert (opened.artifacts.load(number) or Path()).read_text() == "epoch 3"
    assert list(cache.glob("work/**/trial-*")) == []
    assert list(folder.iterdir()) == []
