"""Properties of the hub's resources that ministack ignores (a part of `ministack_child`).

The protection of a table that CloudFormation creates, and a whole policy in PutPermission.
"""

import json
from collections.abc import Callable
from typing import Any

from ministack.core.responses import error_response_json, json_response
from ministack.services import dynamodb, eventbridge
from ministack.services.cloudformation import provisioners

Step = Callable[..., Any]


def install() -> None:
    """Patches ministack. It runs before the policies are published, which wraps the same call."""
    tables = provisioners._RESOURCE_HANDLERS["AWS::DynamoDB::Table"]
    tables["create"] = _with_protection(tables["create"], properties=1)
    tables["update"] = _with_protection(tables["update"], properties=2)
    eventbridge._put_permission = _putting_policies(eventbridge._put_permission)


def _with_protection(step: Step, properties: int) -> Step:
    """Sets point-in-time recovery and encryption; ministack keeps only the protection from deletion.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-dynamodb-table.html
    """

    def protected(*args: Any, **kwargs: Any) -> Any:
        result = step(*args, **kwargs)
        wanted = args[properties]
        recovery = wanted.get("PointInTimeRecoverySpecification", {})
        # A template may contain the text "true".
        enabled = str(recovery.get("PointInTimeRecoveryEnabled", False)).lower() == "true"
        dynamodb._pitr_settings[result[0]] = enabled
        encryption = wanted.get("SSESpecification", {})
        if str(encryption.get("SSEEnabled", False)).lower() == "true":
            request = {"Enabled": True, "KMSMasterKeyId": encryption.get("KMSMasterKeyId")}
            description = dynamodb._sse_description_from_spec(request)
            dynamodb._tables[result[0]]["SSEDescription"] = description
        return result

    return protected


def _putting_policies(put_permission: Step) -> Step:
    """With Policy, PutPermission replaces the policy of the bus; ministack admits all principals.

    https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutPermission.html
    """

    def put(data: dict[str, Any]) -> Any:
        text, bus = data.get("Policy"), data.get("EventBusName", "default")
        if not text:
            return put_permission(data)
        if data.keys() & {"Action", "Condition", "Principal", "StatementId"}:
            message = "Policy cannot be combined with Action, Condition, Principal or StatementId."
            return error_response_json("ValidationException", message, 400)
        if bus not in eventbridge._event_buses:
            message = f"Event bus {bus} does not exist."
            return error_response_json("ResourceNotFoundException", message, 400)
        eventbridge._event_bus_policies[bus] = json.loads(text)
        return json_response({})

    return put
