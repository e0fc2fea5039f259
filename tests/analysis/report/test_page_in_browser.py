"""The report's page in a real browser: figures, requests, small screens, and printing."""

from dataclasses import replace
from io import BytesIO

import pytest
from PIL import Image

from analysis.report.page import render_page
from tests.analysis.report.opened_page import (
    DESKTOP,
    EMPTY_PLOTS,
    PHONE,
    opened,
    wait_until,
)


@pytest.fixture(scope="module")
def path(facts, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(render_page(facts), encoding="utf-8")
    return path


def test_page_draws_every_figure_without_problems_or_requests(browser, path, facts):
    with opened(browser, path) as (page, troubles, requests):
        assert page.evaluate(EMPTY_PLOTS) == []
        assert page.locator("[data-figure]").count() >= 20
        assert facts.winner.trial.family in page.locator(".headline").inner_text()
        assert page.locator(".architecture svg .layer").count() > 20
        assert troubles == []
        assert requests == [path.as_uri()]


@pytest.mark.parametrize("width", [PHONE, 768, DESKTOP])
def test_page_does_not_scroll_sideways(browser, path, width):
    with opened(browser, path, width=width) as (page, _, _):
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def edge_of(page, table):
    """Return the color of a table's right edge, inside its first row."""
    picture = Image.open(BytesIO(table.screenshot())).convert("RGB")
    return picture.getpixel((picture.width - 2, 4))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_cut_table_is_shaded_at_its_edge_until_its_end_is_reached(browser, path, scheme):
    with opened(browser, path, width=PHONE, scheme=scheme) as (page, _, _):
        table = page.locator("#result .scroll").first
        assert table.evaluate("it => it.scrollWidth > it.clientWidth")
        cut = edge_of(page, table)
        table.evaluate("it => { it.scrollLeft = it.scrollWidth }")
        assert sum(abs(a - b) for a, b in zip(cut, edge_of(page, table), strict=True)) > 60


def test_long_command_is_fully_visible_on_a_phone(browser, facts, tmp_path):
    path = tmp_path / "report.html"
    command = f"convsearch reproduce --store sqlite:///{'long/' * 20}study.db study"
    winner = replace(facts.winner, command=command)
    path.write_text(render_page(replace(facts, winner=winner)), encoding="utf-8")
    with opened(browser, path, width=PHONE) as (page, _, _):
        assert page.evaluate(
            "(it => it.scrollWidth <= it.clientWidth)(document.querySelector('.command pre'))"
        )


def test_drawn_axes_of_whole_numbers_show_no_fractions(browser, facts_all_right, tmp_path):
    path = tmp_path / "report.html"
    path.write_text(render_page(facts_all_right), encoding="utf-8")
    with opened(browser, path) as (page, _, _):
        for name in ("history", "pruning", "curves", "top_curves"):
            ticks = page.locator(f"#figure-{name} :is(.xtick, .x2tick) text")
            shown = ticks.all_text_contents()
            assert shown
            assert all(it.isdecimal() for it in shown)


def test_page_with_long_names_fits_a_phone(browser, make_facts, tmp_path):
    names = ("a" * 70, "wort " * 20, "<img src=x onerror=alert(1)>", "b_" * 40)
    path = tmp_path / "report.html"
    facts = make_facts(n_trials=12, classes=names)
    path.write_text(render_page(facts, lang="ru"), encoding="utf-8")
    with opened(browser, path, width=PHONE) as (page, troubles, requests):
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE
        assert page.evaluate(EMPTY_PLOTS) == []
        assert troubles == []
        assert requests == [path.as_uri()]


def brightness(page):
    color = page.evaluate("getComputedStyle(document.body).backgroundColor")
    return sum(map(int, color[4:-1].split(",")))


def plot_text(page):
    return page.evaluate("document.querySelector('[data-figure]').layout.font.color")


def test_page_is_dark_if_the_system_is_and_can_be_switched(browser, path):
    with opened(browser, path, scheme="dark") as (page, _, _):
        assert brightness(page) < 150
        dark = plot_text(page)
        page.locator("#theme").click()
        wait_until(
            page, "document.querySelector('[data-figure]').layout.font.color !== '" + dark + "'"
        )
        assert brightness(page) > 600


def test_page_is_light_if_the_system_is(browser, path):
    with opened(browser, path) as (page, _, _):
        assert brightness(page) > 600


def test_page_prints_on_several_light_sheets_with_all_figures(browser, path):
    with opened(browser, path, scheme="dark") as (page, troubles, _):
        printed = page.pdf(prefer_css_page_size=True, print_background=True)
        assert printed.startswith(b"%PDF")
        assert printed.count(b"/Type /Page\n") > 1
        assert page.evaluate("document.querySelectorAll('details:not([open])').length") == 1
        assert troubles == []


def test_printed_page_is_light_and_expands_folded_parts(browser, path):
    with opened(browser, path, scheme="dark") as (page, _, _):
        page.emulate_media(media="print")
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        assert page.evaluate("document.querySelectorAll('details:not([open])').length") == 0
        assert brightness(page) > 600
        wait_until(page, "document.querySelector('[data-figure]').layout.width === 660")
        assert page.evaluate(EMPTY_PLOTS) == []


def test_links_and_buttons_are_reached_by_keyboard(browser, path):
    with opened(browser, path) as (page, _, _):
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip"
        page.locator("#copy").focus()
        page.keyboard.press("Enter")
        wait_until(page, "document.getElementById('copy').textContent === 'Copied'")
