"""What the page shows of a map: VPCs, pairs, findings, filters, search, details, tables."""

import re

import pytest
from playwright.sync_api import expect

from tests.e2e.map_page.locators import (
    OpenMap,
    box,
    chip,
    chips,
    count,
    focused,
    info,
    key,
    line,
    lines,
    marks,
    notes,
    rows,
    show,
)
from tests.e2e.map_page.sample_maps import (
    ACCOUNTS,
    ACTIVE,
    BLOCKED,
    CREATED,
    DELETED,
    HOSTILE,
    IN_PART,
    MINUS,
    MISSING,
    OVERLAPPING,
    PARTLY,
    REFUSED,
    REGIONS,
    UNREAD,
    UNTAGGED,
    UPDATED,
    WAITING,
    planned_map,
    sample_map,
    troubled_map,
    vpc_id,
)


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
    expect(page.get_by_text("Nothing matches the search and the filters.")).to_be_visible()


@pytest.mark.parametrize("word", ["SERVICE-4", vpc_id(4), "10.0.4.0/24"])
def test_a_search_finds_a_vpc_by_name_id_and_cidr_with_its_peers(open_map: OpenMap, word: str) -> None:
    page = open_map(sample_map(10))
    page.get_by_role("searchbox").fill(word)
    assert chips(page) == {vpc_id(number) for number in range(5)} and lines(page) == 4
    assert page.locator("#stage .vpc:visible:not(.dim)").count() == 1
    expect(count(page)).to_contain_text("1 of 10 VPCs · 4 of 20 pairs")
    page.keyboard.press("Enter")
    assert focused(page) == vpc_id(4)


def test_a_search_for_a_peering_finds_its_two_vpcs(open_map: OpenMap) -> None:
    page = open_map(sample_map(10))
    page.get_by_role("searchbox").fill(f"pcx-{BLOCKED:017x}")
    assert chips(page) == {vpc_id(1), vpc_id(2)}
    expect(count(page)).to_contain_text("2 of 10 VPCs · 1 of 20 pairs")


def test_a_vpc_that_is_refused_waiting_or_unreadable_is_marked_as_such(open_map: OpenMap) -> None:
    page = open_map(troubled_map())
    apart = {REFUSED: "refused", WAITING: "waiting", UNREAD: "unreadable"}
    assert marks(page) == {vpc_id(number): word for number, word in apart.items()}
    style = "it => getComputedStyle(it.querySelector('rect')).strokeDasharray"
    dashes = [chip(page, number).evaluate(style) for number in (*apart, UNTAGGED)]
    assert dashes[0] == dashes[3] == "none" and len(set(dashes)) == 3
    for number, word in (*apart.items(), (IN_PART, "joined in part"), (UNTAGGED, "no status"), (2, "joined")):
        expect(chip(page, number)).to_have_accessible_name(re.compile(f", {word}(, . findings?)?$"))
        chip(page, number).dispatch_event("click")
        assert f"State {word}" in info(page)
    show(page, "Tables")
    for number, word in apart.items():
        expect(rows(page, "VPCs").filter(has_text=vpc_id(number)).first).to_contain_text(word)


def test_filters_by_the_state_of_vpcs_and_by_finding(open_map: OpenMap) -> None:
    page = open_map(troubled_map())
    page.get_by_role("button", name="State of VPCs: all or none").click()
    assert not chips(page)
    box(page, "refused", "State of VPCs").check()
    box(page, "waiting", "State of VPCs").check()
    assert chips(page) == {vpc_id(REFUSED), vpc_id(WAITING)} and lines(page) == 0
    page.get_by_role("button", name="Show all").click()
    page.get_by_role("button", name="Finding: all or none").click()
    box(page, "overlap", "Finding").check()
    assert chips(page) == {vpc_id(0), vpc_id(4)} and lines(page) == 1
    expect(count(page)).to_have_text("2 of 10 VPCs · 1 of 16 pairs · 1 of 6 findings")
    box(page, "overlap", "Finding").uncheck()
    box(page, "paused", "Finding").check()
    assert chips(page) == {vpc_id(number) for number in range(5, 10)} and lines(page) == 0
    box(page, "paused", "Finding").uncheck()
    box(page, "no finding", "Finding").check()
    assert chips(page) == {vpc_id(3)} and lines(page) == 0


def test_findings_are_marked_where_they_are(open_map: OpenMap) -> None:
    page = open_map(troubled_map())
    with_badge = "all => all.map(it => it.closest('[data-vpc]').dataset.vpc)"
    badges = page.locator("#stage .vpc .badge").evaluate_all(with_badge)
    assert set(badges) == {vpc_id(number) for number in (0, 4, 1, 2, REFUSED)}
    assert set(notes(page)) == {str(OVERLAPPING), str(BLOCKED)}
    page.locator(f"#stage .notes [data-pair='{BLOCKED}']").click()
    assert "10.0.1.0/24 is routed to igw-1 rtb" in info(page)
    region = page.locator("#stage .titles").get_by_text("! unreadable")
    region.click()
    assert "Finding: unreadable" in info(page) and "VPCs (1) service-5" in info(page)
    page.get_by_role("button", name="Finding about mesh-1: paused").click()
    assert "Fix: resolve: 2 changes pending" in info(page) and "VPCs (5)" in info(page)
    assert page.locator("#stage .self").count() == 5
    page.keyboard.press("Escape")
    page.locator("#info").get_by_role("button", name="unknown-requester").click()
    assert "Finding: unknown-requester" in info(page) and "VPCs" not in info(page)


def test_the_details_of_a_vpc_and_of_a_pair_have_the_remedies_of_their_findings(open_map: OpenMap) -> None:
    page = open_map(troubled_map())
    chip(page, REFUSED).click()
    assert "! refused requests mesh-1: mesh is not declared" in info(page)
    assert "Fix: resolve: requests mesh-1: mesh is not declared" in info(page)
    line(page, OVERLAPPING).dispatch_event("click")
    findings = page.locator("#info").get_by_role("button", name="they overlap")
    expect(findings).to_contain_text("Fix: renumber one of them")


def test_a_click_on_a_line_shows_the_routes_both_ways_and_the_checks_of_explain(open_map: OpenMap) -> None:
    page = open_map(sample_map(10))
    line(page, ACTIVE).dispatch_event("click")
    one, other = vpc_id(0), vpc_id(1)
    assert "They can reach each other Checks" in info(page) and "Blocking" not in info(page)
    assert rows(page, f"Routes of {HOSTILE}").all_inner_texts() == [f"rtb-{one[4:]}\t10.0.1.0/24"]
    assert rows(page, "Routes of service-1").all_inner_texts() == [f"rtb-{other[4:]}\t10.0.0.0/24"]
    assert f"peerd explain {one} {other}" in info(page)
    line(page, MISSING).dispatch_event("click")
    assert "They cannot reach each other" in info(page) and "missing" in info(page)
    assert "Blocking: they have no peering Fix: wait: the next run requests it" in info(page)
    checks = page.locator("#info .checks li").all_inner_texts()
    assert [check.split("\n")[0] for check in checks] == ["✓ pass", "✕ fail"]
    assert "No route uses a peering" in info(page)
    line(page, PARTLY).dispatch_event("click")
    assert "They can reach each other, with restrictions" in info(page)
    line(page, BLOCKED).dispatch_event("click")
    assert "active, but blocked" in info(page) and "They cannot reach each other" in info(page)
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


def test_tables_show_the_same_data_and_follow_the_filters(open_map: OpenMap) -> None:
    page = open_map(sample_map(10))
    show(page, "Tables")
    tables = ("VPCs", "Pairs", "Findings")
    assert [rows(page, name).count() for name in tables] == [10, 20, 1]
    assert chips(page) == set()
    box(page, "mesh-0").uncheck()
    assert [rows(page, name).count() for name in tables] == [5, 10, 0]
    page.get_by_role("searchbox").fill("service-5")
    assert [rows(page, name).count() for name in tables] == [1, 4, 0]
    rows(page, "Pairs").first.get_by_role("button").click()
    assert "Routes of" in info(page)
    show(page, "Map")
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
    show(page, "Tables")
    assert HOSTILE in info(page) and HOSTILE in page.locator("#tables").inner_text()
    show(page, "Matrix")
    assert HOSTILE[:15] in page.locator("#rows").text_content()
    assert page.locator("img").count() == 0 and page.locator("script").count() == 2
    assert page.evaluate("window.pwned") is None


def test_the_map_of_a_plan_shows_what_it_creates_changes_and_deletes(open_map: OpenMap) -> None:
    page = open_map(planned_map())
    expect(count(page)).to_have_text("10 VPCs · 20 pairs · 1 finding · 7 changes")
    assert "7 changes in the plan" in info(page)
    for sign, word in (("+", "create"), ("~", "update"), (MINUS, "delete")):
        assert f"{sign} {word} 1 pair" in info(page)
    signs = page.locator("#stage .notes .change").evaluate_all(
        "all => all.map(it => [it.dataset.pair, it.textContent])"
    )
    assert dict(signs) == {str(CREATED): "+", str(UPDATED): "~", str(DELETED): MINUS}
    strokes = {
        line(page, number).evaluate("it => getComputedStyle(it).stroke")
        for number in (CREATED, UPDATED, DELETED, 7)
    }
    assert len(strokes) == 4, "each kind of change has its own color"
    line(page, DELETED).dispatch_event("click")
    assert f"{MINUS} Deleted by the plan Planned changes (2) - peering of 12 - route of 12" in info(page)
    chip(page, 1).click()
    assert "~ Changed by the plan Planned changes (1) * vpc status joined mesh-0" in info(page)
    page.get_by_role("button", name="Change of pairs: all or none").click()
    assert lines(page) == 0
    box(page, "create", "Change of pairs").check()
    assert lines(page) == 1 and line(page, CREATED).is_visible()
    show(page, "Tables")
    expect(rows(page, "Pairs").first).to_contain_text("create")
    page.get_by_role("button", name="Show all").click()
    show(page, "Matrix")
    texts = key(page)
    assert texts["created by the plan"] == texts["changed by the plan"] == texts["deleted by the plan"] == "1"


def test_the_map_of_an_empty_plan_and_of_a_deployment_have_no_changes(open_map: OpenMap) -> None:
    page = open_map({**sample_map(10), "changes": 0})
    assert "The plan changes nothing" in info(page)
    assert page.locator("#stage .change").count() == 0
    page = open_map(sample_map(10))
    assert "plan" not in info(page) and page.get_by_role("group", name="Change of pairs").count() == 0


def test_an_empty_map_shows_how_to_begin(open_map: OpenMap) -> None:
    page = open_map({"vpcs": [], "pairs": [], "findings": []})
    expect(page.get_by_text("No VPC requests a mesh yet.")).to_be_visible()
    expect(count(page)).to_have_text("0 VPCs · 0 pairs · 0 findings")
    assert "No open findings" in info(page)
