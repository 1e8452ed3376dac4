"""Sample maps in the format of `peerd map --format json`, with pairs in every state."""

import hashlib
import json
import re
from itertools import combinations
from typing import Any

ACCOUNTS = ("111111111111", "222222222222", "333333333333")
REGIONS = ("us-east-1", "eu-west-1")
HOSTILE = (
    "</script><script>window.pwned = true</script>\"'&{{script}}<img src=x onerror='window.pwned = true'>"
)
ACTIVE, PROVISIONING, MISSING, OVERLAPPING, BLOCKED, PARTLY = range(6)
# The VPCs of `troubled_map` that are not simply joined.
REFUSED, WAITING, IN_PART, UNTAGGED, UNREAD = 9, 8, 4, 3, 5
STATES = {PROVISIONING: "provisioning", MISSING: "missing", OVERLAPPING: "overlapping"}
_CHECKS = {
    PROVISIONING: ("fail", "the peering is provisioning", "wait a minute"),
    MISSING: ("fail", "they have no peering", "wait: the next run requests it"),
    OVERLAPPING: ("fail", "their CIDRs overlap", "renumber one of them"),
    BLOCKED: ("fail", "a foreign route is in the way", "delete that route"),
    PARTLY: ("warn", "one table of two has the route", "tag the other table"),
}
# Data of a finding of which the page reads nothing.
_DATA = {"reason": "invalid_tag", "resource": "x", "key": "x", "word": "x", "expected": "own_cidrs"}


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
        "state": "joined",
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
            "data": _DATA,
        }
        for pair in pairs
        if pair["state"] == "overlapping"
    ]
    return {"vpcs": nodes, "pairs": pairs, "findings": findings}


def _finding(kind: str, subject: str, text: str, data: dict[str, Any] = _DATA) -> dict[str, Any]:
    rendered = {"kind": kind, "subject": subject, "text": text, "remedy": f"resolve: {text}"}
    return {**rendered, "severity": "warning", "data": data}


def _subject(vpc: dict[str, Any]) -> str:
    return f"{vpc['vpc']} ({vpc['account']}/{vpc['region']})"


def troubled_map() -> dict[str, Any]:
    """Returns a map with VPCs in every state, and findings about all that findings can be about."""
    document = sample_map(10)
    vpcs, pairs = document["vpcs"], document["pairs"]
    overlap = f"joined mesh-0. refused mesh-0 with {vpc_id(0)}: 10.0.0.0/24 overlaps 10.0.4.0/24"
    for number, state, status in [
        (REFUSED, "refused", "refused mesh-1: mesh is not declared"),
        (WAITING, "waiting", f"waiting mesh-1 with {vpc_id(7)}: routes are being added"),
        (IN_PART, "joined-in-part", overlap),
        (UNTAGGED, "no-status", None),
        (UNREAD, "unreadable", None),
    ]:
        vpcs[number] |= {"state": state, "status": status}
    document["pairs"] = [pair for pair in pairs if vpc_id(REFUSED) not in pair["between"]]
    scope = {key: vpcs[UNREAD][key] for key in ("account", "region")}
    unread = {"reason": "unreadable_scope", "scope": scope, "role": "peerd", "error": "access denied"}
    table = f"rtb-{vpc_id(2)[4:]}"
    owner = {"scope": {key: vpcs[2][key] for key in ("account", "region")}, "id": vpc_id(2)}
    route = {
        "reason": "foreign_route",
        "table": table,
        "vpc": owner,
        "cidr": "10.0.1.0/24",
        "target": "igw-1",
    }
    route |= {"propagated": False, "peering": pairs[BLOCKED]["peering"]}
    document["findings"] += [
        _finding("refused", _subject(vpcs[REFUSED]), "requests mesh-1: mesh is not declared"),
        _finding("conflict", f"{table} of {_subject(vpcs[2])}", "10.0.1.0/24 is routed to igw-1", route),
        _finding("unreadable", "/".join(scope.values()), "access denied", unread),
        _finding("paused", "mesh-1", "2 changes pending while it is paused"),
        _finding("unknown-requester", "999999999999", "a VPC of this account requests a mesh"),
    ]
    return document


# The pairs that the plan of `planned_map` changes, and the page's sign for a pair that it deletes.
CREATED, UPDATED, DELETED = 0, BLOCKED, 12
MINUS = "\u2212"


def planned_map() -> dict[str, Any]:
    """Returns the map of a plan that creates, changes and deletes one pair each, and changes one VPC."""
    document = sample_map(10)
    for kind, number, sign in [("create", CREATED, "+"), ("update", UPDATED, "*"), ("delete", DELETED, "-")]:
        steps = [f"{sign} {what} of {number}" for what in ("peering", "route")]
        document["pairs"][number]["planned"] = {"kind": kind, "steps": steps}
    document["vpcs"][1]["planned"] = {"kind": "update", "steps": ["* vpc status joined mesh-0"]}
    return {**document, "changes": 7}


def as_explained(document: dict[str, Any]) -> dict[str, Any]:
    """Returns the map with ids as random as AWS's, and with as many checks as `explain` has for a pair."""
    scopes = {vpc["vpc"]: _subject(vpc) for vpc in document["vpcs"]}
    for pair in document["pairs"]:
        ends = [scopes[vpc] for vpc in pair["between"]]
        texts = [f"{end} can be read" for end in ends]
        texts += [f"{pair['meshes'][0]} connects them", f"{pair['peering']} is active"]
        texts += [
            f"1 of 1 route tables of {end} have all routes to {peer}" for end, peer in (ends, ends[::-1])
        ]
        pair["checks"] += [{"result": "pass", "text": text, "remedy": None} for text in texts]

    def as_random(found: re.Match[str]) -> str:
        return found[1] + hashlib.sha256(found[2].encode()).hexdigest()[:17]

    return json.loads(re.sub(r"((?:vpc|pcx|rtb)-)([0-9a-f]{17})", as_random, json.dumps(document)))
