"""Running one trial: every way in which a trainer can end, with real processes."""

import os
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from search.artifacts import Artifacts
from search.errors import ArtifactError
from search.studies.open_study import OpenStudy
from search.trainer.process import Trainer, TrainerGoneError
from search.trainer.protocol import Finished, Message
from search.workers.features_progress import FeaturesProgress
from search.workers.proposals import Proposal, next_proposal
from search.workers.trial_limits import TrialLimits
from search.workers.trial_runner import Interruption, TrialRunner, Unfinished
from storage import (
    EpochRow,
    LeaseLostError,
    Outcome,
    load_curve,
    record_epoch,
    register_worker,
    release_trial,
    take_released,
)

FAKE = str(Path(__file__).parents[1] / "fake_trainer.py")
NEVER = Interruption(now=lambda: False, at_epoch_end=lambda: False)


@pytest.fixture
def proposal(opened: OpenStudy) -> Proposal:
    worker_id = register_worker(opened.store, opened.study_id)
    proposal = next_proposal(opened, worker_id)
    assert proposal is not None
    return proposal


@contextmanager
def fake_trainer(mode: str) -> Iterator[Trainer]:
    trainer = Trainer(command=(sys.executable, FAKE, mode))
    try:
        yield trainer
    finally:
        trainer.close()


def with_training(opened: OpenStudy, **values: Any) -> OpenStudy:
    training = opened.settings.training.model_copy(update={"max_epochs": 4, **values})
    return replace(opened, settings=opened.settings.model_copy(update={"training": training}))


def run_trial(
    opened: OpenStudy, proposal: Proposal, mode: str, interruption: Interruption = NEVER
) -> Outcome | Unfinished:
    with fake_trainer(mode) as trainer:
        return TrialRunner(opened, proposal, trainer, interruption).run()


def test_computation_of_features_is_shown_until_the_next_epoch(
    opened: OpenStudy, proposal: Proposal, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[str | None] = []
    monkeypatch.setattr(
        "search.workers.trial_runner.set_activity", lambda *values: shown.append(values[2])
    )
    ending = run_trial(with_training(opened), proposal, "busy")
    assert isinstance(ending, Outcome)
    assert ending.kind == "complete"
    assert shown[0] == "features of 0/40 images"
    assert re.fullmatch(r"features of [12]0/40 images, about \d+ s left", str(shown[1]))
    assert shown[-1] is None


def test_time_left_is_updated_once_a_second(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    progress = FeaturesProgress()

    def describe(at_s: float, done: int) -> str | None:
        monkeypatch.setattr("search.workers.trial_runner.time.monotonic", lambda: at_s)
        return progress.describe(done, 40)

    texts = [describe(at_s, done) for at_s, done in [(7, 0), (7.9, 8), (9, 10), (12, 20)]]
    monkeypatch.undo()
    assert texts == [
        "features of 0/40 images",
        None,
        "features of 10/40 images, about 6 s left",
        "features of 20/40 images, about 5 s left",
    ]


def test_start_of_a_trainer_does_not_count_as_time_of_the_trial(
    opened: OpenStudy, proposal: Proposal
) -> None:
    limited = with_training(opened, silence_timeout=3.0, trial_timeout=3.0)
    ending = run_trial(limited, proposal, "late")
    assert ending == Outcome("complete", value=0.7, metrics={"best_epoch": 2})


def test_trial_that_trains_to_its_end_is_complete(opened: OpenStudy, proposal: Proposal) -> None:
    ending = run_trial(with_training(opened), proposal, "well")
    assert ending == Outcome("complete", value=0.7, metrics={"best_epoch": 2})
    curve = load_curve(opened.store, proposal.trial._trial_id)
    assert [row.epoch for row in curve] == [1, 2, 3, 4]
    reported = opened.study.trials[proposal.trial.number].intermediate_values
    assert reported == {1: 0.4, 2: 0.6, 3: 0.6, 4: 0.7}


@pytest.mark.parametrize("mode", ["killed", "crashed", "left", "babbling"])
def test_trial_whose_trainer_dies_is_resumed_later(
    opened: OpenStudy, proposal: Proposal, mode: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert run_trial(with_training(opened), proposal, mode) is Unfinished.LOST
    assert len(load_curve(opened.store, proposal.trial._trial_id)) == 2
    if mode == "left":
        assert "exit code 7: last words" in caplog.text


@pytest.mark.parametrize(
    ("mode", "kind", "reason"),
    [
        ("nan", "unfit", "The loss became nan in epoch 3."),
        ("failed", "fail", "ValueError: no"),
    ],
)
def test_outcome_is_the_one_that_the_trainer_reports(
    opened: OpenStudy, proposal: Proposal, mode: str, kind: str, reason: str
) -> None:
    ending = run_trial(with_training(opened), proposal, mode)
    assert isinstance(ending, Outcome)
    assert (ending.kind, ending.reason) == (kind, reason)


def test_trial_that_fails_because_its_images_vanished_is_resumed_later(
    opened: OpenStudy, proposal: Proposal
) -> None:
    path = opened.data_of(proposal.config.family).path
    vanishing = Interruption(lambda: bool(path.unlink(missing_ok=True)), lambda: False)
    assert run_trial(with_training(opened), proposal, "failed", vanishing) is Unfinished.LOST
    assert opened.data_of(proposal.config.family).path.is_file()


def test_hung_trainer_is_killed_after_the_silence_timeout(
    opened: OpenStudy, proposal: Proposal
) -> None:
    limited = with_training(opened, silence_timeout=1.5)
    with fake_trainer("hung") as trainer:
        started = time.monotonic()
        assert TrialRunner(limited, proposal, trainer, NEVER).run() is Unfinished.LOST
        assert time.monotonic() - started < 30
        assert trainer.exit_code() is not None


def test_silence_limit_grows_with_the_longest_epoch_of_the_study(
    opened: OpenStudy, proposal: Proposal
) -> None:
    with fake_trainer("well") as trainer:
        assert TrialLimits(opened, proposal, trainer).max_silence_s == 120
        record_epoch(opened.store, proposal.lease, EpochRow(1, 1, 0.5, 1, 0.5, 1e-3, 60.0, 50.0))
        assert TrialLimits(opened, proposal, trainer).max_silence_s == 600


@pytest.mark.parametrize("limit", ["silence_timeout", "trial_timeout"])
def test_time_during_which_the_worker_was_suspended_does_not_count(
    opened: OpenStudy, proposal: Proposal, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    limited = with_training(opened, **{limit: 60.0})
    with fake_trainer("well") as trainer:
        run, receive = TrialRunner(limited, proposal, trainer, NEVER), trainer.receive

        def receive_after_a_sleep(timeout_s: float) -> Message | None:
            run.limits.polled_at -= 3600.0  # The worker was suspended for an hour.
            return receive(timeout_s)

        monkeypatch.setattr(trainer, "receive", receive_after_a_sleep)
        ending = run.run()
    assert isinstance(ending, Outcome)
    assert ending.kind == "complete"


def test_trial_over_its_time_is_unfit(opened: OpenStudy, proposal: Proposal) -> None:
    ending = run_trial(with_training(opened, trial_timeout=1.0), proposal, "hung")
    assert ending == Outcome("unfit", "Over the time limit of a trial, 1 s.")


def test_trial_over_the_memory_limit_is_unfit(opened: OpenStudy, proposal: Proposal) -> None:
    limits = {"scratch": replace(opened.settings.limits["scratch"], max_memory_mb=20.0)}
    opened = with_training(opened)
    opened = replace(opened, settings=opened.settings.model_copy(update={"limits": limits}))
    ending = run_trial(opened, proposal, "greedy")
    assert isinstance(ending, Outcome)
    assert ending.kind == "unfit"
    assert ending.reason.startswith("Out of memory: ")


def test_kill_near_the_memory_limit_counts_as_out_of_memory(
    opened: OpenStudy, proposal: Proposal
) -> None:
    limits = {"scratch": replace(opened.settings.limits["scratch"], max_memory_mb=60.0)}
    opened = with_training(opened)
    opened = replace(opened, settings=opened.settings.model_copy(update={"limits": limits}))
    ending = run_trial(opened, proposal, "greedy and killed")
    assert isinstance(ending, Outcome)
    assert ending.kind == "unfit"
    assert ending.reason.startswith("Out of memory at ")


def test_kill_that_the_control_group_reports_counts_as_out_of_memory(
    opened: OpenStudy, proposal: Proposal, monkeypatch: pytest.MonkeyPatch
) -> None:
    kills = iter([0, 1])
    monkeypatch.setattr("search.machine.memory._count_oom_kills", lambda: next(kills))
    ending = run_trial(with_training(opened), proposal, "killed")
    assert isinstance(ending, Outcome)
    assert ending.kind == "unfit"


def test_worker_that_shuts_down_releases_the_trial_at_once(
    opened: OpenStudy, proposal: Proposal
) -> None:
    leave = Interruption(now=lambda: True, at_epoch_end=lambda: False)
    assert run_trial(with_training(opened), proposal, "hung", leave) is Unfinished.RELEASED


def test_trial_is_released_after_its_epoch_when_the_time_is_up(
    opened: OpenStudy, proposal: Proposal
) -> None:
    time_up = Interruption(now=lambda: False, at_epoch_end=lambda: True)
    with fake_trainer("well") as trainer:
        run = TrialRunner(with_training(opened), proposal, trainer, time_up)
        assert run.run() is Unfinished.RELEASED
        assert trainer.exit_code() is None
    assert len(load_curve(opened.store, proposal.trial._trial_id)) == 1


def test_trainer_of_a_pruned_trial_takes_the_next_one(
    opened: OpenStudy, proposal: Proposal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opened.study.pruner, "prune", lambda _study, trial: trial.last_step == 2)
    opened = with_training(opened)
    with fake_trainer("well") as trainer:
        run = TrialRunner(opened, proposal, trainer, NEVER)
        assert run.run() == Outcome(
            "pruned", "By the pruner after epoch 2.", metrics={"epochs": 2}
        )
        trainer.send(run._task())
        message = None
        while not isinstance(message, Finished):
            message = trainer.receive(10.0)
            if message is not None and not isinstance(message, Finished):
                trainer.send("go_on")


def test_worker_whose_trial_was_taken_over_stops_it(opened: OpenStudy, proposal: Proposal) -> None:
    release_trial(opened.store, proposal.lease)
    assert take_released(opened.store, opened.study_id, "other") is not None
    with pytest.raises(LeaseLostError):
        run_trial(with_training(opened), proposal, "well")


def test_trainer_ends_when_its_worker_dies() -> None:
    with fake_trainer("well") as trainer:
        assert trainer.receive(60.0) is not None
        process = psutil.Process(trainer.pid)
        assert trainer._process.stdin is not None
        trainer._process.stdin.close()
        process.wait(timeout=60)
        with pytest.raises(TrainerGoneError):
            trainer.receive(60.0)


def test_trial_whose_checkpoints_cannot_be_written_continues_and_warns_once(
    opened: OpenStudy, proposal: Proposal, caplog: pytest.LogCaptureFixture
) -> None:
    ending = run_trial(with_training(opened), proposal, "unsaved")
    assert ending == Outcome("complete", value=0.7, metrics={"best_epoch": 2})
    assert [text for text in caplog.messages if "without a checkpoint" in text] == [
        "trial 0 continues without a checkpoint: Cannot save: No space left on device"
    ]


def test_trial_waits_for_a_checkpoint_that_is_temporarily_unavailable(
    opened: OpenStudy, proposal: Proposal, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter([ArtifactError("away"), ArtifactError("away"), None])

    def fetch(*_: object) -> None:
        answer = next(answers)
        if answer is not None:
            raise answer

    monkeypatch.setattr("search.workers.trial_runner.FETCH_RETRY_S", 0.01)
    monkeypatch.setattr(Artifacts, "fetch", fetch)
    ending = run_trial(with_training(opened), proposal, "well")
    assert isinstance(ending, Outcome)
    assert next(answers, "all asked") == "all asked"


@pytest.mark.parametrize(
    ("timeout_s", "interruption"),
    [(0.05, NEVER), (60.0, Interruption(lambda: True, lambda: False))],
)
def test_trial_whose_checkpoint_cannot_be_fetched_is_released_unchanged(
    opened: OpenStudy,
    proposal: Proposal,
    monkeypatch: pytest.MonkeyPatch,
    timeout_s: float,
    interruption: Interruption,
) -> None:
    def fetch(*_: object) -> None:
        raise ArtifactError("away")

    monkeypatch.setattr("search.workers.trial_runner.FETCH_RETRY_S", 0.01)
    monkeypatch.setattr("search.workers.trial_runner.FETCH_TIMEOUT_S", timeout_s)
    monkeypatch.setattr(Artifacts, "fetch", fetch)
    ending = run_trial(with_training(opened), proposal, "well", interruption)
    assert ending is Unfinished.RELEASED
    assert load_curve(opened.store, proposal.trial._trial_id) == []
    assert not opened.artifacts.checkpoint(0, 0).exists()


@pytest.mark.parametrize("mode", ["forked and left", "forked and hung"])
def test_processes_that_a_trainer_forked_end_with_it_without_delay(
    opened: OpenStudy, proposal: Proposal, mode: str
) -> None:
    limited = with_training(opened, silence_timeout=2.0)
    with fake_trainer(mode) as trainer:
        assert TrialRunner(limited, proposal, trainer, NEVER).run() is Unfinished.LOST
        began = time.monotonic()
        trainer.close()
        assert time.monotonic() - began < 4  # Waiting for the pipe to close would take 5 s.
        left = [it for it in psutil.process_iter() if is_in_group(it, trainer.pid)]
        _, alive = psutil.wait_procs(left, timeout=10)
        assert alive == []


def is_in_group(process: psutil.Process, group: int) -> bool:
    try:
        return os.getpgid(process.pid) == group
    except ProcessLookupError:
        return False
