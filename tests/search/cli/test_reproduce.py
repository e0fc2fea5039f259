"""The command `reproduce`: a trial trained again from its record has the same curve."""

import json
from collections.abc import Callable

import pytest
import sqlalchemy as sa

from search.errors import TrialRecordError
from search.evaluation.reproduction import Reproduction, reproduce
from search.settings.overrides import plan_from_record
from search.studies.fork import fork
from search.studies.open_study import OpenStudy
from search.studies.resolved_plan import resolve_plan
from storage import EpochRow, delete_study, load_study, load_trials
from storage.tables import epochs

Call = Callable[..., tuple[int, str, str]]


def url_of(opened: OpenStudy) -> str:
    return opened.store.url.render_as_string(hide_password=False)


@pytest.mark.usefixtures("warm_trainer")
def test_curve_is_the_same_to_the_last_digit_in_a_fork_too(trained: OpenStudy) -> None:
    reported: list[tuple[int, int, str]] = []
    found = reproduce(trained.store, "small", 1, progress=lambda *it: reported.append(it))
    assert found.is_identical, found.largest_differences
    assert reported == [(1, 3, "epochs"), (2, 3, "epochs"), (3, 3, "epochs")]
    assert set(found.largest_differences.values()) == {0.0}
    record = load_study(trained.store, "small")
    plan = plan_from_record(record, ["search.seed=9"], name="new", store_url=url_of(trained))
    fork(trained.store, "small", resolve_plan(plan))
    rows = load_trials(trained.store, load_study(trained.store, "new").study_id)
    taken = {row.attributes["taken_from"]["trial"]: row for row in rows if row.outcome}
    assert reproduce(trained.store, "new", taken[1].number).is_identical
    delete_study(trained.store, "small")
    with pytest.raises(TrialRecordError, match="study small, which is not in this store"):
        reproduce(trained.store, "new", taken[1].number)


@pytest.mark.usefixtures("warm_trainer")
def test_command_shows_a_curve_that_differs(trained: OpenStudy, call: Call) -> None:
    place = ("--store", url_of(trained))
    code, out, err = call("reproduce", "small", "1", *place)
    assert code == 0, err
    assert "Trial 1 of small: 3 epochs trained again, identical to the last digit." in out
    (row,) = (row for row in load_trials(trained.store, trained.study_id) if row.number == 1)
    with trained.store.write() as connection:
        which = sa.and_(epochs.c.trial_id == row.trial_id, epochs.c.epoch == 2)
        connection.execute(epochs.update().where(which).values(val_loss=0.5))
    code, out, _ = call("reproduce", "small", "1", *place, "--json")
    assert code == 1
    document = json.loads(out)
    assert (document["identical"], document["first_difference"]) == (False, 2)
    code, out, _ = call("reproduce", "small", "1", *place)
    assert code == 1
    assert "the curve differs from epoch 2 on" in out
    assert "0.500000" in out


def test_trial_that_cannot_be_trained_again_is_refused(call: Call, opened: OpenStudy) -> None:
    place = ("--store", url_of(opened))
    code, _, err = call("reproduce", "small", "99", *place)
    assert code == 2
    assert "There is no trial 99 in small. Trials there: 0 to" in err
    code, _, err = call("reproduce", "small", "0", *place)
    assert code == 2
    assert "Trial 0 of small has no config: it was never trained" in err


def row_of(epoch: int, loss: float) -> EpochRow:
    return EpochRow(epoch, loss, 0.5, loss, 0.5, 1e-3, float(epoch), 9.0)


def test_shorter_curve_differs_where_it_ends() -> None:
    whole = (row_of(1, 0.5), row_of(2, 0.4))
    assert Reproduction("s", 0, whole, whole).is_identical
    short = Reproduction("s", 0, whole, whole[:1])
    assert (short.first_difference, short.is_identical) == (2, False)
    other = Reproduction("s", 0, whole, (row_of(1, 0.5), row_of(2, 0.7)))
    assert other.first_difference == 2
    assert other.largest_differences["val_loss"] == pytest.approx(0.3)
