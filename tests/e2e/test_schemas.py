"""The schemas of what `--json` prints, and that the commands keep to them; `cli.py` looks at every call."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from sandbox.client import judge
from sandbox.client.model import ACCOUNTS, REGIONS
from tests.e2e.cli import SCHEMAS, Peerd, asks_for_json, check_json, command_of, schema_of
from tests.e2e.world import World

HUB, SECOND, THIRD = ACCOUNTS
HOME, AWAY = REGIONS
HERE = ("--stack", "peerd", "--role", "sandbox-admin")
FILES = sorted(SCHEMAS.glob("*.json"))
CLI = (SCHEMAS.parent / "cli.md").read_text()
COMMANDS = set(re.findall(r"^## `peerd (.+)`$", CLI, re.MULTILINE))
CHECK = {"holds": "no", "text": "there is no trail", "remedy": "make one"}
GOOD = {"healthy": False, "hub": [CHECK], "scopes": [{"account": HUB, "region": HOME, "checks": []}]}


def written(folder: Path, role: str) -> str:
    """A peerd.toml with the mesh `told`."""
    file = folder / "peerd.toml"
    accounts, regions = json.dumps(ACCOUNTS), json.dumps(REGIONS)
    file.write_text(f'accounts = {accounts}\nregions = {regions}\nrole = "{role}"\n[meshes.told]\n')
    return str(file)


def parts(node: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every object within a schema, with its path."""
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


def is_condition(path: str) -> bool:
    """Whether a part of a schema only tells cases apart that another part describes."""
    return bool({"if", "then", "else", "oneOf"} & set(path.split("/")))


def test_what_several_schemas_define_is_the_same_in_all() -> None:
    known: dict[str, Any] = {}
    for file in FILES:
        for name, definition in json.loads(file.read_text()).get("$defs", {}).items():
            assert known.setdefault(name, definition) == definition, f"{name} in {file.name}"
    status = json.loads((SCHEMAS / "status.json").read_text())["properties"]["meshes"]["items"]["properties"]
    aged = dict(status["findings"]["items"]["properties"])
    del aged["age_seconds"]
    assert aged == known["finding"]["properties"]


def test_every_schema_is_of_a_command_and_stands_in_the_table() -> None:
    table = (SCHEMAS / "README.md").read_text()
    rows = dict(
        re.findall(r"^\| `peerd ([a-z ]+)`[^|]*\| \[([a-z-]+\.json)\]\(\2\) \|$", table, re.MULTILINE)
    )
    assert set(rows) <= COMMANDS
    assert set(rows.values()) == {file.name for file in FILES}
    assert all(schema_of(command) for command in rows) and len(rows) == len(FILES)


def test_the_command_is_found_among_the_arguments() -> None:
    assert command_of(["--stack", "mesh", "mesh", "--json", "list"]) == "mesh list"
    assert command_of(["--stack=mesh", "import", "-", "--json"]) == "import"
    assert command_of(["status", "prod"]) == "status" and command_of(["--version"]) == ""
    assert asks_for_json(["map", "--format", "json"]) and asks_for_json(["mesh", "show", "prod"])
    assert not asks_for_json(["map", "--format", "dot"]) and not asks_for_json(["status"])


@pytest.fixture
def liar(tmp_path: Path) -> Peerd:
    """A command line that says what it is told to, and ends as it is told to."""
    binary = tmp_path / "peerd"
    binary.write_text('#!/bin/sh\nprintf %s "$SAYS"\nexit "${CODE:-0}"\n')
    binary.chmod(0o755)
    return Peerd(binary, "http://127.0.0.1:9")


WRONG = {
    "a field is missing": {"healthy": True, "hub": []},
    "a field is new": GOOD | {"since": 1},
    "a field is of another type": GOOD | {"healthy": "no"},
    "a word is unknown": GOOD | {"hub": [CHECK | {"holds": "maybe"}]},
    "a failing check says nothing to do": GOOD | {"hub": [CHECK | {"remedy": None}]},
    "an id is none": GOOD | {"scopes": [{"account": "1", "region": HOME, "checks": []}]},
    "it is another command's": {"meshes": []},
}


@pytest.mark.parametrize("seen", WRONG.values(), ids=WRONG)
@pytest.mark.parametrize("code", ["0", "1"])
def test_a_wrong_answer_is_noticed(liar: Peerd, seen: Any, code: str) -> None:
    assert liar.run("doctor", "--json", SAYS=json.dumps(GOOD), CODE=code).code == int(code)
    assert liar.run("doctor", SAYS=json.dumps(seen), CODE=code).code == int(code), "nobody asked for JSON"
    with pytest.raises(AssertionError, match="peerd doctor prints what its schema does not say"):
        liar.run("doctor", "--json", SAYS=json.dumps(seen), CODE=code)


def test_an_answer_that_is_no_json_or_of_a_command_without_a_schema_is_noticed(liar: Peerd) -> None:
    for says in ("", "all is well", "{}{}"):
        with pytest.raises(AssertionError, match="peerd redrive prints no JSON"):
            liar.run("redrive", "--json", SAYS=says)
    with pytest.raises(AssertionError, match="peerd mesh show prints no JSON"):
        liar.run("mesh", "show", "prod", SAYS="full-mesh")
    with pytest.raises(AssertionError, match="peerd map prints what its schema"):
        liar.run("map", "--format", "json", SAYS="{}")
    with pytest.raises(AssertionError, match="peerd mesh pause prints what docs/schemas does not tell of"):
        liar.run("mesh", "pause", "prod", "--json", SAYS="{}")
    assert liar.run("mesh", "pause", "prod", "--json", SAYS="").out == ""
    assert liar.run("map", "--json", "--out", "map.json", SAYS="").out == ""
    assert liar.run("plan", "--detailed-exitcode", "--json", SAYS="", CODE="2").code == 2, "a wrong option"


def test_a_plan_its_file_and_what_was_applied_keep_to_their_schemas(
    world: World, peerd: Peerd, tmp_path: Path
) -> None:
    world.control.drop_events(True)
    kept, here = tmp_path / "plan.json", ("--file", written(tmp_path, "sandbox-admin"), "--json")
    block = world.cidr()
    one, two = world.vpc(HUB, HOME, mesh="told"), world.vpc(SECOND, AWAY, cidr=block, mesh="told")
    twin = world.vpc(THIRD, HOME, cidr=block, mesh="told")

    due = peerd.run("plan", *here, "--detailed-exitcode", "--out", str(kept))

    assert due.code == 2 and kept.read_text() == due.out
    plan = json.loads(due.out)["meshes"]["told"]
    assert {step["pair"] is None for step in plan["steps"]} == {True, False}
    assert {it["kind"] for it in plan["findings"]} == {"overlap"}
    assert json.loads(peerd.ok("map", *here))["pairs"][0]["peering"] is None
    (run,) = json.loads(peerd.ok("apply", str(kept), *here))["runs"]
    assert run["outcome"] == "applied" and len(run["applied"]) >= len(plan["steps"]) and run["findings"]
    assert not judge.not_connected(world.see(one, two), one, two)
    assert {it["state"] for it in json.loads(peerd.ok("map", *here))["pairs"]} == {"active", "overlapping"}
    for vpc in (one, two, twin):
        world.untag(vpc)
    assert {it["state"] for it in json.loads(peerd.ok("map", *here))["pairs"]} == {"leaving"}
    peerd.ok("apply", *here, "--yes")
    assert json.loads(peerd.ok("apply", *here)) == {"runs": []}


def test_a_plan_with_gaps_and_a_failing_doctor_print_json_too(
    world: World, peerd: Peerd, tmp_path: Path
) -> None:
    file = written(tmp_path, "nobody")
    plan = json.loads(peerd.ok("plan", "--file", file, "--json"))
    assert {it["kind"] for it in plan["meshes"]["told"]["findings"]} == {"gap"}

    said = peerd.run("doctor", "--file", file, "--json")

    assert said.code == 1 and json.loads(said.out)["healthy"] is False
    check_json("doctor", said.out)


def test_a_run_that_is_not_done_is_printed_with_what_failed(
    world: World, peerd: Peerd, tmp_path: Path
) -> None:
    world.control.drop_events(True)
    file = written(tmp_path, "sandbox-admin")
    one, two = world.vpc(HUB, HOME, mesh="told"), world.vpc(SECOND, AWAY, mesh="told")
    denied = {"code": "UnauthorizedOperation", "message": "You are not authorized", "status": 403}
    world.control.faults({"service": "ec2", "action": "CreateRoute", "account": SECOND} | denied)
    try:
        said = peerd.run("apply", "--file", file, "--yes", "--json")
    finally:
        world.control.faults()
    (run,) = json.loads(said.out)["runs"]
    assert (said.code, run["outcome"]) == (1, "partial") and run["failed"]
    for vpc in (one, two):
        world.untag(vpc)
    peerd.ok("apply", "--file", file, "--yes")


def test_what_is_declared_asked_for_and_due_keeps_to_its_schemas(
    world: World, peerd: Peerd, mesh: str
) -> None:
    policy = {
        "topology": "hub-and-spoke",
        "admit": {
            "accounts": [HUB],
            "units": ["r-ab12"],
            "regions": [HOME],
            "members": 9,
            "cidrs": ["10.0.0.0/8"],
        },
        "routes": {"tables": "main", "exclude": ["100.64.0.0/10", "fd00::/8"]},
        "dns": "on",
        "tags": {"team": "network"},
        "deletes": {"count": 0, "percent": 100},
        "adopt": ["pcx-1"],
        "release": ["pcx-2"],
    }
    said = peerd.run("mesh", "declare", mesh, "--policy", "-", "--json", stdin=json.dumps(policy))
    assert (said.code, said.out) == (0, "")
    shown = json.loads(peerd.ok("mesh", "show", mesh, "--json"))
    assert shown == json.loads(peerd.ok("mesh", "show", mesh)) and shown["admit"]["members"] == 9
    for done in (("declare",), ("declare", "--paused"), ("resume",), ("pause",)):
        verb, *options = done
        assert peerd.ok("mesh", verb, mesh, *options, "--json") == ""
    unasked = world.vpc(HUB, HOME, mesh=f"{mesh}.nobody")
    one, two = world.vpc(HUB, HOME, mesh=mesh), world.vpc(SECOND, HOME, mesh=mesh)
    world.until_status(unasked, f"refused {mesh}.nobody")
    world.eventually(lambda: [] if "due when the mesh resumes" in peerd.ok("status", mesh) else ["not due"])

    (paused,) = json.loads(peerd.ok("status", mesh, "--json"))["meshes"]

    assert paused["mode"] == "paused" and paused["withheld"] and paused["pairs"] == {"missing": 1}
    assert {it["vpc"] for it in paused["members"]} == {one.id, two.id}
    listed = {it["mesh"]: it for it in json.loads(peerd.ok("mesh", "list", "--json"))["meshes"]}
    assert listed[f"{mesh}.nobody"]["declared_by"] == "nobody" and listed[mesh]["policy"]["mode"] == "paused"
    every = {it["mesh"]: it["mode"] for it in json.loads(peerd.ok("status", "--json"))["meshes"]}
    assert (every[f"{mesh}.nobody"], every[mesh]) == ("-", "paused")
    plan = json.loads(peerd.ok("plan", mesh, *HERE, "--json"))["meshes"][mesh]
    assert plan["paused"] is True and plan["steps"]
    assert json.loads(peerd.ok("history", mesh, "--json"))["mesh"] == mesh
    assert json.loads(peerd.ok("history", "nosuch", "--json")) == {"mesh": "nosuch", "runs": []}
    accounts = json.loads(peerd.ok("account", "list", "--json"))["accounts"]
    assert {HUB, SECOND, THIRD} <= {it["account"] for it in accounts}


def test_an_import_keeps_to_its_schema(world: World, peerd: Peerd, mesh: str) -> None:
    one, two = world.vpc(HUB, HOME), world.vpc(SECOND, AWAY)
    peering = world.create_peering(one, two)
    worn = {"peerd_created": "true", "peerd_environment": mesh}
    for vpc in (one, two):
        tags = [{"Key": key, "Value": value} for key, value in worn.items()]
        world.ec2(vpc).create_tags(Resources=[peering], Tags=tags)
    entries = [{"account_id": vpc.account, "vpc_id": vpc.id, "region": vpc.region} for vpc in (one, two)]
    elsewhere = {"account_id": "999999999999", "vpc_id": "vpc-0000000a", "region": HOME}
    metadata = {"common_principal_name": "sandbox-admin", "business_unit": "PaaS"}
    old = json.dumps({"metadata": metadata, "environments": {mesh: [*entries, elsewhere]}})

    seen = json.loads(peerd.ok("import", "-", "--json", stdin=old))

    assert seen["meshes"][mesh]["mode"] == "paused" and seen["register"] == []
    assert {it["vpc"]: it["tags"] for it in seen["tags"]}[one.id] == {"peerd:env": mesh}
    assert seen["notes"] and seen["meshes"][mesh]["adopt"] == [peering]
    unread = json.loads(peerd.ok("import", "-", "--role", "nobody", "--json", stdin=old))
    assert unread["register"] == [f"999999999999/{HOME}"]
