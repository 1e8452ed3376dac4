"""A headless Chromium."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Playwright, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
OPTIONS = (
    "--no-sandbox",  # CI is root in a container, and the page is our own
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def _find(playwright: Playwright) -> str:
    configured = os.environ.get("PEERD_CHROMIUM")
    found = configured or next(filter(None, map(shutil.which, NAMES)), playwright.chromium.executable_path)
    if not Path(found).exists():
        message = f"no Chromium at {found}: install chromium or Google Chrome, or set PEERD_CHROMIUM to one"
        (pytest.fail if configured else pytest.skip)(message)
    return found


@contextmanager
def chromium() -> Iterator[Browser]:
    """Starts a browser and closes it at the end."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=_find(playwright), args=list(OPTIONS))
        try:
            yield browser
        finally:
            browser.close()
