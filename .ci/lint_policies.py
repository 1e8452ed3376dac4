"""Checks the IAM policies of the templates with parliament: actions, resource types, condition keys.

CloudFormation's functions are replaced with example values, and both branches of a condition are checked.
parliament compares each statement with the service authorization reference: it finds a resource or a
condition that AWS never evaluates for the action, so that a statement looks like a guard and is none.
"""

import json
import re
import sys
import warnings
from collections.abc import Iterator
from typing import Any

from samcli.yamlhelper import yaml_parse

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it imports the deprecated pkg_resources
    import parliament

EXAMPLES = {
    "AWS::Partition": "aws",
    "AWS::AccountId": "111111111111",
    "AWS::Region": "us-east-1",
    "AWS::StackName": "peerd",
    "AWS::StackId": "arn:aws:cloudformation:us-east-1:111111111111:stack/peerd/0a1b-2c-3d-4e-5f",
    "HubAccount": "111111111111",
    "HubRegion": "us-east-1",
    "RolePath": "/",
    "SealSecretArn": "arn:aws:secretsmanager:us-east-1:111111111111:secret:peerd-seal-0123456789ab",
}
# The ARN of a resource by its type; {} is its logical id.
ARNS = {
    "AWS::DynamoDB::Table": "arn:aws:dynamodb:us-east-1:111111111111:table/{}",
    "AWS::Events::EventBus": "arn:aws:events:us-east-1:111111111111:event-bus/{}",
    "AWS::Logs::LogGroup": "arn:aws:logs:us-east-1:111111111111:log-group:{}:*",
    "AWS::SecretsManager::Secret": "arn:aws:secretsmanager:us-east-1:111111111111:secret:{}",
    "AWS::SQS::Queue": "arn:aws:sqs:us-east-1:111111111111:{}",
}
# parliament reports a resource `*`, which the reads of a whole account need.
IGNORED = {"RESOURCE_STAR"}
# Keys of every call, which parliament lists only for the actions of their service.
# https://docs.aws.amazon.com/lambda/latest/dg/permissions-source-function-arn.html
GLOBAL_KEYS = ("lambda:SourceFunctionArn",)


def render(value: Any, resources: dict[str, Any], branch: int) -> Any:
    """Returns a part of a template with example values in place of CloudFormation's functions.

    `branch` is the branch of each condition: 1 or 2.
    """
    if isinstance(value, list):
        rendered = [render(item, resources, branch) for item in value]
        return [item for item in rendered if item is not None]
    if not isinstance(value, dict):
        return value
    function, argument = next(iter(value.items())) if len(value) == 1 else ("", None)
    if function == "Fn::If":
        return render(argument[branch], resources, branch)
    if function == "Ref":
        return None if argument == "AWS::NoValue" else EXAMPLES.get(argument, argument.lower())
    if function == "Fn::GetAtt":
        name = (argument if isinstance(argument, str) else ".".join(argument)).partition(".")[0]
        return ARNS[resources[name]["Type"]].format(name)
    if function == "Fn::Sub":
        text = argument if isinstance(argument, str) else argument[0]
        return re.sub(r"\$\{([^}]+)\}", lambda it: EXAMPLES.get(it[1], it[1].lower()), text)
    if function in ("Fn::Join", "Fn::Split"):
        separator, operand = render(argument, resources, branch)
        parts = [operand] if isinstance(operand, str) else operand
        return separator.join(parts) if function == "Fn::Join" else operand.split(separator)
    rendered_items = ((key, render(item, resources, branch)) for key, item in value.items())
    return {key: item for key, item in rendered_items if item is not None}


def documents(value: Any) -> Iterator[Any]:
    """Returns the identity policies in a rendered resource."""
    if isinstance(value, dict):
        if "PolicyDocument" in value:
            yield value["PolicyDocument"]
        for name, item in value.items():
            if name != "AssumeRolePolicyDocument":
                yield from documents(item)
    elif isinstance(value, list):
        for item in value:
            yield from documents(item)


def findings(path: str) -> set[str]:
    """Returns parliament's findings about the identity policies of a template."""
    with open(path, encoding="utf-8") as file:
        resources = yaml_parse(file.read())["Resources"]
    return {
        f"{path}: {name} {statement.get('Sid', '')}: {finding}"
        for name, resource in resources.items()
        if resource["Type"].startswith("AWS::IAM::")
        for branch in (1, 2)
        for document in documents(render(resource["Properties"], resources, branch))
        for statement in document["Statement"]
        for finding in statement_findings(statement)
    }


def statement_findings(statement: dict[str, Any]) -> Iterator[str]:
    """Returns the findings about one statement."""
    policy = parliament.analyze_policy_string(json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    for finding in policy.findings:
        if finding.issue == "RESOURCE_MISMATCH":
            # An action with several resource types may have a statement for each of them.
            yield from (
                f"{action} has no such resource"
                for action in listed(statement["Action"])
                if not is_evaluated(action, listed(statement["Resource"]))
            )
        elif finding.issue not in IGNORED and not any(key in str(finding.detail) for key in GLOBAL_KEYS):
            yield f"{finding.issue}: {finding.detail}"


def is_evaluated(action: str, resources: list[str]) -> bool:
    """Returns whether AWS evaluates each of the resources for an action."""
    prefix, name = action.split(":")
    (service,) = [it for it in parliament.iam_definition if it["prefix"] == prefix]
    (privilege,) = [it for it in service["privileges"] if it["privilege"] == name]
    names = {it["resource_type"].removesuffix("*") for it in privilege["resource_types"]}
    formats = [
        re.sub(r"\$\{[^}]+\}", "*", it["arn"]) for it in service["resources"] if it["resource"] in names
    ]
    return all(any(parliament.is_arn_match("", it, resource) for it in formats) for resource in resources)


def listed(value: str | list[str]) -> list[str]:
    """Returns a value of a policy element as a list."""
    return [value] if isinstance(value, str) else value


def main() -> int:
    """Prints the findings; the exit code is 1 if there are any."""
    found = [finding for path in sys.argv[1:] for finding in sorted(findings(path))]
    for finding in found:
        print(finding, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
