"""A page of `peerd map` in a browser, for the tests of this folder."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.e2e.browser import chromium
from tests.e2e.cli import Peerd
from tests.e2e.conftest import functions_directory
from tests.e2e.map_page.locators import OpenMap, Render


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
