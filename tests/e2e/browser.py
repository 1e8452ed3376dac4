"""A headless Chromium, wherever there is one."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Playwright, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
QUIET = (
    "--no-sandbox",  # CI is root in a container, and the page is our own
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def _find(playwright: Playwright) -> str:
    named = os.environ.get("PEERD_CHROMIUM")
    found = named or next(filter(None, map(shutil.which, NAMES)), playwright.chromium.executable_path)
    if not Path(found).exists():
        pytest.fail(
            f"no Chromium at {found}: install chromium or Google Chrome, run `playwright install chromium`, "
            "or name one in PEERD_CHROMIUM"
        )
    return found


@contextmanager
def chromium() -> Iterator[Browser]:
    """Starts one, and ends it."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=_find(playwright), args=list(QUIET))
        try:
            yield browser
        finally:
            browser.close()
