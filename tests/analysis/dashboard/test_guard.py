"""The guard, over plain WSGI: access, allowed requests, and the headers of responses."""

import hmac
import io
import json
import logging
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna_dashboard import wsgi

from analysis.dashboard.guard import Access, Guard
from analysis.dashboard.guard.rate_limit import (
    FREE_ATTEMPTS,
    LONGEST_WAIT_S,
    MAX_ADDRESSES,
    RateLimiter,
)

TOKEN = "aBc-0123456789+/x"
LOCAL = Access(None, False, frozenset())
EDITABLE = Access(None, True, frozenset())
LOCKED = Access(TOKEN, False, None)
LOCKED_EDITABLE = Access(TOKEN, True, None)
IMAGES = ("image/png", "image/jpeg", "image/gif", "image/webp")
ACTIVE = (
    "text/html",
    "text/html; charset=utf-8",
    "image/svg+xml",
    "application/xml",
    "text/xml",
    "text/javascript",
    "application/javascript",
    "application/pdf",
    "application/xhtml+xml",
    "multipart/x-mixed-replace",
    "",
    "nonsense",
    "image/png, text/html",
)


class Answer:
    def __init__(self, status: str, headers: list[tuple[str, str]], body: bytes) -> None:
        self.status = int(status[:3])
        self.headers = {name.lower(): value for name, value in headers}
        self.n_headers = len(headers)
        self.body = body

    @property
    def reason(self) -> str:
        assert self.headers["content-type"] == "application/json"
        return str(json.loads(self.body)["reason"])

    @property
    def cookie(self) -> str:
        return self.headers["set-cookie"].partition(";")[0]


def ask(
    app: Callable[..., Iterable[bytes]],
    path: str = "/api/studies",
    method: str = "GET",
    body: bytes = b"",
    query: str = "",
    **environ: Any,
) -> Answer:
    """Send a request as a server would, with `path` as in WSGI: bytes as Latin-1."""
    started: list[Any] = []
    asked = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "REQUEST_URI": f"{path}?{query}",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "8080",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "192.0.2.7",
        "HTTP_HOST": "localhost:8080",
        "CONTENT_LENGTH": str(len(body)),
        "CONTENT_TYPE": "application/json",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": io.StringIO(),
        "wsgi.url_scheme": "http",
    } | environ
    parts = app(
        {name: value for name, value in asked.items() if value is not None},
        lambda status, headers, _info=None: started.append((status, headers)),
    )
    answer = Answer(*started[-1], b"".join(parts))
    if hasattr(parts, "close"):
        parts.close()
    return answer


def answering(*headers: tuple[str, str], status: str = "200 OK") -> Callable[..., Iterable[bytes]]:
    def app(_environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response(status, list(headers))
        return [b"seen"]

    return app


class Spy:
    """An application that records the requests that reach it."""

    def __init__(self) -> None:
        self.seen: list[dict[str, Any]] = []

    def __call__(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        self.seen.append(environ)
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"seen"]


@pytest.fixture
def spy() -> Spy:
    return Spy()


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> optuna.storages.RDBStorage:
    path = tmp_path_factory.mktemp("store") / "store.db"
    storage = optuna.storages.RDBStorage(f"sqlite:///{path}")
    study = optuna.create_study(storage=storage, study_name="watched")
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=2)
    study.ask()
    return storage


@pytest.fixture(scope="module")
def dashboard(storage: optuna.storages.RDBStorage) -> Any:
    return wsgi(storage)


def changing_routes() -> list[tuple[str, str]]:
    routes = wsgi(optuna.storages.InMemoryStorage()).routes
    return sorted({(route.method, route.rule) for route in routes if route.method != "GET"})


def as_path(rule: str) -> str:
    """Return a path that matches a rule of Bottle."""
    names = {"study_id:int": "1", "trial_id:int": "1", "history_id": "1"}
    names["artifact_id:re:[0-9a-fA-F-]+"] = "0a"
    for name, value in names.items():
        rule = rule.replace(f"<{name}>", value)
    assert "<" not in rule
    return rule


def test_optuna_dashboard_has_changing_routes() -> None:
    assert len(changing_routes()) >= 15


@pytest.mark.parametrize(("method", "rule"), changing_routes())
@pytest.mark.parametrize("spelling", ["{}", "{}/", "/{}"])
def test_read_only_refuses_every_changing_route(
    dashboard: Any, storage: optuna.storages.RDBStorage, method: str, rule: str, spelling: str
) -> None:
    body = json.dumps({"study_name": "new", "directions": ["minimize"], "state": "FAIL"}).encode()
    path = spelling.format(as_path(rule))
    answer = ask(Guard(dashboard, LOCAL), path, method, body)
    assert answer.status == 403
    assert answer.reason.startswith("This dashboard is read-only: start it with --allow-edit")
    (study,) = storage.get_all_studies()
    assert study.study_name == "watched"
    assert storage.get_trial(3).state == optuna.trial.TrialState.RUNNING


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
def test_read_only_guard_passes_on_only_reading_methods(spy: Spy, method: str) -> None:
    assert ask(Guard(spy, LOCAL), method=method).status == 403
    assert ask(Guard(spy, LOCAL), method="HEAD").status == 200
    assert ask(Guard(spy, LOCAL)).body == b"seen"
    assert len(spy.seen) == 2


@pytest.mark.parametrize("access", [LOCAL, EDITABLE, LOCKED])
@pytest.mark.parametrize("method", ["PROPFIND", "get", "G ET", ""])
def test_unknown_method_is_not_passed_on(spy: Spy, access: Access, method: str) -> None:
    assert ask(Guard(spy, access), method=method).status == 501
    assert not spy.seen


def test_changes_are_passed_on_if_allowed(spy: Spy) -> None:
    guard = Guard(spy, EDITABLE)
    assert ask(guard, "/api/studies/1", "DELETE").status == 200
    assert ask(guard, "/api/studies", "POST", b"{}").status == 200
    assert ask(guard, "/api/studies", "OPTIONS").status == 405


@pytest.mark.parametrize(
    "path", ["/api/studies/1/rename", "/api/studies/1/rename/", "//api/studies/1/rename//"]
)
def test_study_is_never_renamed(spy: Spy, path: str) -> None:
    answer = ask(Guard(spy, EDITABLE), path, "POST", b"{}")
    assert (answer.status, spy.seen) == (403, [])
    assert "convsearch study fork" in answer.reason


def test_tables_are_never_upgraded(spy: Spy) -> None:
    answer = ask(Guard(spy, EDITABLE), "/incompatible-rdb-schema", "POST")
    assert (answer.status, spy.seen) == (403, [])
    assert "convsearch doctor --fix" in answer.reason


@pytest.mark.parametrize(
    ("origin", "site", "status"),
    [
        (None, None, 200),
        ("http://localhost:8080", None, 200),
        ("http://localhost:8080", "same-origin", 200),
        ("HTTP://LOCALHOST:8080", "none", 200),
        (None, "cross-site", 403),
        (None, "same-site", 403),
        ("http://localhost:8080", "cross-site", 403),
        ("http://localhost:9090", None, 403),
        ("http://localhost", None, 403),
        ("http://evil.example", None, 403),
        ("null", None, 403),
        ("", None, 403),
        ("http://localhost:8080@evil.example", None, 403),
        ("http://localhost:x", None, 403),
        ("file://localhost:8080", None, 403),
    ],
)
def test_only_own_pages_may_change(
    spy: Spy, origin: str | None, site: str | None, status: int
) -> None:
    answer = ask(Guard(spy, EDITABLE), method="POST", HTTP_ORIGIN=origin, HTTP_SEC_FETCH_SITE=site)
    assert answer.status == status


def test_default_port_is_the_same_origin(spy: Spy) -> None:
    guard = Guard(spy, LOCKED_EDITABLE)
    headers = {"HTTP_AUTHORIZATION": f"Bearer {TOKEN}", "HTTP_HOST": "dash.example"}
    assert ask(guard, method="PUT", HTTP_ORIGIN="https://dash.example", **headers).status == 200
    assert ask(guard, method="PUT", HTTP_ORIGIN="https://dash.example:1", **headers).status == 403


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "localhost:8080",
        "LocalHost:1",
        "127.0.0.1",
        "127.8.9.1:80",
        "[::1]",
        "[::1]:8",
    ],
)
def test_loopback_is_served_without_a_token(spy: Spy, host: str) -> None:
    assert ask(Guard(spy, LOCAL), HTTP_HOST=host).status == 200


@pytest.mark.parametrize(
    "host",
    [None, "", "evil.example", "evil.example:8080", "localhost.evil.example", "0.0.0.0", "[::2]",
     "10.0.0.1", "127.0.0.1.evil.example", "localhost@evil.example", "localhost, evil.example",
     "localhost:80:80", "localhost:x", "2130706433", "::1", "localhost/"],
)  # fmt: skip
def test_foreign_host_is_refused_without_a_token(spy: Spy, host: str | None) -> None:
    answer = ask(Guard(spy, LOCAL), HTTP_HOST=host)
    assert (answer.status, spy.seen) == (403, [])
    assert "--token" in answer.reason


def test_host_may_be_allowed_by_name(spy: Spy) -> None:
    guard = Guard(spy, Access(None, False, frozenset({"dash.example"})))
    assert ask(guard, HTTP_HOST="Dash.Example:80").status == 200
    assert ask(guard, HTTP_HOST="other.example").status == 403


def test_guard_requires_a_token_or_hosts(spy: Spy) -> None:
    with pytest.raises(ValueError, match="neither"):
        Guard(spy, Access(None, False, None))


def test_without_the_token_nothing_is_shown(spy: Spy) -> None:
    guard = Guard(spy, LOCKED)
    for path in ("/api/studies", "/", "/dashboard", "/static/bundle.js", "/artifacts/1/0a"):
        answer = ask(guard, path)
        assert answer.status == 401
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["www-authenticate"].startswith("Bearer")
    assert ask(guard, method="POST").reason.startswith("A token is needed")
    assert not spy.seen


def test_page_without_the_token_asks_for_it(spy: Spy) -> None:
    answer = ask(Guard(spy, LOCKED), "/dashboard/studies/1", query='q="><script>')
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert b'action="/login"' in answer.body
    assert b"<script" not in answer.body
    assert b'value="/dashboard/studies/1?q=%22%3E%3Cscript%3E"' in answer.body


def test_token_in_a_header_is_accepted(spy: Spy) -> None:
    guard = Guard(spy, LOCKED)
    for scheme in ("Bearer", "bearer", "Bearer  "):
        assert ask(guard, HTTP_AUTHORIZATION=f"{scheme} {TOKEN}").status == 200
    assert not [environ for environ in spy.seen if TOKEN in repr(environ)]


def test_token_in_the_query_becomes_a_cookie(spy: Spy) -> None:
    guard = Guard(spy, LOCKED)
    answer = ask(guard, "/dashboard", query=f"a=1&token={TOKEN}&b=%20")
    assert answer.status == 303
    assert answer.headers["location"] == "/dashboard?a=1&b=%20"
    kind = answer.headers["set-cookie"]
    assert kind.startswith("convsearch-8080=")
    assert "HttpOnly; SameSite=Lax" in kind
    assert "Secure" not in kind
    assert TOKEN not in kind
    assert ask(guard, HTTP_COOKIE=f"other=1; {answer.cookie}; more").status == 200
    assert len(spy.seen) == 1


@pytest.mark.parametrize(
    "environ", [{"wsgi.url_scheme": "https"}, {"HTTP_X_FORWARDED_PROTO": "https"}]
)
def test_cookie_of_https_is_sent_only_over_https(spy: Spy, environ: dict[str, str]) -> None:
    answer = ask(Guard(spy, LOCKED), query=f"token={TOKEN}", **environ)
    assert answer.headers["set-cookie"].endswith("; Secure")


def test_token_is_removed_from_the_address_also_with_a_cookie(spy: Spy) -> None:
    guard = Guard(spy, LOCKED)
    cookie = ask(guard, query=f"token={TOKEN}").cookie
    for given in (TOKEN, "wrong", ""):
        answer = ask(guard, "/x", query=f"token={given}&a", HTTP_COOKIE=cookie)
        assert (answer.status, answer.headers["location"]) == (303, "/x?a")
        assert ask(guard, method="DELETE", query=f"token={given}").status == 401
    assert not spy.seen


@pytest.mark.parametrize(
    ("path", "query", "location"),
    [
        ("//evil.example/x", "", "/evil.example/x"),
        ("/\r\nSet-Cookie: a=b", "", None),
        ("/\\evil.example", "", None),
        ("/a b\u00c3\u00a9", "", "/a%20b%C3%A9"),
        ("/x", "\r\nSet-Cookie:%20a=b", "/x?%0D%0ASet-Cookie:%20a=b"),
        ("/x", 'y="<é', "/x?y=%22%3C%E9"),
        ("/login", "", "/dashboard"),
        ("/a:b@c", "", "/a:b@c"),
        ("/%2F%2Fevil", "", "/%252F%252Fevil"),
        ("/x", "%74oken=again&z", "/x?z"),
    ],
)
def test_redirect_stays_on_this_server(
    spy: Spy, path: str, query: str, location: str | None
) -> None:
    guard = Guard(spy, LOCKED)
    cookie = ask(guard, query=f"token={TOKEN}").cookie
    answer = ask(guard, path, query=f"token={TOKEN}&{query}", HTTP_COOKIE=cookie)
    if location is None:
        assert answer.status == 400
    else:
        assert answer.headers["location"] == location
    assert not spy.seen


def test_cookie_is_valid_for_one_port_and_one_token(spy: Spy) -> None:
    cookie = ask(Guard(spy, LOCKED), query=f"token={TOKEN}").cookie
    value = cookie.partition("=")[2]
    guard = Guard(spy, LOCKED)
    assert ask(guard, HTTP_COOKIE=cookie, SERVER_PORT="8081").status == 401
    assert ask(guard, HTTP_COOKIE=f'convsearch-8080="{value}"').status == 200
    assert ask(guard, HTTP_COOKIE=f"convsearch-8080=stale; {cookie}").status == 200
    assert ask(Guard(spy, Access(f"{TOKEN}!", False, None)), HTTP_COOKIE=cookie).status == 401
    for wrong in (value[:-1], value.upper(), TOKEN, "", "é" * 64, "x" * 60_000, "\x00"):
        assert ask(guard, HTTP_COOKIE=f"convsearch-8080={wrong}").status == 401


@pytest.mark.parametrize(
    "given", ["wrong", TOKEN[:-1], TOKEN + "x", TOKEN.lower(), "é\xff", "\x00"]
)
def test_wrong_token_is_refused(spy: Spy, given: str) -> None:
    guard = Guard(spy, LOCKED)
    by_header = ask(guard, HTTP_AUTHORIZATION=f"Bearer {given}")
    by_query = ask(guard, query=f"token={given}")
    assert (by_header.status, by_query.status) == (401, 401)
    assert by_query.reason.startswith("That is not the token")
    assert "set-cookie" not in by_query.headers
    assert not spy.seen


def test_password_for_a_proxy_does_not_count_as_an_attempt(spy: Spy) -> None:
    guard = Guard(spy, LOCKED)
    for _ in range(2 * FREE_ATTEMPTS):
        assert ask(guard, HTTP_AUTHORIZATION="Basic eDp5").status == 401
        assert ask(guard, HTTP_COOKIE="convsearch-8080=stale").status == 401
        assert ask(guard, query="token=").status == 401
    assert ask(guard, HTTP_AUTHORIZATION=f"Bearer {TOKEN}").status == 200


def log_in(guard: Guard, body: str, **environ: Any) -> Answer:
    kind = {"CONTENT_TYPE": "application/x-www-form-urlencoded"}
    return ask(guard, "/login", "POST", body.encode(), **kind | environ)


FORM = TOKEN.replace("+", "%2B").replace("/", "%2F")


@pytest.mark.parametrize("access", [LOCKED, LOCKED_EDITABLE])
def test_token_in_the_form_is_accepted(spy: Spy, access: Access) -> None:
    guard = Guard(spy, access)
    answer = log_in(guard, f"next=%2Fdashboard%2Fstudies%2F1%3Fa%3D%2520&token={FORM}")
    assert (answer.status, answer.headers["location"]) == (303, "/dashboard/studies/1?a=%20")
    assert ask(guard, HTTP_COOKIE=answer.cookie).status == 200
    again = log_in(guard, "token=wrong", HTTP_COOKIE=answer.cookie)
    assert (again.status, again.headers["location"]) == (303, "/dashboard")


@pytest.mark.parametrize(
    ("target", "location"),
    [("//evil.example", "/evil.example"), ("https://evil.example", "/https://evil.example"),
     ("/\\evil.example", "/%5Cevil.example"), ("/x%0d%0ay", "/x%0D%0Ay"), ("", "/"),
     ("%2F%2Fevil.example", "/evil.example"), ("javascript:alert(1)", "/javascript:alert(1)"),
     ("/x?token=abc", "/x"), ("/login", "/dashboard")],
)  # fmt: skip
def test_form_redirects_only_within_this_server(spy: Spy, target: str, location: str) -> None:
    quoted = "".join(f"%{byte:02x}" for byte in target.encode())
    answer = log_in(Guard(spy, LOCKED), f"token={FORM}&next={quoted}")
    assert answer.headers["location"] == location


def test_refused_form_shows_a_message(spy: Spy) -> None:
    guard = Guard(spy, LOCKED)
    wrong = log_in(guard, "token=wrong")
    assert wrong.status == 401
    assert b"That is not the token" in wrong.body
    assert b"wrong" not in wrong.body
    assert log_in(guard, "").status == 401
    assert log_in(guard, f"token={FORM}", HTTP_ORIGIN="http://evil.example").status == 403
    assert log_in(guard, "token=" + "x" * 10_000).status == 413
    assert ask(guard, "/login").status == 401
    assert not spy.seen


def test_token_copied_with_a_blank_is_accepted(spy: Spy) -> None:
    answer = log_in(Guard(spy, LOCKED), f"token={TOKEN}%20%0A&next=/dashboard")
    assert answer.status == 303
    assert "set-cookie" in answer.headers


def test_many_wrong_tokens_are_slowed_down(spy: Spy) -> None:
    guard = Guard(spy, LOCKED)
    cookie = ask(guard, query=f"token={TOKEN}").cookie
    for _ in range(FREE_ATTEMPTS):
        assert ask(guard, HTTP_AUTHORIZATION="Bearer wrong").status == 401
    for answer in (
        ask(guard, HTTP_AUTHORIZATION=f"Bearer {TOKEN}"),
        ask(guard, query=f"token={TOKEN}"),
        log_in(guard, f"token={FORM}"),
    ):
        assert answer.status == 429
        assert int(answer.headers["retry-after"]) >= 1
        assert "set-cookie" not in answer.headers
    assert ask(guard, HTTP_COOKIE=cookie).status == 200
    assert ask(guard, HTTP_AUTHORIZATION=f"Bearer {TOKEN}", REMOTE_ADDR="192.0.2.8").status == 200
    assert ask(guard, query="", REMOTE_ADDR="192.0.2.7").status == 401


def test_addresses_of_one_ipv6_network_count_together(spy: Spy) -> None:
    guard = Guard(spy, LOCKED)
    for index in range(FREE_ATTEMPTS):
        ask(guard, HTTP_AUTHORIZATION="Bearer wrong", REMOTE_ADDR=f"2001:db8::{index:x}")
    right = {"HTTP_AUTHORIZATION": f"Bearer {TOKEN}"}
    assert ask(guard, REMOTE_ADDR="2001:db8::ffff", **right).status == 429
    assert ask(guard, REMOTE_ADDR="2001:db8:1::1", **right).status == 200
    for _ in range(FREE_ATTEMPTS):
        ask(guard, HTTP_AUTHORIZATION="Bearer wrong", REMOTE_ADDR="::ffff:192.0.2.1")
    assert ask(guard, REMOTE_ADDR="192.0.2.1", **right).status == 429
    assert ask(guard, REMOTE_ADDR="::ffff:192.0.2.2", **right).status == 200


def test_waiting_times_grow_and_expire() -> None:
    now = 1000.0
    attempts = RateLimiter(lambda: now)
    waits = []
    for _ in range(FREE_ATTEMPTS - 1):
        assert attempts.check("a", lambda: False) is None
    for _ in range(12):
        assert attempts.check("a", lambda: False) is None
        wait_s = attempts.check("a", lambda: pytest.fail("looked at the token"))
        assert wait_s is not None
        waits.append(wait_s)
        now += wait_s
    assert waits[:3] == [5, 10, 20]
    assert waits[-1] == LONGEST_WAIT_S
    now += LONGEST_WAIT_S + 61
    assert attempts.check("a", lambda: False) is None
    assert attempts.check("a", lambda: True) == 0
    assert len(attempts) == 0


def test_number_of_stored_addresses_is_limited() -> None:
    attempts = RateLimiter(lambda: 0.0)
    for index in range(MAX_ADDRESSES + 50):
        attempts.check(str(index), lambda: False)
    assert len(attempts) == MAX_ADDRESSES


def test_token_is_compared_by_digest_in_constant_time(
    spy: Spy, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared = []
    whole = hmac.compare_digest

    def compare(first: bytes, second: bytes) -> bool:
        compared.append((len(first), len(second)))
        return whole(first, second)

    monkeypatch.setattr(hmac, "compare_digest", compare)
    guard = Guard(spy, LOCKED)
    for given in ("a", "b" * 500, TOKEN):
        ask(guard, HTTP_AUTHORIZATION=f"Bearer {given}")
    assert compared == [(32, 32)] * 3
    ask(guard, HTTP_COOKIE="convsearch-8080=" + "a" * 64)
    assert compared[3:] == [(64, 64)]


def test_token_is_never_logged(spy: Spy, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    def failing(environ: dict[str, Any], _start: Any) -> list[bytes]:
        raise RuntimeError(f"{environ}\nsecond line")

    guard = Guard(failing, LOCKED)
    ask(guard, query="token=hush-hush-hush-hush")
    answer = ask(guard, query=f"q=1&token={TOKEN}", HTTP_AUTHORIZATION=f"Bearer {TOKEN}")
    assert answer.status == 500
    assert "192.0.2.7" in caplog.text
    assert TOKEN not in caplog.text
    assert "hush" not in caplog.text
    assert "second line" not in caplog.text
    assert TOKEN not in repr(LOCKED)


@pytest.mark.parametrize(
    ("path", "status"),
    [("/dashboard", 200), ("/api/meta", 200), ("/static/bundle.js", 200), ("/nowhere", 404)],
)
def test_every_answer_has_safe_headers(dashboard: Any, path: str, status: int) -> None:
    answer = ask(Guard(dashboard, LOCAL), path, HTTP_ACCEPT_ENCODING="gzip")
    assert answer.status == status
    assert answer.n_headers == len(answer.headers)
    policy = answer.headers["content-security-policy"]
    for part in ("default-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"):
        assert part in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"


def test_refusals_have_safe_headers_too(spy: Spy) -> None:
    for answer in (
        ask(Guard(spy, LOCKED), "/dashboard"),
        ask(Guard(spy, LOCKED), query=f"token={TOKEN}"),
        ask(Guard(spy, LOCAL), method="POST"),
        ask(Guard(spy, LOCAL), "/\x00"),
        ask(Guard(spy, LOCAL), HTTP_HOST="evil.example"),
    ):
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_headers_of_the_application_for_other_sites_are_removed() -> None:
    app = answering(
        ("Content-Type", "text/plain"),
        ("Access-Control-Allow-Origin", "*"),
        ("access-control-allow-credentials", "true"),
        ("content-security-policy", "default-src *"),
        ("X-Frame-Options", "ALLOWALL"),
        ("Server", "a"),
    )
    answer = ask(Guard(app, LOCAL))
    assert not [name for name in answer.headers if name.startswith("access-control")]
    assert "*" not in answer.headers["content-security-policy"]
    assert answer.headers["x-frame-options"] == "DENY"
    assert "server" not in answer.headers
    assert answer.n_headers == len(answer.headers)


def test_responses_to_requests_with_the_token_are_private(spy: Spy) -> None:
    right = {"HTTP_AUTHORIZATION": f"Bearer {TOKEN}"}
    assert ask(Guard(spy, LOCKED), **right).headers["cache-control"] == "private"
    kept = answering(("Cache-Control", "private, no-cache"))
    assert ask(Guard(kept, LOCKED), **right).headers["cache-control"] == "private, no-cache"


@pytest.mark.parametrize("path", ["/artifacts/1/0a", "//artifacts/1/2/0a", "/artifacts"])
@pytest.mark.parametrize("kind", ACTIVE)
def test_active_artifacts_are_downloads(kind: str, path: str) -> None:
    app = answering(("Content-Type", kind), ("Content-Disposition", "inline; filename=a.html"))
    answer = ask(Guard(app, LOCAL), path)
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"] == "attachment"
    assert answer.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
    assert answer.n_headers == len(answer.headers)


def test_artifact_of_no_or_two_types_is_a_download() -> None:
    for headers in ((), (("Content-Type", "image/png"), ("Content-Type", "text/html"))):
        answer = ask(Guard(answering(*headers), LOCAL), "/artifacts/1/0a")
        assert answer.headers["content-type"] == "application/octet-stream"
        assert answer.headers["content-disposition"] == "attachment"


@pytest.mark.parametrize("kind", [*IMAGES, "text/plain", "text/csv", "IMAGE/PNG; q=1"])
def test_images_and_text_are_shown(kind: str) -> None:
    answer = ask(Guard(answering(("Content-Type", kind)), LOCAL), "/artifacts/1/0a")
    base = kind.partition(";")[0].lower()
    assert answer.headers["content-type"].partition(";")[0] == base
    assert "content-disposition" not in answer.headers
    assert answer.headers["content-security-policy"].startswith("sandbox")


@pytest.mark.parametrize("status", ["404 Not Found", "500 Oh", "302 Found"])
def test_error_for_an_artifact_is_plain_text(status: str) -> None:
    app = answering(("Content-Type", "text/html"), status=status)
    answer = ask(Guard(app, LOCAL), "/artifacts/1/0a")
    assert answer.headers["content-type"].startswith("text/plain")


def test_not_modified_artifact_gets_no_type() -> None:
    app = answering(("ETag", '"1-12"'), status="304 Not Modified")
    answer = ask(Guard(app, LOCAL), "/artifacts/1/0a")
    assert "content-type" not in answer.headers
    assert answer.headers["etag"] == '"1-12"'


@pytest.mark.parametrize(
    "path",
    ["/artif\xffacts/1/0a", "/artifacts/1/\xc3", "/a\x00b", "/a\nb", "/a\\b", "/..", "/api/../x",
     "/./api", "/api/.", "api/studies", "*", "/api/%2e%2e".replace("%2e", "."), "/\x7f"],
)  # fmt: skip
@pytest.mark.parametrize("access", [LOCAL, EDITABLE])
def test_ambiguous_path_is_refused(spy: Spy, path: str, access: Access) -> None:
    for method in ("GET", "POST"):
        assert ask(Guard(spy, access), path, method).status == 400
    assert not spy.seen


@pytest.mark.parametrize(
    "headers",
    [{"HTTP_TRANSFER_ENCODING": "chunked"}, {"HTTP_TRANSFER_ENCODING": ""},
     {"CONTENT_LENGTH": "-1"}, {"CONTENT_LENGTH": "5, 5"}, {"CONTENT_LENGTH": "+5"},
     {"CONTENT_LENGTH": "0x5"}, {"CONTENT_LENGTH": "１"}, {"CONTENT_LENGTH": "9" * 5000}],
)  # fmt: skip
def test_body_of_unclear_length_is_refused(spy: Spy, headers: dict[str, str]) -> None:
    assert ask(Guard(spy, EDITABLE), method="POST", **headers).status == 400
    assert ask(Guard(spy, EDITABLE), method="POST", CONTENT_LENGTH="").status == 200


def test_size_of_bodies_is_limited(spy: Spy) -> None:
    guard = Guard(spy, EDITABLE)
    mb = 2**20
    assert ask(guard, "/api/studies", "POST", CONTENT_LENGTH=str(mb)).status == 200
    assert ask(guard, "/api/studies", "POST", CONTENT_LENGTH=str(mb + 1)).status == 413
    assert ask(guard, "/api/studies", CONTENT_LENGTH=str(mb + 1)).status == 413


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/3"), ("POST", "/3/4"), ("DELETE", "/3/4/a")]
)
def test_files_are_neither_added_nor_deleted(spy: Spy, method: str, path: str) -> None:
    answer = ask(Guard(spy, EDITABLE), f"/api/artifacts{path}", method)
    assert answer.status == 403
    assert "drawn" in answer.body.decode()


@pytest.mark.parametrize(
    ("site", "mode", "dest", "status"),
    [("same-origin", "no-cors", "image", 200), ("none", "navigate", "document", 200),
     ("cross-site", "navigate", "document", 200), ("cross-site", "no-cors", "image", 403),
     ("same-site", "cors", "empty", 403), ("cross-site", "navigate", "iframe", 403)],
)  # fmt: skip
def test_other_sites_may_link_to_pages_but_not_embed_them(
    spy: Spy, site: str, mode: str, dest: str, status: int
) -> None:
    asked = {"HTTP_SEC_FETCH_SITE": site, "HTTP_SEC_FETCH_MODE": mode, "HTTP_SEC_FETCH_DEST": dest}
    assert ask(Guard(spy, LOCAL), "/csv/1", **asked).status == status


def test_answer_to_head_has_no_body(spy: Spy) -> None:
    answer = ask(Guard(spy, LOCKED), "/dashboard", "HEAD")
    assert (answer.status, answer.body) == (401, b"")
    assert int(answer.headers["content-length"]) > 0


def test_tracebacks_of_the_application_are_one_line(caplog: pytest.LogCaptureFixture) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        environ["wsgi.errors"].write("Traceback\n  File x\nValueError: odd\n")
        start_response("500 Oh", [])
        return []

    ask(Guard(app, LOCAL))
    assert [record.getMessage() for record in caplog.records] == ["ValueError: odd"]


def test_guard_loads_no_dashboard(tmp_path: Path) -> None:
    import subprocess
    import sys

    code = (
        "import sys, analysis.dashboard.guard\n"
        "print(sorted({'optuna_dashboard', 'plotly', 'pandas'} & set(sys.modules)))"
    )
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=root, check=True
    )
    assert done.stdout.strip() == "[]"
