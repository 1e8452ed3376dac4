"""The parts of the page, as a reader finds them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from playwright.sync_api import Locator, Page, expect

from tests.e2e.map_page.sample_maps import vpc_id

Render = Callable[[dict[str, Any]], Path]
OpenMap = Callable[..., Page]


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


def box(page: Page, name: str, group: str = "") -> Locator:
    """Returns the checkbox with this name, in the group with this title."""
    within = page.get_by_role("group", name=group, exact=True) if group else page
    return within.get_by_role("checkbox", name=name, exact=True)


def show(page: Page, view: str) -> None:
    """Switches to the map, the matrix or the tables."""
    button = page.get_by_role("group", name="View").get_by_role("button", name=view)
    button.click()
    expect(button).to_have_attribute("aria-pressed", "true")


def rows(page: Page, table: str) -> Locator:
    """Returns the rows of a table."""
    return page.get_by_role("table", name=table).locator("tbody tr")


def focused(page: Page) -> str | None:
    """Returns the VPC that has the focus."""
    return page.evaluate("document.activeElement.dataset.vpc")


def count(page: Page) -> Locator:
    """Returns the counts in the header."""
    return page.locator("#count")


def notes(page: Page) -> list[str]:
    """Returns the numbers of the pairs whose line has a mark of a finding."""
    return page.locator("#stage .notes > :not(.off)").evaluate_all("all => all.map(it => it.dataset.pair)")


def marks(page: Page) -> dict[str, str]:
    """Returns the VPCs that have a word for their state on the map, with the word."""
    words = "all => all.map(it => [it.closest('[data-vpc]').dataset.vpc, it.textContent])"
    return dict(page.locator("#stage .state:visible").evaluate_all(words))


def cell(page: Page) -> Locator:
    """Returns the cell of the matrix that has, or gets, the focus."""
    return page.get_by_role("gridcell")


def key(page: Page) -> dict[str, str]:
    """Returns the number of pairs of each kind in the key of the matrix."""
    items = page.get_by_role("list", name="Kinds of cells").get_by_role("listitem").all()
    texts = [item.inner_text().split("\n") for item in items]
    return {kind.strip(): number for kind, number in texts}


def drawn_cells(page: Page) -> list[list[str]]:
    """Returns the kind of each cell of the matrix, as it is drawn."""
    return page.evaluate(
        """() => {
          const paths = [...document.querySelectorAll("#cells .kinds path")];
          const steps = [...document.querySelectorAll("#rows text")].map((_, n) => n + .5);
          const kind = (x, y) => paths.filter((it) => it.isPointInFill(new DOMPoint(x, y)));
          return steps.map((y) => steps.map((x) => kind(x, y).map((it) => it.getAttribute("class")).join()));
        }"""
    )
