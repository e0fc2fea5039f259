"""The fair start: each family gets its minimum of trials, beginning with known-good configs."""

import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState, create_trial

from search.strategy.family_quota import (
    MAX_EPOCHS,
    MAX_FAILED,
    MAX_REFUSED,
    family_of,
    next_family,
    trials_per_family,
)
from search.studies.open_study import OpenStudy
from search.trainer.pool import TrainerPool
from search.workers.worker import Worker
from spaces import Family, register_family
from spaces.families import registry
from spaces.models import conv_block
from spaces.models.layers import Layers
from spaces.parameters.domain_types import Domain, IntRange, Value
from spaces.parameters.suggestion import Draw
from storage import Store, load_trials

FAKE = str(Path(__file__).parents[1] / "fake_trainer.py")
MakeStudy = Callable[..., OpenStudy]
NARROW: dict[str, Any] = {"stages": 1, "convs": 1, "channels": 8, "dense_layers": 0}


@dataclass(frozen=True, slots=True)
class OneConvolution:
    width: int

    def build(self, x: Any, layers: Layers[Any]) -> Any:
        return conv_block(x, self.width, 3, layers, name="only")


class Narrow(Family):
    """A family of one convolution that trains in two phases."""

    network = OneConvolution
    n_phases = 2

    def parameters(self) -> dict[str, Domain]:
        return {"narrow_width": IntRange(2, 9)}

    def suggest(self, draw: Draw) -> OneConvolution:
        return OneConvolution(width=draw.integer("narrow_width"))

    def known_good(self) -> Sequence[Mapping[str, Value]]:
        return [{"narrow_width": 3}, {"narrow_width": 5}]


class Giant(Narrow):
    """A family that is never within the limits."""

    n_phases = 1

    def parameters(self) -> dict[str, Domain]:
        return {"giant_width": IntRange(90_000, 99_000)}

    def suggest(self, draw: Draw) -> OneConvolution:
        return OneConvolution(width=draw.integer("giant_width"))

    def known_good(self) -> Sequence[Mapping[str, Value]]:
        return [{"giant_width": 90_000}]


@pytest.fixture(autouse=True)
def families(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for kind in (Narrow, Giant):  # As if they belonged to the package.
        monkeypatch.setattr(kind, "__module__", "spaces.families.of_this_test")
    register_family("narrow")(Narrow)
    register_family("giant")(Giant)
    yield
    del registry._families["narrow"], registry._families["giant"]


def run_worker(opened: OpenStudy) -> None:
    Worker(opened, TrainerPool(command=(sys.executable, FAKE, "well"))).run()


def families_that_count(opened: OpenStudy) -> list[str]:
    rows = load_trials(opened.store, opened.study_id)
    return [
        row.attributes["config"]["family"]
        for row in rows
        if row.outcome is not None and row.outcome.counts
    ]


def frozen(family: str, state: TrialState, *, is_worth_training: bool = True) -> FrozenTrial:
    attributes: dict[str, Any] = {"config": {"family": family}}
    if is_worth_training:
        attributes[MAX_EPOCHS] = 8
    value = 0.5 if state == TrialState.COMPLETE else None
    trial = create_trial(state=TrialState.COMPLETE, value=0.5, user_attrs=attributes)
    trial.state, trial.value = state, value
    return trial


@pytest.mark.parametrize(
    ("n_trials", "n_families", "each"),
    [(30, 6, 2), (100, 6, 6), (60, 6, 4), (30, 2, 6), (12, 6, 2), (8, 6, 1), (3, 6, 1)],
)
def test_fair_start_takes_a_share_of_the_budget(n_trials: int, n_families: int, each: int) -> None:
    assert trials_per_family(n_trials, n_families) == each


def test_family_furthest_behind_is_next() -> None:
    trials = [
        frozen("a", TrialState.COMPLETE),
        frozen("a", TrialState.PRUNED),
        frozen("b", TrialState.RUNNING, is_worth_training=False),
        frozen("c", TrialState.WAITING),  # Released: it will resume.
    ]
    assert next_family(trials, ("a", "b", "c"), 2) == "b"
    assert next_family([*trials, frozen("b", TrialState.COMPLETE)], ("a", "b", "c"), 2) == "c"
    assert next_family(trials[:2], ("a",), 2) is None


@pytest.mark.parametrize(
    ("state", "is_worth_training"),
    [(TrialState.PRUNED, False), (TrialState.FAIL, False), (TrialState.FAIL, True)],
)
def test_refused_and_failed_trials_do_not_count(
    state: TrialState, is_worth_training: bool
) -> None:
    trial = frozen("a", state, is_worth_training=is_worth_training)
    assert next_family([trial], ("a",), 1) == "a"


def test_family_that_is_refused_repeatedly_is_no_longer_waited_for() -> None:
    refused = [frozen("a", TrialState.PRUNED, is_worth_training=False)] * MAX_REFUSED
    assert next_family(refused[1:], ("a", "b"), 1) == "a"
    assert next_family(refused, ("a", "b"), 1) == "b"


def test_family_whose_trainings_fail_is_no_longer_waited_for() -> None:
    failed = [frozen("a", TrialState.FAIL)] * MAX_FAILED
    assert next_family(failed[1:], ("a", "b"), 1) == "a"
    assert next_family(failed, ("a", "b"), 1) == "b"
    repeated = [frozen("a", TrialState.FAIL, is_worth_training=False)] * MAX_FAILED
    assert next_family(repeated, ("a", "b"), 1) == "a"


def test_failures_before_a_trial_that_counts_are_forgiven() -> None:
    failed, complete = frozen("a", TrialState.FAIL), frozen("a", TrialState.COMPLETE)
    assert next_family([failed, complete, failed], ("a",), 2) == "a"
    assert next_family([failed, complete, failed, failed], ("a",), 2) is None


def test_known_good_configs_are_queued_in_turn(make_study: MakeStudy) -> None:
    opened = make_study(space={**NARROW, "families": ["plain", "narrow"]}, budget={"trials": 10})
    assert opened.settings.family_trials == 2
    queued = [family_of(trial) for trial in opened.study.get_trials(states=(TrialState.WAITING,))]
    assert queued == ["plain", "narrow", "plain", "narrow"]


def test_every_family_gets_its_minimum(make_study: MakeStudy) -> None:
    opened = make_study(
        space={**NARROW, "families": ["plain", "narrow"]},
        search={"family_trials": 4},
        budget={"trials": 9},
    )
    run_worker(opened)
    families = families_that_count(opened)
    assert len(families) == 9
    assert Counter(families[:8]) == {"plain": 4, "narrow": 4}


def test_family_that_never_fits_does_not_hold_up_the_study(make_study: MakeStudy) -> None:
    opened = make_study(space={**NARROW, "families": ["plain", "giant"]}, budget={"trials": 6})
    run_worker(opened)
    assert families_that_count(opened) == ["plain"] * 6


def test_two_workers_start_every_family_too(make_study: MakeStudy) -> None:
    opened = make_study(space={**NARROW, "families": ["plain", "narrow"]}, budget={"trials": 10})
    url = opened.store.url.render_as_string(hide_password=False)
    other = OpenStudy.load(Store.open(url), opened.name)
    threads = [threading.Thread(target=run_worker, args=(it,)) for it in (opened, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    found = Counter(families_that_count(opened))
    assert found.total() == 10
    assert min(found["plain"], found["narrow"]) >= 2


def test_resumed_study_keeps_its_minimum(make_study: MakeStudy) -> None:
    space = {**NARROW, "families": ["plain", "narrow"]}
    make_study(space=space, budget={"trials": 10})
    assert make_study(space=space, budget={"trials": 30}).settings.family_trials == 2


def test_one_seed_gives_one_order_of_configs(
    make_study: MakeStudy, tmp_path: Path, blobs: Path
) -> None:
    drawn = []
    for name in ("one", "two"):
        opened = make_study(
            study={"name": name},
            space={**NARROW, "families": ["plain", "narrow"]},
            search={"family_trials": 5},
            budget={"trials": 11},
        )
        run_worker(opened)
        drawn.append([row.params for row in load_trials(opened.store, opened.study_id)])
    assert drawn[0] == drawn[1]


def test_trial_of_two_phases_may_train_twice_as_long(make_study: MakeStudy) -> None:
    opened = make_study(
        space={**NARROW, "families": ["narrow", "plain"]},
        training={"max_epochs": 3},
        budget={"trials": 4},
    )
    run_worker(opened)
    trials = opened.study.get_trials(states=(TrialState.COMPLETE,))
    assert {(family_of(t), t.user_attrs[MAX_EPOCHS]) for t in trials} == {
        ("plain", 3),
        ("narrow", 6),
    }


def test_optuna_still_opens_the_study(make_study: MakeStudy) -> None:
    opened = make_study(space={**NARROW, "families": ["narrow", "plain"]})
    run_worker(opened)
    url = opened.store.url.render_as_string(hide_password=False)
    study = optuna.load_study(study_name="small", storage=url)
    assert study.best_trial.params["family"] in {"narrow", "plain"}
