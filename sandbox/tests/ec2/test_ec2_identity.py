"""Callers: the roles that they may assume, and their ARNs."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sandbox.ec2 import identity
from sandbox.tests.ec2.sides import Refused, client

# moto's service model lacks AccessDenied, which every AWS service returns.
pytestmark = pytest.mark.filterwarnings("ignore:Exception.*does not match an error shape")

RefusedType = type[Refused]
ADMIN = "arn:aws:iam::444455556666:role/sandbox-admin"


def _assume(role: str, **more: Any) -> dict[str, Any]:
    return client("sts", "anything").assume_role(RoleArn=role, RoleSessionName="me", **more)["Credentials"]


def _client(credentials: dict[str, Any], service: str) -> Any:
    return client(service, credentials["AccessKeyId"], token=credentials["SessionToken"])


def test_any_caller_assumes_the_admin_role_of_any_account_and_acts_in_it() -> None:
    credentials = _assume(ADMIN)
    caller = _client(credentials, "sts").get_caller_identity()
    assert caller["Account"] == "444455556666"
    assert caller["Arn"] == "arn:aws:sts::444455556666:assumed-role/sandbox-admin/me"
    vpc = _client(credentials, "ec2").create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]
    assert vpc["OwnerId"] == "444455556666"


def test_unknown_keys_belong_to_the_hub_account() -> None:
    assert client("sts", "AKIAEXAMPLE").get_caller_identity()["Account"] == identity.HUB_ACCOUNT


@pytest.mark.parametrize("role", ["arn:aws:iam::12:role/sandbox-admin", "arn:aws:iam::444455556666:user/bob"])
def test_an_invalid_role_arn_is_denied(role: str, refused: RefusedType) -> None:
    with refused("AccessDenied"):
        _assume(role)


def test_credentials_expire_after_the_requested_duration() -> None:
    expires = _assume(ADMIN, DurationSeconds=900)["Expiration"]
    assert timedelta(seconds=880) < expires - datetime.now(UTC) < timedelta(seconds=920)


def test_a_registered_key_is_a_session_of_its_role() -> None:
    identity.register_key("ASIAFUNCTION", "111111111111", "arn:aws:iam::111111111111:role/fn-role", "fn")
    caller = client("sts", "ASIAFUNCTION").get_caller_identity()
    assert caller["Arn"] == "arn:aws:sts::111111111111:assumed-role/fn-role/fn"
    assert identity.principal("ASIAFUNCTION").session_issuer_arn == "arn:aws:iam::111111111111:role/fn-role"
