"""Errors of the guard: refused requests, and the page with the form for the token."""

from html import escape
from http import HTTPStatus

from analysis.dashboard.responses import HTML, NO_STORE, Response

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
    """A refused request: its status, the reason in a sentence, and further headers."""

    def __init__(self, status: int, reason: str, *headers: tuple[str, str]) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.headers = headers

    def as_json(self) -> Response:
        """Return the error as JSON; the dashboard's page shows its `reason`."""
        return Response.error(self.status, self.reason, *self.headers, cache_control=NO_STORE)


def render_error(http_error: HttpError, target: str | None = None) -> Response:
    """Return an error as a page, with a form for the token that leads to `target`, if given."""
    form = "" if target is None else FORM.format(target=escape(target))
    body = PAGE.format(reason=escape(http_error.reason), form=form).encode()
    # With `no-referrer` browsers would send the form with the origin `null`.
    policy = () if target is None else (("Referrer-Policy", "same-origin"),)
    headers = (*http_error.headers, *policy)
    return Response(body, HTML, HTTPStatus(http_error.status), headers, NO_STORE)
