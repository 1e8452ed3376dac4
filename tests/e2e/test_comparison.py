"""The comparison in README.md: each peerd cell links to the test that demonstrates it. Needs no sandbox."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Cells that need no test, because they claim nothing.
UNCLAIMED = {"no", "not yet"}

LINK = re.compile(r'\[(?P<text>[^\]]+)\]\((?P<file>[^\s)]+)(?:\s+"(?P<test>[^"]*)")?\)')
_BETWEEN = re.compile(r"(?:[,;\s]|\b(?:and|or|else)\b)*")
_TEST = {
    ".py": r"^(?:async )?def {}\(",
    ".rs": r"^\s*#\[(?:tokio::)?test\]\n(?:\s*#\[.*\]\n)*\s*(?:async )?fn {}\(",
}
DEMONSTRATES = "test_every_peerd_cell_links_to_the_test_that_demonstrates_it"
HERE = "tests/e2e/test_comparison.py"


def comparison(text: str) -> list[tuple[str, str]]:
    """Returns each feature and its peerd cell from the table with the columns `peerd` and `old peerd`."""
    tables = re.findall(
        r"^\|[^|]*\| *peerd *\| *old peerd *\|.*\n\|[-|: ]+\|\n((?:\|.*\n?)*)", text, re.MULTILINE
    )
    if len(tables) != 1:
        raise ValueError(f"expected one table of peerd and old peerd, found {len(tables)}")
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in tables[0].splitlines()]
    return [(row[0], row[1] if len(row) > 1 else "") for row in rows]


def problems(text: str, root: Path = ROOT) -> list[str]:
    """Returns the claims of the table that no test demonstrates."""
    return [
        f"{feature}: {problem}"
        for feature, cell in comparison(text)
        for problem in _cell_problems(cell, root)
    ]


def _cell_problems(cell: str, root: Path) -> list[str]:
    if cell in UNCLAIMED:
        return []
    links = list(LINK.finditer(cell))
    if not links:
        return [f"`{cell}` has no link to a test"]
    found = [problem for link in links if (problem := link_problem(link, root))]
    if not _BETWEEN.fullmatch(LINK.sub("", cell)):
        found.append(f"`{cell}` claims something outside its links")
    return found


def link_problem(link: re.Match[str], root: Path) -> str | None:
    """Returns what is wrong with a link to a test, or None."""
    text, file, test = link["text"], link["file"], link["test"]
    if not test:
        return f'the link of `{text}` names no test: [{text}]({file} "name_of_the_test")'
    path = root / file
    if not path.is_file():
        return f"`{text}` links to {file}, which does not exist"
    defines = _TEST.get(path.suffix, "(?!)").format(re.escape(test))
    if not re.search(defines, path.read_text(), re.MULTILINE):
        return f"`{text}`: {file} defines no test {test}"
    return None


def readme(cell: str) -> str:
    """Returns a README with this peerd cell."""
    return f"# peerd\n\n| | peerd | old peerd |\n|---|---|---|\n| heals | {cell} | no |\n\nMore.\n"


def test_every_peerd_cell_links_to_the_test_that_demonstrates_it() -> None:
    text = (ROOT / "README.md").read_text()

    found = problems(text)

    assert len(comparison(text)) >= 15
    assert not found, "README.md has claims that no test demonstrates:\n" + "\n".join(found)


@pytest.mark.parametrize(
    "cell",
    [
        f'[yes]({HERE} "{DEMONSTRATES}")',
        f'[by event]({HERE} "{DEMONSTRATES}"), else [by sweep]({HERE} "{DEMONSTRATES}")',
        '[yes](shared/engine/tests/it/simulation.rs "no_scenario_violates_a_promise")',
        "no",
        "not yet",
    ],
)
def test_a_cell_with_a_valid_link_or_without_a_claim_is_accepted(cell: str) -> None:
    assert problems(readme(cell)) == []


@pytest.mark.parametrize(
    ("cell", "problem"),
    [
        ("yes", "heals: `yes` has no link to a test"),
        ("", "heals: `` has no link to a test"),
        ("not yet, but soon", "has no link to a test"),
        (f"[yes]({HERE})", "the link of `yes` names no test"),
        (f'[yes]({HERE} "{DEMONSTRATES}"), and quickly', "claims something outside its links"),
        ('[yes](tests/e2e/test_nothing.py "test_it")', "tests/e2e/test_nothing.py, which does not exist"),
        ('[yes](tests/e2e "test_it")', "which does not exist"),
        (f'[yes]({HERE} "{DEMONSTRATES}_well")', f"{HERE} defines no test {DEMONSTRATES}_well"),
        (f'[yes]({HERE} "{DEMONSTRATES[:-3]}")', "defines no test"),
        ('[yes](shared/engine/tests/it/ensure.rs "scope")', "ensure.rs defines no test scope"),
        ('[yes](README.md "peerd")', "README.md defines no test peerd"),
        (
            f'[yes]({HERE} "{DEMONSTRATES}"), [no]({HERE} "test_no")',
            "`no`: tests/e2e/test_comparison.py defines no",
        ),
    ],
)
def test_a_claim_without_a_valid_link_is_reported_with_its_row(cell: str, problem: str) -> None:
    found = problems(readme(cell))

    assert len(found) == 1
    assert problem in found[0]


@pytest.mark.parametrize("text", ["# peerd\n", readme("no") + readme("no")])
def test_a_readme_without_the_table_or_with_two_of_them_is_rejected(text: str) -> None:
    with pytest.raises(ValueError, match="one table of peerd and old peerd"):
        problems(text)
