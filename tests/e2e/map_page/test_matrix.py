"""The matrix: VPC by VPC, what is connected and what is not."""

from collections import Counter

from playwright.sync_api import Page, expect

from tests.e2e.map_page.locators import OpenMap, box, cell, drawn_cells, info, key, show
from tests.e2e.map_page.sample_maps import REFUSED, sample_map, troubled_map, vpc_id


def _matrix(open_map: OpenMap, document: dict, width: int = 1500) -> Page:
    page = open_map(document, width=width)
    show(page, "Matrix")
    expect(page.get_by_role("region", name="Matrix")).to_be_visible()
    return page


def _go_to(page: Page, row: int, column: int) -> None:
    """Moves the focus to a cell, by the keyboard alone."""
    cell(page).focus()
    for _ in range(20):
        page.keyboard.press("ArrowUp")
    page.keyboard.press("Home")
    for arrow, steps in (("ArrowDown", row), ("ArrowRight", column)):
        for _ in range(steps):
            page.keyboard.press(arrow)


def _pair(one: str, other: str) -> str:
    return f"{one} \N{EN DASH} {other}"


def _rows(page: Page) -> list[str]:
    return page.locator("#rows text").all_text_contents()


def test_each_cell_is_connected_waiting_overlapping_not_connected_or_in_no_common_mesh(
    open_map: OpenMap,
) -> None:
    page = _matrix(open_map, troubled_map())
    kinds = drawn_cells(page)
    assert [[kinds[column][row] for column in range(10)] for row in range(10)] == kinds, "symmetric"
    drawn = Counter(kind for row in kinds for kind in row)
    assert drawn.pop("same") == 10
    assert drawn == {
        "connected": 2 * 12,
        "waiting": 2,
        "overlap": 2,
        "blocked": 2 * 2,
        "unconnected": 2 * 4,
        "apart": 2 * 25,
    }
    assert key(page) == {
        "connected": "12",
        "waiting": "1",
        "CIDRs overlap": "1",
        "not connected": "2",
        "common mesh, no pair": "4",
        "no mesh in common": "25",
    }
    row = _rows(page).index("service-1")
    peers = {_rows(page)[column]: kind for column, kind in enumerate(kinds[row])}
    assert (peers["service-4"], peers["service-2"], peers["service-7"]) == ("connected", "blocked", "apart")
    assert sum("(refused)" in name for name in _rows(page)) == 1
    assert page.locator("#columns text").all_text_contents() == _rows(page)


def test_kinds_of_cells_differ_by_more_than_their_color(open_map: OpenMap) -> None:
    page = _matrix(open_map, troubled_map())
    shapes = page.locator("#cells pattern").evaluate_all(
        """all => all.map(({ children }) =>
          [...children].map(it => it.getAttribute("class") + it.getAttribute("d")).join())"""
    )
    # Of the two that are alike, one has the color of the background.
    assert len(shapes) == 11 and len(set(shapes)) == 10


def test_a_click_on_a_cell_shows_the_pair(open_map: OpenMap) -> None:
    page = _matrix(open_map, sample_map(10))
    row, column = (_rows(page).index(name) for name in ("service-4", "service-1"))
    side = page.locator("#cells").bounding_box()["width"] / 10
    page.locator("#cells").click(position={"x": (column + 0.5) * side, "y": (row + 0.5) * side})
    assert _pair("service-1", "service-4") in info(page) and "Routes of service-4" in info(page)
    assert "They can reach each other" in info(page)
    expect(cell(page)).to_have_accessible_name(_pair("service-4", "service-1") + ": connected, mesh-0")
    assert page.locator("#cells .marks .self").count() == 2, "the pair is marked in both halves"
    page.keyboard.press("Escape")
    assert page.locator("#cells .marks .self").count() == 0
    page.locator("#info").get_by_role("button", name="they overlap").click()
    assert page.locator("#cells .marks .self").count() == 2, "so is the pair of a finding"
    page.locator("#rows").get_by_text("service-8").click()
    assert "Pairs (4)" in info(page)
    show(page, "Map")
    assert page.locator("#stage .self").get_attribute("data-vpc") == vpc_id(8)


def test_a_cell_without_a_pair_says_why_and_how_to_learn_more(open_map: OpenMap) -> None:
    page = _matrix(open_map, troubled_map())
    names = _rows(page)
    _go_to(page, names.index("service-1"), names.index("service-7"))
    page.keyboard.press("Enter")
    assert "No mesh connects them They have no mesh in common." in info(page)
    assert "Meshes mesh-0 Status joined mesh-0" in info(page)
    assert f"peerd explain {vpc_id(1)} {vpc_id(7)}" in info(page)
    refused = next(name for name in names if "(refused)" in name)
    _go_to(page, names.index(refused), names.index("service-7"))
    page.keyboard.press("Enter")
    assert "Both request mesh-1, which does not connect them" in info(page)
    assert "refused mesh-1: mesh is not declared" in info(page)
    page.locator("#info").get_by_role("button", name=vpc_id(REFUSED)).click()
    assert f"Id {vpc_id(REFUSED)}" in info(page)


def test_the_keyboard_alone_moves_from_cell_to_cell_and_selects(open_map: OpenMap) -> None:
    page = _matrix(open_map, sample_map(10))
    grid = page.get_by_role("grid", name="VPC by VPC")
    expect(grid).to_have_attribute("aria-rowcount", "10")
    page.get_by_role("button", name="Matrix").focus()
    for _ in range(60):
        if cell(page).evaluate("it => it === document.activeElement"):
            break
        page.keyboard.press("Tab")
    expect(cell(page)).to_be_focused()
    names = _rows(page)
    _go_to(page, names.index("service-1"), names.index("service-2"))
    expect(cell(page)).to_be_focused()
    words = _pair("service-1", "service-2") + ": not connected, active, but blocked, mesh-0"
    expect(cell(page)).to_have_accessible_name(words)
    expect(page.locator("#under")).to_have_text(words)
    assert cell(page).get_attribute("aria-colindex") == str(names.index("service-2") + 1)
    assert float(cell(page).evaluate("it => getComputedStyle(it).outlineWidth").removesuffix("px")) >= 2
    page.keyboard.press("End")
    expect(cell(page)).to_have_attribute("aria-colindex", "10")
    page.keyboard.press("ArrowRight")
    expect(cell(page)).to_have_attribute("aria-colindex", "10")
    page.keyboard.press("Home")
    page.keyboard.press("PageDown")
    expect(cell(page)).to_have_attribute("aria-colindex", "1")
    page.keyboard.press("Space")
    assert "Meshes" in info(page)
    expect(cell(page)).to_be_focused()
    page.keyboard.press("Escape")
    assert "Select a VPC" in info(page)


def test_the_matrix_follows_the_search_and_the_filters(open_map: OpenMap) -> None:
    page = _matrix(open_map, sample_map(10))
    assert len(_rows(page)) == 10 and "hidden by the filters" not in key(page)
    box(page, "mesh-1").uncheck()
    assert len(_rows(page)) == 5
    box(page, "active").uncheck()
    assert key(page)["connected"] == "0" and key(page)["hidden by the filters"] == "6"
    page.get_by_role("button", name="Show all").click()
    page.get_by_role("searchbox").fill("service-7")
    assert len(_rows(page)) == 5 and "service-7" in _rows(page)
    page.get_by_role("searchbox").fill("nothing has this name")
    expect(page.get_by_text("Nothing matches the search and the filters.")).to_be_visible()
    expect(cell(page)).to_have_count(0)


def test_the_url_keeps_the_view_and_a_selection_without_a_pair(open_map: OpenMap) -> None:
    page = _matrix(open_map, sample_map(10))
    names = _rows(page)
    _go_to(page, names.index("service-1"), names.index("service-7"))
    page.keyboard.press("Enter")
    url = page.url
    page.goto("about:blank")
    page.goto(url)
    expect(page.get_by_role("region", name="Matrix")).to_be_visible()
    assert "No mesh connects them" in info(page) and _pair("service-1", "service-7") in info(page)


def test_five_hundred_vpcs_fit_in_the_matrix_and_have_names_when_it_is_zoomed(open_map: OpenMap) -> None:
    page = _matrix(open_map, sample_map(500, meshes=10))
    assert key(page) == {
        "connected": "12,246",
        "waiting": "1",
        "CIDRs overlap": "1",
        "not connected": "2",
        "common mesh, no pair": "0",
        "no mesh in common": "112,500",
    }
    assert _rows(page) == [f"mesh-{number}" for number in range(10)]
    fits = "it => it.scrollWidth <= it.clientWidth && it.scrollHeight <= it.clientHeight"
    assert page.locator("#scroll").evaluate(fits)
    zoom_in = page.get_by_role("button", name="Zoom in")
    zoom_in.click(click_count=7)
    assert len(_rows(page)) == 500 and not page.locator("#scroll").evaluate(fits)
    cell(page).focus()
    page.keyboard.press("End")
    expect(cell(page)).to_be_in_viewport()
    page.get_by_role("button", name="Fit").click()
    assert page.locator("#scroll").evaluate(fits)


def test_the_matrix_of_a_narrow_window_scrolls_inside_of_it(open_map: OpenMap) -> None:
    page = _matrix(open_map, sample_map(10), width=380)
    assert page.evaluate("document.documentElement.scrollWidth") <= 380
    expect(page.locator("#cells")).to_be_in_viewport()
    _go_to(page, 9, 0)
    expect(cell(page)).to_be_in_viewport(ratio=1)
