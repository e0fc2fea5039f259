"""Files in the store: limited in size, never partial, and cleaned up after killed writers."""

import io
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa

from storage import Store, StoreError, StoreFullError, delete_files, get_file, list_files, put_file
from storage.studies.files import CHUNK_BYTES, STALE_S
from storage.tables import chunks, files

MB = 2**20


def put(store: Store, name: str, size: int, *, max_bytes: int = 100 * MB) -> None:
    put_file(store, name, io.BytesIO(b"x" * size), max_bytes=max_bytes)


def read(store: Store, name: str) -> bytes | None:
    target = io.BytesIO()
    return target.getvalue() if get_file(store, name, target) else None


def count(store: Store, table: sa.Table) -> int:
    with store.read() as connection:
        return connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()


class DyingFile(io.BytesIO):
    """A file whose reader dies after its first chunk."""

    def read(self, size: int | None = -1) -> bytes:
        if self.tell() >= CHUNK_BYTES:
            raise KeyboardInterrupt
        return super().read(size)


def test_file_over_the_size_limit_is_refused_and_leaves_nothing(store: Store) -> None:
    put(store, "one", 3 * MB, max_bytes=5 * MB)
    with pytest.raises(StoreFullError, match=r"No room for two \(3 MB\).*take 3 MB of 5 MB"):
        put(store, "two", 3 * MB, max_bytes=5 * MB)
    assert list_files(store) == {"one": 3 * MB}
    assert count(store, chunks) == 3


def test_file_can_be_replaced_by_one_of_equal_size_in_a_full_store(store: Store) -> None:
    put(store, "one", 3 * MB, max_bytes=3 * MB)
    put(store, "one", 3 * MB, max_bytes=3 * MB)
    delete_files(store, ["one"])
    put(store, "two", 3 * MB, max_bytes=3 * MB)
    assert count(store, chunks) == 3


def test_concurrent_writers_stay_within_the_size_limit(store: Store) -> None:
    def try_to_put(number: int) -> bool:
        try:
            put(store, str(number), MB, max_bytes=2 * MB)
        except StoreFullError:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        kept = list(pool.map(try_to_put, range(6)))
    assert sum(kept) == 2
    assert len(list_files(store)) == 2


def test_interrupted_writer_leaves_the_previous_file(store: Store) -> None:
    put(store, "one", 10)
    with pytest.raises(KeyboardInterrupt):
        put_file(store, "one", DyingFile(b"y" * 3 * MB), max_bytes=100 * MB)
    assert read(store, "one") == b"x" * 10
    assert count(store, files) == count(store, chunks) == 1


def test_chunks_of_a_killed_writer_are_removed_later(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A killed writer does not clean up.
    monkeypatch.setattr("storage.studies.files._remove", lambda *_: None)
    with pytest.raises(KeyboardInterrupt):
        put_file(store, "one", DyingFile(b"y" * 3 * MB), max_bytes=100 * MB)
    monkeypatch.undo()
    assert read(store, "one") is None
    put(store, "two", 1)
    assert count(store, files) == 2  # Its writer may still be running.
    with store.write() as connection:
        connection.execute(files.update().values(touched_at=files.c.touched_at - STALE_S - 1))
    put(store, "three", 1)
    assert sorted(list_files(store)) == ["three", "two"]
    assert count(store, files) == count(store, chunks) == 2


def test_damaged_file_is_not_returned(store: Store) -> None:
    put(store, "one", 3 * MB)
    with store.write() as connection:
        connection.execute(chunks.update().where(chunks.c.position == 1).values(data=b"else"))
    with pytest.raises(StoreError, match=r"The file one in .* is damaged"):
        read(store, "one")


def test_file_replaced_repeatedly_while_it_is_read_is_read_whole(store: Store) -> None:
    sizes = iter(range(2 * MB + 1, 2 * MB + 8))

    class Target(io.BytesIO):
        """A target during whose first chunk another file is stored under the same name."""

        def write(self, data: Any) -> int:
            if self.tell() == 0 and (size := next(sizes, None)) is not None:
                put(store, "one", size)
            return super().write(data)

    put(store, "one", 2 * MB)
    target = Target()
    assert get_file(store, "one", target)
    assert target.getvalue() == b"x" * (2 * MB + 7)


def test_many_writers_of_one_name_leave_one_file(store: Store) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda size: put(store, "one", size), range(1, 9)))
    assert len(read(store, "one") or b"") in range(1, 9)
    assert count(store, files) == count(store, chunks) == 1
