"""Stores that cannot be used: each error has one or two lines and says what to do."""

import os
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa

from storage import Store, StoreError, StoreUrlError, create_study, list_studies
from storage.database.engine import connect_args, make_engine
from storage.database.error_messages import explain_store_error
from storage.database.url import hide_passwords, parse_url, show_url

ROOT = Path(__file__).parents[3]


def refusal(url: str) -> str:
    with pytest.raises(StoreError) as error:
        Store.open(url)
    text = str(error.value)
    assert len(text.splitlines()) <= 2
    return text


@contextmanager
def listener(answer: bytes) -> Iterator[int]:
    """A server that is no PostgreSQL: it gives the same reply to everything, or none."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                kept.append(connection)
                if answer:
                    connection.recv(100)
                    connection.sendall(answer)
                    connection.close()

        kept: list[socket.socket] = []
        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


def test_wrong_password_is_an_error_that_does_not_show_it(tcp_server) -> None:
    text = refusal(tcp_server.url("postgres", password="wr0ng-one"))
    assert "password authentication failed" in text
    assert "Check the user and the password; ~/.pgpass" in text
    assert "wr0ng-one" not in text


def test_missing_password_is_an_error(tcp_server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPASSFILE", "/nowhere")
    text = refusal(f"postgresql://owner@127.0.0.1:{tcp_server.port}/postgres")
    assert "no password supplied" in text
    assert "$PGPASSWORD" in text


def test_missing_database_is_an_error(tcp_server) -> None:
    text = refusal(tcp_server.url("none"))
    assert 'database "none" does not exist' in text
    assert "createdb" in text


def test_unknown_user_is_reported_as_a_wrong_password(tcp_server) -> None:
    text = refusal(tcp_server.url("postgres", user="stranger", password="x"))
    assert 'password authentication failed for user "stranger"' in text


def test_user_without_the_right_to_create_tables_leaves_none(tcp_server) -> None:
    tcp_server.execute("CREATE DATABASE closed")
    text = refusal(tcp_server.url("closed", user="guest"))
    assert "permission denied for schema public" in text
    assert "GRANT CREATE, USAGE ON SCHEMA public TO" in text
    with make_engine(parse_url(tcp_server.url("closed"))).connect() as connection:
        assert sa.inspect(connection).get_table_names() == []
    tcp_server.execute("GRANT CREATE, USAGE ON SCHEMA public TO guest", database="closed")
    Store.open(tcp_server.url("closed", user="guest")).close()


def test_read_only_database_is_an_error(tcp_server) -> None:
    tcp_server.execute(
        "CREATE DATABASE frozen", "ALTER DATABASE frozen SET default_transaction_read_only = on"
    )
    text = refusal(tcp_server.url("frozen"))
    assert "read-only transaction. Name a store that can be written to." in text


def test_server_without_a_free_connection_is_an_error(tcp_server) -> None:
    tcp_server.execute(
        "CREATE DATABASE crowded OWNER guest CONNECTION LIMIT 0",
    )
    text = refusal(tcp_server.url("crowded", user="guest"))
    assert "too many connections" in text
    assert "max_connections" in text


def test_unknown_host_is_an_error() -> None:
    text = refusal("postgresql://user:secret@no-such-host.invalid/name")
    assert "'no-such-host.invalid'" in text
    assert text.endswith("Check the host's name.")


def test_closed_port_is_an_error() -> None:
    text = refusal("postgresql://user:secret@127.0.0.1:9/name")
    assert "Connection refused. Check host and port" in text


def test_silent_host_is_an_error_after_a_short_wait() -> None:
    started = time.monotonic()
    with listener(b"") as port:
        text = refusal(f"postgresql://user@127.0.0.1:{port}/name?connect_timeout=2")
    assert "timeout expired" in text
    assert "Check host and port, and whether a firewall" in text
    assert time.monotonic() - started < 8.0


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"SSH-2.0-OpenSSH_9\r\n"])
def test_port_of_another_service_is_an_error(answer: bytes) -> None:
    code = "import sys; from storage import Store; Store.open(sys.argv[1])"
    # In a process of its own: libpq once aborted the process of the tests.
    with listener(answer) as port:
        done = subprocess.run(
            [sys.executable, "-c", code, f"postgresql://user@127.0.0.1:{port}/name"],
            capture_output=True, text=True, check=False, cwd=Path(__file__).parents[3],
        )  # fmt: skip
    text = done.stderr.splitlines()[-1]
    assert "Check the port: what answers there seems to be no PostgreSQL" in text


def test_unknown_service_and_option_are_errors() -> None:
    assert "~/.pg_service.conf" in refusal("postgresql:///?service=nowhere")
    assert "Check what follows the ?" in refusal("postgresql://u@127.0.0.1/d?colour=red")


@pytest.mark.parametrize("url", ["mysql://u:hush@h/d", "oracle://u:hush@h/d", "mongodb://h/d"])
def test_other_kinds_of_database_are_misuse(url: str) -> None:
    with pytest.raises(
        StoreUrlError, match="Expected a store URL such as sqlite:///FILE"
    ) as error:
        Store.open(url)
    assert "hush" not in str(error.value)


def test_missing_driver_names_the_extra() -> None:
    code = (
        "import sys\n"
        "sys.modules['psycopg'] = None\n"
        "from storage import Store, StoreError\n"
        "try: Store.open('postgresql://user@127.0.0.1:9/name')\n"
        "except StoreError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert "pip install 'convsearch[postgres]'" in done.stdout


@pytest.mark.parametrize("kilobytes", [0, 20, 60, 90])
def test_full_disk_is_an_error_until_there_is_room_again(tmp_path: Path, kilobytes: int) -> None:
    path = tmp_path / "store.db"
    code = (
        "import resource, signal, sys\n"
        "from storage import Store, StoreError\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({kilobytes * 1024}, -1))\n"
        "try: Store.open(sys.argv[1])\n"
        "except StoreError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, f"sqlite:///{path}"],
        capture_output=True, text=True, check=True, cwd=ROOT,
    )  # fmt: skip
    assert "Make room on its disk" in done.stdout
    assert len(done.stdout.strip().splitlines()) == 1
    store = Store.open(f"sqlite:///{path}")
    create_study(store, "study", settings="{}")
    assert list_studies(store) == ["study"]
    store.close()
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_timeouts_are_set_and_can_be_changed_in_the_url(tcp_server) -> None:
    url = tcp_server.url("postgres") + "?connect_timeout=3&options=-c%20lock_timeout%3D7000"
    with make_engine(parse_url(url)).connect() as connection:
        rows = connection.execute(sa.text("SELECT name, setting FROM pg_settings"))
        settings = {row.name: row.setting for row in rows}
    assert settings["statement_timeout"] == "300000"
    assert settings["lock_timeout"] == "7000"
    assert settings["idle_in_transaction_session_timeout"] == "30000"
    assert "connect_timeout" not in connect_args(parse_url(url))
    assert connect_args(parse_url(tcp_server.url("postgres")))["connect_timeout"] == 10


def test_locks_of_a_worker_suspended_in_a_transaction_are_freed(tcp_server) -> None:
    tcp_server.execute("CREATE DATABASE asleep")
    url = tcp_server.url("asleep")
    store = Store.open(url)
    create_study(store, "study", settings="{}")
    short = parse_url(url + "?options=-c%20idle_in_transaction_session_timeout%3D1000")
    sleeper = make_engine(short).execution_options(isolation_level="READ COMMITTED").connect()
    started = time.monotonic()
    sleeper.execute(sa.text("LOCK TABLE convsearch_studies"))
    assert list_studies(store) == ["study"]
    assert 0.5 < time.monotonic() - started < 20.0
    store.close()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://u:hush@h/d", "postgresql://u:***@h/d"),
        ("postgresql://u:hu%40sh%7B@h:1/d", "postgresql://u:***@h:1/d"),
        ("postgresql://h/d?user=u&password=hush", "postgresql://u:***@h/d"),
        ("postgresql://h/d?password=hu%40sh", "postgresql://:***@h/d"),
        ("postgresql://u@h/d?sslpassword=hush", "postgresql://u@h/d?sslpassword=%2A%2A%2A"),
        ("postgresql:///?service=mine", "postgresql:///?service=mine"),
        ("sqlite:///a.db", "sqlite:///a.db"),
    ],
)
def test_urls_are_shown_without_passwords(text: str, shown: str) -> None:
    assert show_url(parse_url(text)) == shown


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://u:hu:sh@h/d",
        "postgresql://u:hu@sh@h/d",
        "postgresql://u:hu/sh@h/d",
        "postgresql://u:hu?sh@h/d",
        "postgresql://u:hu@sh:x@h:12/d",
        "postgresql:/u:hush@h/d",
        "postgresql://u:hush/d",
        "postgresql://u:hush",
        "u:hush@h",
    ],
)
def test_passwords_that_break_a_url_are_not_shown_either(text: str) -> None:
    try:
        shown = show_url(parse_url(text))
    except StoreUrlError as error:
        shown = str(error)
    assert "hu" not in shown
    assert "sh" not in shown.replace("***", "")


def test_passwords_in_other_messages_are_hidden() -> None:
    text = "cannot open postgresql://u:hush@h/d with password='hush it' or ?sslpassword=hush&a=b"
    assert "hush" not in hide_passwords(text)
    for plain in ("no secret here: a@b", "http://host:80/a", "sqlite:///C:/a.db", "a://[::1]:5/b"):
        assert hide_passwords(plain) == plain


def test_lost_connection_is_not_reported_as_a_wrong_port(tcp_server) -> None:
    with make_engine(parse_url(tcp_server.url("postgres"))).connect() as connection:
        pid = connection.execute(sa.text("SELECT pg_backend_pid()")).scalar()
        tcp_server.execute(f"SELECT pg_terminate_backend({pid}, 5000)")
        with pytest.raises(sa.exc.OperationalError) as error:
            connection.execute(sa.text("SELECT 1"))
    assert "The server went away" in explain_store_error(error.value)


def test_messages_of_a_driver_become_one_line() -> None:
    error = sa.exc.OperationalError("SELECT 1", {}, psycopg.OperationalError("first\nsecond"))
    assert explain_store_error(error) == "first."
    assert os.linesep not in explain_store_error(ImportError("No module named 'psycopg'"))
