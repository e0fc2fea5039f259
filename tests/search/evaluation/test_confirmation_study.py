"""Confirmations: the best configs trained again from other seeds, once each."""

import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from analysis import Ranking, load_status, rank
from analysis.confirmation.trainings import Trainings, load_trainings
from analysis.confirmation_study import CONFIRMS_ATTRIBUTE, LeadingConfig
from search.artifacts import trial_numbers_to_keep
from search.errors import NoResultError, SettingsError, TrialRecordError
from search.evaluation.confirm import (
    load_comparison,
    recover_with_confirmation,
    unconfirmed_leaders,
)
from search.evaluation.confirmation_study import submit_confirmation
from search.evaluation.model_selection import Winner, choose_winner, find_winner
from search.settings.overrides import plan_from_record
from search.studies.deletion import remove_study
from search.studies.fork import fork
from search.studies.listing import list_with_sizes
from search.studies.open_study import OpenStudy
from search.studies.resolved_plan import resolve_plan
from search.studies.trial_record import TrialRecord
from search.trainer.pool import TrainerPool
from search.workers.proposals import next_proposal
from search.workers.worker import Worker
from storage import (
    Outcome,
    Store,
    StudyNotFoundError,
    begin_trial,
    delete_study,
    finish_trial,
    list_all_studies,
    load_study,
    load_trials,
    set_budget,
)
from storage.coordination.leases import record_outcome

FAKE = str(Path(__file__).parents[1] / "fake_trainer.py")
MakeStudy = Callable[..., OpenStudy]


def work(opened: OpenStudy, mode: str = "well") -> None:
    Worker(opened, TrainerPool(command=(sys.executable, FAKE, mode))).run()


@pytest.fixture
def searched(make_study: MakeStudy) -> OpenStudy:
    """A study of three trials, all complete and equally good."""
    opened = make_study(space={"dense_layers": [0, 1]})
    work(opened)
    return opened


def confirmation(opened: OpenStudy, *, top: int, n_seeds: int) -> OpenStudy:
    submit_confirmation(opened.store, opened.name, top=top, n_seeds=n_seeds)
    return OpenStudy.load(opened.store, "small/confirm")


def trainings(opened: OpenStudy) -> Trainings:
    found = load_trainings(opened.store, "small")
    assert found is not None
    return found


def end_trainings(opened: OpenStudy, worker: str, values: dict[int, list[float]]) -> list[int]:
    """End trainings with the given values of their configs, one seed after the other.

    Return the trials whose configs were trained, in that order.
    """
    order = []
    while (proposal := next_proposal(opened, worker)) is not None:
        origin = proposal.trial.user_attrs[CONFIRMS_ATTRIBUTE]
        order.append(origin["trial"])
        value = values[origin["trial"]][origin["seed"]]
        finish_trial(
            opened.store, proposal.lease, Outcome("complete", value=value), proposal.pending
        )
    return order


def test_each_config_is_trained_from_each_seed_apart_from_the_study(
    searched: OpenStudy,
) -> None:
    before = rank(searched.store, "small").to_json()
    opened = confirmation(searched, top=2, n_seeds=2)
    work(opened)
    best = [it.trial for it in rank(searched.store, "small").complete[:2]]
    done = trainings(searched)
    assert [(it.trial, it.seed) for it in done.trainings] == [(t, s) for s in (0, 1) for t in best]
    assert done.is_over
    status = load_status(opened.store, opened.name)
    assert status.counts["complete"] == status.record.n_trials == 4
    assert rank(searched.store, "small").to_json() == before
    assert len(searched.study.get_trials()) == 3
    seeds = [TrialRecord.load(opened.store, opened.name, number).seed for number in range(4)]
    seeds += [TrialRecord.load(searched.store, "small", number).seed for number in range(3)]
    assert len(set(seeds)) == 7
    kept = trial_numbers_to_keep(opened.store, opened.study_id, opened.artifacts.n_best)
    assert kept == {0, 1, 2, 3}


def test_lost_training_is_resumed_and_the_count_is_exact(searched: OpenStudy) -> None:
    opened = confirmation(searched, top=1, n_seeds=2)
    gone = begin_trial(opened.store, opened.study_id, "gone", only_enqueued=True)
    assert gone is not None
    work(opened)
    assert Counter(row.state for row in load_trials(opened.store, opened.study_id)) == {
        "COMPLETE": 2
    }


def test_repeated_confirmation_adds_only_missing_trainings(searched: OpenStudy) -> None:
    work(confirmation(searched, top=1, n_seeds=2))
    ended = load_study(searched.store, "small/confirm")
    assert ended.end_reason is None
    again = submit_confirmation(searched.store, "small", top=1, n_seeds=2)
    assert not again.is_new
    assert len(trainings(searched).trainings) == 2
    opened = confirmation(searched, top=2, n_seeds=3)
    assert load_study(searched.store, "small/confirm").n_trials == 6
    work(opened)
    found = Counter((it.trial, it.seed) for it in trainings(searched).trainings)
    assert len(found) == 6
    assert set(found.values()) == {1}


def test_config_that_is_clearly_worse_is_not_trained_any_more(searched: OpenStudy) -> None:
    opened = confirmation(searched, top=3, n_seeds=6)
    first, second, last = (it.trial for it in rank(searched.store, "small").complete)
    order = end_trainings(
        opened,
        "worker",
        {
            first: [0.90, 0.91, 0.905, 0.90, 0.91, 0.905],
            second: [0.90, 0.905, 0.91, 0.905, 0.90, 0.91],
            last: [0.50, 0.51, 0.505],
        },
    )
    assert Counter(order) == {first: 6, second: 6, last: 3}
    record = load_study(opened.store, opened.name)
    assert record.end_reason == "All trainings are done."
    assert not record.has_failed
    kinds = Counter(row.kind for row in load_trials(opened.store, opened.study_id))
    assert kinds == {"complete": 15, "rejected": 3}
    assert (trainings(searched).n_skipped, trainings(searched).n_left) == (3, 0)
    _, found = load_comparison(searched)
    assert found is not None
    assert {it.trial for it in found.standings if it.is_separable} == {last}


def test_configs_are_compared_only_after_enough_trainings_of_each(
    searched: OpenStudy,
) -> None:
    opened = confirmation(searched, top=2, n_seeds=4)
    found_after_each = []
    for _ in range(8):
        proposal = next_proposal(opened, "worker")
        assert proposal is not None
        finish_trial(
            opened.store, proposal.lease, Outcome("complete", value=0.9), proposal.pending
        )
        found = trainings(searched)
        found_after_each.append((found.n_left, found.has_enough_seeds))
    assert found_after_each == [(7 - n, n >= 5) for n in range(8)]


def test_leading_config_of_a_confirmation_is_chosen_by_its_mean(searched: OpenStudy) -> None:
    opened = confirmation(searched, top=2, n_seeds=2)
    first, second = (it.trial for it in rank(searched.store, "small").complete[:2])
    end_trainings(opened, "worker", {first: [0.99, 0.5], second: [0.8, 0.9]})
    status = load_status(opened.store, opened.name)
    assert status.best is None
    assert status.leading == LeadingConfig(second, pytest.approx(0.85), 2)
    listed = {it.overview.name: it.best for it in list_with_sizes(opened.store)}
    assert listed["small/confirm"] is None
    assert listed["small"] is not None


def test_failed_training_is_tried_again(searched: OpenStudy) -> None:
    opened = confirmation(searched, top=1, n_seeds=2)
    proposal = next_proposal(opened, "worker")
    assert proposal is not None
    finish_trial(opened.store, proposal.lease, Outcome("fail", "lost"), proposal.pending)
    work(opened)
    work(confirmation(searched, top=1, n_seeds=2))
    states = Counter(row.state for row in load_trials(opened.store, opened.study_id))
    assert states == {"FAIL": 1, "COMPLETE": 2}
    assert {it.seed for it in trainings(searched).trainings if it.value is not None} == {0, 1}
    assert [it.n_failed for it in trainings(searched).candidates] == [0]


def test_winner_is_the_recommended_configs_seed_of_median_accuracy(searched: OpenStudy) -> None:
    ranking = rank(searched.store, "small")
    assert winner_of(searched, ranking) == ("small", ranking.complete[0].trial)
    opened = confirmation(searched, top=2, n_seeds=3)
    best, other = (it.trial for it in ranking.complete[:2])
    values = {best: [0.4, 0.41, 0.405], other: [0.93, 0.91, 0.92]}
    proposal = next_proposal(opened, "early")
    assert proposal is not None
    assert winner_of(searched, ranking) == ("small", best)  # The confirmation is not over.
    finish_trial(opened.store, proposal.lease, Outcome("complete", value=0.4), proposal.pending)
    end_trainings(opened, "worker", values)
    (median,) = (it for it in trainings(searched).trainings if it.value == 0.92)
    assert winner_of(searched, ranking) == ("small/confirm", median.number)


def winner_of(opened: OpenStudy, ranking: Ranking) -> tuple[str, int]:
    winner = choose_winner(ranking, *load_comparison(opened))
    return winner.study, winner.number


def test_invalid_confirmations_are_refused(searched: OpenStudy, make_study: MakeStudy) -> None:
    fresh = make_study(study={"name": "fresh"})
    with pytest.raises(NoResultError, match="No trial of fresh is complete yet"):
        submit_confirmation(fresh.store, "fresh")
    with pytest.raises(StudyNotFoundError, match="no study 'none'"):
        submit_confirmation(fresh.store, "none")
    confirmation(searched, top=1, n_seeds=2)
    with pytest.raises(SettingsError, match="small/confirm is a confirmation itself"):
        submit_confirmation(searched.store, "small/confirm")
    with pytest.raises(SettingsError, match="names that end in /confirm"):
        make_study(study={"name": "mine/confirm"})
    record = load_study(searched.store, "small/confirm")
    url = searched.store.url.render_as_string(hide_password=False)
    with pytest.raises(SettingsError, match="fork that one"):
        fork(
            searched.store,
            "small/confirm",
            resolve_plan(plan_from_record(record, [], name="new", store_url=url)),
        )


def test_deleting_a_study_deletes_its_confirmation(searched: OpenStudy) -> None:
    opened = confirmation(searched, top=1, n_seeds=2)
    work(opened)
    files = list(opened.artifacts.folder.iterdir())
    assert files
    opened.data.clear()
    searched.data.clear()
    store: Store = searched.store
    removal = remove_study(store, "small")
    assert list_all_studies(store) == []
    assert removal.n_files >= len(files)
    assert not any(path.exists() for path in files)


def test_confirmation_of_an_earlier_study_of_the_same_name_is_not_used(
    searched: OpenStudy, make_study: MakeStudy
) -> None:
    work(confirmation(searched, top=1, n_seeds=2))
    delete_study(searched.store, "small")  # As optuna-dashboard does, leaving the confirmation.
    anew = make_study(space={"dense_layers": [0, 1]})
    work(anew)
    assert load_trainings(anew.store, "small") is None
    with pytest.raises(SettingsError, match="study delete small/confirm"):
        submit_confirmation(anew.store, "small")


def test_training_whose_outcome_is_missing_in_optuna_is_not_over(searched: OpenStudy) -> None:
    opened = confirmation(searched, top=1, n_seeds=2)
    proposals = [next_proposal(opened, name) for name in ("one", "two")]
    for proposal, value in zip(proposals, (0.5, 0.9), strict=True):
        assert proposal is not None
        record_outcome(opened.store, proposal.lease, Outcome("complete", value=value))
    assert not trainings(searched).is_over
    recover_with_confirmation(searched.store, "small")
    assert trainings(searched).is_over
    assert sorted(it.value or 0 for it in trainings(searched).trainings) == [0.5, 0.9]


def test_trainings_without_a_value_count_as_failed(searched: OpenStudy) -> None:
    opened = confirmation(searched, top=2, n_seeds=2)
    first, second = (it.trial for it in rank(searched.store, "small").complete[:2])
    while (proposal := next_proposal(opened, "worker")) is not None:
        origin = proposal.trial.user_attrs[CONFIRMS_ATTRIBUTE]
        is_good = (origin["trial"], origin["seed"]) == (first, 0)
        outcome = Outcome("complete", value=0.9) if is_good else Outcome("unfit", "NaN")
        finish_trial(opened.store, proposal.lease, outcome, proposal.pending)
    found = trainings(searched)
    assert [(it.trial, it.values, it.n_failed) for it in found.candidates] == [(first, (0.9,), 1)]
    assert found.failed_configs == (second,)


def test_trial_enqueued_with_optuna_fails_and_the_worker_continues(
    searched: OpenStudy,
) -> None:
    opened = confirmation(searched, top=1, n_seeds=2)
    opened.study.enqueue_trial(rank(searched.store, "small").complete[0].params)
    set_budget(opened.store, opened.study_id, n_trials=3, timeout_s=None)
    work(opened)
    states = Counter(row.state for row in load_trials(opened.store, opened.study_id))
    assert states == {"COMPLETE": 2, "FAIL": 1}


def test_confirmation_of_fewer_trials_than_requested_says_so(searched: OpenStudy) -> None:
    assert submit_confirmation(searched.store, "small", top=3, n_seeds=2).notes == ()
    set_budget(searched.store, searched.study_id, n_trials=9, timeout_s=None)
    running, few = submit_confirmation(searched.store, "small", top=5, n_seeds=2).notes
    assert running.startswith("small is not over")
    assert few == "trained again: 3 of the 5 wanted, since no more are complete"


def test_later_trial_that_ranks_as_high_is_listed_as_unconfirmed(searched: OpenStudy) -> None:
    confirmation(searched, top=2, n_seeds=2)
    assert unconfirmed_leaders(rank(searched.store, "small"), trainings(searched)) == []
    set_budget(searched.store, searched.study_id, n_trials=4, timeout_s=None)
    later = complete_one(searched, 0.99)
    assert unconfirmed_leaders(rank(searched.store, "small"), trainings(searched)) == [later]


def complete_one(opened: OpenStudy, value: float) -> int:
    proposal = next_proposal(opened, "later")
    assert proposal is not None
    finish_trial(opened.store, proposal.lease, Outcome("complete", value=value), proposal.pending)
    return proposal.trial.number


def test_given_winner_is_kept_when_a_better_trial_is_found(searched: OpenStudy) -> None:
    opened = confirmation(searched, top=1, n_seeds=2)
    work(opened)
    set_budget(searched.store, searched.study_id, n_trials=4, timeout_s=None)
    complete_one(searched, 0.99)
    ranking, found = rank(searched.store, "small"), trainings(searched)
    assert choose_winner(ranking, None, None).val_accuracy == 0.99
    assert find_winner(ranking, found, "small", 1) == Winner(1, "small", 1, 0.6)
    again = found.trainings[1]
    assert again.value is not None
    named = find_winner(ranking, found, "small/confirm", 1)
    assert named == Winner(again.trial, "small/confirm", 1, again.value)
    for study, number in (("small", 99), ("small/confirm", 99), ("other", 0)):
        with pytest.raises(TrialRecordError, match="does not exist any more"):
            find_winner(ranking, found, study, number)
