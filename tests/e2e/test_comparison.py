"""The comparison in README.md: what it claims for peerd leads to the test that shows it; needs no sandbox."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# What a cell may say without a test, because it claims nothing.
UNCLAIMED = {"no", "not yet"}

_LINK = re.compile(r'\[(?P<says>[^\]]+)\]\((?P<file>[^\s)]+)(?:\s+"(?P<test>[^"]*)")?\)')
_BETWEEN = re.compile(r"(?:[,;\s]|\b(?:and|or|else)\b)*")
_TEST = {
    ".py": r"^(?:async )?def {}\(",
    ".rs": r"^\s*#\[(?:tokio::)?test\]\n(?:\s*#\[.*\]\n)*\s*(?:async )?fn {}\(",
}
SHOWS = "test_every_claim_of_ours_leads_to_the_test_that_shows_it"
HERE = "tests/e2e/test_comparison.py"


def comparison(text: str) -> list[tuple[str, str]]:
    """What the table with the columns `peerd` and `old peerd` says of peerd, feature by feature."""
    tables = re.findall(
        r"^\|[^|]*\| *peerd *\| *old peerd *\|.*\n\|[-|: ]+\|\n((?:\|.*\n?)*)", text, re.MULTILINE
    )
    if len(tables) != 1:
        raise ValueError(f"there is one table of peerd and old peerd to be found, not {len(tables)}")
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in tables[0].splitlines()]
    return [(row[0], row[1] if len(row) > 1 else "") for row in rows]


def problems(text: str, root: Path = ROOT) -> list[str]:
    """What the table claims without showing it."""
    return [f"{feature}: {problem}" for feature, cell in comparison(text) for problem in _unshown(cell, root)]


def _unshown(cell: str, root: Path) -> list[str]:
    if cell in UNCLAIMED:
        return []
    links = list(_LINK.finditer(cell))
    if not links:
        return [f"`{cell}` leads to no test"]
    found = [problem for link in links if (problem := _broken(link, root))]
    if not _BETWEEN.fullmatch(_LINK.sub("", cell)):
        found.append(f"`{cell}` claims something outside its links")
    return found


def _broken(link: re.Match[str], root: Path) -> str | None:
    says, file, test = link["says"], link["file"], link["test"]
    if not test:
        return f'the link of `{says}` names no test: [{says}]({file} "name_of_the_test")'
    path = root / file
    if not path.is_file():
        return f"`{says}` leads to {file}, which does not exist"
    defines = _TEST.get(path.suffix, "(?!)").format(re.escape(test))
    if not re.search(defines, path.read_text(), re.MULTILINE):
        return f"`{says}`: {file} defines no test {test}"
    return None


def readme(cell: str) -> str:
    """A README whose table says this of peerd."""
    return f"# peerd\n\n| | peerd | old peerd |\n|---|---|---|\n| heals | {cell} | no |\n\nMore.\n"


def test_every_claim_of_ours_leads_to_the_test_that_shows_it() -> None:
    text = (ROOT / "README.md").read_text()

    found = problems(text)

    assert len(comparison(text)) >= 15
    assert not found, "README.md claims what it does not show:\n" + "\n".join(found)


@pytest.mark.parametrize(
    "cell",
    [
        f'[yes]({HERE} "{SHOWS}")',
        f'[by event]({HERE} "{SHOWS}"), else [by sweep]({HERE} "{SHOWS}")',
        '[yes](shared/engine/tests/it/simulation.rs "no_story_breaks_a_promise")',
        "no",
        "not yet",
    ],
)
def test_a_cell_that_shows_what_it_claims_or_claims_nothing_is_right(cell: str) -> None:
    assert problems(readme(cell)) == []


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("yes", "heals: `yes` leads to no test"),
        ("", "heals: `` leads to no test"),
        ("not yet, but soon", "leads to no test"),
        (f"[yes]({HERE})", "the link of `yes` names no test"),
        (f'[yes]({HERE} "{SHOWS}"), and quickly', "claims something outside its links"),
        ('[yes](tests/e2e/test_nothing.py "test_it")', "tests/e2e/test_nothing.py, which does not exist"),
        ('[yes](tests/e2e "test_it")', "which does not exist"),
        (f'[yes]({HERE} "{SHOWS}_well")', f"{HERE} defines no test {SHOWS}_well"),
        (f'[yes]({HERE} "{SHOWS[:-3]}")', "defines no test"),
        ('[yes](shared/engine/tests/it/ensure.rs "scope")', "ensure.rs defines no test scope"),
        ('[yes](README.md "peerd")', "README.md defines no test peerd"),
        (f'[yes]({HERE} "{SHOWS}"), [no]({HERE} "test_no")', "`no`: tests/e2e/test_comparison.py defines no"),
    ],
)
def test_a_claim_that_is_not_shown_is_told_with_its_row(cell: str, said: str) -> None:
    found = problems(readme(cell))

    assert len(found) == 1
    assert said in found[0]


@pytest.mark.parametrize("text", ["# peerd\n", readme("no") + readme("no")])
def test_a_readme_without_the_table_or_with_two_of_them_is_told(text: str) -> None:
    with pytest.raises(ValueError, match="one table of peerd and old peerd"):
        problems(text)
