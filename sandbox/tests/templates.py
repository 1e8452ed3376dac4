"""The policies of a template's stack without a deployment, for tests with many variants of the parameters.

It resolves the functions that the policies use. A reference to a resource is its ARN, because the policies
contain nothing else of a resource. A test compares the result with the policies that the sandbox deploys.
"""

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache, reduce
from pathlib import Path
from typing import Any

from samcli.yamlhelper import yaml_parse

from sandbox.iam.policies import Policies, Role

ROOT = Path(__file__).parents[2]
_NO_VALUE = object()
_STACK_UUID = "0a1b2c3d-0000-0000-0000-0123456789ab"


@cache
def template(name: str) -> Mapping[str, Any]:
    """Returns a parsed template of the project."""
    return yaml_parse((ROOT / name).read_text())


def combined(*stacks: "Stack | Policies") -> Policies:
    """Returns the policies of several stacks."""
    all_policies = [it.policies() if isinstance(it, Stack) else it for it in stacks]
    return reduce(
        lambda one, two: Policies({**one.roles, **two.roles}, {**one.resources, **two.resources}),
        all_policies,
    )


class Stack:
    """A stack of a template in one account and Region; `parameters` are those without defaults, or others."""

    def __init__(self, name: str, account: str, region: str = "us-east-1", **parameters: str) -> None:
        self._template, self._account, self._region = template(name), account, region
        declared = self._template["Parameters"]
        assert parameters.keys() <= declared.keys()
        self._values = {
            "AWS::Partition": "aws",
            "AWS::AccountId": account,
            "AWS::Region": region,
            "AWS::StackName": "peerd",
            "AWS::StackId": f"arn:aws:cloudformation:{region}:{account}:stack/peerd/{_STACK_UUID}",
            "AWS::NoValue": _NO_VALUE,
            **{key: _value(given, parameters.get(key)) for key, given in declared.items()},
        }

    def policies(self) -> Policies:
        """Returns the policies that the stack creates."""
        roles, resources = {}, {}
        for logical_id, resource in self._existing():
            properties = self._resolve(resource.get("Properties", {}))
            if resource["Type"] == "AWS::IAM::Role":
                roles[self._arn(logical_id)] = self._role(properties)
            elif resource["Type"] == "AWS::SQS::QueuePolicy":
                document = json.dumps(properties["PolicyDocument"])
                resources |= dict.fromkeys(properties["Queues"], document)
            elif resource["Type"] == "AWS::Events::EventBus" and "Policy" in properties:
                resources[self._arn(logical_id)] = json.dumps(properties["Policy"])
        return Policies(roles, resources)

    def _existing(self) -> Iterator[tuple[str, dict[str, Any]]]:
        for logical_id, resource in self._template["Resources"].items():
            if "Condition" not in resource or self._holds({"Condition": resource["Condition"]}):
                yield logical_id, resource

    def _role(self, properties: dict[str, Any]) -> Role:
        policies = {it["PolicyName"]: json.dumps(it["PolicyDocument"]) for it in properties["Policies"]}
        for logical_id, resource in self._existing():
            if resource["Type"] == "AWS::IAM::ManagedPolicy" and self._arn(logical_id) in properties.get(
                "ManagedPolicyArns", []
            ):
                policies[logical_id] = json.dumps(self._resolve(resource["Properties"]["PolicyDocument"]))
        return Role(json.dumps(properties["AssumeRolePolicyDocument"]), policies)

    def _arn(self, logical_id: str) -> str:
        resource = self._template["Resources"][logical_id]
        named = resource.get("Properties", {})

        def named_by(key: str, default: str = "") -> str:
            return self._resolve(named[key]) if key in named else default or f"peerd-{logical_id}-GENERATED"

        where = f"{self._region}:{self._account}"
        match resource["Type"]:
            case "AWS::IAM::Role":
                return f"arn:aws:iam::{self._account}:role{named_by('Path', '/')}{named_by('RoleName')}"
            case "AWS::IAM::ManagedPolicy":
                return f"arn:aws:iam::{self._account}:policy{named_by('Path', '/')}{named_by('PolicyName')}"
            case "AWS::SQS::Queue":
                return f"arn:aws:sqs:{where}:{named_by('QueueName')}"
            case "AWS::DynamoDB::Table":
                return f"arn:aws:dynamodb:{where}:table/{named_by('TableName')}"
            case "AWS::Events::EventBus":
                return f"arn:aws:events:{where}:event-bus/{named_by('Name')}"
            case "AWS::Events::Rule" if "EventBusName" in named:
                bus = self._resolve(named["EventBusName"]).rpartition("/")[2]
                return f"arn:aws:events:{where}:rule/{bus}/{named_by('Name')}"
            case "AWS::Events::Rule":
                return f"arn:aws:events:{where}:rule/{named_by('Name')}"
            case "AWS::SecretsManager::Secret":
                return f"arn:aws:secretsmanager:{where}:secret:{named_by('Name')}-GENERATED"
            case "AWS::Logs::LogGroup":
                return f"arn:aws:logs:{where}:log-group:{named_by('LogGroupName')}:*"
            case other:
                return f"{other}:{logical_id}"  # no policy names it

    # ------------------------------------------------------------ functions

    def _resolve(self, value: Any) -> Any:
        if isinstance(value, list):
            return [it for it in map(self._resolve, value) if it is not _NO_VALUE]
        if not isinstance(value, dict):
            return value
        function, argument = next(iter(value.items())) if len(value) == 1 else ("", None)
        match function:
            case "Ref":
                return self._values[argument] if argument in self._values else self._arn(argument)
            case "Fn::GetAtt":
                return self._arn(argument.partition(".")[0] if isinstance(argument, str) else argument[0])
            case "Fn::If":
                condition, if_true, if_false = argument
                return self._resolve(if_true if self._holds({"Condition": condition}) else if_false)
            case "Fn::Join":
                return argument[0].join(self._resolve(argument[1]))
            case "Fn::Select":
                return self._resolve(argument[1])[int(argument[0])]
            case "Fn::Split":
                return self._resolve(argument[1]).split(argument[0])
            case "Fn::Sub" if isinstance(argument, str):
                return re.sub(r"\$\{([^}]+)\}", lambda it: self._values[it[1]], argument)
        resolved = {key: self._resolve(item) for key, item in value.items()}
        return {key: item for key, item in resolved.items() if item is not _NO_VALUE}

    def _holds(self, condition: dict[str, Any]) -> bool:
        ((function, argument),) = condition.items()
        match function:
            case "Condition":
                return self._holds(self._template["Conditions"][argument])
            case "Fn::Equals":
                one, two = map(self._resolve, argument)
                return one == two
            case "Fn::Not":
                return not self._holds(argument[0])
            case "Fn::And":
                return all(map(self._holds, argument))
            case "Fn::Or":
                return any(map(self._holds, argument))
        raise NotImplementedError(function)


def _value(declared: Mapping[str, Any], given: str | None) -> str | list[str]:
    value = str(declared["Default"]) if given is None else given
    return value.split(",") if declared["Type"] == "CommaDelimitedList" else value
