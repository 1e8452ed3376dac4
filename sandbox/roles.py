"""Evaluates the trust policy of a role, which CloudFormation created in ministack's IAM.

It supports the trust policies of this project: principals of type AWS (role, account or *), the action
sts:AssumeRole, and conditions on an external id. Any other condition denies, with the reason.
"""

import json
from typing import Any
from urllib.parse import quote, unquote
from xml.etree import ElementTree

from sandbox.ec2.identity import Principal
from sandbox.proxy import Proxy, authorization


class TrustPolicies:
    """Reads the role from ministack's IAM for each call, since stacks change."""

    def __init__(self, proxy: Proxy) -> None:
        self._proxy = proxy

    def check(self, role_arn: str, external_id: str | None, caller: Principal) -> str | None:
        """Returns None if `caller` may assume the role, else the reason."""
        document = self._trust_policy(role_arn)
        if document is None:
            return "the role does not exist"
        statements = _as_list(document.get("Statement"))
        reasons = [_denial_reason(statement, external_id, caller) for statement in statements]
        if None in reasons:
            return None
        return "; ".join(reason for reason in reasons if reason) or "its trust policy is empty"

    def _trust_policy(self, role_arn: str) -> dict[str, Any] | None:
        account, name = role_arn.split(":")[4], role_arn.rpartition("/")[2]
        headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            "Authorization": authorization(account, "us-east-1", "iam"),
        }
        body = f"Action=GetRole&Version=2010-05-08&RoleName={quote(name)}".encode()
        response = self._proxy.send("POST", "/", headers, body)
        if response.status != 200:
            return None
        text = ElementTree.fromstring(response.body).findtext(".//{*}AssumeRolePolicyDocument") or "{}"
        return json.loads(unquote(text))


def _denial_reason(statement: dict[str, Any], external_id: str | None, caller: Principal) -> str | None:
    if statement.get("Effect") != "Allow" or "sts:AssumeRole" not in _as_list(statement.get("Action")):
        return "a statement does not allow sts:AssumeRole"
    principal = statement.get("Principal", {})
    trusted = ["*"] if principal == "*" else _as_list(principal.get("AWS"))
    is_caller = {
        "*",
        caller.arn,
        caller.session_issuer_arn,
        caller.account,
        f"arn:aws:iam::{caller.account}:root",
    }
    if not is_caller & set(trusted):
        return f"its trust policy names {', '.join(trusted) or 'no AWS principal'}"
    for operator, keys in statement.get("Condition", {}).items():
        for key, wanted in keys.items():
            if (operator, key.lower()) != ("StringEquals", "sts:externalid"):
                return f"the sandbox cannot evaluate the condition {operator} {key}"
            if external_id not in _as_list(wanted):
                return "the external id is not the one that its trust policy requires"
    return None


def _as_list(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
