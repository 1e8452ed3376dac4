"""docs/architecture.md names functions, types and files that exist."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "architecture.md"
CODE = "\n".join(
    file.read_text()
    for folder in ("shared", "functions", "cli", "tests")
    for file in sorted((ROOT / folder).rglob("*.*"))
    if file.suffix in {".rs", ".py"}
)
# Words in backticks that are not functions: an outcome, a command and a field.
OTHER = {"demo", "everywhere", "peerd", "waiting"}
NAMES = sorted(set(re.findall(r"`(?:[A-Z]\w+::)?([a-z]\w*_\w+|[a-z]+)`", PAGE.read_text())) - OTHER)
LINKS = sorted(set(re.findall(r"\]\((\.\./[^)#]+)", PAGE.read_text())))


def test_the_page_names_the_functions_of_the_flows() -> None:
    assert {"handle", "reconcile", "observe_all", "plan", "apply", "begin_sweep", "preview"} <= set(NAMES)


def test_the_functions_that_the_page_names_exist() -> None:
    assert [name for name in NAMES if not re.search(rf"\b(fn|def|mod) {name}\b", CODE)] == []


def test_the_files_that_the_page_links_exist() -> None:
    assert [link for link in LINKS if not (PAGE.parent / link).exists()] == []
