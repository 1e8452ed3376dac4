"""The policies that the templates deploy, in a running sandbox: who may do what, and from when on."""

import json
import re
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from sandbox.client.queues import create_event_queue
from sandbox.deploy import ACCOUNTS, EXTERNAL_ID, HUB, HUB_REGION, REGIONS
from sandbox.iam.model import Recorded
from sandbox.iam.policies import Policies
from sandbox.tests.running import (
    SPOKE_ROLE,
    RunningSandbox,
    assert_only_later_events_arrive,
    eventually,
)
from sandbox.tests.templates import Stack, combined

MEMBER = "222222222222"
FUNCTION_ROLE = f"arn:aws:iam::{HUB}:role/peerd-drift-repair"
BUS = f"arn:aws:events:{HUB_REGION}:{HUB}:event-bus/peerd"
FORWARD_ROLE = "peerd-forward-us-east-1"


def statement(action: str, resource: str | None = "*", **more: Any) -> str:
    """Returns a policy of one statement that allows an action; a trust policy has no resource."""
    on = {} if resource is None else {"Resource": resource}
    return json.dumps(
        {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": action, **on, **more}]}
    )


def denied(sandbox: RunningSandbox, action: str) -> list[Recorded]:
    """Returns the recorded denials of an action."""
    return [it for it in sandbox.control.decisions() if it.check.action == action and not it.decision.allowed]


@pytest.fixture
def role(sandbox: RunningSandbox) -> Iterator[str]:
    """A role of the hub account without permissions, which the account's users may assume."""
    iam = sandbox.sessions.client("iam")
    trust = statement("sts:AssumeRole", None, Principal={"AWS": HUB})
    iam.create_role(RoleName="tester", AssumeRolePolicyDocument=trust)
    yield "tester"
    for name in iam.list_role_policies(RoleName="tester")["PolicyNames"]:
        iam.delete_role_policy(RoleName="tester", PolicyName=name)
    iam.delete_role(RoleName="tester")


def session(sandbox: RunningSandbox, role: str) -> boto3.Session:
    """Returns a session of a role of the hub account."""
    sts = sandbox.sessions.client("sts")
    arn = f"arn:aws:iam::{HUB}:role/{role}"
    keys = sts.assume_role(RoleArn=arn, RoleSessionName="tests")["Credentials"]
    return boto3.Session(keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"], "us-east-1")


def test_the_policies_are_those_of_the_templates_with_their_parameters(sandbox: RunningSandbox) -> None:
    policies = sandbox.control.policies()
    names = {str(it) for it in policies.statements()}
    assert {
        "PeerTaggedVpcs of mesh of role/peerd-spoke",
        "OwnQueue of queue-and-logs of role/peerd-vpc-events",
        "Accounts of resource policy of event-bus/peerd",
        "Units of resource policy of event-bus/peerd",
        "RulesOfTheBus of resource policy of peerd-vpc-events",
    } <= names
    trust = json.loads(policies.roles[SPOKE_ROLE].trust)["Statement"][0]
    assert FUNCTION_ROLE in trust["Principal"]["AWS"]
    assert trust["Condition"] == {"StringEquals": {"sts:ExternalId": EXTERNAL_ID}}


def test_the_policies_of_the_tests_without_a_sandbox_are_those_that_it_deploys(
    sandbox: RunningSandbox,
) -> None:
    deployed = sandbox.control.policies()
    organization = sandbox.sessions.client("organizations").describe_organization()["Organization"]["Id"]
    units = re.search(r"\*/(ou-[\w-]+)/", deployed.resources[BUS])
    assert units is not None
    given = {"Meshes": "prod", "Accounts": ",".join(ACCOUNTS), "Regions": ",".join(REGIONS)}
    given |= {"OrganizationalUnits": units[1], "OrganizationId": organization, "ExternalId": EXTERNAL_ID}
    of_spoke = {"HubAccount": HUB, "HubRegion": HUB_REGION, "HomeRegion": HUB_REGION}
    of_spoke["ExternalId"] = EXTERNAL_ID
    rendered = combined(
        Stack("template.yaml", HUB, HUB_REGION, **given),
        *(Stack("spoke.yaml", account, region, **of_spoke) for account in ACCOUNTS for region in REGIONS),
    )
    assert _comparable(rendered) == _comparable(deployed)


def _comparable(policies: Policies) -> dict[str, Any]:
    """Returns the statements by holder, without the roles of the sandbox and the generated parts of names."""
    text = json.dumps(
        {
            **{arn: [role.trust, *role.policies.values()] for arn, role in policies.roles.items()},
            **{arn: [document] for arn, document in policies.resources.items()},
        }
    )
    named = json.loads(re.sub(r"(peerd-(?:SweepRole|Table|seal))-[\w-]+", r"\1", text))
    return {
        arn: sorted(json.dumps(json.loads(document)["Statement"], sort_keys=True) for document in documents)
        for arn, documents in named.items()
        if re.search(r"[:/]peerd(-|$)", arn)
    }


def test_a_session_may_do_what_its_role_allows_as_soon_as_it_does(sandbox: RunningSandbox, role: str) -> None:
    ec2 = session(sandbox, role).client("ec2", endpoint_url=sandbox.endpoint)
    with pytest.raises(ClientError, match="UnauthorizedOperation"):
        ec2.describe_vpcs()
    with pytest.raises(ClientError, match="UnauthorizedOperation"):
        ec2.describe_vpcs(DryRun=True)
    iam = sandbox.sessions.client("iam")
    iam.put_role_policy(RoleName=role, PolicyName="reads", PolicyDocument=statement("ec2:Describe*"))
    assert ec2.describe_vpcs()["ResponseMetadata"]["HTTPStatusCode"] == 200
    with pytest.raises(ClientError, match="DryRunOperation"):
        ec2.describe_vpcs(DryRun=True)
    iam.delete_role_policy(RoleName=role, PolicyName="reads")
    with pytest.raises(ClientError, match="UnauthorizedOperation"):
        ec2.describe_vpcs()


def test_only_the_functions_assume_the_spoke_role_and_no_one_an_unknown_role(
    sandbox: RunningSandbox,
) -> None:
    sts = sandbox.sessions.client("sts")
    for arn in (SPOKE_ROLE, f"{SPOKE_ROLE}x", SPOKE_ROLE.replace(MEMBER, HUB)):
        with pytest.raises(ClientError, match=r"AccessDenied.*no resource-based policy allows"):
            sts.assume_role(RoleArn=arn, RoleSessionName="untrusted", ExternalId=EXTERNAL_ID)


def test_a_rule_delivers_to_a_queue_only_if_the_queues_policy_permits_that(sandbox: RunningSandbox) -> None:
    events, queues = sandbox.sessions.client("events"), sandbox.sessions.client("sqs")
    queue = create_event_queue(queues, "permitted")
    queues.set_queue_attributes(QueueUrl=queue.url, Attributes={"Policy": ""})
    events.put_rule(Name="permitted", EventPattern=json.dumps({"source": ["tests"]}))
    events.put_targets(Rule="permitted", Targets=[{"Id": "queue", "Arn": queue.arn}])

    def put(text: str) -> list[str]:
        detail = json.dumps({"text": text})
        events.put_events(Entries=[{"Source": "tests", "DetailType": "t", "Detail": detail}])
        received = queues.receive_message(QueueUrl=queue.url).get("Messages", [])
        return [json.loads(message["Body"])["detail"]["text"] for message in received]

    assert put("lost") == []
    assert [it.caller.service for it in denied(sandbox, "sqs:SendMessage")] == ["events.amazonaws.com"]
    create_event_queue(queues, "permitted")
    assert put("delivered") == ["delivered"]
    events.remove_targets(Rule="permitted", Ids=["queue"])
    events.delete_rule(Name="permitted")


def test_an_event_reaches_the_hub_only_with_the_permission_of_the_forwarding_role(
    sandbox: RunningSandbox,
) -> None:
    iam, ec2 = (sandbox.sessions.client(service, MEMBER) for service in ("iam", "ec2"))
    policy = iam.get_role_policy(RoleName=FORWARD_ROLE, PolicyName="forward")["PolicyDocument"]
    iam.delete_role_policy(RoleName=FORWARD_ROLE, PolicyName="forward")
    try:
        lost = ec2.create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]
        eventually(lambda: denied(sandbox, "events:PutEvents"))
    finally:
        iam.put_role_policy(RoleName=FORWARD_ROLE, PolicyName="forward", PolicyDocument=json.dumps(policy))
    assert_only_later_events_arrive(sandbox, ec2, lost)


def test_the_schedule_sends_only_with_the_permission_of_its_role(sandbox: RunningSandbox) -> None:
    iam = sandbox.sessions.client("iam")
    (name,) = (it["RoleName"] for it in iam.list_roles()["Roles"] if "SweepRole" in it["RoleName"])
    policy = iam.get_role_policy(RoleName=name, PolicyName="queue")["PolicyDocument"]
    sweep = {"peerd": 1, "attempt": 0, "work": {"sweep": {}}}
    iam.delete_role_policy(RoleName=name, PolicyName="queue")
    try:
        sandbox.control.sweep()
        assert [it.caller.role for it in denied(sandbox, "sqs:SendMessage") if it.caller.role]
    finally:
        iam.put_role_policy(RoleName=name, PolicyName="queue", PolicyDocument=json.dumps(policy))
    before = sandbox.bodies("drift-repair").count(sweep)
    sandbox.control.sweep()
    eventually(lambda: sandbox.bodies("drift-repair").count(sweep) == before + 1)


def test_lambda_runs_a_function_only_with_a_role_that_trusts_it(sandbox: RunningSandbox) -> None:
    iam, functions = sandbox.sessions.client("iam"), sandbox.sessions.client("lambda")
    name = "peerd-peering-events"

    def is_run() -> bool:
        try:
            return "FunctionError" not in functions.invoke(FunctionName=name, Payload=b'{"echo": 1}')
        except ClientError:
            return False

    trust = iam.get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"]
    other = statement("sts:AssumeRole", None, Principal={"Service": "events.amazonaws.com"})
    iam.update_assume_role_policy(RoleName=name, PolicyDocument=other)
    try:
        sandbox.control.kill()
        assert not is_run()
    finally:
        iam.update_assume_role_policy(RoleName=name, PolicyDocument=json.dumps(trust))
    assert is_run()
