"""A page in a real browser, without a network."""

import time
from contextlib import contextmanager

PHONE, DESKTOP = 390, 1280
DRAWN = "document.documentElement.dataset.drawn === 'yes'"
EMPTY_PLOTS = """
[...document.querySelectorAll("[data-figure]")].filter((place) => {
  const box = place.querySelector("svg.main-svg")?.getBoundingClientRect();
  return !(place.classList.contains("js-plotly-plot") && box?.width > 50 && box?.height > 50);
}).map((place) => place.id)
"""


def wait_until(page, expression, *, timeout_s=60):
    """Poll an expression; the page's policy forbids the polling of Playwright."""
    deadline = time.monotonic() + timeout_s
    while not page.evaluate(expression):
        assert time.monotonic() < deadline, expression
        page.wait_for_timeout(50)


@contextmanager
def opened(browser, path, *, width=DESKTOP, scheme="light"):
    """Open the page, and yield it with its problems and its requests."""
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True
    )
    page = context.new_page()
    troubles, requests = [], []
    page.on("console", lambda it: troubles.append(it.text))
    page.on("pageerror", lambda it: troubles.append(str(it)))
    page.on("request", lambda it: requests.append(it.url))
    page.goto(path.as_uri())
    wait_until(page, DRAWN)
    yield page, troubles, [it for it in requests if not it.startswith("data:")]
    context.close()
