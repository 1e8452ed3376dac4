"""The parts of the page, as a reader finds them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from playwright.sync_api import Locator, Page

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
