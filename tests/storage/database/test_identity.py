"""A store that is deleted, moved or replaced while it is open."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from storage import Store, StoreLostError, create_study, list_studies
from tests.tools.postgres_server import PostgresServer


@pytest.fixture
def opened(tmp_path: Path, new_sqlite: Callable[[Path], str]) -> Iterator[Store]:
    """A SQLite store that has an idle connection, in a folder of its own."""
    (tmp_path / "project").mkdir()
    with closing(Store.open(new_sqlite(tmp_path / "project" / "store.db"))) as store:
        assert list_studies(store) == []
        yield store


def delete(path: Path) -> None:
    path.unlink()


def move_folder(path: Path) -> None:
    path.parent.rename(path.parent.with_name("moved"))


def delete_folder(path: Path) -> None:
    shutil.rmtree(path.parent)


def replace(path: Path) -> None:
    shutil.copyfile(path, path.with_name("copy.db"))
    path.with_name("copy.db").replace(path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (delete, r"store\.db was deleted or moved"),
        (delete_folder, r"store\.db was deleted or moved"),
        (move_folder, r"store\.db was deleted or moved"),
        (replace, r"store\.db was replaced"),
    ],
)
def test_sqlite_store_that_is_lost_raises_and_is_not_made_anew(
    opened: Store, tmp_path: Path, change: Callable[[Path], None], words: str
) -> None:
    path = tmp_path / "project" / "store.db"
    change(path)
    there = path.exists()
    for use in (list_studies, lambda store: create_study(store, "new", settings="{}")):
        with pytest.raises(StoreLostError, match=words):
            use(opened)
    with pytest.raises(StoreLostError, match=words):
        opened.optuna_storage.get_all_studies()
    opened.engine.dispose()  # The next use needs a new connection.
    with pytest.raises(StoreLostError, match=words):
        list_studies(opened)
    assert path.exists() == there


def test_sqlite_store_that_is_written_and_vacuumed_is_the_same(opened: Store) -> None:
    create_study(opened, "first", settings="{}")
    with opened.read() as connection:
        connection.exec_driver_sql("VACUUM")
    opened.engine.dispose()
    assert list_studies(opened) == ["first"]


@pytest.mark.parametrize("user", ["owner", "guest"])
def test_postgresql_database_that_is_made_anew_is_another_one(
    tcp_server: PostgresServer, postgres_url: Callable[[str], str], user: str
) -> None:
    name = f"anew-{user}"
    postgres_url(name)
    if user == "guest":
        tcp_server.execute(f'ALTER DATABASE "{name}" OWNER TO guest')
    with closing(Store.open(tcp_server.url(name, user=user))) as store:
        create_study(store, "first", settings="{}")
        store.engine.dispose()
        assert list_studies(store) == ["first"]
        tcp_server.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
        postgres_url(name)
        with pytest.raises(StoreLostError, match=r"was replaced by another database"):
            list_studies(store)
