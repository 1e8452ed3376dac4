"""Compares the sandbox with the known responses of AWS: every check runs once, and deviations are counted."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.client.control import Control
from sandbox.client.process import SandboxProcess
from sandbox.client.queues import create_event_queue
from sandbox.ports import free_port
from sandbox.tests.conformance import (
    events,
    identities,
    organizations,
    peerings,
    queues,
    quotas,
    regions,
    routes,
    security_groups,
    tables,
    throttling,
    vpcs,
)
from sandbox.tests.conformance.events import drain
from sandbox.tests.conformance.known import DEVIATIONS
from sandbox.tests.conformance.probe import AWAY, RESULTS, THIRD, Result, client, make_vpc
from sandbox.tests.conformance.security_groups import from_v4

SECTIONS = (
    identities,
    vpcs,
    peerings,
    routes,
    security_groups,
    tables,
    events,
    organizations,
    regions,
    quotas,
    queues,
    throttling,
)
CHECKS = 187
MAX_DEVIATIONS = 4
STUB_FUNCTION = Path(__file__).parents[1] / "fixtures" / "bootstrap"


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A separate sandbox with stub functions, since the probe leaves many resources."""
    functions = tmp_path_factory.mktemp("functions")
    for name in ("vpc-events", "peering-events", "drift-repair"):
        shutil.copy(STUB_FUNCTION, functions / name)
    with SandboxProcess(functions, tmp_path_factory.mktemp("state"), free_port()) as process:
        yield process.wait_ready(600)


@pytest.fixture(scope="module")
def patch() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as context:
        yield context


@pytest.fixture(scope="module")
def results(endpoint: str, patch: pytest.MonkeyPatch) -> dict[str, Result]:
    patch.setenv("PEERD_PROBE_URL", endpoint)
    # The probe expects the former default quota of routes.
    Control(endpoint).settings(quota_routes=50)
    for section in SECTIONS:
        section.run()
    return RESULTS


def test_every_check_ran(results: dict[str, Result]) -> None:
    assert len(results) == CHECKS


def test_at_most_four_responses_deviate_from_aws_and_all_are_known(results: dict[str, Result]) -> None:
    differing = {name: result for name, result in results.items() if result.verdict in ("wrong", "missing")}
    unknown = {name: result.detail for name, result in differing.items() if name not in DEVIATIONS}
    assert unknown == {}
    assert len(differing) <= MAX_DEVIATIONS


def test_every_known_deviation_still_exists(results: dict[str, Result]) -> None:
    fixed = [name for name in DEVIATIONS if results[name].verdict not in ("wrong", "missing")]
    assert fixed == [], "remove these from known.py"


def test_a_tag_change_reaches_the_default_bus_of_the_caller_with_all_tags(results: dict[str, Result]) -> None:
    bus, queues, ec2 = (client(service, THIRD, AWAY) for service in ("events", "sqs", "ec2"))
    url, arn = create_event_queue(queues, "tag-changes")
    kinds = ["vpc", "security-group", "security-group-rule"]
    changes = {"source": ["aws.tag"], "detail": {"resource-type": kinds}}
    bus.put_rule(Name="tag-changes", EventPattern=json.dumps(changes))
    bus.put_targets(Rule="tag-changes", Targets=[{"Id": "queue", "Arn": arn}])
    vpc = make_vpc(THIRD, AWAY, "10.130.0.0/16", "tagged")["VpcId"]
    ec2.delete_tags(Resources=[vpc], Tags=[{"Key": "probe:mesh"}])
    group = ec2.create_security_group(
        GroupName="tagged",
        Description="d",
        VpcId=vpc,
        TagSpecifications=[{"ResourceType": "security-group", "Tags": [{"Key": "a", "Value": "b"}]}],
    )["GroupId"]
    rule = ec2.authorize_security_group_ingress(
        GroupId=group,
        IpPermissions=from_v4("tcp", "10.131.0.0/16", 443),
        TagSpecifications=[{"ResourceType": "security-group-rule", "Tags": [{"Key": "c", "Value": ""}]}],
    )["SecurityGroupRules"][0]["SecurityGroupRuleId"]

    events = [json.loads(body) for body in drain(queues, url, wait=4)]
    resources = {event["detail"]["resource-type"]: event["resources"] for event in events}
    arn = f"arn:aws:ec2:{AWAY}:{THIRD}:"
    assert resources["security-group"] == [f"{arn}security-group/{group}"]
    assert resources["security-group-rule"] == [f"{arn}security-group-rule/{rule}"]
    of_vpc = [event for event in events if event["detail"]["resource-type"] == "vpc"]
    made, untagged = sorted(of_vpc, key=lambda event: event["detail"]["version"])
    assert made["detail-type"] == "Tag Change on Resource"
    assert made["resources"] == [f"arn:aws:ec2:{AWAY}:{THIRD}:vpc/{vpc}"]
    assert made["detail"]["tags"] == {"Name": "tagged", "probe:mesh": "prod"}
    assert sorted(made["detail"]["changed-tag-keys"]) == ["Name", "probe:mesh"]
    assert untagged["detail"]["tags"] == {"Name": "tagged"}
    assert untagged["detail"]["changed-tag-keys"] == ["probe:mesh"]
