"""Helpers of the probe: clients of three accounts, and a named result for every check.

Expected values come from AWS's documentation and from public reports; nothing here ran against AWS.
"""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError

HOME, AWAY, FAR = "us-east-1", "eu-west-1", "ap-southeast-2"
HUB = FIRST = "111111111111"
SECOND, THIRD = "222222222222", "333333333333"
ROLE = "sandbox-admin"
_CONFIG = Config(retries={"max_attempts": 0}, read_timeout=30, connect_timeout=5)


@dataclass(frozen=True)
class Result:
    """The result of a check: ok, wrong, missing (not supported) or note (no expectation)."""

    verdict: str
    detail: str


RESULTS: dict[str, Result] = {}


def record(name: str, verdict: str, detail: object = "") -> None:
    """Records a result; fails if the name exists already."""
    if name in RESULTS:
        raise AssertionError(f"two results are called {name!r}")
    RESULTS[name] = Result(verdict, str(detail)[:600])


def check(name: str, right: object, detail: object = "") -> None:
    """Records ok or wrong."""
    record(name, "ok" if right else "wrong", detail)


class failure:
    """The error of a call as (code, message, status), or None; `failure.value` is the response."""

    value: Any = None

    def __new__(cls, call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Makes the call. A parameter that boto3 rejects is an error of the probe."""
        try:
            cls.value = call(*args, **kwargs)
        except ClientError as error:
            answer = error.response
            message = (answer["Error"].get("Message") or "")[:160]
            return answer["Error"].get("Code"), message, answer["ResponseMetadata"].get("HTTPStatusCode")
        except ParamValidationError:
            raise
        except BotoCoreError as error:
            return f"no response: {type(error).__name__}", str(error)[:160], 500
        return None


def refused(
    name: str, codes: str | Iterable[str], call: Callable[..., Any], *args: Any, **kwargs: Any
) -> None:
    """Records ok if the call fails with one of these codes."""
    wanted = [codes] if isinstance(codes, str) else list(codes)
    failed = failure(call, *args, **kwargs)
    if failed is None:
        record(name, "wrong", f"succeeded; AWS returns {wanted}")
    else:
        check(name, failed[0] in wanted, f"{failed[0]} ({failed[2]}): {failed[1]}")


# ---------------------------------------------------------------- clients


def client_of_hub(service: str, region: str = HOME) -> Any:
    """Returns a client with keys of no role."""
    return _client(service, region, "AKIAPROBEPROBEPROBE0", "secret", None)


def client(service: str, account: str, region: str = HOME) -> Any:
    """Returns a client with the administrator role of the account."""
    keys = _keys(account)
    return _client(service, region, keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"])


@cache
def _keys(account: str) -> dict[str, str]:
    arn = f"arn:aws:iam::{account}:role/{ROLE}"
    return client_of_hub("sts").assume_role(RoleArn=arn, RoleSessionName="probe")["Credentials"]


@cache
def _client(service: str, region: str, key: str, secret: str, token: str | None) -> Any:
    return boto3.client(
        service,
        region_name=region,
        endpoint_url=os.environ["PEERD_PROBE_URL"],
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        aws_session_token=token,
        config=_CONFIG,
    )


# ---------------------------------------------------------------- EC2 helpers


def tags(pairs: dict[str, str]) -> list[dict[str, str]]:
    """Returns tags in the API's request format."""
    return [{"Key": key, "Value": value} for key, value in pairs.items()]


def as_dict(given: list[dict[str, str]] | None) -> dict[str, str]:
    """Returns the tags of a response by key."""
    return {tag["Key"]: tag["Value"] for tag in given or []}


def make_vpc(account: str, region: str, cidr: str, name: str = "v", **more: Any) -> dict[str, Any]:
    """Creates a VPC with a name and one other tag, which is none of peerd's."""
    specifications = [{"ResourceType": "vpc", "Tags": tags({"Name": name, "probe:mesh": "prod"})}]
    return client("ec2", account, region).create_vpc(
        CidrBlock=cidr, TagSpecifications=specifications, **more
    )["Vpc"]


def request_peering(
    account: str,
    region: str,
    vpc: str,
    peer_account: str,
    peer_region: str,
    peer_vpc: str,
    peering_tags: dict[str, str] | None = None,
) -> dict[str, Any]:
    """Requests a peering."""
    more: dict[str, Any] = {}
    if peering_tags:
        more["TagSpecifications"] = [{"ResourceType": "vpc-peering-connection", "Tags": tags(peering_tags)}]
    answer = client("ec2", account, region).create_vpc_peering_connection(
        VpcId=vpc, PeerVpcId=peer_vpc, PeerOwnerId=peer_account, PeerRegion=peer_region, **more
    )
    return answer["VpcPeeringConnection"]


def describe_peering(account: str, region: str, peering: str) -> dict[str, Any] | None:
    """Returns a peering as one side sees it."""
    ec2 = client("ec2", account, region)
    seen = ec2.describe_vpc_peering_connections(VpcPeeringConnectionIds=[peering])["VpcPeeringConnections"]
    return seen[0] if seen else None


def tables_of(account: str, region: str, vpc: str) -> list[dict[str, Any]]:
    """Returns the route tables of a VPC."""
    of_vpc = [{"Name": "vpc-id", "Values": [vpc]}]
    return client("ec2", account, region).describe_route_tables(Filters=of_vpc)["RouteTables"]


def route_to(account: str, region: str, table: str, destination: str) -> dict[str, Any] | None:
    """Returns the route of a table to a destination of any kind, or None."""
    kinds = ("DestinationCidrBlock", "DestinationIpv6CidrBlock", "DestinationPrefixListId")
    seen = client("ec2", account, region).describe_route_tables(RouteTableIds=[table])["RouteTables"][0]
    return next((one for one in seen["Routes"] if destination in [one.get(kind) for kind in kinds]), None)
