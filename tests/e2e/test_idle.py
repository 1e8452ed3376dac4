"""When nothing is wrong peerd changes nothing, reads little, and is always itself."""

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
MESHES = ("prod", "staging", "shared")


def test_a_sweep_that_finds_nothing_wrong_writes_nothing_and_reads_little(world: World) -> None:
    vpcs = [
        world.vpc(account, region, mesh="prod")
        for account, region in ((HUB, HOME), (SECOND, AWAY), (THIRD, HOME))
    ]
    world.settle(*vpcs)

    world.control.forget_calls()
    world.control.sweep()
    world.eventually(lambda: [] if world.peerd_calls() else ["the sweep has not begun"])
    world.quiet()

    calls = world.peerd_calls()
    assert {call["action"] for call in calls} == set(READS)
    reads = Counter((call["account"], call["region"], call["action"]) for call in calls)
    for account in ACCOUNTS:
        for region in REGIONS:
            tags, *others = (reads[account, region, action] for action in READS)
            # Five reads for each mesh that is reconciled, and one of the tags when the account is surveyed.
            assert set(others) == {tags - 1}, reads
            assert tags > len(MESHES), reads


def test_every_call_is_made_by_a_function_in_the_hub_or_by_the_role_in_the_account_that_it_concerns(
    world: World,
) -> None:
    world.control.forget_calls()
    one, two = world.vpc(HUB, HOME, mesh="prod"), world.vpc(SECOND, AWAY, mesh="prod")
    world.until_connected(one, two)

    calls = [call for call in world.control.calls() if "/sandbox-admin/" not in (call["principal"] or "")]
    own = [call for call in calls if call["service"] in {"ec2", "dynamodb", "sts"}]
    assert {call["service"] for call in own} >= {"ec2", "dynamodb"}
    for call in own:
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
