"""The rows of the results, and the figures that follow from them."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

from tests.bench.bound import rate_limit_seconds as bound_rate_limit_seconds
from tests.bench.cpu import GATEWAY
from tests.bench.lab import TABLES, spread

Row = dict[str, Any]


def rows_of(results: Row, *names: str) -> list[Row]:
    return [row for name in names if name in results for row in results[name]["rows"]]


def cells_of(rows: Iterable[Row]) -> list[list[Row]]:
    return grouped(rows, "vpcs", "delay_ms", "trigger")


def grouped(rows: Iterable[Row], *keys: str) -> list[list[Row]]:
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(row[key] for key in keys), []).append(row)
    return list(groups.values())


def seconds_from_first_call(row_set: Sequence[Row]) -> list[float]:
    return [row["seconds"]["last_route"] - row["seconds"]["first_call"] for row in row_set]


def cpu_percents(row_set: Sequence[Row], part: str) -> list[float]:
    return [100 * row["cpu"][part] / row["cpu"]["elapsed_s"] for row in row_set]


def limit_without_sandbox(row: Row) -> float:
    """Returns how much faster the run was, if the sandbox computed nothing while a call was delayed."""
    alone = row["bound"] * row["delay_ms"] / 1000
    return alone / (row["seconds"]["last_route"] - row["cpu"][GATEWAY])


def rate_limit_seconds(row: Row) -> float:
    scopes, members = spread(row["vpcs"]), row["vpcs"] // row["meshes"]
    return bound_rate_limit_seconds(
        [scopes[at : at + members] for at in range(0, len(scopes), members)], TABLES
    )


def serial_seconds(results: Row, row: Row) -> float:
    means = {it["delay_ms"]: it["mean_ms"] for it in rows_of(results, "serial")}
    return row["bound"] * means.get(row["delay_ms"], math.nan) / 1000


def speedup(results: Row, row: Row) -> float:
    return serial_seconds(results, row) / row["seconds"]["last_route"]
