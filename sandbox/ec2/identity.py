"""Callers: access keys, their accounts and roles. The gateway decides who may assume a role.

A key comes from AssumeRole, is registered for the role of a Lambda function, or is a 12-digit account id. Any
other key belongs to a user of the hub account.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from moto.core.responses import ActionResult, BaseResponse
from moto.sts.exceptions import STSClientError
from moto.sts.responses import TokenResponse

HUB_ACCOUNT = "111111111111"
ADMIN_ROLE = "sandbox-admin"
_CREDENTIAL = re.compile(r"Credential=([^/\s]+)/")
_ROLE_ARN = re.compile(r"arn:aws[a-z-]*:iam::(\d{12}):role/([\w+=,.@/-]+)")


@dataclass(frozen=True)
class Principal:
    """A caller in the terms of GetCallerIdentity and CloudTrail."""

    account: str
    arn: str
    session_issuer_arn: str | None
    # The Lambda function whose role the session has. AWS states it in the function's own calls only.
    function_arn: str | None = None


_keys: dict[str, Principal] = {}


def register_key(
    access_key: str, account: str, role_arn: str, session_name: str, function_arn: str | None = None
) -> None:
    """Registers a key for a session of a role, which may be the session of a Lambda function."""
    role = role_arn.rpartition("/")[2]
    arn = f"arn:aws:sts::{account}:assumed-role/{role}/{session_name}"
    _keys[access_key] = Principal(account, arn, role_arn, function_arn)


def principal(access_key: str) -> Principal:
    """Returns the principal of a key."""
    if known := _keys.get(access_key):
        return known
    account = access_key if re.fullmatch(r"\d{12}", access_key) else HUB_ACCOUNT
    return Principal(account, f"arn:aws:iam::{account}:user/anybody", None)


def install() -> None:
    """Patches moto to use these accounts, and STS to reject what AWS rejects."""
    BaseResponse.get_access_key = _access_key
    BaseResponse.get_current_account = lambda self: principal(self.get_access_key()).account
    TokenResponse.assume_role = _assume_role(TokenResponse.assume_role)
    TokenResponse.get_caller_identity = _get_caller_identity


def _access_key(self: BaseResponse) -> str:
    """Returns the key of the signature. moto recognizes keys of 20 characters only."""
    presigned = self.querystring.get("X-Amz-Credential", [""])[0]
    found = _CREDENTIAL.search(self.headers.get("Authorization", "")) or _CREDENTIAL.search(
        f"Credential={presigned}"
    )
    return found[1] if found else ""


def _assume_role(assume: Callable[[TokenResponse], ActionResult]) -> Callable[[TokenResponse], ActionResult]:
    def assume_role(self: TokenResponse) -> ActionResult:
        role_arn = self._get_param("RoleArn")
        if not _ROLE_ARN.fullmatch(role_arn or ""):
            caller = principal(self.get_access_key())
            action = f"sts:AssumeRole on resource: {role_arn} (this is not the ARN of a role)"
            raise STSClientError("AccessDenied", f"User: {caller.arn} is not authorized to perform: {action}")
        response = assume(self)
        account = role_arn.split(":")[4]
        register_key(
            response.result["Credentials"].access_key_id,
            account,
            role_arn,
            self._get_param("RoleSessionName"),
        )
        return response

    return assume_role


def _get_caller_identity(self: TokenResponse) -> ActionResult:
    caller = principal(self.get_access_key())
    user = f"AROASANDBOX:{caller.arn.rpartition('/')[2]}" if caller.session_issuer_arn else "AIDASANDBOX"
    return ActionResult({"UserId": user, "Account": caller.account, "Arn": caller.arn})
