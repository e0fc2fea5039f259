"""A study's checkpoints: saved under the lease that wrote them, downloaded where needed."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from search.artifacts import Artifacts, ArtifactStore
from search.artifacts.names import check_name, folder_name
from search.errors import ArtifactError


@pytest.fixture
def machines(
    artifact_store: ArtifactStore, tmp_path: Path
) -> Iterator[tuple[Artifacts, Artifacts]]:
    """The study's artifacts as two machines see them; with a folder both see the same one."""

    def on_machine(name: str) -> Artifacts:
        folder = artifact_store.folder or tmp_path / name
        return Artifacts(artifact_store, "small", folder / "small")

    both = on_machine("here"), on_machine("there")
    yield both
    for machine in both:
        assert machine.transfer.wait(10.0)


def save(artifacts: Artifacts, number: int, generation: int, content: str) -> None:
    """Save and upload a checkpoint as trainer and worker do after an epoch."""
    path = artifacts.checkpoint(number, generation)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    artifacts.upload(number, generation)
    assert artifacts.transfer.wait(10.0)


def text_of(path: Path | None) -> str | None:
    return None if path is None else path.read_text()


def test_trial_resumes_elsewhere_from_its_last_checkpoint(
    machines: tuple[Artifacts, Artifacts],
) -> None:
    here, there = machines
    save(here, 3, 0, "epoch 1")
    save(here, 3, 0, "epoch 2")
    save(here, 30, 0, "of another trial")
    assert text_of(there.fetch(3, generation=2)) == "epoch 2"
    assert there.fetch(4, generation=2) is None


def test_suspended_worker_does_not_overwrite_its_successors_checkpoint(
    machines: tuple[Artifacts, Artifacts],
) -> None:
    sleeper, successor = machines
    save(sleeper, 3, 0, "epoch 2")
    save(successor, 3, 2, "epoch 5")
    save(sleeper, 3, 0, "epoch 3")
    for machine in machines:
        assert text_of(machine.load(3)) == "epoch 5"


def test_new_trial_does_not_look_for_a_checkpoint(
    machines: tuple[Artifacts, Artifacts], monkeypatch: pytest.MonkeyPatch
) -> None:
    here, _ = machines
    monkeypatch.setattr(type(here.store), "sizes", None)
    assert here.fetch(3, generation=0) is None


def test_fetching_ends_when_the_worker_shuts_down(
    machines: tuple[Artifacts, Artifacts], monkeypatch: pytest.MonkeyPatch
) -> None:
    here, _ = machines
    answers = threading.Event()
    monkeypatch.setattr(Artifacts, "load", lambda *_: answers.wait(10.0))
    asked: list[bool] = []

    def is_stopping() -> bool:
        asked.append(True)
        return len(asked) == 3

    with pytest.raises(ArtifactError, match="not waited for"):
        here.fetch(3, 2, is_stopping)
    assert len(asked) == 3
    answers.set()


@pytest.mark.parametrize("error", [ArtifactError("away"), RuntimeError("of some library")])
def test_unreadable_store_is_an_error_and_not_a_missing_checkpoint(
    machines: tuple[Artifacts, Artifacts], monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    here, _ = machines
    save(here, 3, 0, "epoch 2")

    def fail(*_: object) -> None:
        raise error

    with monkeypatch.context() as away:
        away.setattr(Artifacts, "load", fail)
        with pytest.raises(ArtifactError, match=r"away|of some library"):
            here.fetch(3, 2)
    assert text_of(here.fetch(3, 2)) == "epoch 2"


def test_checkpoint_whose_upload_failed_is_uploaded_later_and_then_removed(
    machines: tuple[Artifacts, Artifacts], monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = machines
    if here.store.folder is not None:
        pytest.skip("trainers save where everybody looks")
    with monkeypatch.context() as away:
        away.setattr(type(here.store), "put", fail_to_put)
        path = here.checkpoint(3, 0)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("best weights")
        here.upload(3, 0)
        here.release_local_copy(3, 0)
        assert not here.transfer.wait(0.2)
        assert not here.transfer.is_done
        assert path.exists()
    assert here.transfer.wait(10.0)
    assert text_of(there.load(3)) == "best weights"
    assert not path.exists()


def test_cancelled_uploads_are_not_waited_for(
    machines: tuple[Artifacts, Artifacts], monkeypatch: pytest.MonkeyPatch
) -> None:
    here, _ = machines
    with monkeypatch.context() as away:
        away.setattr(type(here.store), "put", fail_to_put)
        here.checkpoint(3, 0).parent.mkdir(parents=True, exist_ok=True)
        here.checkpoint(3, 0).touch()
        here.upload(3, 0)
        here.transfer.wait(0.2)
        here.transfer.cancel_all()
        assert here.transfer.wait(10.0)


def fail_to_put(*_: object) -> None:
    raise ArtifactError("away")


def test_checkpoint_of_a_trial_that_begins_while_files_are_listed_is_kept(
    machines: tuple[Artifacts, Artifacts],
) -> None:
    here, _ = machines
    save(here, 1, 0, "x")

    def begin_another() -> set[int]:
        path = here.checkpoint(2, 0)
        path.write_text("epoch 1")
        path.with_name(f".{path.name}.partial").touch()
        return {1}

    here.clean_up(begin_another)
    assert here.transfer.wait(10.0)
    assert here.checkpoint(2, 0).exists()
    assert here.checkpoint(2, 0).with_name(".trial-2.0.safetensors.partial").exists()


def test_clean_up_removes_partial_files_of_killed_processes(
    machines: tuple[Artifacts, Artifacts], monkeypatch: pytest.MonkeyPatch
) -> None:
    here, _ = machines
    save(here, 1, 0, "x")
    begun = here.folder / ".trial-1.0.safetensors.0a1b2c3d"
    begun.touch()
    here.clean_up(lambda: {1})
    assert here.transfer.wait(10.0)
    assert begun.exists()  # Another process may be writing it.
    monkeypatch.setattr("storage.atomic_files.STALE_PARTIAL_S", 0.0)
    here.clean_up(lambda: {1})
    assert here.transfer.wait(10.0)
    assert not begun.exists()
    assert here.load(1) is not None


def test_clean_up_keeps_the_latest_checkpoint_of_the_trials_that_need_one(
    machines: tuple[Artifacts, Artifacts],
) -> None:
    here, _ = machines
    for number, generation in ((1, 0), (1, 2), (2, 0), (3, 10), (3, 9)):
        save(here, number, generation, "x")
    killed = here.folder / ".trial-3.9.safetensors.partial"
    saving = here.folder / ".trial-3.10.safetensors.partial"
    for path in (killed, saving):
        path.touch()
    here.worker_log(0).touch()
    unneeded = here.unneeded(lambda: {1, 3})
    assert sorted(unneeded) == [
        "small/trial-1.0.safetensors",
        "small/trial-2.0.safetensors",
        "small/trial-3.9.safetensors",
    ]
    here.clean_up(lambda: {1, 3})
    assert here.transfer.wait(10.0)
    kept = {"small/trial-1.2.safetensors", "small/trial-3.10.safetensors"}
    assert kept == {name for name in here.store.sizes("small") if "trial" in name}
    assert sorted(path.name for path in here.folder.glob("trial-*")) == [
        "trial-1.2.safetensors",
        "trial-3.10.safetensors",
    ]
    assert here.worker_log(0).exists()
    assert not killed.exists()
    assert saving.exists()


def test_released_copies_are_removed_once_they_are_uploaded(
    machines: tuple[Artifacts, Artifacts], monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = machines
    save(here, 3, 0, "epoch 4")
    here.release_local_copy(3, 0)
    assert here.transfer.wait(10.0)
    assert here.checkpoint(3, 0).exists() == (here.store.folder is not None)
    assert text_of(there.load(3)) == "epoch 4"
    here.checkpoint(5, 0).write_text("never sent")
    here.release_local_copy(5, 0)
    assert here.transfer.wait(10.0)
    assert here.checkpoint(5, 0).exists()


def test_deleted_study_leaves_nothing_and_others_stay(
    machines: tuple[Artifacts, Artifacts], artifact_store: ArtifactStore, tmp_path: Path
) -> None:
    here, _ = machines
    save(here, 3, 0, "x")
    here.worker_log(0).touch()
    other = here.folder.parent / "other"
    other.mkdir()
    (other / "file").touch()
    if artifact_store.folder is None:
        artifact_store.put("other/file", other / "file")
    here.delete()
    assert artifact_store.sizes("small") == {}
    assert not here.folder.exists()
    assert list(artifact_store.sizes("other")) == ["other/file"]


def test_checkpoint_is_copied_from_a_trial_of_another_study(
    machines: tuple[Artifacts, Artifacts],
) -> None:
    here, there = machines
    save(here, 3, 4, "epoch 9")
    fork = Artifacts(here.store, "fork", here.folder.parent / "fork")
    fork.copy_checkpoint(there, source_number=3, target_number=0)
    fork.copy_checkpoint(there, source_number=8, target_number=1)
    assert text_of(fork.load(0)) == "epoch 9"
    assert fork.load(1) is None


@pytest.mark.parametrize("name", ["plain", "a/b", "..", "ä", "x" * 200, "a b"])
def test_folder_name_of_a_study_is_plain(name: str) -> None:
    assert check_name(folder_name(name)) == folder_name(name)


def test_folders_of_studies_with_similar_names_differ() -> None:
    assert len({folder_name(name) for name in ("a b", "a_b", "a/b", "a?b")}) == 4
