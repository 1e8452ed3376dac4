"""docs/cost.md against docs/prices.json, the templates and the formulas; also the commands of choosing.md.

The tests compute every figure of the document again. test_documents.py checks the `aws` commands.
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import date

import pytest

from sandbox.tests.cost_model import (
    CHOOSING,
    COST,
    FIELDS,
    OPTIONAL,
    PRICES,
    ROOT,
    TEMPLATE,
    Deployment,
    assumption,
    columns,
    event_counts,
    example,
    number,
    own_cost,
    own_cost_problems,
    price,
    price_rows,
    sweep_counts,
    sweeps_per_month,
    tables,
    transport,
    transport_problems,
)


def test_every_price_has_its_fields_and_a_date_that_is_not_in_the_future() -> None:
    ids = [it["id"] for it in PRICES["prices"]]
    assert len(set(ids)) == len(ids)
    read = date.fromisoformat(PRICES["read"])
    assert read <= date.today()
    for it in PRICES["prices"]:
        assert FIELDS <= set(it) <= FIELDS | OPTIONAL, it["id"]
        assert it["price"] > 0
        assert date.fromisoformat(it["date"]) <= read
        assert it["source"].startswith("https://")
        assert it["page"].startswith("https://aws.amazon.com/")


def test_the_price_table_of_the_document_is_the_price_list() -> None:
    _, *rows = tables(COST)["Prices"]
    assert rows == price_rows()
    assert PRICES["read"] in COST


def test_the_examples_of_peerds_own_cost_follow_from_the_formula() -> None:
    found = columns("Examples")
    assert set(found) == {"10 VPCs", "100 VPCs", "1,000 VPCs"}
    assert own_cost_problems(found, sweeps_per_month()) == []


def test_the_transport_examples_follow_from_the_formula() -> None:
    header, *rows = tables(COST)["Transport examples"]
    assert len(rows) >= 5
    assert transport_problems(header, rows) == []


def test_the_table_of_one_gb_and_the_attachments_has_the_prices() -> None:
    month = PRICES["hours_per_month"]
    inputs = {
        "within an Availability Zone": (0, 0, 1, 0, 0),
        "between zones of a Region": (0, 0, 0, 1, 0),
        "to another Region": (0, 0, 0, 0, 1),
        "per VPC and month": (1, 0, 0, 0, 0),
    }
    for name, column in columns("Data transfer").items():
        for row, given in inputs.items():
            total = sum(float(it) for it in re.findall(r"\$(\d+\.\d+)", column[row]))
            assert total == pytest.approx(transport(*given)[name], abs=0.005), (name, row)
        pair, edge = number(column["per pair of Regions"]), number(column["per Region"])
        assert pair == (2 * month * price("tgw.attachment") if name == "Transit Gateway" else 0)
        assert edge == (month * price("cloudwan.edge") if name == "Cloud WAN" else 0)


def test_the_sentences_with_computed_figures_have_them() -> None:
    deployments = [example(column, sweeps_per_month()) for column in columns("Examples").values()]
    hourly = [own_cost(replace(of, S=PRICES["hours_per_month"]))["**total**"] for of in deployments]
    first = deployments[0]
    million = own_cost(replace(first, E=1_000_000))["**total**"] - own_cost(replace(first, E=0))["**total**"]
    fixed = [own_cost(replace(of, S=0, E=0, F=0))["**total**"] for of in deployments]
    largest = deployments[-1]
    total = own_cost(largest)["**total**"]
    events = total - own_cost(replace(largest, E=0, F=0))["**total**"]
    sweeps = total - own_cost(replace(largest, S=0))["**total**"]
    text = " ".join(COST.split())
    assert "are ${:,.2f}, ${:,.2f} and ${:,.2f} in total".format(*hourly) in text
    (alike,) = {f"${it:,.2f}" for it in fixed}
    assert f"cost {alike} in each column" in text
    assert f"the events cost ${events:,.2f} more and the sweeps ${sweeps:,.2f}." in text
    assert f"A million events `E` cost ${million:,.2f}" in text
    assert f"at ${price('guardduty.event') * 1e6:.2f} per million" in text
    assert f"read events: ${price('cloudtrail.copy') * 1e5:.2f} per 100,000" in text
    attachment = PRICES["hours_per_month"] * price("tgw.attachment")
    assert f"Each attachment costs ${attachment:.2f} a month" in " ".join(CHOOSING.split())


def test_peering_and_transit_gateway_cost_the_same_per_gb_across_zones() -> None:
    idle, busy = transport(2, 1, 0, 0, 0), transport(2, 1, 0, 1000, 0)
    assert busy["peering"] - idle["peering"] == busy["Transit Gateway"] - idle["Transit Gateway"]


def test_the_measured_counts_are_those_of_the_formula() -> None:
    sandbox = Deployment(V=6, A=3, R=2, M=3, n=6, C=6, E=0, F=0, S=1)
    measured = columns("Counts")
    for column, want in (("one sweep", sweep_counts(sandbox)), ("one event", event_counts(sandbox))):
        cells = {row: int(number(cell)) for row, cell in measured[column].items() if cell}
        assert cells == want


@pytest.mark.parametrize(
    ("sandbox", "measured"),
    [
        (Deployment(V=6, A=3, R=2, M=5, n=6, C=6, E=0, F=0, S=1), (2, 1, 30, 16, 10, 1, 5, 5)),
        (Deployment(V=4, A=2, R=2, M=3, n=4, C=4, E=0, F=0, S=1), (2, 1, 20, 12, 8, 1, 3, 3)),
        (Deployment(V=3, A=3, R=1, M=3, n=3, C=3, E=0, F=0, S=1), (2, 1, 15, 12, 8, 1, 3, 3)),
        (Deployment(V=6, A=3, R=2, M=3, n=6, C=6, E=0, F=0, S=1, U=0), (1, 0, 30, 12, 7, 1, 3, 3)),
    ],
    ids=["more meshes", "fewer accounts", "one Region", "no organizational units"],
)
def test_each_term_of_a_sweep_was_measured(sandbox: Deployment, measured: tuple[int, ...]) -> None:
    """The numbers of one measurement also fit other formulas, so others were measured."""
    assert tuple(sweep_counts(sandbox).values()) == measured


def test_the_assumptions_are_those_of_the_templates_and_of_the_engine() -> None:
    assert assumption("alarms") == TEMPLATE.count("Type: AWS::CloudWatch::Alarm")
    assert f"MemorySize: {round(assumption('memory') * 1024)}\n" in TEMPLATE
    # Long polls of 20 seconds by five pollers for each queue: Lambda does not use fewer, because each event
    # source sets its maximum concurrency.
    assert TEMPLATE.count("ScalingConfig: {MaximumConcurrency: ") == 3
    assert assumption("polls") == 3 * 5 * 60 / 20
    repair = TEMPLATE.partition("\n  DriftRepairFunction:")[2].partition("\n  VpcEventsLogs:")[0]
    assert "      Timeout: 300\n" in repair
    assert "One invocation of at most 300 seconds makes them all." in CHOOSING
    assert re.search(r"LogRetention:\n    Type: Number\n    Default: 365\n", TEMPLATE)
    reads = (ROOT / "shared/engine/src/scope_reads.rs").read_text()
    assert "pub const READS_PER_SCOPE: usize = 5;" in reads
    assert "const CONCURRENCY: usize = 32;" in reads


def test_the_formulas_name_prices_of_the_list() -> None:
    ids = {it["id"] for it in PRICES["prices"]}
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", COST, re.DOTALL | re.MULTILINE)
    formulas = [text for language, text in blocks if not language]
    named = set(re.findall(r"\b[a-z]+\.[a-z_]+\b", "".join(formulas)))
    assert len(formulas) == 2
    assert named <= ids
    assert len(named) > 15


def test_the_summary_has_the_totals_of_the_examples() -> None:
    summary = COST.partition("\n## ")[0]
    for column in columns("Examples").values():
        assert f"${number(column['**total**']):,.0f}" in summary


def raise_price(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = next(it for it in PRICES["prices"] if it["id"] == key)
    monkeypatch.setitem(entry, "price", entry["price"] * 1.1)


@pytest.mark.parametrize("key", ["lambda.gb_second", "sqs.request", "dynamodb.read", "guardduty.event"])
def test_a_price_that_changes_without_the_examples_is_noticed(
    key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    raise_price(key, monkeypatch)
    assert own_cost_problems(columns("Examples"), sweeps_per_month())
    assert tables(COST)["Prices"][1:] != price_rows()


@pytest.mark.parametrize("key", ["transfer.zone", "transfer.region", "tgw.processing", "cloudwan.edge"])
def test_a_transport_price_that_changes_without_the_examples_is_noticed(
    key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    raise_price(key, monkeypatch)
    header, *rows = tables(COST)["Transport examples"]
    assert transport_problems(header, rows)


def test_a_cell_that_differs_is_reported_with_its_column_and_row() -> None:
    found = {name: dict(column) for name, column in columns("Examples").items()}
    found["100 VPCs"]["SQS"] = "$0.01"
    (problem,) = own_cost_problems(found, sweeps_per_month())
    assert problem.startswith("100 VPCs, SQS: $0.01, computed $")


# -- commands --------------------------------------------------------------------------------------------


def peerd_commands(text: str) -> Iterator[list[str]]:
    """Yields the words of each `peerd` command in code."""
    blocks = re.findall(r"```.*?\n(.*?)```", text, re.DOTALL)
    inline = re.findall(r"`(peerd [^`]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    for line in "\n".join([*blocks, *inline]).replace("\\\n", " ").splitlines():
        if line.strip().startswith("peerd "):
            yield line.partition("#")[0].split()[1:]


def command_problem(words: list[str], reference: str) -> str | None:
    """Returns why a command is not one of docs/cli.md, or None."""
    names = [name for name in (" ".join(words[:2]), words[0]) if f"\n## `peerd {name}`\n" in reference]
    if not names:
        return f"no command `peerd {words[0]}`"
    section = reference.partition(f"\n## `peerd {names[0]}`\n")[2].partition("\n## ")[0]
    known = set(re.findall(r"`(--?[a-z-]+)", section)) | {"--json", "--stack"}
    unknown = [word for word in words if word.startswith("-") and word.partition("=")[0] not in known]
    return f"{unknown[0]} is no option of `peerd {names[0]}`" if unknown else None


def test_every_peerd_command_of_the_documents_is_in_the_reference() -> None:
    reference = (ROOT / "docs/cli.md").read_text()
    found = [words for text in (COST, CHOOSING) for words in peerd_commands(text)]
    assert len(found) > 5
    assert [problem for words in found if (problem := command_problem(words, reference))] == []


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        ("migrate prod", "no command `peerd migrate`"),
        ("mesh drain prod --force", "--force is no option of `peerd mesh drain`"),
    ],
)
def test_an_unknown_peerd_command_is_noticed(command: str, problem: str) -> None:
    assert command_problem(command.split(), (ROOT / "docs/cli.md").read_text()) == problem
