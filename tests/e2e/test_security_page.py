"""docs/security.md: each answer to an attack links to the test that demonstrates it. Needs no sandbox."""

import re

from tests.e2e.test_comparison import LINK, ROOT, link_problem

PAGE = ROOT / "docs" / "security.md"
RESULTS = {"safe", "limited", "open", "by design"}


def attacks() -> dict[int, list[str]]:
    """Returns the cells of each attack by its number."""
    rows = re.findall(r"^\| (\d+) \|(.*)\|$", PAGE.read_text(), re.MULTILINE)
    return {int(number): [cell.strip() for cell in rest.split(" | ")] for number, rest in rows}


def test_the_page_answers_every_attack_with_one_of_four_results() -> None:
    found = attacks()
    assert list(found) == list(range(1, 39))
    assert {number for number, cells in found.items() if cells[3] not in RESULTS} == set()


def test_each_attack_that_is_prevented_or_limited_links_to_a_test() -> None:
    prevented = {number for number, cells in attacks().items() if cells[3] in {"safe", "limited"}}
    linked = {number for number, cells in attacks().items() if LINK.search(cells[2])}
    assert prevented - linked == set()


def test_each_link_to_a_test_names_one_that_exists() -> None:
    links = [link for link in LINK.finditer(PAGE.read_text()) if link["text"] == "test"]
    found = [problem for link in links if (problem := link_problem(link, PAGE.parent))]
    assert len(links) > 25
    assert not found, "\n".join(found)
