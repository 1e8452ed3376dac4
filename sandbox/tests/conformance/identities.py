"""Accounts, roles and their isolation."""

import uuid

from sandbox.tests.conformance.probe import (
    AWAY,
    FIRST,
    HOME,
    SECOND,
    THIRD,
    check,
    client,
    client_of_hub,
    make_vpc,
    refused,
)


def run() -> None:
    s = client_of_hub("sts")
    ids = [client("sts", a).get_caller_identity() for a in (FIRST, SECOND, THIRD)]
    check(
        "sts.assume_role identity",
        [i["Account"] for i in ids] == [FIRST, SECOND, THIRD],
        [i["Arn"] for i in ids],
    )
    v = make_vpc(FIRST, HOME, "10.200.0.0/16", "iso")
    seenA = [x["VpcId"] for x in client("ec2", FIRST, HOME).describe_vpcs()["Vpcs"]]
    seenB = [x["VpcId"] for x in client("ec2", SECOND, HOME).describe_vpcs()["Vpcs"]]
    seenA2 = [x["VpcId"] for x in client("ec2", FIRST, AWAY).describe_vpcs()["Vpcs"]]
    check("sts.accounts isolated", v["VpcId"] in seenA and v["VpcId"] not in seenB)
    check("sts.regions isolated", v["VpcId"] not in seenA2)
    check("sts.VPC OwnerId", v.get("OwnerId") == FIRST, v.get("OwnerId"))
    client("ec2", FIRST, HOME).delete_vpc(VpcId=v["VpcId"])
    refused(
        "sts.role that does not exist refused",
        "AccessDenied",
        s.assume_role,
        RoleArn=f"arn:aws:iam::{FIRST}:role/no-such-role-{uuid.uuid4().hex[:6]}",
        RoleSessionName="xx",
    )
    refused(
        "sts.role whose external id is not given refused",
        "AccessDenied",
        s.assume_role,
        RoleArn=f"arn:aws:iam::{SECOND}:role/peerd-spoke",
        RoleSessionName="probe",
    )
