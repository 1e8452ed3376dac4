"""Without drift, peerd writes nothing and makes few reads, and it calls AWS with its own roles only."""

import re
from collections import Counter

import boto3
import pytest

from sandbox.client.model import ACCOUNTS, HOME_REGION, REGIONS
from tests.e2e.world import READS, World

HUB, SECOND, THIRD = ACCOUNTS
HOME, AWAY = REGIONS
FUNCTION = re.compile(rf"arn:aws:sts::{HUB}:assumed-role/peerd-(vpc-events|peering-events|drift-repair)/.+")
SPOKE = re.compile(r"arn:aws:sts::(\d{12}):assumed-role/peerd-spoke/.+")


def test_a_sweep_without_drift_writes_nothing_and_makes_few_reads(world: World) -> None:
    vpcs = [
        world.vpc(account, region, mesh="prod")
        for account, region in ((HUB, HOME), (SECOND, AWAY), (THIRD, HOME))
    ]
    world.until_settled(*vpcs)

    world.control.clear_calls()
    world.control.sweep()
    world.eventually(lambda: [] if world.peerd_calls() else ["the sweep has not started"])
    world.until_idle()

    calls = world.peerd_calls()
    reads = Counter(
        (call["account"], call["region"], call["action"]) for call in calls if call["account"] in ACCOUNTS
    )
    expected = {(account, region, action) for account in ACCOUNTS for region in REGIONS for action in READS}
    assert reads == dict.fromkeys(expected, 1), "one read of each scope, whatever the number of meshes"


def test_every_call_is_made_by_a_hub_function_or_by_the_spoke_role_of_the_target_account(
    world: World,
) -> None:
    world.control.clear_calls()
    one, two = world.vpc(HUB, HOME, mesh="prod"), world.vpc(SECOND, AWAY, mesh="prod")
    world.until_connected(one, two)

    calls = [call for call in world.control.calls() if "/sandbox-admin/" not in (call["principal"] or "")]
    peerd_calls = [call for call in calls if call["service"] in {"ec2", "dynamodb", "sts"}]
    assert {call["service"] for call in peerd_calls} >= {"ec2", "dynamodb"}
    for call in peerd_calls:
        if call["service"] == "ec2":
            spoke = SPOKE.fullmatch(call["principal"])
            assert spoke and spoke[1] == call["account"], call
        else:
            assert FUNCTION.fullmatch(call["principal"]), call


def test_any_aws_client_works_with_the_endpoint_variable_alone(
    endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "AKIAANYBODY000000000",
        "AWS_SECRET_ACCESS_KEY": "anything",
        "AWS_DEFAULT_REGION": HOME_REGION,
    }.items():
        monkeypatch.setenv(name, value)
    role = f"arn:aws:iam::{THIRD}:role/sandbox-admin"
    keys = boto3.client("sts").assume_role(RoleArn=role, RoleSessionName="me")["Credentials"]
    member = boto3.Session(keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"])

    assert member.client("sts").get_caller_identity()["Account"] == THIRD
    assert all("VpcId" in vpc for vpc in member.client("ec2", region_name=AWAY).describe_vpcs()["Vpcs"])
    assert member.client("sqs").list_queues()["ResponseMetadata"]["HTTPStatusCode"] == 200
