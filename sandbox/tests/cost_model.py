"""The formulas of docs/cost.md, with the prices of docs/prices.json."""

import json
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
COST, CHOOSING = ((ROOT / "docs" / name).read_text() for name in ("cost.md", "choosing.md"))
PRICES = json.loads((ROOT / "docs/prices.json").read_text())
OPTIONAL = {"free_per_month", "free_source"}
FIELDS = {"id", "service", "what", "unit", "price", "region", "currency", "date", "source", "page"}
TEMPLATE = (ROOT / "template.yaml").read_text()
# The multiples of a unit that the price list uses.
SCALES = {"million": 1e6, "100,000": 1e5, "10,000": 1e4}


# -- the document ----------------------------------------------------------------------------------------


def tables(text: str) -> dict[str, list[list[str]]]:
    """Returns the tables of a document by the heading above each; of several below one, the first."""
    found: dict[str, list[list[str]]] = {}
    for part in re.split(r"^#+ ", text, flags=re.MULTILINE)[1:]:
        heading, _, body = part.partition("\n")
        lines = re.search(r"(?:^\|.*\n)+", body, re.MULTILINE)
        if lines:
            rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[0].splitlines()]
            found[heading] = [rows[0], *rows[2:]]
    return found


def number(text: str) -> float:
    """Returns the number of a cell such as `$1,234.50` or `300 B`."""
    found = re.search(r"\d[\d,]*(?:\.\d+)?", text)
    if not found:
        raise ValueError(f"no number in {text!r}")
    return float(found[0].replace(",", ""))


def columns(heading: str) -> dict[str, dict[str, str]]:
    """Returns the columns of a table, each with its cells by the name of the row."""
    header, *rows = tables(COST)[heading]
    return {name: {row[0]: row[at] for row in rows} for at, name in enumerate(header) if at}


def assumption(name: str) -> float:
    """Returns a value of the table of assumptions."""
    return number(columns("Assumptions")["value"][f"`{name}`"])


# -- the prices ------------------------------------------------------------------------------------------


def price(key: str) -> float:
    """Returns the price of one: of one request, for example, where the list has that of a million."""
    found = next(it for it in PRICES["prices"] if it["id"] == key)
    return found["price"] / SCALES.get(found["unit"], 1)


def price_rows() -> list[list[str]]:
    """Returns the rows that the price table of the document must have."""
    return [
        [
            f"`{it['id']}`",
            f"[{it['service']}]({it['page']})",
            it["what"],
            it["unit"],
            _dollars(it["price"]),
            _free(it),
            f"[{it['date']}]({it['source']})",
        ]
        for it in PRICES["prices"]
    ]


def _free(entry: dict[str, Any]) -> str:
    if "free_per_month" not in entry:
        return ""
    return f"[{entry['free_per_month']:,}]({entry.get('free_source', entry['source'])})"


def _dollars(value: float) -> str:
    digits = max(2, len(f"{value:.10f}".rstrip("0").partition(".")[2]))
    return f"${value:.{digits}f}"


# -- what peerd costs ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Deployment:
    """The inputs of the formula, with the names of the document."""

    V: int  # VPCs with a mesh tag
    A: int  # accounts
    R: int  # Regions
    M: int  # meshes
    n: int  # members of each mesh
    C: int  # scopes with members of one mesh
    E: int  # forwarded events that concern no member
    F: int  # forwarded events that concern a member
    S: int  # sweeps
    U: int = 1  # whether the deployment has organizational units


@dataclass(frozen=True)
class Counts:
    """What a month counts."""

    invocations: float
    reads: float
    requests: float
    table_reads: float
    table_writes: float
    seconds: float
    starts: float
    events: float


def sweep_counts(of: Deployment) -> dict[str, int]:
    """Returns the counts of one sweep without drift."""
    return {
        "invocations": 1 + of.U,
        "SendMessage": of.U,
        "EC2 describe calls": 5 * of.A * of.R,
        "Query": 6 + 2 * of.M,
        "GetItem": 4 + of.U + of.M,
        "PutItem": 1,
        "UpdateItem": of.M,
        "DeleteItem": of.M,
    }


def event_counts(of: Deployment) -> dict[str, int]:
    """Returns the counts of one event that concerns a member and changes nothing: three runs."""
    runs = 3
    return {
        "invocations": runs,
        "SendMessage": runs - 1,
        "EC2 describe calls": 1 + runs * 5 * of.C,
        "Query": 2 + runs * 5,
        "GetItem": 2 + runs * 3,
        "UpdateItem": runs,
        "DeleteItem": runs,
    }


def counts(of: Deployment) -> Counts:
    """Returns the counts of a month, with the assumptions of the document."""
    t, b, i = (assumption(name) for name in "tbi")
    accounts = math.ceil(assumption("account") * of.A / 4096)
    meshes = math.ceil(assumption("mesh") * of.M / 4096)
    members = math.ceil(assumption("member") * of.n / 4096)
    sweep, event = sweep_counts(of), event_counts(of)
    units_of_sweep = (8 + of.U) * accounts + 2 * meshes + 2 * members * of.M + of.M
    units_of_other, units_of_event = 2 * accounts + meshes + 1, 14 * accounts + 4 * meshes + 6 * members + 4
    leases = [of_one["UpdateItem"] + of_one["DeleteItem"] for of_one in (sweep, event)]
    calls = sweep["Query"] + sweep["GetItem"] + sweep["SendMessage"] + sweep["PutItem"] + leases[0]
    seconds_of_sweep = 2 * math.ceil(of.A * of.R / 32) * t + calls * b
    calls_of_event = event["Query"] + event["GetItem"] + event["SendMessage"] + leases[1]
    seconds_of_event = (1 + 3 * 2 * math.ceil(of.C / 32)) * t + calls_of_event * b
    minutes = PRICES["hours_per_month"] * 60
    starts = of.S * sweep["invocations"] + min(of.E + of.F, minutes)
    invocations = of.S * sweep["invocations"] + of.E + 3 * of.F
    return Counts(
        invocations=invocations,
        reads=of.S * sweep["EC2 describe calls"] + of.E + of.F * event["EC2 describe calls"],
        requests=minutes * assumption("polls") + 3 * invocations,
        table_reads=of.S * units_of_sweep + of.E * units_of_other + of.F * units_of_event,
        table_writes=of.S * (1 + leases[0]) + (3 + leases[1]) * of.F,
        seconds=of.S * seconds_of_sweep + of.E * (t + 4 * b) + of.F * seconds_of_event + starts * i,
        starts=starts,
        events=of.E + 2 * of.F,
    )


def own_cost(of: Deployment) -> dict[str, float]:
    """Returns the dollars of a month by the rows of the document."""
    c = counts(of)
    logs = c.invocations * assumption("log") * 1e3 / 1e9
    table = (600 * of.V + 2e3 * of.F) / 1e9
    parts = {
        "Lambda": c.invocations * price("lambda.request")
        + c.seconds * assumption("memory") * price("lambda.gb_second"),
        "SQS": c.requests * price("sqs.request"),
        "DynamoDB": c.table_reads * price("dynamodb.read")
        + c.table_writes * price("dynamodb.write")
        + table * (price("dynamodb.storage") + price("dynamodb.recovery")),
        "EventBridge, Scheduler": c.events * price("eventbridge.event")
        + of.S * price("scheduler.invocation"),
        "CloudWatch": logs * (price("logs.ingestion") + 12 * price("logs.storage"))
        + assumption("alarms") * price("cloudwatch.alarm"),
        "Secrets Manager, KMS": price("secretsmanager.secret")
        + c.starts * (price("secretsmanager.call") + price("kms.request")),
    }
    return parts | {"**total**": sum(parts.values())}


def example(column: dict[str, str], sweeps: int) -> Deployment:
    """Returns the inputs of a column of the examples."""
    given = {
        letter: int(number(cell))
        for row, cell in column.items()
        for letter in re.findall(r"`([A-Z]|n)`", row)
    }
    return Deployment(**given, S=sweeps)


def sweeps_per_month() -> int:
    """Returns the sweeps of a month with the default schedule of the stack."""
    minutes = int(re.search(r"Default: rate\((\d+) minutes\)", TEMPLATE)[1])  # type: ignore[index]
    return PRICES["hours_per_month"] * 60 // minutes


def own_cost_problems(text_of: dict[str, dict[str, str]], sweeps: int) -> list[str]:
    """Returns the cells of the examples that differ from the formula."""
    problems = []
    for name, column in text_of.items():
        of = example(column, sweeps)
        c = counts(of)
        attachments = transport(of.V, 1, 0, 0, 0)["Transit Gateway"]
        want = {row: f"${value:,.2f}" for row, value in own_cost(of).items()}
        want |= {
            "invocations": _millions(c.invocations),
            "EC2 describe calls": _millions(c.reads),
            "read request units": _millions(c.table_reads),
            "hours of Lambda": f"{c.seconds / 3600:,.0f}",
            "GuardDuty, if enabled": f"${c.reads * price('guardduty.event'):,.0f}",
            "a second trail with read events": f"${c.reads * price('cloudtrail.copy'):,.0f}",
            "attachments to a transit gateway instead": f"${attachments:,.0f}",
        }
        problems += [
            f"{name}, {row}: {column.get(row)}, computed {cell}"
            for row, cell in want.items()
            if column.get(row, "").strip("*") != cell
        ]
    return problems


def _millions(value: float) -> str:
    return f"{value / 1e6:,.2f} M"


# -- transport -------------------------------------------------------------------------------------------


def transport(vpcs: int, regions: int, zone: float, cross: float, region: float) -> dict[str, float]:
    """Returns the dollars of a month by transport: GB within a zone, between zones and between Regions."""
    hours, gb = PRICES["hours_per_month"], zone + cross + region
    pairs = regions * (regions - 1) // 2
    sent = region * price("transfer.region")
    return {
        "peering": cross * 2 * price("transfer.zone") + sent,
        "Transit Gateway": (vpcs + 2 * pairs) * hours * price("tgw.attachment")
        + gb * price("tgw.processing")
        + sent,
        "Cloud WAN": hours * (vpcs * price("cloudwan.attachment") + regions * price("cloudwan.edge"))
        + gb * price("cloudwan.processing")
        + sent,
    }


def transport_problems(header: list[str], rows: list[list[str]]) -> list[str]:
    """Returns the rows of the transport table that differ from the formula."""
    problems = []
    for row in rows:
        given = dict(zip(header, row, strict=True))
        names = ("VPCs", "Regions", "GB in the zone", "GB across zones", "GB across Regions")
        vpcs, regions, *gb = (number(given[name]) for name in names)
        want = transport(int(vpcs), int(regions), *gb)
        want["peering saves"] = want["Transit Gateway"] - want["peering"]
        problems += [
            f"{row[0]} VPCs, {name}: {given[name]}, computed ${value:,.0f}"
            for name, value in want.items()
            if given[name] != f"${value:,.0f}"
        ]
    return problems
