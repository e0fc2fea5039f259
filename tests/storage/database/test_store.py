"""Opening stores: what is not a store is refused in one line that says what to do."""

import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from storage import (
    Store,
    StoreError,
    StoreUrlError,
    StoreVersionError,
    StudyNotFoundError,
    create_study,
    list_studies,
    load_study,
)
from storage.database.opening import creation_lock, write_transaction
from storage.database.optuna_storage import create_optuna_tables, open_optuna_storage
from storage.database.schema_versions import read_schema
from storage.database.url import absolute_store_url, parse_url, shareable_store_url
from storage.optuna_schema.tables import REVISION, TABLE_NAMES
from storage.tables import SCHEMA_VERSION, metadata, studies, versions, workers


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("nonsense", "Expected a store URL such as sqlite:///FILE"),
        ("mysql://user:secret@host/db", r"Received: mysql://user:\*\*\*@host/db"),
        ("sqlite://", "Expected a store URL"),
        ("user:secret@host/db", r"Received: \*\*\*@host/db"),
    ],
)
def test_other_urls_are_refused_without_their_password(url: str, message: str) -> None:
    with pytest.raises(StoreUrlError, match=message) as error:
        Store.open(url)
    assert "secret" not in str(error.value)


def test_missing_file_is_not_created_if_it_must_exist(tmp_path: Path) -> None:
    path = tmp_path / "none.db"
    with pytest.raises(StoreError, match=r"There is no store at .*none\.db.*--store"):
        Store.open(f"sqlite:///{path}", create=False)
    assert not path.exists()


def test_file_in_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"there is no folder .*no"):
        Store.open(f"sqlite:///{tmp_path}/no/store.db")


def test_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="Received a folder"):
        Store.open(f"sqlite:///{tmp_path}")


def test_file_of_another_kind_is_refused_and_not_changed(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("some notes")
    with pytest.raises(StoreError, match=r"notes\.txt is not a SQLite store"):
        Store.open(f"sqlite:///{path}")
    assert path.read_text() == "some notes"


def test_database_of_another_program_is_refused_and_not_changed(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE studies (study_id INTEGER, modality TEXT)")
        connection.execute("CREATE TABLE patients (name TEXT)")
    before = path.read_bytes()
    with pytest.raises(StoreError, match=r"other\.db holds something else"):
        Store.open(f"sqlite:///{path}")
    assert path.read_bytes() == before


def test_path_may_contain_what_looks_like_a_password(tmp_path: Path) -> None:
    Store.open(f"sqlite:///{tmp_path}/a@b@c.db").close()
    assert (tmp_path / "a@b@c.db").exists()


def test_folder_without_permission_is_an_error_of_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> bool:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "is_dir", refuse)
    with pytest.raises(StoreError, match=r"Cannot use sqlite.*Permission denied\. Change that"):
        Store.open(f"sqlite:///{tmp_path}/store.db")


def test_opening_waits_for_a_store_that_is_being_created(empty_url: str) -> None:
    """A partly created store looks like one of plain Optuna."""
    url = parse_url(empty_url)
    script = (
        "from storage import Store; print('ready', flush=True); "
        f"print(Store.open({empty_url!r}, create=False).is_optuna_only)"
    )
    with creation_lock(url):
        create_optuna_tables(url)
        opening = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
        assert opening.stdout is not None
        assert opening.stdout.readline() == b"ready\n"
        time.sleep(1)
        assert opening.poll() is None
        with closing(open_optuna_storage(url)) as storage:
            metadata.create_all(storage.engine)
            with write_transaction(storage.engine) as connection:
                row = {"only": 1, "schema_version": SCHEMA_VERSION}
                connection.execute(versions.insert().values(row))
    assert opening.communicate(timeout=30)[0] == b"False\n"


def test_damaged_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    path.write_bytes(b"SQLite format 3\x00" + b"\xff" * 5000)
    with pytest.raises(StoreError, match=r"store\.db is not a SQLite store, or is damaged"):
        Store.open(f"sqlite:///{path}")


def test_read_only_file_is_refused(public_folder: Path) -> None:
    path = public_folder / "store.db"
    Store.open(f"sqlite:///{path}").close()
    path.chmod(0o444)
    code = (
        "import os, sys\n"
        "from storage import Store, StoreError\n"
        "if os.getuid() == 0: os.setuid(65534)\n"  # Root may write anything.
        "try: Store.open(sys.argv[1])\n"
        "except StoreError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, f"sqlite:///{path}"],
        capture_output=True, text=True, check=True, cwd=Path(__file__).parents[3],
    )  # fmt: skip
    assert "Cannot write to the store" in done.stdout
    assert "Permission denied" in done.stdout


def test_newer_schema_is_refused(store: Store, store_url: str) -> None:
    with store.write() as connection:
        connection.execute(versions.update().values(schema_version=99))
    with pytest.raises(
        StoreVersionError, match="written by a newer convsearch \\(schema 99"
    ) as caught:
        Store.open(store_url)
    assert str(caught.value).count(store.shown_url) == 1


def test_store_of_an_earlier_schema_is_brought_up_to_date(store: Store, store_url: str) -> None:
    with store.write() as connection:
        for column in (
            "epochs DROP COLUMN phase",
            "studies DROP COLUMN priority",
            "studies DROP COLUMN is_stopped",
            "workers DROP COLUMN device",
            "workers DROP COLUMN clock_ahead_s",
            "workers DROP COLUMN activity",
        ):
            connection.execute(sa.text(f"ALTER TABLE convsearch_{column}"))
        connection.execute(
            sa.text("INSERT INTO convsearch_epochs (trial_id, epoch) VALUES (1, 1)")
        )
        connection.execute(versions.update().values(schema_version=1))
    again = Store.open(store_url)
    with again.read() as connection:
        assert connection.execute(sa.text("SELECT phase FROM convsearch_epochs")).scalar() == 1
        assert connection.execute(sa.select(versions.c.schema_version)).scalar() == SCHEMA_VERSION
        assert not connection.execute(sa.select(studies.c.is_stopped)).all()
        assert not connection.execute(sa.select(workers.c.device)).all()
    again.close()


def test_other_optuna_is_refused(store: Store, store_url: str) -> None:
    with store.write() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = 'v99.0.0'"))
    with pytest.raises(StoreVersionError, match="optuna"):
        Store.open(store_url)


def test_revision_of_optunas_tables_is_the_one_described_here(store: Store) -> None:
    """After a new revision, `optuna_tables` has to be reviewed."""
    assert store.optuna_storage.get_head_version() == REVISION
    found = read_schema(store.engine)
    assert found.is_current
    assert found.names == TABLE_NAMES | metadata.tables.keys()


def test_store_is_reopened_without_loading_optuna_again(store: Store, store_url: str) -> None:
    script = (
        "import sys; from storage import Store\n"
        "from storage.inspection.database_health import read_versions\n"
        f"for store in (Store.open({store_url!r}), Store.inspect({store_url!r})):\n"
        "    assert read_versions(store).is_current\n"
        "    assert 'alembic' not in sys.modules and 'sqlalchemy.orm' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_unreachable_server_is_refused_in_a_line() -> None:
    with pytest.raises(StoreError, match=r"Cannot use postgresql.*@127\.0\.0\.1") as error:
        Store.open("postgresql://user:secret@127.0.0.1:9/none")
    assert "secret" not in str(error.value)
    assert "\n" not in str(error.value)


def test_studies_are_listed_and_found_by_name(store: Store) -> None:
    create_study(store, "one", settings="{}", n_trials=3)
    create_study(store, "two", settings='{"a": 1}', timeout_s=60.0)
    assert list_studies(store) == ["one", "two"]
    assert load_study(store, "two").settings == '{"a": 1}'
    assert load_study(store, "two").timeout_s == 60.0
    with pytest.raises(StudyNotFoundError, match=r"no study 'three' in .*Studies there: one, two"):
        load_study(store, "three")


def test_study_created_at_once_by_many_is_new_for_one(store: Store, store_url: str) -> None:
    def create(_: int) -> bool:
        mine = Store.open(store_url)
        try:
            return create_study(mine, "study", settings="{}")[1]
        finally:
            mine.close()

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(create, range(4))) == 1


def test_password_is_never_shown_in_texts_of_a_store(postgres_url: Callable[[str], str]) -> None:
    url = sa.make_url(postgres_url("secrets")).set(password="hush-hush")
    store = Store.open(url.render_as_string(hide_password=False))
    assert "hush-hush" not in store.shown_url
    assert "hush-hush" not in repr(store)
    store.close()


def test_opening_a_sqlite_file_again_keeps_the_locks_of_this_process(
    tmp_path: Path,
) -> None:
    """Without them, the last other process to exit deletes the log that is still in use."""
    url = f"sqlite:///{tmp_path / 'store.db'}"
    first = Store.open(url)
    create_study(first, "study", settings="{}")
    Store.open(url).close()
    script = (
        "import sys; from storage import Store, create_study\n"
        "store = Store.open(sys.argv[1]); create_study(store, 'another', settings='{}')\n"
        "store.close()"
    )
    subprocess.run([sys.executable, "-c", script, url], check=True)
    assert (tmp_path / "store.db-wal").exists()
    assert list_studies(first) == ["another", "study"]
    first.close()


@pytest.mark.parametrize(
    ("url", "folder", "seen"),
    [
        ("sqlite:////home/alice/thesis/convsearch.db", "/home/alice/thesis/out", "sqlite:///../convsearch.db"),
        ("sqlite:////home/alice/thesis/convsearch.db", "/home/alice/thesis", "sqlite:///convsearch.db"),
        ("sqlite:////home/alice/thesis/convsearch.db", "/srv/report", "sqlite:///convsearch.db"),
        ("postgres:/home/alice/pg", "/home/alice/out", "postgres:../pg"),
        ("postgresql://alice:secret@db.hospital.local/studies", "/srv", "postgresql://USER@HOST/NAME"),
    ],
)  # fmt: skip
def test_public_url_has_no_user_folder_or_host(url: str, folder: str, seen: str) -> None:
    assert shareable_store_url(url, Path(folder)) == seen


def test_absolute_url_has_the_full_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert absolute_store_url("sqlite:///a.db") == f"sqlite:///{tmp_path / 'a.db'}"
    url = "postgresql://alice:p%40ss@host/studies"
    assert absolute_store_url(url) == url.replace("postgresql:", "postgresql+psycopg:")


@pytest.mark.parametrize(
    "name",
    ["q?uest/s.db", "50%25/s.db", "50%/s.db", "a b#c/s.db", "a@b:c/s.db", "{x}/s.db", "a&b=c.db"],
)  # fmt: skip
def test_path_of_a_sqlite_store_is_taken_as_it_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    for url in (f"sqlite:///{path}", f"sqlite+pysqlite:///{path}?timeout=5"):
        with closing(Store.open(url)) as store:
            store.optuna_storage.get_all_studies()
            create_study(store, url, settings="{}")
            assert parse_url(store.shown_url) == parse_url(absolute_store_url(url)) == store.url
    with closing(Store.inspect(absolute_store_url(f"sqlite:///{path}"))) as store:
        assert len(list_studies(store)) == 2
        assert Store.file_of(store.shown_url) == path
    made = {it for it in tmp_path.rglob("*") if it.is_file()}
    assert made <= {path.with_name(path.name + end) for end in ("", ".lock", "-wal", "-shm")}


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("sqlite:///a\nb.db", "without line ends and tabs"),
        ("postgres:/tmp/a\nb", "without line ends and tabs"),
        ("sqlite:///a.db?timeut=3", "timeout=NUMBER after the .* of sqlite.*Received: timeut=3"),
        ("sqlite:///a.db?timeout=abc", "Received: timeout=abc"),
        ("sqlite:///a.db?cached_statements=-1", "Received: cached_statements=-1"),
        ("sqlite:///file:v.db?uri=true", "Received: uri=true"),
        ("sqlite:///a.db?timeout=5&mode=ro", "Received: mode=ro"),
        ("sqlite:///a\udce9/b.db", r"is UTF-8. Received: '.*a\\udce9/b.db'"),
        ("postgres:/tmp/a\udce9", r"is UTF-8. Received: '/tmp/a\\udce9'"),
        ("sqlite://host/a.db", "Expected a store URL such as sqlite:///FILE"),
        ("sqlite:///:memory:", "Expected a store URL such as sqlite:///FILE"),
        ("sqlite:///", "Expected a store URL such as sqlite:///FILE"),
    ],
)
def test_name_that_means_no_file_is_refused(url: str, message: str) -> None:
    with pytest.raises(StoreUrlError, match=message):
        parse_url(url)


def test_read_only_store_sees_later_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path / 'store.db'}"
    Store.open(url).close()
    with monkeypatch.context() as patch:
        patch.setattr("storage.database.engine.os.access", lambda *_: False)
        reader = Store.inspect(url)
        assert list_studies(reader) == []
    writer = Store.open(url)
    create_study(writer, "later", settings="{}")
    monkeypatch.setattr("storage.database.engine.os.access", lambda *_: False)
    assert list_studies(reader) == ["later"]
    reader.close()
    writer.close()
