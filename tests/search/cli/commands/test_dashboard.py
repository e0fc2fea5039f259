"""The commands `dashboard` and `run --dashboard`: real processes, requested over HTTP."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import optuna
import psutil
import pytest

from search.dashboard.child_process import DashboardProcess
from search.dashboard.listener import Listener
from search.dashboard.server import check_proxy, choose_token
from search.errors import SettingsError
from storage import Store
from tests.tools.foreign_modules import write_foreign_modules

ROOT = Path(__file__).parents[4]
TOKEN = "a-token-of-the-tests+/"
Call = Callable[..., tuple[int, str, str]]


class Served:
    """A command that serves a dashboard, and its output."""

    def __init__(self, *arguments: str, folder: Path, **environment: str) -> None:
        self.log = folder / "printed.err"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "search", *arguments],
                cwd=folder,
                env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )

    def address(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline().strip()
        assert line.startswith("http://"), self.log.read_text()
        return line

    @property
    def notes(self) -> str:
        return self.log.read_text()


Serve = Callable[..., Served]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    started: list[Served] = []

    def start(*arguments: str, **environment: str) -> Served:
        served = Served("dashboard", "--port", "0", *arguments, folder=tmp_path, **environment)
        started.append(served)
        return served

    yield start
    for served in started:
        served.process.kill()
        served.process.wait()


@pytest.fixture
def store(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path / 'convsearch.db'}"
    opened = Store.open(url)
    study = optuna.create_study(storage=opened.optuna_storage, study_name="watched")
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=2)
    opened.close()
    return url


def ask(address: str, path: str, method: str = "GET", **headers: str) -> tuple[int, str, dict]:
    place = urlsplit(address)
    connection = HTTPConnection("127.0.0.1", place.port, timeout=60)
    connection.request(method, path, headers=headers)
    answer = connection.getresponse()
    found = answer.status, answer.read().decode(), {k.lower(): v for k, v in answer.getheaders()}
    connection.close()
    return found


def send(address: str, text: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", urlsplit(address).port or 0), 30) as connection:
        with suppress(OSError):  # The server stops reading a request that is too long.
            connection.sendall(text)
            connection.shutdown(socket.SHUT_WR)
        parts = []
        with suppress(ConnectionResetError):
            while part := connection.recv(65_536):
                parts.append(part)
    return b"".join(parts)


def packages_of(pid: int) -> set[str]:
    """Return the packages whose compiled modules a process has loaded."""
    files = (Path(line.split()[-1]) for line in Path(f"/proc/{pid}/maps").read_text().splitlines())
    return {
        parts[parts.index("site-packages") + 1]
        for parts in (it.parts for it in files)
        if "site-packages" in parts
    }


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_dashboard_serves_until_a_signal(
    serve: Serve, store: str, number: signal.Signals, code: int
) -> None:
    served = serve()
    address = served.address()
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", address)
    status, body, headers = ask(address, "/api/studies")
    assert (status, json.loads(body)["study_summaries"][0]["study_name"]) == (200, "watched")
    assert "server" not in headers
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert ask(address, "/api/studies/1", "DELETE")[0] == 403
    assert ask(address, "/api/studies", Host="evil.example")[0] == 403
    assert not {"sklearn", "scipy"}.intersection(packages_of(served.process.pid))
    served.process.send_signal(number)
    assert served.process.wait(20) == code
    assert served.notes == "Dashboard of sqlite:///convsearch.db, read-only; Ctrl-C ends it.\n"


def test_unfinished_request_does_not_delay_shutdown(serve: Serve, store: str) -> None:
    served = serve()
    place = urlsplit(served.address())
    with socket.create_connection(("127.0.0.1", place.port or 0)) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n")
        time.sleep(0.2)
        served.process.terminate()
        assert served.process.wait(20) == 143


def test_store_can_be_changed_with_allow_edit(serve: Serve, store: str) -> None:
    address = serve("--allow-edit").address()
    assert ask(address, "/api/studies/1/rename", "POST")[0] == 403
    assert ask(address, "/api/studies/1", "DELETE", Origin="http://evil.example")[0] == 403
    assert (
        ask(address, "/api/studies/1", "DELETE", **{"Content-Type": "application/json"})[1] == "{}"
    )
    assert json.loads(ask(address, "/api/studies")[1])["study_summaries"] == []


def test_store_without_studies_opens(serve: Serve, tmp_path: Path) -> None:
    Store.open(f"sqlite:///{tmp_path / 'convsearch.db'}").close()
    address = serve().address()
    assert ask(address, "/dashboard")[0] == 200
    assert json.loads(ask(address, "/api/studies")[1])["study_summaries"] == []


def test_token_is_generated_for_other_hosts_and_printed_once(serve: Serve, store: str) -> None:
    served = serve("--host", "0.0.0.0")
    address = served.address()
    found = re.fullmatch(r"http://[^/]+:\d+/\?token=([\w-]{32})", address)
    assert found is not None
    token = found[1]
    assert ask(address, "/api/studies")[0] == 401
    assert ask(address, "/api/studies", Authorization="Bearer wrong")[0] == 401
    assert ask(address, "/api/studies", Authorization=f"Bearer {token}")[0] == 200
    status, _, headers = ask(address, f"/?token={token}")
    assert (status, headers["location"]) == (303, "/")
    cookie = headers["set-cookie"].partition(";")[0]
    assert ask(address, "/api/studies", Cookie=cookie, Host="any.example")[0] == 200
    assert token not in served.notes


def test_given_token_is_never_printed(serve: Serve, store: str) -> None:
    served = serve("--host", "0.0.0.0", "--behind-proxy", "127.0.0.1", CONVSEARCH_TOKEN=TOKEN)
    address = served.address()
    assert "token" not in address
    right = {"Authorization": f"Bearer {TOKEN}"}
    assert ask(address, "/api/studies", **right)[0] == 200
    assert TOKEN not in " ".join(psutil.Process(served.process.pid).cmdline())
    secure = ask(address, "/?token=a-token-of-the-tests%2B/", **{"X-Forwarded-Proto": "https"})
    assert secure[2]["set-cookie"].endswith("Secure")
    for path in (f"/nowhere?x={TOKEN}", f"/api/studies?token={TOKEN}-wrong"):
        ask(address, path, **{"X-Forwarded-For": "192.0.2.9"})
    served.process.terminate()
    assert served.process.wait(20) == 143
    assert TOKEN not in served.notes
    assert "wrong token from 192.0.2.9" in served.notes


def test_forwarded_headers_are_trusted_from_the_named_proxy_only(serve: Serve, store: str) -> None:
    served = serve(CONVSEARCH_TOKEN=TOKEN)
    address = served.address()
    headers = {"X-Forwarded-For": "192.0.2.9", "X-Forwarded-Proto": "https"}
    answer = ask(address, "/?token=a-token-of-the-tests+/", **headers)
    assert "Secure" not in answer[2]["set-cookie"]
    ask(address, "/?token=wrong", **headers)
    assert "wrong token from 127.0.0.1" in served.notes


def test_proxy_needs_a_token(serve: Serve, store: str) -> None:
    address = serve("--behind-proxy", "127.0.0.1").address()
    assert "?token=" in address
    assert ask(address, "/api/studies")[0] == 401


HEAD = b"POST /api/studies HTTP/1.1\r\nHost: localhost\r\n"
ODD = {
    "no such encoding": HEAD + b"Transfer-Encoding: gzip\r\n\r\n",
    "hidden encoding": HEAD + b"Transfer-Encoding: \x0bchunked\r\nContent-Length: 3\r\n\r\n0\r\n",
    "two lengths": HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "signed length": HEAD + b"Content-Length: +1\r\n\r\na",
    "old encoding": HEAD.replace(b"1.1", b"1.0") + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "long body": HEAD + b"Content-Length: 99999999\r\n\r\n",
    "long header": HEAD + b"Cookie: " + b"x" * 70_000 + b"\r\n\r\n",
    "long address": b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "line in address": b"GET /a\x00b HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    "dots": b"GET /static/%2e%2e/%2e%2e/_app.py HTTP/1.0\r\nHost: localhost\r\n\r\n",
    "slashes": b"GET //..%2f..%2fetc/passwd HTTP/1.0\r\nHost: localhost\r\n\r\n",
    "no UTF-8": b"GET /artif%ffacts/1/0a HTTP/1.0\r\nHost: localhost\r\n\r\n",
}


def test_malformed_requests_are_refused(serve: Serve, store: str) -> None:
    address = serve().address()
    for name, text in ODD.items():
        status = send(address, text)[9:12]
        assert status in {b"400", b"413", b"431", b"501", b""}, name
        assert status or name.startswith("long"), name
    assert ask(address, "/api/studies")[0] == 200


def test_chunked_body_cannot_smuggle_a_second_request(serve: Serve, store: str) -> None:
    address = serve().address()
    inner = b"GET /api/studies HTTP/1.1\r\nHost: localhost\r\n\r\n"
    text = HEAD + b"Connection: close\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n"
    text += b"%x\r\n%s\r\n0\r\n\r\n" % (len(inner), inner)
    answer = send(address, text)
    assert answer.count(b"HTTP/1.1") == 1
    assert answer.startswith(b"HTTP/1.1 403")


def test_busy_port_names_a_free_one(call: Call, store: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = busy.getsockname()[1]
        code, out, err = call("dashboard", "--port", str(port))
    assert (code, out) == (2, "")
    found = re.fullmatch(
        rf"Error: Port {port} is taken: `convsearch dashboard --port (\d+)` is free\.\n", err
    )
    assert found is not None
    assert int(found[1]) > port


BAD_CALLS = {
    "short token": (("--token", "short"), "Received: 5 characters"),
    "empty token": (("--token", ""), "Received: 0 characters"),
    "token with spaces": (("--token", "a b c d e f g h i j k l"), "without spaces"),
    "token of other letters": (("--token", "ключ" * 5), "ASCII"),
    "odd proxy": (("--behind-proxy", "nginx"), "--behind-proxy: expected the IP"),
    "odd port": (("--port", "99999"), "--port"),
    "odd host": (("--host", "no.such.invalid"), "no machine is called no.such.invalid"),
    "host elsewhere": (("--host", "192.0.2.1"), "cannot listen at 192.0.2.1"),
    "odd socket": (("--socket", "987"), "is not a socket"),
    "negative socket": (("--socket", "-1"), "is not a socket"),
}


@pytest.mark.parametrize(("arguments", "message"), BAD_CALLS.values(), ids=BAD_CALLS)
def test_misuse_is_one_line_and_exit_code_2(
    call: Call, store: str, arguments: tuple[str, ...], message: str
) -> None:
    code, out, err = call("dashboard", *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("Error: ")
    assert message in err
    assert len(err.splitlines()) <= 2
    assert "a b c" not in err


def test_missing_store_is_the_same_error_as_in_other_commands(call: Call, tmp_path: Path) -> None:
    assert call("dashboard") == call("rank", "study")
    (tmp_path / "convsearch.db").write_text("something else, and long enough" * 99)
    code, out, err = call("dashboard", "--port", "0")
    assert (code, out) == (1, "")
    assert err.startswith("Error: ")


def test_tokens_and_proxies_are_checked() -> None:
    assert choose_token(None, is_needed=False) is None
    first, second = (choose_token(None, is_needed=True) for _ in range(2))
    assert first is not None
    assert len(first) == 32
    assert first != second
    assert choose_token("x" * 16, is_needed=False) == "x" * 16
    assert check_proxy("2001:DB8::1") == "2001:db8::1"
    assert check_proxy(None) is None


def test_address_contains_the_name_of_this_machine() -> None:
    for host, expected in (("0.0.0.0", socket.gethostname()), ("localhost", "localhost")):
        listener = Listener.open(host, 0, port_option="")
        assert listener.address == f"http://{expected}:{listener.port}/"
        assert listener.is_loopback == (host == "localhost")
        listener.socket.close()


def test_port_beside_a_search_is_checked() -> None:
    for port in ("0", "x", "-1", "70000", "²"):
        with pytest.raises(SettingsError, match="--dashboard: expected a port"):
            DashboardProcess(port)
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = busy.getsockname()[1]
        with pytest.raises(SettingsError, match=rf"Port {port} is taken: `--dashboard=\d+`"):
            DashboardProcess(str(port))


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


def wait_until(is_so: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def search_with_dashboard(folder: Path, port: int) -> Served:
    return Served(
        "run", "demo", "--study", "seen", "--families", "plain", "--image-size", "16",
        "--max-images", "200", "--trials", "50", "--max-epochs", "3", "--workers", "1",
        f"--dashboard={port}",
        folder=folder, CONVSEARCH_CACHE=str(folder / "cache"),
    )  # fmt: skip


def dashboards_of(pid: int) -> list[psutil.Process]:
    children = psutil.Process(pid).children(recursive=True)
    return [child for child in children if "dashboard" in child.cmdline()]


@pytest.mark.parametrize("is_killed", [True, False])
def test_early_end_of_a_dashboard_is_reported_to_the_search(
    tmp_path: Path, store: str, is_killed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    foreign = write_foreign_modules(tmp_path)
    monkeypatch.chdir(tmp_path)
    ended = threading.Event()
    beside = DashboardProcess("auto")
    beside.start(store, tmp_path / "dashboard.log", ended.set)
    try:
        assert ask(beside.address, "/api/studies")[0] == 200
        if is_killed:
            (child,) = dashboards_of(os.getpid())
            child.kill()
            assert ended.wait(20)
    finally:
        beside.close()
    assert beside.has_exited == is_killed
    assert ended.is_set() == is_killed
    assert not foreign.exists()


def test_server_on_all_interfaces_has_a_numeric_address() -> None:
    public = Listener.open("0.0.0.0", 0, port_option="")
    local = Listener.open("127.0.0.1", 0, port_option="")
    try:
        address = public.numeric_address
        assert address is None or re.fullmatch(rf"http://[\d.]+:{public.port}/", address)
        assert local.numeric_address is None
    finally:
        public.socket.close()
        local.socket.close()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_dashboard_ends_with_its_search(tmp_path: Path, number: signal.Signals) -> None:
    port = free_port()
    run = search_with_dashboard(tmp_path, port)
    try:
        wait_until(lambda: f"Dashboard: http://127.0.0.1:{port}/" in run.notes)
        (child,) = dashboards_of(run.process.pid)
        status, body, _ = ask(f"http://127.0.0.1:{port}/", "/api/studies")
        assert (status, "seen" in body) == (200, True)
        assert not [word for word in child.cmdline() if "sqlite" in word]
        run.process.send_signal(number)
        run.process.wait(60)
        wait_until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE, 10)
    finally:
        run.process.kill()
    with pytest.raises(OSError, match="refused"):
        ask(f"http://127.0.0.1:{port}/", "/api/studies")
