"""Generates docs/benchmarks.md and its charts from the results."""

import statistics
from collections.abc import Sequence

from tests.bench import chart
from tests.bench.bound import FORMULA, ROUTES_AT_ONCE, ROUTES_PER_SECOND
from tests.bench.calls import describes_as_one
from tests.bench.cpu import FUNCTIONS, GATEWAY, SERVICES
from tests.bench.forming import EVENTS, FOLLOW_UPS_WITHIN_S
from tests.bench.lab import TABLES
from tests.bench.markdown import met, percentiles, ranged, table, wrapped
from tests.bench.rows import (
    Row,
    cells_of,
    cpu_percents,
    grouped,
    limit_without_sandbox,
    rate_limit_seconds,
    rows_of,
    seconds_from_first_call,
    serial_seconds,
    speedup,
)

PAGE = "docs/benchmarks.md"
COMMAND = "make bench"
FORMED_GOAL, SETTLED_GOAL, SPEED_GOAL = 1.15, 1.35, 15
PLANNER_GOAL, MILLION = (1, 1), 1_000_000
_WHAT = "VPCs, trigger, delay of each EC2 call"
_JOINING = ("joining_10", "joining_49")


def pages(results: Row) -> dict[str, str]:
    """Returns the files of the page: the text and the charts, by name."""
    charts = {f"docs/images/bench-{name}.svg": svg for name, svg in _charts(results).items()}
    parts = [_introduction(results), _goals(results), _forming(results), _api(results), _times(results)]
    parts += [
        _joining(results),
        _storm(results),
        _idle(results),
        _planner(results),
        _functions(),
        _machines(results),
    ]
    return {PAGE: wrapped("\n\n".join(part for part in parts if part))} | charts


# -- the parts of the page -------------------------------------------------------------------------------


def _introduction(results: Row) -> str:
    quick = (
        "\nThis page is from a quick run: one repetition, and no mesh of 50 VPCs.\n"
        if results["quick"]
        else ""
    )
    return f"""# Benchmarks

How many calls peerd makes, and how long a mesh takes, measured in the [sandbox](../sandbox/README.md).
`{COMMAND}` measures again and writes this page and
[results.json](../tests/bench/results.json); `python -m tests.bench --quick` takes less than 10 minutes
and writes to `target/bench`.
{quick}
Compare the calls with AWS, not the seconds: the sandbox serves one EC2 call at a time, on the machine
that also runs peerd. Where the machine was shared, only the calls and the ratios between two
measurements of this page are comparable. Each value is the median of the repetitions, with the smallest
and the largest value in brackets.

**The bound** is the number of EC2 calls that a full mesh needs at least: {FORMULA}. Each VPC has
{TABLES} route tables and one CIDR block. The VPCs are spread evenly over 3 accounts and 2 Regions,
which are 6 scopes."""


def _goals(results: Row) -> str:
    lines: list[list[str]] = []
    for row_set in cells_of(rows_of(results, "forming_12", "forming_50")):
        what, first = _name(row_set[0]), row_set[0]
        for state, goal in (("formed", FORMED_GOAL), ("settled", SETTLED_GOAL)):
            worst = max(row[state]["calls"] / first["bound"] for row in row_set)
            label = "until all is written" if state == "formed" else "with follow-up runs"
            lines.append(
                [f"{what}: calls over bound, {label}", f"at most {goal}", f"{worst:.2f}", met(worst <= goal)]
            )
    for label, names in (("one mesh", ("forming_12", "forming_50")), ("five meshes at once", ("storm",))):
        if rows := rows_of(results, *names):
            refused = sum(sum(row["settled"]["refused"].values()) for row in rows)
            lines.append([f"refused calls, {label}", "0", str(refused), met(refused == 0)])
    for row_set in cells_of(rows_of(results, "forming_12")):
        if row_set[0]["delay_ms"]:
            speed = statistics.median(speedup(results, row) for row in row_set)
            label = f"{_name(row_set[0])}: faster than one call after the other"
            lines.append([label, f"at least {SPEED_GOAL} x", f"{speed:.1f} x", met(speed >= SPEED_GOAL)])
    for row in rows_of(results, "planner"):
        if row["routes"] >= MILLION:
            what, (seconds, gigabytes) = f"{row['routes']:,} routes planned", PLANNER_GOAL
            memory = row["peak_mb"] / 1024
            lines.append(
                [
                    f"{what}: time",
                    f"under {seconds} s",
                    f"{row['seconds']:.1f} s",
                    met(row["seconds"] < seconds),
                ]
            )
            lines.append(
                [f"{what}: memory", f"under {gigabytes} GB", f"{memory:.1f} GB", met(memory < gigabytes)]
            )
            break
    return "## Goals\n\n" + table(["", "goal", "measured", ""], lines)


def _forming(results: Row) -> str:
    cells = cells_of(rows_of(results, "forming_12", "forming_50"))
    header = [_WHAT, "runs", "bound", "calls until all is written", "over bound", "calls with follow-ups"]
    header += ["over bound", "refused", "DynamoDB", "SQS"]
    return f"""## Forming a mesh

By events: all VPCs are tagged at the same time. By sweep: the events of the tags are lost, and then a
sweep starts; the events of all later calls arrive. "Until all is written" counts the calls until the
last route, tag and status of the bound. "With follow-ups" counts the calls until no message is in
flight, at most {FOLLOW_UPS_WITHIN_S} s later. The delays of messages are real.

{table(header, map(_count_line, cells))}
{_image(results, "forming", "EC2 calls over the bound")}"""


def _times(results: Row) -> str:
    cells = cells_of(rows_of(results, "forming_12", "forming_50"))
    times = [_WHAT, "first call, s", "first write, s", "last route, s", "least at EC2's rate limits, s"]
    times += [
        "one after the other, s",
        "faster",
        "faster, from the first call",
        "at most, without the sandbox",
    ]
    shares = [_WHAT, "EC2 calls a second", "EC2 and STS", "other services", "peerd's functions", "load"]
    return f"""### Time

The seconds count from the first tag, or from the sweep. "One after the other" is the bound times the
mean duration of a call, from a client that made the {_serial_calls(results)} calls of the bound of 12
VPCs one after the other ({_serial_means(results)}). peerd waits for a second after an event, so that it
handles the events that follow together (`MaximumBatchingWindowInSeconds`); "from the first call" omits
that. The delay applies to all EC2 calls, but not to those of DynamoDB, SQS and STS.

peerd keeps EC2's rate limits, which the one client does not: {ROUTES_AT_ONCE} calls of CreateRoute at
once in each scope, then {ROUTES_PER_SECOND} a second. "Least at EC2's rate limits" is the time that the
routes of the busiest scope take at that rate.

"At most, without the sandbox" subtracts the time in which the sandbox's EC2 computes (see the second
table) from both sides. Some of it passes while calls are delayed, so the factor without the
sandbox is between the last two columns.

{table(times, [_time_line(results, row_set) for row_set in cells])}
The sandbox serves one EC2 call at a time. The next table has the share of the time until the last route
in which each part computes, as a percentage of one core. What the sandbox's part with EC2 and STS takes
is its own time, which AWS does not take: at 100 % the sandbox is the limit.

{table(shares, map(_share_line, cells))}"""


def _api(results: Row) -> str:
    parts = []
    for row_set in cells_of(rows_of(results, "forming_12", "forming_50")):
        if row_set[0]["delay_ms"] == 0:
            most = max(row_set, key=lambda it: it["settled"]["calls"])
            parts.append(_api_table(most))
    if not parts:
        return ""
    tables = "\n".join(parts)
    return f"""### Calls by API

The repetition with the most calls. A batch of events first reads each of their scopes with one describe.
Each follow-up run reads each scope again, with five describes.

{tables}"""


def _api_table(row: Row) -> str:
    formed, settled = (describes_as_one(row[state]["by_action"]) for state in ("formed", "settled"))
    wanted = row["bound_by_action"]
    lines = [
        [
            f"`{action}`",
            *(str(it.get(action, 0)) for it in (wanted, formed, settled)),
            _excess(action, wanted, settled),
        ]
        for action in settled
    ]
    header = [
        f"{row['vpcs']} VPCs by {row['trigger']}",
        "bound",
        "until all is written",
        "with follow-ups",
        "more",
    ]
    return table(header, lines)


def _excess(action: str, wanted: dict[str, int], made: dict[str, int]) -> str:
    more = made.get(action, 0) - wanted.get(action, 0)
    return f"{more:+d}" if more else "0"


def _joining(results: Row) -> str:
    lines = []
    for row_set in grouped(rows_of(results, *_JOINING), "members", "delay_ms"):
        first = row_set[0]
        steps = [percentiles(row[name] for row in row_set) for name in ("total_s", "event_path_s")]
        steps += [percentiles(row[name] for row in row_set) for name in ("decision_s", "calls_s")]
        calls = [ranged([row[name] for row in row_set], 0) for name in ("calls_until_last_route", "calls")]
        refused = str(sum(sum(row["refused"].values()) for row in row_set))
        what = f"{first['members']}, {first['delay_ms']} ms"
        lines.append(
            [
                what,
                str(len(row_set)),
                *steps,
                ranged([row["bound"] for row in row_set], 0),
                *calls,
                refused,
            ]
        )
    header = [
        "members before, delay of each EC2 call",
        "runs",
        "tag to last route, s",
        "event path",
        "decision",
        "calls",
    ]
    header += ["bound", "calls until the last route", "calls with follow-ups", "refused"]
    if not lines:
        return ""
    return f"""## One VPC joins

p50 / p95 (nearest rank) of the seconds from the tag to the last route, for VPCs that join a mesh one
after the other, each after the last one left. Event path: from the tag to the response of peerd's first
call of any service. Decision: from there to the response of the first write in EC2, which includes the
reads. Calls: from there to the last route.

{table(header, lines)}"""


def _storm(results: Row) -> str:
    one_mesh = [row for row in rows_of(results, "forming_50") if row["trigger"] == EVENTS]
    lines = []
    for row_set in grouped(one_mesh + rows_of(results, "storm"), "meshes"):
        first = row_set[0]
        tags = ranged([row["tagged_s"] for row in row_set], 1)
        last = ranged([row["seconds"]["last_route"] for row in row_set], 1)
        what = f"{first['meshes']} x {first['vpcs'] // first['meshes']}"
        least = f"{rate_limit_seconds(first):.0f}"
        lines.append([what, tags, last, least, *_count_line(row_set)[1:]])
    header = [
        "meshes x VPCs",
        "all tagged after, s",
        "last route, s",
        "least at EC2's rate limits, s",
        "runs",
    ]
    header += ["bound", "calls until all is written", "over bound", "calls with follow-ups", "over bound"]
    header += ["refused", "DynamoDB", "SQS"]
    if not lines:
        return ""
    return f"""## A storm

50 VPCs are tagged within a second: for one mesh, and for five. The refused calls are those of all runs.

{table(header, lines)}"""


def _idle(results: Row) -> str:
    lines = [
        [
            str(row["scopes"]),
            str(row["meshes"]),
            str(row["calls"]),
            f"{row['calls'] / row['scopes']:g}",
            str(row["writes"]),
            str(sum(row["dynamodb"].values())),
            str(sum(row["sqs"].values())),
        ]
        for row in rows_of(results, "idle")
    ]
    header = ["scopes", "meshes", "EC2 calls", "for each scope", "EC2 writes", "DynamoDB calls", "SQS calls"]
    if not lines:
        return ""
    return f"""## Nothing to do

One sweep of formed meshes of two VPCs. [cost.md](cost.md) says what such a sweep costs.

{table(header, lines)}
{_image(results, "idle", "EC2 calls of a sweep with nothing to do")}"""


def _planner(results: Row) -> str:
    lines = [
        [
            f"{row['vpcs']:,}",
            f"{row['meshes']} of {row['members']}",
            f"{row['peerings']:,}",
            f"{row['routes']:,}",
            f"{row['seconds']:.2f}",
            f"{1000 * (row['seconds'] - row['index_seconds']) / row['meshes']:.0f}",
            f"{1_000_000 * row['seconds'] / row['routes']:.1f}",
            f"{row['observed_mb']:,}",
            f"{row['peak_mb']:,}",
        ]
        for row in rows_of(results, "planner")
    ]
    header = ["VPCs", "meshes", "peerings", "routes", "all meshes, s", "a mesh, ms", "a route, us"]
    header += ["observed state, MB", "peak, MB"]
    if not lines:
        return ""
    return f"""## The planner

A plan of every mesh of a converged deployment, one after the other, as a sweep makes them, on one core
and without AWS. A test counts the allocations of a plan: they do not depend on the other meshes, and CI
fails if they grow by more than a tenth
([plan_bench.rs](../shared/testkit/src/bin/plan_bench.rs)).

{table(header, lines)}"""


def _functions() -> str:
    lines = [[name, *["not measured"] * 4] for name in ("vpc-events", "peering-events", "drift-repair")]
    header = ["function", "zip", "start to first answer", "warm invocation", "peak memory"]
    return "## Lambda, release build\n\nThis run had no release build.\n\n" + table(header, lines)


def _machines(results: Row) -> str:
    lines = []
    for name, part in results.items():
        if not isinstance(part, dict):
            continue
        about = part["about"]
        changed = f" + {about['changed_files']} changed files" if about["changed_files"] else ""
        binary = f"`{about['binaries']['vpc-events']}`"
        loads = [row["load"] for row in part["rows"]]
        line = [
            name,
            about["date"],
            f"{part['took_s'] / 60:.1f} min",
            f"{min(loads):.1f} to {max(loads):.1f}",
        ]
        lines.append([*line, f"{about['commit']}{changed}", binary])
    about = next(part["about"] for part in results.values() if isinstance(part, dict))
    header = ["measurement", "date", "took", "load, 1 min", "commit", "SHA-256 of vpc-events"]
    return f"""## Machine and versions

{about["cpu"]}, {about["cores"]} cores, {about["memory_gb"]} GB, {about["system"]}, Python
{about["python"]}, {about["rustc"] or "rustc unknown"}, debug build. A load above {about["cores"]} means
that others used the machine too.

{table(header, lines)}"""


# -- lines -----------------------------------------------------------------------------------------------


def _count_line(row_set: Sequence[Row]) -> list[str]:
    first = row_set[0]
    line = [_name(first), str(len(row_set)), f"{first['bound']:,}"]
    for state in ("formed", "settled"):
        calls = [row[state]["calls"] for row in row_set]
        line += [ranged(calls, 0), f"{statistics.median(calls) / first['bound']:.2f}"]
    codes = {code for row in row_set for code in row["settled"]["refused"]}
    refused = sum(sum(row["settled"]["refused"].values()) for row in row_set)
    line.append(f"{refused} ({', '.join(sorted(codes))})" if refused else "0")
    for service in ("dynamodb", "sqs"):
        line.append(ranged([sum(row["settled"][service].values()) for row in row_set], 0))
    return line


def _time_line(results: Row, row_set: Sequence[Row]) -> list[str]:
    first = row_set[0]
    steps = [
        ranged([row["seconds"][it] for row in row_set], 1)
        for it in ("first_call", "first_write", "last_route")
    ]
    serial = serial_seconds(results, first)
    speeds = [speedup(results, row) for row in row_set]
    after_event = [serial / it for it in seconds_from_first_call(row_set)]
    faster = [f"{ranged(it, 1)} x" for it in (speeds, after_event)]
    faster.append(
        ranged([limit_without_sandbox(row) for row in row_set], 1) + " x" if first["delay_ms"] else ""
    )
    return [_name(first), *steps, f"{rate_limit_seconds(first):.0f}", f"{serial:.1f}", *faster]


def _share_line(row_set: Sequence[Row]) -> list[str]:
    busy = seconds_from_first_call(row_set)
    rates = [row["formed"]["calls"] / it for row, it in zip(row_set, busy, strict=True)]
    shares = [ranged(cpu_percents(row_set, part), 0) + " %" for part in (GATEWAY, SERVICES, FUNCTIONS)]
    return [
        _name(row_set[0]),
        ranged(rates, 0),
        *shares,
        ranged([row["load"] for row in row_set], 1),
    ]


def _serial_calls(results: Row) -> str:
    return " or ".join(sorted({str(row["calls"]) for row in rows_of(results, "serial")})) or "?"


def _serial_means(results: Row) -> str:
    means = [
        f"{row['mean_ms']:.1f} ms with a delay of {row['delay_ms']} ms" for row in rows_of(results, "serial")
    ]
    return ", ".join(means) or "not measured"


# -- tables ----------------------------------------------------------------------------------------------


def _charts(results: Row) -> dict[str, str]:
    charts = {}
    if cells := [
        it for it in cells_of(rows_of(results, "forming_12", "forming_50")) if not it[0]["delay_ms"]
    ]:
        bars = []
        for row_set in cells:
            first = row_set[0]
            label = f"{first['vpcs']} VPCs by {first['trigger']}"
            for state, text in (("formed", "until all is written"), ("settled", "with follow-ups")):
                calls = statistics.median(row[state]["calls"] for row in row_set)
                bars.append(
                    chart.Bar(f"{label}, {text}", calls / first["bound"], f"{calls / first['bound']:.2f}")
                )
        charts["forming"] = chart.bars("EC2 calls, as a multiple of the bound (dashed line)", bars, mark=1.0)
    if rows := rows_of(results, "idle"):
        bars = [
            chart.Bar(
                f"{row['scopes']} scopes, {row['meshes']} mesh{'es' * (row['meshes'] > 1)}",
                row["calls"],
                str(row["calls"]),
            )
            for row in rows
        ]
        charts["idle"] = chart.bars("EC2 calls of a sweep with nothing to do", bars)
    return charts


def _image(results: Row, name: str, text: str) -> str:
    return f"![{text}](images/bench-{name}.svg)\n" if name in _charts(results) else ""


def _name(row: Row) -> str:
    return f"{row['vpcs']} by {row['trigger']}, {row['delay_ms']} ms"
