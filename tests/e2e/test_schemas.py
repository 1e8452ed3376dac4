"""The schemas of `--json`, and whether the commands conform to them; `cli.py` validates every call."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from sandbox.client import checks
from sandbox.client.model import ACCOUNTS, REGIONS
from tests.e2e.cli import (
    SCHEMAS,
    Peerd,
    check_json,
    command_in,
    is_json_requested,
    schema_for,
    write_config,
)
from tests.e2e.world import World

HUB, SECOND, THIRD = ACCOUNTS
HOME, AWAY = REGIONS
STACK_OPTIONS = ("--stack", "peerd", "--role", "sandbox-admin")
POLICY = SCHEMAS / "policy.json"  # the schema of an input
FILES = sorted(set(SCHEMAS.glob("*.json")) - {POLICY, SCHEMAS / "error.json"})
CASES = json.loads((SCHEMAS.parents[1] / "shared/core/tests/policy-cases.json").read_text())
CLI = (SCHEMAS.parent / "cli.md").read_text()
COMMANDS = set(re.findall(r"^## `peerd (.+)`$", CLI, re.MULTILINE))
CHECK = {"result": "fail", "text": "there is no trail", "remedy": "make one"}
GOOD = {
    "healthy": False,
    "hub": [CHECK],
    "scopes": [{"account": HUB, "region": HOME, "checks": []}],
    "live": [],
}


def write_role(folder: Path, role: str) -> str:
    """Writes a peerd.toml with the mesh `json` and returns its path."""
    accounts, regions = json.dumps(ACCOUNTS), json.dumps(REGIONS)
    return write_config(
        folder, f'accounts = {accounts}\nregions = {regions}\nrole = "{role}"\n[meshes.json]\n'
    )


def parts(node: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields every object in a schema with its path."""
    if isinstance(node, dict):
        yield path, node
    pairs = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in pairs:
        yield from parts(value, f"{path}/{key}")


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_schema_is_valid_strict_and_describes_every_field(file: Path) -> None:
    schema = json.loads(file.read_text())
    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == Draft202012Validator.META_SCHEMA["$id"] and "$id" not in schema
    forms = [(path, node) for path, node in parts(schema) if node.get("type") == "object"]
    fixed = [(path, node) for path, node in forms if "properties" in node]
    assert all("additionalProperties" in node for path, node in forms if not is_condition(path))
    for path, node in fixed:
        assert node["additionalProperties"] is False, path
        assert node["required"] == list(node["properties"]), path
        missing = [name for name, field in node["properties"].items() if not field.get("description")]
        assert not missing, f"{path}: {missing}"
    used = {node["$ref"].removeprefix("#/$defs/") for _, node in parts(schema) if "$ref" in node}
    assert used == set(schema.get("$defs", {}))


def test_the_schema_of_a_policy_describes_every_field_and_its_examples_are_valid() -> None:
    schema = json.loads(POLICY.read_text())
    Draft202012Validator.check_schema(schema)
    for path, node in parts(schema):
        missing = [name for name, field in node.get("properties", {}).items() if "description" not in field]
        assert not missing or is_condition(path), f"{path}: {missing}"
        for example in node.get("examples", []):
            Draft202012Validator(node | {"$defs": schema["$defs"]}).validate(example)


def test_the_schema_of_a_policy_accepts_what_peerd_reads_and_nothing_else() -> None:
    """The test of policy.rs reads the same cases. They have no condition that a schema cannot express."""
    validator = Draft202012Validator(json.loads(POLICY.read_text()))
    for policy in CASES["valid"]:
        validator.validate(policy)
    assert [case for case in CASES["invalid"] if validator.is_valid(case["policy"])] == []


def is_condition(path: str) -> bool:
    """Returns whether a part of a schema only distinguishes cases that another part describes."""
    return bool({"if", "then", "else", "oneOf"} & set(path.split("/")))


def test_shared_definitions_are_identical_in_all_schemas() -> None:
    known: dict[str, Any] = {}
    for file in FILES:
        for name, definition in json.loads(file.read_text()).get("$defs", {}).items():
            assert known.setdefault(name, definition) == definition, f"{name} in {file.name}"
    status = json.loads((SCHEMAS / "status.json").read_text())["properties"]["meshes"]["items"]["properties"]
    aged = dict(status["findings"]["items"]["properties"])
    del aged["age_seconds"]
    assert aged == known["finding"]["properties"]


def test_every_schema_belongs_to_a_command_and_is_listed_in_the_table() -> None:
    table = (SCHEMAS / "README.md").read_text()
    rows = dict(
        re.findall(r"^\| `peerd ([a-z ]+)`[^|]*\| \[([a-z-]+\.json)\]\(\2\) \|$", table, re.MULTILINE)
    )
    assert set(rows) <= COMMANDS
    assert set(rows.values()) == {file.name for file in FILES}
    assert all(schema_for(command) for command in rows) and len(rows) == len(FILES)


def test_the_command_is_found_among_the_arguments() -> None:
    assert command_in(["--stack", "mesh", "mesh", "--json", "list"]) == "mesh list"
    assert command_in(["--stack=mesh", "import", "-", "--json"]) == "import"
    assert command_in(["status", "prod"]) == "status" and command_in(["--version"]) == ""
    assert is_json_requested(["map", "--format", "json"]) and is_json_requested(["mesh", "show", "prod"])
    assert not is_json_requested(["map", "--format", "dot"]) and not is_json_requested(["status"])


@pytest.fixture
def fake_peerd(tmp_path: Path) -> Peerd:
    """A command line whose output and exit code come from environment variables."""
    binary = tmp_path / "peerd"
    binary.write_text('#!/bin/sh\nprintf %s "$OUTPUT"\nexit "${CODE:-0}"\n')
    binary.chmod(0o755)
    return Peerd(binary, "http://127.0.0.1:9")


WRONG = {
    "a field is missing": {"healthy": True, "hub": []},
    "a field is new": GOOD | {"since": 1},
    "a field is of another type": GOOD | {"healthy": "no"},
    "a value is unknown": GOOD | {"hub": [CHECK | {"result": "maybe"}]},
    "a failing check has no remedy": GOOD | {"hub": [CHECK | {"remedy": None}]},
    "an id is invalid": GOOD | {"scopes": [{"account": "1", "region": HOME, "checks": []}]},
    "it is another command's": {"meshes": []},
}


@pytest.mark.parametrize("seen", WRONG.values(), ids=WRONG)
@pytest.mark.parametrize("code", ["0", "1"])
def test_an_invalid_output_is_detected(fake_peerd: Peerd, seen: Any, code: str) -> None:
    assert fake_peerd.run("doctor", "--json", OUTPUT=json.dumps(GOOD), CODE=code).code == int(code)
    assert fake_peerd.run("doctor", OUTPUT=json.dumps(seen), CODE=code).code == int(code), (
        "JSON was not requested"
    )
    with pytest.raises(AssertionError, match="peerd doctor prints JSON that violates its schema"):
        fake_peerd.run("doctor", "--json", OUTPUT=json.dumps(seen), CODE=code)


def test_an_output_that_is_not_json_or_has_no_schema_is_detected(fake_peerd: Peerd) -> None:
    for output in ("", "no problems", "{}{}"):
        with pytest.raises(AssertionError, match="peerd redrive prints invalid JSON"):
            fake_peerd.run("redrive", "--json", OUTPUT=output)
    with pytest.raises(AssertionError, match="peerd mesh show prints invalid JSON"):
        fake_peerd.run("mesh", "show", "prod", OUTPUT="full-mesh")
    with pytest.raises(AssertionError, match="peerd map prints JSON that violates its schema"):
        fake_peerd.run("map", "--format", "json", OUTPUT="{}")
    with pytest.raises(AssertionError, match="peerd man prints output without a schema in docs/schemas"):
        fake_peerd.run("man", "--json", OUTPUT="{}")
    assert fake_peerd.run("man", "--json", OUTPUT="").out == ""
    assert fake_peerd.run("map", "--json", "--out", "map.json", OUTPUT="").out == ""
    assert fake_peerd.run("plan", "--detailed-exitcode", "--json", OUTPUT="", CODE="64").code == 64, (
        "a wrong option"
    )


def test_a_plan_its_file_and_the_applied_run_match_their_schemas(
    world: World, peerd: Peerd, tmp_path: Path
) -> None:
    world.control.drop_events(True)
    saved, options = tmp_path / "plan.json", ("--file", write_role(tmp_path, "sandbox-admin"), "--json")
    block = world.cidr()
    one, two = world.vpc(HUB, HOME, mesh="json"), world.vpc(SECOND, AWAY, cidr=block, mesh="json")
    twin = world.vpc(THIRD, HOME, cidr=block, mesh="json")

    pending = peerd.run("plan", *options, "--detailed-exitcode", "--out", str(saved))

    in_file = json.loads(saved.read_text())
    check_json("plan", saved.read_text())
    drawn = json.loads(peerd.ok("map", "--from", str(saved), "--json"))
    assert in_file.pop("map") == drawn
    assert pending.code == 2 and in_file | {"map": None} == json.loads(pending.out)
    assert {it["planned"] and it["planned"]["kind"] for it in drawn["pairs"]} == {"create", None}
    plan = json.loads(pending.out)["meshes"]["json"]
    assert drawn["changes"] == len(plan["steps"])
    assert {step["pair"] is None for step in plan["steps"]} == {True, False}
    assert {it["kind"] for it in plan["findings"]} == {"overlap"}
    assert json.loads(peerd.ok("map", *options))["pairs"][0]["peering"] is None
    (run,) = json.loads(peerd.ok("apply", str(saved), *options))["runs"]
    assert run["outcome"] == "applied" and len(run["applied"]) >= len(plan["steps"]) and run["findings"]
    assert not checks.connection_problems(world.snapshot(one, two), one, two)
    assert {it["state"] for it in json.loads(peerd.ok("map", *options))["pairs"]} == {"active", "overlapping"}
    for vpc in (one, two, twin):
        world.untag(vpc)
    assert {it["state"] for it in json.loads(peerd.ok("map", *options))["pairs"]} == {"leaving"}
    peerd.ok("apply", *options, "--yes")
    assert json.loads(peerd.ok("apply", *options)) == {
        "runs": [],
        "not_read": [],
        "held_back": [],
    }


def test_a_plan_with_unreadable_scopes_and_a_failing_doctor_print_json(
    world: World, peerd: Peerd, tmp_path: Path
) -> None:
    file = write_role(tmp_path, "no-such-role")
    unread = peerd.run("plan", "--file", file, "--json")
    plan = json.loads(unread.out)
    assert unread.code == 5 and len(plan["not_read"]) == 6
    assert {it["kind"] for it in plan["meshes"]["json"]["findings"]} == {"unreadable"}

    result = peerd.run("doctor", "--file", file, "--json")

    assert result.code == 1 and json.loads(result.out)["healthy"] is False
    check_json("doctor", result.out)


def test_a_partial_run_is_printed_with_its_failures(world: World, peerd: Peerd, tmp_path: Path) -> None:
    world.control.drop_events(True)
    file = write_role(tmp_path, "sandbox-admin")
    one, two = world.vpc(HUB, HOME, mesh="json"), world.vpc(SECOND, AWAY, mesh="json")
    denied = {"code": "UnauthorizedOperation", "message": "You are not authorized", "status": 403}
    fault = {"service": "ec2", "action": "CreateRoute", "account": SECOND} | denied
    with world.control.injected_faults(fault):
        result = peerd.run("apply", "--file", file, "--yes", "--json")
    (run,) = json.loads(result.out)["runs"]
    assert (result.code, run["outcome"]) == (7, "partial") and run["failed"]
    for vpc in (one, two):
        world.untag(vpc)
    peerd.ok("apply", "--file", file, "--yes")


def test_declared_requested_and_pending_state_matches_its_schemas(
    world: World, peerd: Peerd, mesh: str
) -> None:
    policy = {
        "topology": "hub-and-spoke",
        "hubs": {"accounts": [HUB], "units": ["r-ab12"], "vpcs": ["vpc-1"]},
        "admit": {
            "accounts": [HUB],
            "units": ["r-ab12"],
            "regions": [HOME],
            "members": 9,
            "cidrs": ["private", "amazon-ipv6", "8.8.0.0/16"],
        },
        "routes": {"tables": "main", "exclude": ["100.64.0.0/10", "fd00::/8"]},
        "security_groups": {"ports": ["tcp/443", "tcp/8000-8100", "udp/53", "icmp"]},
        "dns": "on",
        "tags": {"team": "network"},
        "deletes": {"count": 0, "percent": 100},
        "adopt": ["pcx-1"],
        "release": ["pcx-2"],
    }
    result = peerd.run("mesh", "declare", mesh, "--policy", "-", "--json", stdin=json.dumps(policy))
    assert (result.code, json.loads(result.out)["subject"]) == (0, mesh)
    shown = json.loads(peerd.ok("mesh", "show", mesh, "--json"))
    assert shown == json.loads(peerd.ok("mesh", "show", mesh)) and shown["admit"]["members"] == 9
    for command in (("declare", "--yes"), ("resume", "--yes"), ("pause",)):
        verb, *options = command
        done = json.loads(peerd.ok("mesh", verb, mesh, *options, "--json"))
        assert done["subject"] == mesh and done["done"].endswith("it is being reconciled")
    failed = peerd.run("mesh", "show", f"{mesh}.unknown", "--json")
    assert json.loads(failed.err)["exit_code"] == failed.code == 1
    peerd.declare(f"{mesh}.other")
    undeclared = world.vpc(HUB, HOME, mesh=f"{mesh}.other")
    world.until_status(undeclared, f"joined {mesh}.other")
    peerd.ok("mesh", "undeclare", f"{mesh}.other")
    one, two = world.vpc(HUB, HOME, mesh=mesh), world.vpc(SECOND, HOME, mesh=mesh)
    world.until_status(undeclared, f"refused {mesh}.other")
    world.eventually(
        lambda: (
            [] if "pending until the mesh is resumed" in peerd.ok("status", mesh) else ["no pending changes"]
        )
    )
    world.until_idle()

    (paused,) = json.loads(peerd.ok("status", mesh, "--json"))["meshes"]

    assert paused["mode"] == "paused" and paused["suppressed"] and paused["pairs"] == {"missing": 1}
    assert {it["vpc"] for it in paused["members"]} == {one.id, two.id}
    listed = {it["mesh"]: it for it in json.loads(peerd.ok("mesh", "list", "--json"))["meshes"]}
    assert listed[f"{mesh}.other"]["declared_by"] == "none" and listed[mesh]["policy"]["mode"] == "paused"
    every = {it["mesh"]: it["mode"] for it in json.loads(peerd.ok("status", "--json"))["meshes"]}
    assert (every[f"{mesh}.other"], every[mesh]) == ("-", "paused")
    plan = json.loads(peerd.ok("plan", mesh, *STACK_OPTIONS, "--json"))["meshes"][mesh]
    assert plan["paused"] is True and plan["steps"]
    assert json.loads(peerd.ok("history", mesh, "--json"))["mesh"] == mesh
    accounts = json.loads(peerd.ok("account", "list", "--json"))["accounts"]
    assert {HUB, SECOND, THIRD} <= {it["account"] for it in accounts}


def test_an_import_matches_its_schema(world: World, peerd: Peerd, mesh: str) -> None:
    one, two = world.vpc(HUB, HOME), world.vpc(SECOND, AWAY)
    peering = world.create_peering(one, two)
    tags = {"peerd_created": "true", "peerd_environment": mesh}
    for vpc in (one, two):
        tag_list = [{"Key": key, "Value": value} for key, value in tags.items()]
        world.ec2(vpc).create_tags(Resources=[peering], Tags=tag_list)
    entries = [{"account_id": vpc.account, "vpc_id": vpc.id, "region": vpc.region} for vpc in (one, two)]
    elsewhere = {"account_id": "999999999999", "vpc_id": "vpc-0000000a", "region": HOME}
    metadata = {"common_principal_name": "sandbox-admin", "business_unit": "PaaS"}
    legacy_config = json.dumps({"metadata": metadata, "environments": {mesh: [*entries, elsewhere]}})

    seen = json.loads(peerd.ok("import", "-", "--json", stdin=legacy_config))

    assert seen["meshes"][mesh]["mode"] == "paused" and seen["register"] == []
    assert {it["vpc"]: it["tags"] for it in seen["tags"]}[one.id] == {"peerd:env": mesh}
    assert seen["notes"] and seen["meshes"][mesh]["adopt"] == [peering]
    unreadable = json.loads(peerd.ok("import", "-", "--role", "no-such-role", "--json", stdin=legacy_config))
    assert unreadable["register"] == [f"999999999999/{HOME}"]
