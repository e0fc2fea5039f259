"""The page of a source in a real browser: figures, requests, and small screens."""

import pytest

from analysis.source_page.page import render_source_page
from tests.analysis.report.opened_page import DESKTOP, EMPTY_PLOTS, PHONE, opened

NAMES = ("a" * 70, "wort " * 20, "<img src=x onerror=alert(1)>", "b_" * 40)


@pytest.fixture(scope="module")
def path(make_source_facts, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "page.html"
    path.write_text(render_source_page(make_source_facts(NAMES)), encoding="utf-8")
    return path


@pytest.mark.parametrize(("width", "scheme"), [(PHONE, "dark"), (DESKTOP, "light")])
def test_page_with_long_names_is_drawn_and_fits(browser, path, width, scheme):
    with opened(browser, path, width=width, scheme=scheme) as (page, troubles, requests):
        assert page.evaluate(EMPTY_PLOTS) == []
        assert page.locator("[data-figure]").count() == 3
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.locator("img").evaluate_all("them => them.every(it => it.naturalWidth === 96)")
        color = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (sum(map(int, color[4:-1].split(","))) < 150) == (scheme == "dark")
        assert troubles == []
        assert requests == [path.as_uri()]
