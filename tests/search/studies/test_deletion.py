"""Deleting studies: files that other studies may need stay, also those of other stores."""

from collections.abc import Callable
from pathlib import Path

import pytest

from search.artifacts.shared_inputs import prepared_name
from search.data.kept_summary import summary_path
from search.studies.deletion import remove_study
from search.studies.open_study import OpenStudy
from storage import Store, list_studies, load_study, update_settings

MakeStudy = Callable[..., OpenStudy]


@pytest.fixture
def elsewhere(tmp_path: Path) -> str:
    """The URL of another store."""
    return f"sqlite:///{tmp_path / 'other' / 'store.db'}"


@pytest.fixture
def make(make_study: MakeStudy) -> MakeStudy:
    """Make a study whose images no process has open."""

    def make(**tables: dict[str, object]) -> OpenStudy:
        opened = make_study(**tables)
        opened.data.clear()
        return opened

    return make


def cached_images(opened: OpenStudy) -> Path:
    return Path(opened.settings.images["scratch"].path)


def shared_files(opened: OpenStudy) -> list[str]:
    """Return the files in the study's artifact store outside the folders of studies."""
    return list(opened.artifacts.store.sizes())


def test_images_that_a_worker_of_another_store_has_open_stay_in_the_cache(
    make_study: MakeStudy, make: MakeStudy, elsewhere: str, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    opened, theirs = make(), make_study(store={"url": elsewhere})
    removal = remove_study(opened.store, opened.name)
    assert cached_images(opened).is_file()
    assert removal.kept == (f"{cached_images(opened)}: a process uses it.",)
    assert removal.n_sets == 1  # The copy in its own artifacts folder.
    assert theirs.data_of("plain").images("train").any()
    theirs.data.clear()
    assert remove_study(theirs.store, theirs.name).kept == ()
    assert not cached_images(opened).exists()


def test_deleted_cached_images_are_fetched_again_for_another_store(
    make: MakeStudy, elsewhere: str, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    opened, theirs = make(), make(store={"url": elsewhere})
    assert summary_path(cached_images(opened)).is_file()
    assert remove_study(opened.store, opened.name).n_sets == 1
    assert not cached_images(opened).exists()
    assert not summary_path(cached_images(opened)).exists()
    found = theirs.data_of("plain")
    assert found.path.is_file()
    assert found.fingerprint == theirs.settings.images["scratch"].fingerprint


@pytest.mark.parametrize("is_named", [True, False])
def test_shared_folder_keeps_images_while_another_store_has_a_study_there(
    make: MakeStudy, tmp_path: Path, is_named: bool
) -> None:
    # In the same folder, so the default artifacts folder is the same.
    url = f"sqlite:///{tmp_path / 'second.db'}"
    place = {"artifacts": str(tmp_path / "shared")} if is_named else {}
    opened, theirs = make(store=place), make(study={"name": "a"}, store={**place, "url": url})
    name = prepared_name(opened.settings.images["scratch"])
    removal = remove_study(opened.store, opened.name)
    assert removal.kept == (f"{name} in {opened.settings.artifacts}: other stores may use it.",)
    assert shared_files(theirs) == [name]
    assert theirs.artifacts.folder.is_dir()
    assert not opened.artifacts.folder.exists()
    assert remove_study(theirs.store, theirs.name).kept == ()
    assert shared_files(theirs) == []


def test_images_stay_if_another_study_cannot_be_read(make: MakeStudy) -> None:
    opened = make(store={"artifacts": "database"})
    strange = make(study={"name": "strange"}, store={"artifacts": "database"})
    known = load_study(strange.store, "strange").settings
    update_settings(strange.store, strange.study_id, '{"version": "9"}')
    assert len(remove_study(opened.store, opened.name).kept) == 1
    update_settings(strange.store, strange.study_id, known)
    assert len(shared_files(strange)) == 1
    assert remove_study(strange.store, "strange").kept == ()
    assert shared_files(strange) == []


def test_other_files_in_the_folder_of_a_study_stay(make: MakeStudy) -> None:
    opened = make()
    folder = opened.artifacts.folder
    (folder / "thesis.doc").touch()
    (folder / "pictures").mkdir()
    for name in ("trial-0.0.safetensors", ".trial-1.0.safetensors.partial", "worker-0.log"):
        (folder / name).touch()
    removal = remove_study(opened.store, opened.name)
    assert removal.n_files == 2
    assert sorted(path.name for path in folder.iterdir()) == ["pictures", "thesis.doc"]
    assert list_studies(Store.open(opened.store.shown_url)) == []
