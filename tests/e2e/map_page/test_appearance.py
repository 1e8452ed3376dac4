"""How the page is used and read: keyboard, screen reader, contrast, size."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.e2e.map_page.locators import (
    OpenMap,
    Render,
    box,
    chip,
    chips,
    count,
    focused,
    info,
    line,
    rows,
    show,
)
from tests.e2e.map_page.sample_maps import (
    ACTIVE,
    MISSING,
    PARTLY,
    as_explained,
    planned_map,
    sample_map,
    troubled_map,
    vpc_id,
)


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
  const area = (it) => document.querySelector(`.areas .${it.closest("g").getAttribute("class")}`);
  const shape = (it) => it.closest(".badge") ? it.parentElement.querySelector("circle")
    : (it.closest(".state, .vpc") ?? area(it)).querySelector("rect");
  const ground = (it) => it.closest("#stage") ? getComputedStyle(shape(it)).fill : background(it);
  const colors = (it) => it.closest("svg")
    ? [getComputedStyle(it).fill, ground(it)]
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
    page = open_map(troubled_map(), scheme)
    for selector in ("body", "#stage svg.map"):
        ground = page.locator(selector).evaluate("it => getComputedStyle(it).backgroundColor")
        assert (sum(map(int, re.findall(r"\d+", ground))) > 600) is (scheme == "light"), selector
    for number in (None, ACTIVE, MISSING, PARTLY):
        if number is not None:
            line(page, number).dispatch_event("click")
        texts, faint = page.evaluate(LOW_CONTRAST_TEXTS)
        assert texts > 60 and not faint
    for view in ("Matrix", "Tables"):
        show(page, view)
        assert not page.evaluate(LOW_CONTRAST_TEXTS)[1]


@pytest.mark.parametrize("width", [1500, 400])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("sample", [troubled_map, planned_map])
def test_axe_finds_no_violation_in_any_view(
    open_map: OpenMap, sample: Callable[[], dict[str, Any]], scheme: str, width: int
) -> None:
    page = open_map(sample(), scheme, width)
    for view in ("Map", "Matrix", "Tables"):
        show(page, view)
        for number in (None, ACTIVE, MISSING):
            if number is not None:
                line(page, number).dispatch_event("click")
            result = Axe().run(page)
            assert result.response["passes"] and not result.violations_count, result.generate_report()


def test_meshes_have_distinct_colors_and_states_distinct_dashes(open_map: OpenMap) -> None:
    page = open_map(sample_map(32, meshes=16))
    style = "(all, name) => all.map(it => getComputedStyle(it)[name])"
    swatches = page.locator("#filters [name='mesh']").evaluate_all(style, "backgroundColor")
    assert len(set(swatches)) == 16
    page = open_map(sample_map(10))
    dashes = {
        name: page.locator("#stage .pair")
        .and_(page.locator(f".{name}"))
        .first.evaluate("it => getComputedStyle(it).strokeDasharray")
        for name in ("active", "waiting", "broken")
    }
    assert len(set(dashes.values())) == 3 and dashes["active"] == "none"


def test_a_page_of_five_hundred_vpcs_is_smaller_than_two_megabytes(render: Render) -> None:
    assert render(as_explained(sample_map(500, meshes=10))).stat().st_size < 2_000_000


def test_paper_shows_the_view_the_details_and_the_legend_without_controls(open_map: OpenMap) -> None:
    page = open_map(troubled_map(), "dark")
    line(page, MISSING).dispatch_event("click")
    page.emulate_media(media="print", color_scheme="dark")
    for role in ("searchbox", "link"):
        expect(page.get_by_role(role)).to_have_count(0)
    expect(page.get_by_role("button", name="Tables")).to_have_count(0)
    expect(page.get_by_text("They cannot reach each other")).to_be_visible()
    expect(box(page, "mesh-1")).to_be_visible()
    ground = page.locator("#stage svg.map").evaluate("it => getComputedStyle(it).backgroundColor")
    assert ground == "rgb(255, 255, 255)", "dark mode wastes ink"
    assert chip(page, 4).bounding_box(), "the picture is shown"
    assert page.locator("#info").evaluate("it => it.scrollHeight <= it.clientHeight"), "nothing is cut off"


def test_paper_shows_every_row_and_the_whole_matrix(open_map: OpenMap) -> None:
    page = open_map(sample_map(50, meshes=1))
    show(page, "Tables")
    expect(rows(page, "Pairs")).to_have_count(100)
    page.emulate_media(media="print")
    expect(rows(page, "Pairs")).to_have_count(1225)
    page.emulate_media(media="screen")
    show(page, "Matrix")
    for _ in range(8):
        page.keyboard.press("+")
    assert page.locator("#cells").bounding_box()["width"] > 1900
    page.emulate_media(media="print")
    page.wait_for_function("""() => {
      const { width, height } = document.querySelector("#cells").getBoundingClientRect();
      return width > 200 && width < 1046 && height < 718;
    }""")
    page.emulate_media(media="screen")
    expect(page.get_by_role("searchbox")).to_be_visible()


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
    show(page, "Tables")
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
