"""The HTML page of `peerd map`, in a browser."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.e2e.browser import chromium
from tests.e2e.cli import Peerd
from tests.e2e.conftest import functions_directory
from tests.e2e.sample_maps import (
    ACCOUNTS,
    ACTIVE,
    BLOCKED,
    HOSTILE,
    MISSING,
    OVERLAPPING,
    PARTLY,
    REGIONS,
    sample_map,
    vpc_id,
)

Render = Callable[[dict[str, Any]], Path]
OpenMap = Callable[..., Page]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for all tests of the module."""
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def render(tmp_path_factory: pytest.TempPathFactory) -> Render:
    """Renders a map with `peerd map --from`, which needs no AWS."""
    peerd = Peerd(functions_directory() / "peerd", "http://127.0.0.1:9")

    def render(document: dict[str, Any]) -> Path:
        folder = tmp_path_factory.mktemp("map")
        (folder / "map.json").write_text(json.dumps(document))
        peerd.ok("map", "--from", str(folder / "map.json"), "--out", str(folder / "map.html"))
        return folder / "map.html"

    return render


@pytest.fixture
def open_map(browser: Browser, render: Render) -> Iterator[OpenMap]:
    """Opens the page of a map. Fails at the end if the page logged an error or made a network request."""
    pages: list[Page] = []
    errors: list[str] = []
    requested: set[str] = set()
    opened: set[str] = set()

    def open_map(document: dict[str, Any], scheme: Any = "light", width: int = 1500) -> Page:
        page = browser.new_page(
            color_scheme=scheme, viewport={"width": width, "height": 900}, reduced_motion="reduce"
        )
        page.on("console", lambda message: errors.append(message.text))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("request", lambda request: requested.add(request.url))
        address = render(document).as_uri()
        page.goto(address)
        opened.add(address)
        pages.append(page)
        return page

    yield open_map
    for page in pages:
        page.close()
    assert not errors
    assert requested == opened


def chips(page: Page) -> set[str]:
    """Returns the visible VPCs."""
    return set(page.locator("#stage [data-vpc]:visible").evaluate_all("all => all.map(it => it.dataset.vpc)"))


def lines(page: Page) -> int:
    """Returns the number of visible lines."""
    return page.locator("#stage :is(.pairs, .trouble) [data-pair]:not(.off)").count()


def chip(page: Page, number: int) -> Locator:
    """Returns the chip of a VPC on the map."""
    return page.locator(f"#stage [data-vpc='{vpc_id(number)}']")


def line(page: Page, number: int) -> Locator:
    """Returns the line of a pair on the map."""
    return page.locator(f"#stage :is(.pairs, .trouble) [data-pair='{number}']")


def info(page: Page) -> str:
    """Returns the text of the details on one line."""
    return " ".join(page.locator("#info").inner_text().split())


def box(page: Page, name: str) -> Locator:
    """Returns the checkbox with this name."""
    return page.get_by_role("checkbox", name=name, exact=True)


def rows(page: Page, table: str) -> Locator:
    """Returns the rows of a table."""
    return page.get_by_role("table", name=table).locator("tbody tr")


def focused(page: Page) -> str | None:
    """Returns the VPC that has the focus."""
    return page.evaluate("document.activeElement.dataset.vpc")


def count(page: Page) -> Locator:
    """Returns the counts in the header."""
    return page.locator("#count")


def test_a_page_shows_every_vpc_every_pair_and_every_finding(open_map: OpenMap) -> None:
    page = open_map(sample_map(10))
    assert chips(page) == {vpc_id(number) for number in range(10)}
    assert lines(page) == 20
    expect(count(page)).to_have_text("10 VPCs · 20 pairs · 1 finding")
    assert page.locator("#stage .vpc.open .badge").count() == 2
    titles = set(page.locator("#stage .titles text").all_text_contents())
    assert titles == {*ACCOUNTS, *REGIONS}
    page.locator("#info").get_by_role("button", name="overlap").click()
    assert "renumber one of them" in info(page)
    assert page.locator("#stage .self").count() == 2


def test_filters_show_only_the_selected_items(open_map: OpenMap) -> None:
    page = open_map(sample_map(10))
    box(page, "mesh-1").uncheck()
    assert chips(page) == {vpc_id(number) for number in range(5)} and lines(page) == 10
    box(page, "active").uncheck()
    assert lines(page) == 4, "provisioning, missing, overlapping, blocked"
    box(page, "provisioning").uncheck()
    box(page, "active, but blocked").uncheck()
    assert lines(page) == 2
    box(page, ACCOUNTS[0]).uncheck()
    assert chips(page) == {vpc_id(1), vpc_id(2), vpc_id(4)} and lines(page) == 0
    box(page, REGIONS[0]).uncheck()
    assert chips(page) == {vpc_id(4)}
    expect(count(page)).to_have_text("1 of 10 VPCs · 0 of 20 pairs · 1 finding")
    page.get_by_role("button", name="Mesh: all or none").click()
    page.get_by_role("button", name="Mesh: all or none").click()
    assert box(page, "mesh-1").is_checked() and chips(page) == {vpc_id(4), vpc_id(5)}
    page.get_by_role("button", name="Show all").click()
    assert len(chips(page)) == 10 and lines(page) == 20


def test_filters_without_a_match_show_a_message(open_map: OpenMap) -> None:
    page = open_map(sample_map(10))
    page.get_by_role("button", name="Region: all or none").click()
    assert not chips(page) and lines(page) == 0
    expect(page.get_by_text("Nothing fits the search and the filters.")).to_be_visible()


@pytest.mark.parametrize("word", ["SERVICE-4", vpc_id(4), "10.0.4.0/24"])
def test_a_search_finds_a_vpc_by_name_id_and_cidr_with_its_peers(open_map: OpenMap, word: str) -> None:
    page = open_map(sample_map(10))
    page.get_by_role("searchbox").fill(word)
    assert chips(page) == {vpc_id(number) for number in range(5)} and lines(page) == 4
    assert page.locator("#stage .vpc:visible:not(.dim)").count() == 1
    expect(count(page)).to_contain_text("1 of 10 VPCs · 4 of 20 pairs")
    page.keyboard.press("Enter")
    assert focused(page) == vpc_id(4)


def test_a_click_on_a_line_shows_the_routes_both_ways_and_the_checks_of_explain(open_map: OpenMap) -> None:
    page = open_map(sample_map(10))
    line(page, ACTIVE).dispatch_event("click")
    one, other = vpc_id(0), vpc_id(1)
    assert "They reach each other Checks" in info(page) and "First to fix" not in info(page)
    assert rows(page, f"Routes of {HOSTILE}").all_inner_texts() == [f"rtb-{one[4:]}\t10.0.1.0/24"]
    assert rows(page, "Routes of service-1").all_inner_texts() == [f"rtb-{other[4:]}\t10.0.0.0/24"]
    assert f"peerd explain {one} {other}" in info(page)
    line(page, MISSING).dispatch_event("click")
    assert "They do not reach each other" in info(page) and "missing" in info(page)
    assert "First to fix: they are not peered What to do: wait: the next run requests it" in info(page)
    checks = page.locator("#info .checks li").all_inner_texts()
    assert [check.split("\n")[0] for check in checks] == ["✓ yes", "✕ no"]
    assert "No route leads over a peering" in info(page)
    line(page, PARTLY).dispatch_event("click")
    assert "They reach each other, but not everything does" in info(page)
    line(page, BLOCKED).dispatch_event("click")
    assert "active, but blocked" in info(page) and "They do not reach each other" in info(page)
    line(page, OVERLAPPING).dispatch_event("click")
    page.locator("#info").get_by_role("button", name="they overlap").click()
    assert "renumber one of them" in info(page)


def test_a_click_on_a_vpc_shows_its_findings_and_pairs_and_links_to_them(open_map: OpenMap) -> None:
    page = open_map(sample_map(10))
    chip(page, 4).click()
    assert "service-4" in info(page) and "10.0.4.0/24" in info(page) and "they overlap" in info(page)
    pairs = page.locator("#info [data-pair]")
    assert pairs.count() == 4 and page.locator("#stage .lit .pair").count() == 4
    assert "overlapping" in pairs.first.inner_text(), "the worst state comes first"
    pairs.last.click()
    assert "Routes of" in info(page) and page.locator("#stage .lit .pair").count() == 1
    assert page.locator("#info h2").evaluate("it => it === document.activeElement"), (
        "the focus moves to the details"
    )
    page.keyboard.press("Escape")
    assert "Select a VPC" in info(page)
    assert page.locator("#stage .near").count() == 0 and page.locator("#stage .lit .pair").count() == 0


def test_a_click_near_a_thin_line_selects_it_and_a_drag_does_not(open_map: OpenMap) -> None:
    page = open_map(sample_map(10))
    x, y = line(page, ACTIVE).evaluate(
        """it => {
          const at = it.getPointAtLength(it.getTotalLength() / 2).matrixTransform(it.getScreenCTM());
          return [at.x, at.y];
        }"""
    )
    page.mouse.click(x, y + 3)
    assert page.locator("#stage .lit .pair").count() == 1
    before = info(page)
    picture = page.locator("#stage svg.map")
    before_drag = str(picture.get_attribute("viewBox"))
    page.mouse.move(700, 800)
    page.mouse.down()
    page.mouse.move(760, 740, steps=3)
    page.mouse.up()
    expect(picture).not_to_have_attribute("viewBox", before_drag)
    assert info(page) == before


def test_the_keyboard_alone_focuses_moves_selects_and_deselects(open_map: OpenMap) -> None:
    page = open_map(sample_map(10))
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the map")).to_be_focused()
    assert page.locator("#stage [tabindex='0']").count() == 1, "one tab stop for all VPCs"
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    visited = {focused(page)}
    for arrow in ("ArrowRight", "ArrowDown", "ArrowRight", "ArrowDown", "ArrowLeft", "ArrowUp"):
        page.keyboard.press(arrow)
        visited.add(focused(page))
    assert len(visited) >= 4 and None not in visited
    assert page.locator("#stage [tabindex='0']").get_attribute("data-vpc") == focused(page)
    for select in ("Enter", "Space"):
        page.keyboard.press(select)
        assert str(focused(page)) in info(page)
        assert page.locator("#stage [aria-pressed='true']").get_attribute("data-vpc") == focused(page)
        page.keyboard.press("Escape")
        assert "Select a VPC" in info(page)
    picture = page.locator("#stage svg.map")
    initial = str(picture.get_attribute("viewBox"))
    for zoom, reset in (("+", "0"), ("-", "0")):
        page.keyboard.press(zoom)
        expect(picture).not_to_have_attribute("viewBox", initial)
        page.keyboard.press(reset)
        expect(picture).to_have_attribute("viewBox", initial)


def test_the_focus_is_visible(open_map: OpenMap) -> None:
    page = open_map(sample_map(10))
    for _ in range(20):
        page.keyboard.press("Tab")
        ring = page.evaluate(
            """() => {
              const it = document.activeElement;
              const chip = it.closest("#stage [data-vpc]");
              if (chip) return getComputedStyle(chip.querySelector("rect")).strokeWidth;
              return getComputedStyle(it).outlineWidth;
            }"""
        )
        assert float(ring.removesuffix("px")) >= 2


def test_every_control_has_a_name_and_the_details_are_announced_when_they_change(open_map: OpenMap) -> None:
    page = open_map(sample_map(10))
    for role in ("button", "checkbox", "searchbox", "link"):
        controls = page.get_by_role(role).all()
        assert controls, role
        for control in controls:
            expect(control).to_have_accessible_name(re.compile(r"\w"))
    for role in ("banner", "main", "navigation", "complementary"):
        expect(page.get_by_role(role)).to_have_count(1)
    assert page.locator("#info").get_attribute("aria-live") == "polite"
    expect(page.get_by_role("button", name=f"VPC service-4 ({vpc_id(4)})")).to_have_count(1)
    expect(page.get_by_role("button", name=re.compile("VPC service-4 .*1 finding"))).to_have_count(1)


def test_tables_show_the_same_data_and_follow_the_filters(open_map: OpenMap) -> None:
    page = open_map(sample_map(10))
    page.get_by_role("button", name="Tables").click()
    tables = ("VPCs", "Pairs", "Findings")
    assert [rows(page, name).count() for name in tables] == [10, 20, 1]
    assert chips(page) == set()
    box(page, "mesh-0").uncheck()
    assert [rows(page, name).count() for name in tables] == [5, 10, 0]
    page.get_by_role("searchbox").fill("service-5")
    assert [rows(page, name).count() for name in tables] == [1, 4, 0]
    rows(page, "Pairs").first.get_by_role("button").click()
    assert "Routes of" in info(page)
    page.get_by_role("button", name="Map", exact=True).click()
    assert len(chips(page)) == 5


def test_the_url_keeps_the_search_the_filters_and_the_selection(open_map: OpenMap) -> None:
    page = open_map(sample_map(10))
    box(page, "mesh-1").uncheck()
    page.get_by_role("searchbox").fill("service")
    chip(page, 2).click()
    url = page.url
    page.goto("about:blank")
    page.goto(url)
    assert "service-2" in info(page) and page.locator("#stage .self").count() == 1
    assert not box(page, "mesh-1").is_checked()
    expect(page.get_by_role("searchbox")).to_have_value("service")


def test_a_malicious_name_is_rendered_as_text(open_map: OpenMap) -> None:
    page = open_map(sample_map(10))
    chip(page, 0).click()
    page.get_by_role("button", name="Tables").click()
    assert HOSTILE in info(page) and HOSTILE in page.locator("#tables").inner_text()
    assert page.locator("img").count() == 0 and page.locator("script").count() == 2
    assert page.evaluate("window.pwned") is None


# Returns the texts whose contrast with their background is below the minimum of WCAG.
LOW_CONTRAST_TEXTS = """
() => {
  const channels = (css) => css.match(/[\\d.]+/g).map(Number);
  const linear = (c) => (c / 255 <= 0.03928 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4);
  const luminance = ([r, g, b]) => 0.2126 * r + 0.7152 * g + 0.0722 * b;
  const light = (css) => luminance(channels(css).slice(0, 3).map(linear));
  const clear = (css) => channels(css)[3] === 0;
  const background = (it) => {
    const ground = getComputedStyle(it).backgroundColor;
    return clear(ground) && it.parentElement ? background(it.parentElement) : ground;
  };
  const area = (it) => document.querySelector(`.areas .${it.parentElement.getAttribute("class")}`);
  const shape = (it) => it.closest(".badge") ? it.parentElement.querySelector("circle")
    : (it.closest(".vpc") ?? area(it)).querySelector("rect");
  const colors = (it) => it.closest("#stage svg")
    ? [getComputedStyle(it).fill, getComputedStyle(shape(it)).fill]
    : [getComputedStyle(it).color, background(it)];
  const contrast = (it) => {
    const [a, b] = colors(it).map(light).sort((x, y) => y - x);
    return (a + 0.05) / (b + 0.05);
  };
  const own = (it) => [...it.childNodes].some((child) => child.nodeType === 3 && child.data.trim());
  const texts = [...document.querySelectorAll("body *:not(script, title)")].filter(own);
  const visible = texts.filter((it) => it.checkVisibility());
  const faint = visible.filter((it) => contrast(it) < 4.5);
  return [visible.length, faint.map((it) => `${it.textContent}: ${contrast(it)}`)];
}
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_enough_contrast_in_light_and_dark_mode(open_map: OpenMap, scheme: str) -> None:
    page = open_map(sample_map(10), scheme)
    for selector in ("body", "#stage svg.map"):
        ground = page.locator(selector).evaluate("it => getComputedStyle(it).backgroundColor")
        assert (sum(map(int, re.findall(r"\d+", ground))) > 600) is (scheme == "light"), selector
    for number in (None, ACTIVE, MISSING, PARTLY):
        if number is not None:
            line(page, number).dispatch_event("click")
        texts, faint = page.evaluate(LOW_CONTRAST_TEXTS)
        assert texts > 60 and not faint
    page.get_by_role("button", name="Tables").click()
    assert not page.evaluate(LOW_CONTRAST_TEXTS)[1]


def test_meshes_have_distinct_colors_and_states_distinct_dashes(open_map: OpenMap) -> None:
    page = open_map(sample_map(16, meshes=8))
    style = "(all, name) => all.map(it => getComputedStyle(it)[name])"
    swatches = page.locator("#filters [name='mesh']").evaluate_all(style, "backgroundColor")
    assert len(set(swatches)) == 8
    page = open_map(sample_map(10))
    dashes = {
        name: page.locator("#stage .pair")
        .and_(page.locator(f".{name}"))
        .first.evaluate("it => getComputedStyle(it).strokeDasharray")
        for name in ("active", "waiting", "broken")
    }
    assert len(set(dashes.values())) == 3 and dashes["active"] == "none"


OVERLAPPING_CHIPS = """
() => {
  const boxes = [...document.querySelectorAll("#stage .vpc > rect")].map((it) => it.getBoundingClientRect());
  const beside = (a, b) => a.right <= b.left || a.bottom <= b.top;
  const apart = (a, b) => beside(a, b) || beside(b, a);
  return boxes.filter((a, n) => boxes.slice(n + 1).some((b) => !apart(a, b))).length;
}
"""


def test_five_hundred_vpcs_load_filter_and_do_not_overlap(open_map: OpenMap) -> None:
    page = open_map(sample_map(500, meshes=10))
    assert len(chips(page)) == 500
    expect(count(page)).to_have_text("500 VPCs · 12,250 pairs · 1 finding")
    assert page.evaluate(OVERLAPPING_CHIPS) == 0
    chip(page, 499).dispatch_event("click")
    assert page.locator("#stage .lit .pair").count() == 49
    page.get_by_role("searchbox").fill("service-499")
    expect(count(page)).to_contain_text("1 of 500 VPCs · 49 of 12,250 pairs")
    page.get_by_role("button", name="Show all").click()
    page.get_by_role("button", name="Tables").click()
    expect(rows(page, "Pairs")).to_have_count(100)
    page.get_by_role("button", name="Show more Pairs").click()
    expect(rows(page, "Pairs")).to_have_count(200)


def test_names_of_five_hundred_vpcs_are_shown_when_they_are_large_enough(open_map: OpenMap) -> None:
    page = open_map(sample_map(500, meshes=10))
    picture = page.locator("#stage svg.map")
    expect(picture).to_have_class(re.compile("farther"))
    expect(chip(page, 1).locator(".name")).to_be_hidden()
    zoom_in = page.get_by_role("button", name="Zoom in")
    zoom_in.click(click_count=3)
    expect(picture).not_to_have_class(re.compile("farther"))
    expect(chip(page, 1).locator(".name")).to_be_visible()
    expect(chip(page, 1).locator(".cidrs")).to_be_hidden()
    expect(page.get_by_text("Select a VPC to see its lines")).to_be_visible()
    middle, details = page.locator("main").bounding_box(), page.locator("#info").bounding_box()
    assert middle and details and middle["x"] + middle["width"] <= details["x"]
    zoom_in.click(click_count=3)
    expect(chip(page, 1).locator(".cidrs")).to_be_visible()


def test_a_narrow_window_shows_everything_without_clipping(open_map: OpenMap) -> None:
    page = open_map(sample_map(10), width=380)
    assert page.evaluate("document.documentElement.scrollWidth") <= 380
    assert len(chips(page)) == 10
    expect(box(page, "mesh-1")).to_be_hidden()
    page.get_by_text("Legend and filters").click()
    box(page, "mesh-1").uncheck()
    page.get_by_text("Legend and filters").click()
    assert len(chips(page)) == 5
    chip(page, 4).click()
    expect(page.locator("#info h2")).to_be_in_viewport()


def test_an_empty_map_shows_how_to_begin(open_map: OpenMap) -> None:
    page = open_map({"vpcs": [], "pairs": [], "findings": []})
    expect(page.get_by_text("No VPC asks for a mesh yet.")).to_be_visible()
    expect(count(page)).to_have_text("0 VPCs · 0 pairs · 0 findings")
    assert "Nothing is open" in info(page)
