"""Values that SQLite accepts and nobody writes: a sentence instead of a foreign exception."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from analysis import load_status, rank
from storage import StoreDamagedError, opened_store
from storage.database.damaged_values import find_damaged_value
from tests.fuzz.loaders import make_store

DAMAGE = {
    "trials.state": "UPDATE trials SET state = 'DONE'",
    "trials.datetime_start": "UPDATE trials SET datetime_start = 'yesterday'",
    "trials.number": "UPDATE trials SET number = NULL",
    "trial_values.value": "UPDATE trial_values SET value = 'high'",
    "convsearch_version.schema_version": "UPDATE convsearch_version SET schema_version = 'x'",
    "convsearch_version": "UPDATE convsearch_version SET schema_version = -1",
    "'nonsense'": "UPDATE trial_params SET distribution_json = 'nonsense'",
    "'[[[": f"UPDATE convsearch_leases SET outcome = '{'[' * 9000}'",
    "trials.datetime_complete": "UPDATE trials SET datetime_complete = 'now'",
    "as an outcome": """UPDATE convsearch_leases SET outcome = '{"kind": "fail", "metrics": 7}'""",
    "'5'": "UPDATE convsearch_leases SET outcome = '5'",
}


@pytest.mark.parametrize("place", DAMAGE)
def test_damaged_value_is_named(tmp_path: Path, place: str) -> None:
    path = tmp_path / "a.db"
    make_store(path)
    with closing(sqlite3.connect(path)) as database:
        database.execute(DAMAGE[place])
        database.commit()
    with pytest.raises(StoreDamagedError, match="The store is damaged") as caught:
        rank(f"sqlite:///{path}", "scans").to_json()
    assert place in str(caught.value)
    assert len(str(caught.value)) < 250


def test_error_that_no_value_causes_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    make_store(path)
    with closing(sqlite3.connect(path)) as database:
        database.execute("UPDATE trials SET state = 'DONE'")
        database.commit()
    with pytest.raises(BrokenPipeError), opened_store(f"sqlite:///{path}"):
        raise BrokenPipeError


def test_search_for_damage_makes_no_store(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    assert find_damaged_value(path) is None
    assert not path.exists()


def test_error_over_a_sound_store_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    make_store(path)
    with pytest.raises(TypeError, match="ours"), opened_store(f"sqlite:///{path}"):
        raise TypeError("ours")


def test_times_of_epochs_may_be_missing(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    make_store(path)
    with closing(sqlite3.connect(path)) as database:
        database.execute("UPDATE convsearch_epochs SET seconds = NULL")
        database.execute("UPDATE convsearch_workers SET pid = -1")
        database.commit()
    assert load_status(f"sqlite:///{path}", "scans").to_json()["families"][0]["seconds"] == 0


def test_null_where_none_may_be_is_named(tmp_path: Path) -> None:
    """A damaged byte can do so, and SQLite's own check does not see it."""
    path = tmp_path / "a.db"
    make_store(path)
    swap = "UPDATE sqlite_master SET sql = replace(sql, ?, ?) WHERE name = 'convsearch_workers'"
    strict, loose = "process_started_at DOUBLE NOT NULL", "process_started_at DOUBLE         "
    for before, after, statement in (
        (strict, loose, "PRAGMA user_version"),
        (loose, strict, "UPDATE convsearch_workers SET process_started_at = NULL"),
    ):
        with closing(sqlite3.connect(path)) as database:
            database.execute("PRAGMA writable_schema = ON")
            database.execute(statement)
            assert database.execute(swap, (before, after)).rowcount == 1
            database.commit()
    found = find_damaged_value(path)
    assert found is not None
    assert "None in convsearch_workers.process_started_at" in str(found)
