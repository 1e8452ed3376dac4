"""`peerd doctor --live`: two VPCs of its own join a mesh of their own and leave it again."""

import json
import signal
import subprocess

from sandbox.client.model import ACCOUNTS, REGIONS
from tests.e2e.cli import Peerd
from tests.e2e.world import World

HUB, SECOND, THIRD = ACCOUNTS
HOME, AWAY = REGIONS
NAME = "peerd-live-test"
ROLE = ("--role", "sandbox-admin", "--yes")


def left(world: World) -> list[str]:
    """Returns the VPCs of live tests that exist."""
    found = []
    for account in ACCOUNTS:
        for region in REGIONS:
            ec2 = world.sessions.client("ec2", account, region)
            vpcs = ec2.describe_vpcs(Filters=[{"Name": "tag:Name", "Values": [NAME]}])["Vpcs"]
            found += [vpc["VpcId"] for vpc in vpcs]
    return found


def test_a_live_test_across_accounts_and_regions_passes_and_leaves_nothing(
    world: World, peerd: Peerd
) -> None:
    report = json.loads(peerd.ok("doctor", "--live", f"{HUB}/{HOME}", f"{SECOND}/{AWAY}", *ROLE, "--json"))
    assert report["healthy"] and [check["result"] for check in report["live"]] == ["pass"] * 4
    assert "peered and routed both ways" in report["live"][1]["text"]
    assert left(world) == []
    # The last run of the mesh removes what is known of it.
    world.eventually(lambda: [f"{NAME} is listed"] if NAME in peerd.ok("mesh", "list") else [])
    assert NAME in peerd.ok("history", NAME), "its runs are on record"


def test_a_live_test_with_a_role_that_may_create_no_vpc_says_so(world: World, peerd: Peerd) -> None:
    denied = {"code": "UnauthorizedOperation", "message": "You are not authorized", "status": 403}
    with world.control.injected_faults({"service": "ec2", "action": "CreateVpc", "account": THIRD} | denied):
        result = peerd.run("doctor", "--live", f"{HUB}/{HOME}", f"{THIRD}/{HOME}", *ROLE)
    assert result.code == 1 and "1 check of the live test failed" in result.out
    assert f"a VPC was not created: CreateVpc in {THIRD}/{HOME}" in result.out
    assert left(world) == []


def test_an_interrupted_live_test_takes_everything_down_first(world: World, peerd: Peerd) -> None:
    world.control.drop_events(True)
    command = [peerd.binary, "doctor", "--live", f"{HUB}/{HOME}", f"{SECOND}/{HOME}", *ROLE]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, env=peerd.environment, **pipes) as running:
        assert running.stderr and any("waiting until they are connected" in line for line in running.stderr)
        assert len(left(world)) == 2
        running.send_signal(signal.SIGINT)
        out, _ = running.communicate(timeout=60)
    assert running.returncode == 1 and "the test was interrupted" in out
    assert left(world) == []
