"""Converts an EC2 call and its response into the record that CloudTrail creates for it.

The formats follow public records: parameters and elements in camelCase, a list as `{"items": [...]}`, an
empty list as `{}`, `<return>` as `_return`, numbers and booleans typed, and a second format for newer calls,
which wraps everything in `<Action>Request` (capitalized members) and `<Action>Response`.
https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html
"""

import time
import uuid
from functools import cache
from typing import Any
from xml.etree import ElementTree

from botocore.loaders import Loader
from botocore.model import ServiceModel, Shape

from sandbox.ec2.identity import Principal
from sandbox.wire import AwsRequest, Response

_READS = ("Describe", "Get", "List", "Search", "Export")
# Calls of the wrapped format. The first two: aws-solutions/network-orchestration-for-aws-transit-gateway,
# source/lambda/solution/tgw_vpc_attachment/lib/handlers/vpc_handler.py; the third: public records; the last:
# aws-samples/cloud-trail-lake-query-samples, ec2-security-historical-changes.sql.
_WRAPPED = {
    "AssociateVpcCidrBlock",
    "DisassociateVpcCidrBlock",
    "CreateNatGateway",
    "ModifySecurityGroupRules",
}
# Parameters whose name in a record is not the API's name in camelCase.
_SET_NAMES = {"Resources": "resourcesSet", "Tags": "tagSet", "TagSpecifications": "tagSpecificationSet"}
_NAMESPACE = "http://ec2.amazonaws.com/doc/2016-11-15/"


def is_write(action: str) -> bool:
    """Returns whether a call writes; EventBridge receives CloudTrail's events of write calls only."""
    return bool(action) and not action.startswith(_READS)


def record(
    request: AwsRequest, response: Response, principal: Principal, error: tuple[str, str] | None
) -> dict[str, Any]:
    """Returns the `detail` of an "AWS API Call via CloudTrail" event; `error` is (code, message)."""
    detail = {
        "eventVersion": "1.09",
        "userIdentity": _user_identity(principal, request.access_key),
        "eventTime": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "eventSource": "ec2.amazonaws.com",
        "eventName": request.action,
        "awsRegion": request.region,
        "sourceIPAddress": "127.0.0.1",
        "userAgent": request.header("user-agent") or "unknown",
    }
    if error is not None:
        fault = "Client" if response.status < 500 or error[0] == "RequestLimitExceeded" else "Server"
        detail |= {"errorCode": f"{fault}.{error[0]}", "errorMessage": error[1]}
    return detail | {
        "requestParameters": request_parameters(request.action, request.form),
        "responseElements": None if error else response_elements(request.action, response.body),
        "requestID": str(uuid.uuid4()),
        "eventID": str(uuid.uuid4()),
        "readOnly": False,
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": principal.account,
        "eventCategory": "Management",
    }


def failure(body: bytes) -> tuple[str, str]:
    """Returns the code and message of an EC2 error body."""
    try:
        root = ElementTree.fromstring(body)
    except ElementTree.ParseError:
        return "InternalError", body[:200].decode("utf-8", "replace")
    return root.findtext(".//Code") or "InternalError", root.findtext(".//Message") or ""


def _user_identity(principal: Principal, access_key: str) -> dict[str, Any]:
    if principal.session_issuer_arn is None:
        name = principal.arn.rpartition("/")[2]
        return {
            "type": "IAMUser",
            "principalId": "AIDASANDBOX",
            "arn": principal.arn,
            "accountId": principal.account,
            "accessKeyId": access_key,
            "userName": name,
        }
    return {
        "type": "AssumedRole",
        "principalId": f"AROASANDBOX:{principal.arn.rpartition('/')[2]}",
        "arn": principal.arn,
        "accountId": principal.account,
        "accessKeyId": access_key,
        "sessionContext": {
            "sessionIssuer": {
                "type": "Role",
                "principalId": "AROASANDBOX",
                "arn": principal.session_issuer_arn,
                "accountId": principal.account,
                "userName": principal.session_issuer_arn.rpartition("/")[2],
            },
            "attributes": {
                "creationDate": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
                "mfaAuthenticated": "false",
            },
        },
    }


# ---------------------------------------------------------------- the request


@cache
def _model() -> ServiceModel:
    return ServiceModel(Loader().load_service_model("ec2", "service-2"), "ec2")


def load_model() -> None:
    """Loads EC2's model, which takes half a second, so that the first call does not wait for it."""
    _model()


def _operation(action: str) -> Any:
    return _model().operation_model(action) if action in _model().operation_names else None


def request_parameters(action: str, form: dict[str, str]) -> dict[str, Any]:
    """Returns the call's parameters in CloudTrail's format; {} for an action that EC2 does not have."""
    operation = _operation(action)
    if operation is None or operation.input_shape is None:
        return {}
    tree: dict[str, Any] = {}
    for key, value in form.items():
        *parents, leaf = key.split(".")
        node = tree
        for part in parents:
            node = node.setdefault(part, {})
            if not isinstance(node, dict):
                break  # `A=1&A.B=2` matches no parameter
        else:
            node[leaf] = value
    wrapped = action in _WRAPPED
    parameters = _structure(operation.input_shape, tree, wrapped)
    return {f"{action}Request": parameters} if wrapped else parameters


def _structure(shape: Shape, tree: dict[str, Any], wrapped: bool) -> dict[str, Any]:
    found = {}
    for name, member in shape.members.items():
        location = member.serialization.get("name", name)
        key = member.serialization.get("queryName") or location[:1].upper() + location[1:]
        if key not in tree:
            continue
        if wrapped:
            found[key] = _value(member, tree[key], wrapped)
        else:
            found[_SET_NAMES.get(name, name[:1].lower() + name[1:])] = _value(member, tree[key], wrapped)
    if "tagSet" in found and "resourceType" in found:  # one tag specification: its tags are a plain list
        found["tags"] = found.pop("tagSet")["items"]
    return found


def _value(shape: Shape, given: Any, wrapped: bool) -> Any:
    if shape.type_name == "structure":
        return _structure(shape, given, wrapped) if isinstance(given, dict) else {}
    if shape.type_name == "list":
        return _items(shape, given, wrapped)
    return _typed(shape, given)


def _items(shape: Shape, given: Any, wrapped: bool) -> Any:
    if not isinstance(given, dict) or not given:
        return {}
    numbers = sorted((key for key in given if key.isdigit()), key=int)
    values = [_value(shape.member, given[key], wrapped) for key in numbers]
    if wrapped:  # a single item replaces its list, and each item has its number
        numbered = [
            (value if isinstance(value, dict) else {"content": value}) | {"tag": number}
            for number, value in enumerate(values, 1)
        ]
        return numbered[0] if len(numbered) == 1 else numbered
    if shape.member.type_name != "structure":
        name = shape.serialization.get("name", "item")  # resourcesSet.items[].resourceId
        values = [{name[:1].lower() + name[1:]: value} for value in values]
    return {"items": values}


def _typed(shape: Shape | None, text: str) -> Any:
    if shape is not None and shape.type_name == "boolean":
        return text == "true"
    if shape is not None and shape.type_name in ("integer", "long"):
        try:
            return int(text)
        except ValueError:
            return text  # an invalid value is recorded unchanged
    return text


# ---------------------------------------------------------------- the response


def response_elements(action: str, body: bytes) -> dict[str, Any] | None:
    """Returns the response in CloudTrail's format; None for a response that is not XML."""
    try:
        root = ElementTree.fromstring(body)
    except ElementTree.ParseError:
        return None
    operation = _operation(action)
    shape = operation.output_shape if operation is not None else None
    elements = _element(root, shape)
    if not isinstance(elements, dict):
        elements = {}
    if action in _WRAPPED:
        return {f"{action}Response": {"xmlns": _NAMESPACE} | elements}
    return elements


def _element(element: ElementTree.Element, shape: Shape | None) -> Any:
    children = list(element)
    if shape is not None and shape.type_name == "list":
        items = [_element(child, shape.member) for child in children]
        return {"items": items} if items else {}
    if not children:
        return _typed(shape, element.text or "") if (element.text or shape is None) else {}
    members = _members_by_location(shape) if shape is not None and shape.type_name == "structure" else {}
    found = {}
    for child in children:
        name = child.tag.rpartition("}")[2]
        if name == "return":
            found["_return"] = child.text == "true"
        else:
            found[name] = _element(child, members.get(name))
    return found


def _members_by_location(shape: Shape) -> dict[str, Shape]:
    return {member.serialization.get("name", name): member for name, member in shape.members.items()}
