"""What the guard answers itself: refusals, redirects, and the page that asks for the token."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from http import HTTPStatus
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wsgiref.types import StartResponse

Headers = Sequence[tuple[str, str]]

PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>convsearch</title>
<link rel="icon" href="data:,">
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; margin: 12vh auto; max-width: 24rem;
        padding: 0 1rem; color: #1c2733; background: #fff; }}
input, button {{ font: inherit; box-sizing: border-box; width: 100%; padding: .5rem;
                 margin-top: .5rem; border: 1px solid #64748b; border-radius: 4px; }}
button {{ color: #fff; background: #064787; border-color: #064787; cursor: pointer; }}
@media (prefers-color-scheme: dark) {{
  body {{ color: #e2e8f0; background: #16202b; }}
  input {{ color: inherit; background: #0f1720; }}
}}
</style>
</head>
<body>
<h1>convsearch</h1>
<p role="alert">{reason}</p>
{form}</body>
</html>
"""
FORM = """<form action="/login" method="post">
<input type="hidden" name="next" value="{target}">
<label for="token">Token</label>
<input id="token" name="token" type="password" autocomplete="current-password" required autofocus>
<button>Open the dashboard</button>
</form>
"""


class HttpError(Exception):
    """A request that is answered with a status and a sentence, and not passed on."""

    def __init__(self, status: int, reason: str, *headers: tuple[str, str]) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.headers = headers


@dataclass(frozen=True, slots=True)
class Response:
    """A whole answer; nobody keeps a copy of it."""

    status: int
    headers: Headers = ()
    body: bytes = b""

    def send(self, start_response: "StartResponse", *, is_head: bool) -> Iterable[bytes]:
        """Answer as WSGI does."""
        own = [("Content-Length", str(len(self.body))), ("Cache-Control", "no-store")]
        status = f"{self.status} {HTTPStatus(self.status).phrase}"
        start_response(status, [*self.headers, *own])
        return [b"" if is_head else self.body]


def json_response(http_error: HttpError) -> Response:
    """Tell a refusal to a program; the dashboard's pages show `reason`."""
    body = json.dumps({"reason": http_error.reason}).encode()
    return Response(
        http_error.status, [("Content-Type", "application/json"), *http_error.headers], body
    )


def html_response(http_error: HttpError, target: str | None = None) -> Response:
    """Tell a refusal to a reader.

    Args:
        http_error: The refusal.
        target: Where to go with the right token; None does not ask for one.
    """
    form = "" if target is None else FORM.format(target=escape(target))
    body = PAGE.format(reason=escape(http_error.reason), form=form).encode()
    headers = [("Content-Type", "text/html; charset=utf-8"), *http_error.headers]
    if target is not None:
        # With `no-referrer` browsers would send the form with the origin `null`.
        headers.append(("Referrer-Policy", "same-origin"))
    return Response(http_error.status, headers, body)


def redirect(target: str, *headers: tuple[str, str]) -> Response:
    """Send a browser to an address of ours, which it asks for with GET."""
    return Response(303, [("Location", target), *headers])
