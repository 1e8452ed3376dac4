"""The table of actions, compared with the service authorization reference that parliament contains."""

import json
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from samcli.yamlhelper import yaml_parse

from sandbox.iam.actions import ACTIONS

TEMPLATES = Path(__file__).parents[2]
# Keys that the sandbox provides for every action, or for the calls of AWS services.
GLOBAL_KEYS = {
    "aws:PrincipalArn",
    "aws:PrincipalOrgID",
    "aws:PrincipalOrgPaths",
    "aws:RequestedRegion",
    "aws:ResourceAccount",
    "aws:ResourceOrgID",
    "aws:ResourceOrgPaths",
    "aws:SecureTransport",
    "aws:SourceAccount",
    "aws:SourceArn",
    "lambda:SourceFunctionArn",
}


@cache
def reference() -> dict[str, Any]:
    """Returns the reference, by the prefix of the service."""
    spec = find_spec("parliament")  # without its import, which is slow and warns
    assert spec is not None and spec.origin is not None
    text = Path(spec.origin).with_name("iam_definition.json").read_text()
    return {service["prefix"]: service for service in json.loads(text)}


def resource_types(action: str) -> dict[str, set[str]]:
    """Returns the condition keys of each resource type of an action; `*` ends the required types."""
    prefix, name = action.split(":")
    (privilege,) = [it for it in reference()[prefix]["privileges"] if it["privilege"] == name]
    return {
        it["resource_type"]: {key.removesuffix("/${TagKey}") for key in it["condition_keys"]}
        for it in privilege["resource_types"]
    }


@pytest.mark.parametrize("action", ACTIONS)
def test_an_action_has_the_resource_types_and_condition_keys_of_the_reference(action: str) -> None:
    known = resource_types(action)
    by_name = {name.removesuffix("*"): keys for name, keys in known.items()}
    required = {name.removesuffix("*") for name in known if name.endswith("*")}
    assert required <= ACTIONS[action].keys()
    for name, keys in ACTIONS[action].items():
        assert name in by_name, f"{action} has no resource type {name}"
        assert set(keys) <= by_name[name], f"{action} has other condition keys for {name or 'any resource'}"


def template_statements() -> list[dict[str, Any]]:
    """Returns the statements of all policies in the templates."""
    found: list[dict[str, Any]] = []

    def collect(value: Any) -> None:
        if isinstance(value, dict):
            if value.get("Effect") in ("Allow", "Deny"):
                found.append(value)
            for item in value.values():
                collect(item)
        elif isinstance(value, list):
            for item in value:
                collect(item)

    for name in ("template.yaml", "spoke.yaml", "operator.yaml"):
        collect(yaml_parse((TEMPLATES / name).read_text())["Resources"])
    return found


def branches(value: Any) -> Iterator[Any]:
    """Returns a part of a template, or both branches of a condition, without those that have no value."""
    if isinstance(value, dict) and "Fn::If" in value:
        for branch in value["Fn::If"][1:]:
            yield from branches(branch)
    elif value != {"Ref": "AWS::NoValue"}:
        yield value


def action_names(statement: dict[str, Any]) -> Iterator[str]:
    """Returns the actions of a statement."""
    for actions in branches(statement["Action"]):
        for action in [actions] if isinstance(actions, str) else actions:
            yield from branches(action)


def condition_keys(statement: dict[str, Any]) -> Iterator[str]:
    """Returns the condition keys of a statement."""
    for condition in branches(statement.get("Condition", {})):
        for operator in condition.values():
            for keys in branches(operator):
                yield from keys


def test_the_sandbox_knows_every_action_and_condition_key_of_the_templates() -> None:
    statements = template_statements()
    assert len(statements) > 20
    allowed = {action for it in statements if it["Effect"] == "Allow" for action in action_names(it)}
    assert allowed <= ACTIONS.keys()
    provided = GLOBAL_KEYS | {key for types in ACTIONS.values() for keys in types.values() for key in keys}
    used = {key.partition("/")[0] for it in statements for key in condition_keys(it)}
    assert used <= provided
