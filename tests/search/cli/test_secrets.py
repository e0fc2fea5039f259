"""The password of a store: it is read from every supported place and never shown."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
import sqlalchemy as sa

from search.cli.main import main
from storage import Store
from storage.database.engine import make_engine
from storage.database.url import parse_url

ROOT = Path(__file__).parents[3]
Call = Callable[..., tuple[int, str]]


@pytest.fixture
def call(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Call:
    """Run a command in this process: exit code and output."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["convsearch", *arguments])
        with pytest.raises(SystemExit) as leaving:
            main()
        return int(leaving.value.code or 0), "".join(capsys.readouterr())

    return run


def parts_of(password: str) -> list[str]:
    """Return parts of a password that would give it away, plain and as encoded in URLs."""
    return [password, *[part for part in password.replace("@", ":").split(":") if len(part) > 4]]


def dump_tables(url: str) -> str:
    """Return the content of a database as text."""
    with make_engine(parse_url(url)).connect() as connection:
        names = sa.inspect(connection).get_table_names()
        assert {"studies", "convsearch_studies", "convsearch_leases"} <= set(names)
        rows = [connection.execute(sa.text(f'SELECT * FROM "{name}"')).all() for name in names]
    return repr(rows)


BROKEN = "hush-hush"
WRONG_CALLS = {
    "argument in the wrong place": ("status", "study", f"postgresql://u:{BROKEN}@h/d"),
    "wrong password": ("status", "study", "--store", "{wrong}"),
    "no such study": ("status", "none", "--store", "{right}"),
    "database of another kind": ("status", "study", "--store", f"mysql://u:{BROKEN}@h/d"),
    "broken URL": ("status", "study", "--store", f"postgresql://u:{BROKEN}@x:{BROKEN}@h/d"),
    "odd port": ("status", "study", "--store", f"postgresql://u:{BROKEN}@h:{BROKEN}/d"),
    "unknown host": ("status", "study", "--store", f"postgresql://u:{BROKEN}@no.invalid/d"),
    "password as an option": ("status", "s", "--store", f"postgresql://h:9/d?password={BROKEN}"),
    "missing table": ("rank", "study", "--store", "{broken}"),
}


@pytest.mark.parametrize("arguments", WRONG_CALLS.values(), ids=WRONG_CALLS)
@pytest.mark.parametrize("debug", [(), ("--debug",)], ids=["plain", "debug"])
def test_errors_and_their_tracebacks_show_no_password(
    call: Call, tcp_server, arguments: tuple[str, ...], debug: tuple[str, ...]
) -> None:
    urls = {
        "right": tcp_server.url("postgres"),
        "wrong": tcp_server.url("postgres", password=f"{BROKEN}%"),
        "broken": tcp_server.url("postgres", user="guest"),
    }
    code, printed = call(*(argument.format(**urls) for argument in arguments), *debug)
    assert code in {1, 2}
    assert "Error: " in printed
    assert ("Traceback" in printed) == bool(debug)
    for secret in (BROKEN, *parts_of(tcp_server.password), tcp_server.guest_password):
        assert secret not in printed


def test_password_file_and_service_file_are_used(
    tcp_server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tcp_server.execute("CREATE DATABASE filed")
    password = tcp_server.password.replace(":", "\\:")
    pgpass = tmp_path / "pgpass"
    pgpass.write_text(f"127.0.0.1:{tcp_server.port}:filed:owner:{password}\n")
    pgpass.chmod(0o600)
    monkeypatch.setenv("PGPASSFILE", str(pgpass))
    Store.open(f"postgresql://owner@127.0.0.1:{tcp_server.port}/filed").close()
    services = tmp_path / "services"
    services.write_text(
        f"[mine]\nhost=127.0.0.1\nport={tcp_server.port}\nuser=owner\ndbname=filed\n"
    )
    monkeypatch.setenv("PGSERVICEFILE", str(services))
    store = Store.open("postgresql:///?service=mine")
    assert store.shown_url == "postgresql:///?service=mine"
    store.close()
    monkeypatch.setenv("PGSERVICE", "mine")
    Store.open("postgresql://").close()
    monkeypatch.delenv("PGPASSFILE")
    monkeypatch.setenv("PGPASSWORD", tcp_server.password)
    Store.open("postgresql://").close()


def test_store_and_password_are_read_from_the_environment(
    call: Call, tcp_server, monkeypatch: pytest.MonkeyPatch
) -> None:
    tcp_server.execute("CREATE DATABASE environment")
    url = tcp_server.url("environment")
    monkeypatch.setenv("CONVSEARCH_STORE", url)
    Store.open(url).close()
    code, printed = call("status", "none")
    assert "There is no study 'none' in postgresql://owner:***@127.0.0.1" in printed
    assert code == 2


@pytest.mark.parametrize("where", ["password", "query"])
def test_password_with_special_characters_works_and_is_never_shown(tcp_server, where: str) -> None:
    tcp_server.execute(f"CREATE DATABASE {where}_in_url")
    url = tcp_server.url(f"{where}_in_url")
    if where == "query":
        head, tail = url.removeprefix("postgresql://owner:").split("@")
        url = f"postgresql://{tail}?user=owner&password={head}"
    store = Store.open(url)
    for secret in parts_of(tcp_server.password):
        assert secret not in repr(store)
        assert secret not in store.shown_url
    store.close()


@pytest.mark.slow
def test_run_never_shows_its_password(tcp_server, tmp_path: Path) -> None:
    tcp_server.execute("CREATE DATABASE shared")
    url = tcp_server.url("shared")
    log = tmp_path / "printed.log"
    with log.open("wb") as output:
        run = subprocess.Popen(
            [
                sys.executable, "-m", "search", "run", "demo", "--study", "secret",
                "--families", "plain", "--image-size", "16", "--max-images", "200",
                "--trials", "3", "--max-epochs", "2", "--workers", "2", "--debug",
            ],
            env={
                **os.environ,
                "PYTHONPATH": str(ROOT),
                "CONVSEARCH_STORE": url,
                "CONVSEARCH_CACHE": str(tmp_path / "cache"),
            },
            cwd=tmp_path,
            stdout=output,
            stderr=output,
        )  # fmt: skip
        commands: set[str] = set()
        while run.poll() is None:
            commands |= command_lines(run.pid)
            time.sleep(0.05)
    assert run.returncode == 0, log.read_text()
    assert all(any(name in line for line in commands) for name in ("worker", "search.training"))
    found = [json.dumps(sorted(commands)), dump_tables(url)]
    found += [
        path.read_bytes().decode("latin-1") for path in tmp_path.rglob("*") if path.is_file()
    ]
    assert list(tmp_path.rglob("worker-0.log"))
    for secret in parts_of(tcp_server.password):
        assert not [text for text in found if secret in text]


def command_lines(pid: int) -> set[str]:
    """Return the command lines of a process and its descendants."""
    found = set()
    try:
        processes = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        return found
    for process in processes:
        try:
            found.add(" ".join(process.cmdline()))
        except psutil.Error:
            continue
    return found
