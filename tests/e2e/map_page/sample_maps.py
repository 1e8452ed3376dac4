"""Sample maps in the format of `peerd map --format json`, with pairs in every state."""

from itertools import combinations
from typing import Any

ACCOUNTS = ("111111111111", "222222222222", "333333333333")
REGIONS = ("us-east-1", "eu-west-1")
HOSTILE = (
    "</script><script>window.pwned = true</script>\"'&{{script}}<img src=x onerror='window.pwned = true'>"
)
ACTIVE, PROVISIONING, MISSING, OVERLAPPING, BLOCKED, PARTLY = range(6)
STATES = {PROVISIONING: "provisioning", MISSING: "missing", OVERLAPPING: "overlapping"}
_CHECKS = {
    PROVISIONING: ("fail", "the peering is provisioning", "wait a minute"),
    MISSING: ("fail", "they have no peering", "wait: the next run requests it"),
    OVERLAPPING: ("fail", "their CIDRs overlap", "renumber one of them"),
    BLOCKED: ("fail", "a foreign route is in the way", "delete that route"),
    PARTLY: ("warn", "one table of two has the route", "tag the other table"),
}


def vpc_id(number: int) -> str:
    """Returns the id of the VPC with this number."""
    return f"vpc-{number:017x}"


def _vpc(number: int, mesh: str) -> dict[str, Any]:
    name = HOSTILE if number == 0 else f"service-{number}" if number % 3 else None
    return {
        "account": ACCOUNTS[number % 3],
        "region": REGIONS[number // 3 % 2],
        "vpc": vpc_id(number),
        "name": name,
        "cidrs": [f"10.{number // 250}.{number % 250}.0/24"],
        "meshes": [mesh],
        "status": f"joined {mesh}",
    }


def _pair(number: int, one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    state = STATES.get(number, "active")
    ends = (one, other)
    routes = [
        {"vpc": here["vpc"], "table": f"rtb-{here['vpc'][4:]}", "cidr": there["cidrs"][0]}
        for here, there in (ends, ends[::-1])
    ]
    checks = [("pass", f"both request {one['meshes'][0]}", None)]
    checks += [_CHECKS[number]] if number in _CHECKS else []
    return {
        "between": [one["vpc"], other["vpc"]],
        "peering": f"pcx-{number:017x}" if state in ("active", "provisioning") else None,
        "state": state,
        "meshes": one["meshes"],
        "routes": routes if state == "active" else [],
        "checks": [dict(zip(("result", "text", "remedy"), check, strict=True)) for check in checks],
    }


def sample_map(vpcs: int, meshes: int = 2) -> dict[str, Any]:
    """Returns a map of full meshes of equal size, whose first pairs have the states above."""
    size = -(-vpcs // meshes)
    nodes = [_vpc(number, f"mesh-{number // size}") for number in range(vpcs)]
    wanted = [pair for pair in combinations(nodes, 2) if pair[0]["meshes"] == pair[1]["meshes"]]
    pairs = [_pair(number, *ends) for number, ends in enumerate(wanted)]
    findings = [
        {
            "kind": "overlap",
            "subject": f"{pair['between'][0]} - {pair['between'][1]}",
            "text": "they overlap",
            "remedy": "renumber one of them",
            "severity": "warning",
            "data": {
                "reason": "invalid_tag",
                "resource": "x",
                "key": "x",
                "word": "x",
                "expected": "own_cidrs",
            },
        }
        for pair in pairs
        if pair["state"] == "overlapping"
    ]
    return {"vpcs": nodes, "pairs": pairs, "findings": findings}
