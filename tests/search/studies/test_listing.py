"""The list of studies with the sizes of their files, read by a fixed number of queries."""

import io
import json
from collections.abc import Callable

import pytest
import sqlalchemy as sa

from search.studies.listing import list_with_sizes
from search.studies.open_study import OpenStudy
from storage import Store, create_study, load_study, put_file


def count_statements(store: Store, function: Callable[[], object]) -> int:
    statements: list[object] = []
    record = lambda *arguments: statements.append(arguments[2])  # noqa: E731
    sa.event.listen(store.engine, "before_cursor_execute", record)
    try:
        function()
    finally:
        sa.event.remove(store.engine, "before_cursor_execute", record)
    return len(statements)


@pytest.mark.parametrize("artifacts", ["folder", "database"])
def test_number_of_queries_does_not_depend_on_the_number_of_studies(
    make_study: Callable[..., OpenStudy], artifacts: str
) -> None:
    tables = {} if artifacts == "folder" else {"store": {"artifacts": "database"}}
    opened = make_study(**tables)
    store = opened.store
    settings = load_study(store, opened.name).settings
    before = count_statements(store, lambda: list_with_sizes(store))
    for number in range(5):
        create_study(store, f"study {number}", settings=settings)
    assert count_statements(store, lambda: list_with_sizes(store)) == before
    assert len(list_with_sizes(store)) == 6


def test_size_is_that_of_the_files_directly_in_the_folder_of_a_study(
    make_study: Callable[..., OpenStudy],
) -> None:
    opened = make_study(store={"artifacts": "database"})
    store, folder = opened.store, opened.artifacts.name
    settings = json.loads(load_study(store, opened.name).settings)
    create_study(store, "empty", settings=json.dumps(settings | {"artifacts_folder": "empty"}))
    before = {it.overview.name: it.n_bytes for it in list_with_sizes(store)}
    for name in (f"{folder}/trial-1.0", f"{folder}/deep/er", f"{folder}2/trial-1.0", "top"):
        put_file(store, name, io.BytesIO(b"12345"), max_bytes=10**9)
    after = {it.overview.name: it.n_bytes for it in list_with_sizes(store)}
    assert after == before | {opened.name: before[opened.name] + 5}
    assert after["empty"] == 0
