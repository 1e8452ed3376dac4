"""The evaluation of identity, resource and trust policies, and the operators that the templates use."""

import json
from typing import Any

import pytest

from sandbox.iam.evaluate import decide
from sandbox.iam.events import EVENTS, event_keys
from sandbox.iam.model import Caller, Check, Value
from sandbox.iam.policies import Policies, Role

HUB, MEMBER = "111111111111", "222222222222"
FUNCTION = f"arn:aws:iam::{HUB}:role/peerd-vpc-events"
SPOKE = f"arn:aws:iam::{MEMBER}:role/peerd-spoke"
QUEUE = f"arn:aws:sqs:us-east-1:{HUB}:work"
BUS = f"arn:aws:events:us-east-1:{HUB}:event-bus/peerd"
RULE = f"arn:aws:events:us-east-1:{HUB}:rule/peerd/peerd-vpc-tags"
VPC = f"arn:aws:ec2:eu-west-1:{MEMBER}:vpc/vpc-1"
TRUST_ALL = json.dumps({"Statement": []})


def session(role: str = FUNCTION, function: str | None = None) -> Caller:
    account = role.split(":")[4]
    name = role.rpartition("/")[2]
    return Caller(f"arn:aws:sts::{account}:assumed-role/{name}/s", account, role=role, function=function)


def allow(action: str, resource: str = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def role_with(*statements: dict[str, Any], role: str = FUNCTION, boundary: str | None = None) -> Policies:
    return Policies({role: Role(TRUST_ALL, {"own": document(*statements)}, boundary)})


def is_allowed(policies: Policies, check: Check, caller: Caller | None = None) -> bool:
    return decide(caller or session(), check, policies).allowed


# ---------------------------------------------------------------- identity policies


def test_a_role_may_do_what_one_of_its_policies_allows_and_nothing_else() -> None:
    policies = role_with(
        allow("ec2:Describe*"), allow("ec2:CreateRoute", f"arn:aws:ec2:*:{HUB}:route-table/*")
    )
    assert is_allowed(policies, Check("ec2:DescribeVpcs", "*"))
    assert is_allowed(policies, Check("ec2:CreateRoute", f"arn:aws:ec2:us-east-1:{HUB}:route-table/rtb-1"))
    for denied in (
        Check("ec2:CreateRoute", f"arn:aws:ec2:us-east-1:{MEMBER}:route-table/rtb-1"),
        Check("ec2:DeleteVpc", "*"),
    ):
        assert not is_allowed(policies, denied)


def test_the_reason_of_a_denial_is_that_of_aws() -> None:
    policies = role_with(allow("ec2:*"), {"Effect": "Deny", "Action": "ec2:DeleteVpc", "Resource": "*"})
    assert decide(session(), Check("sqs:SendMessage", QUEUE), policies).reason == (
        "because no identity-based policy allows the sqs:SendMessage action"
    )
    assert decide(session(), Check("ec2:DeleteVpc", "*"), policies).reason == (
        "with an explicit deny in an identity-based policy"
    )


def test_a_permissions_boundary_limits_what_the_policies_allow() -> None:
    policies = role_with(allow("*"), boundary=document(allow("ec2:*")))
    assert is_allowed(policies, Check("ec2:DescribeVpcs", "*"))
    assert not is_allowed(policies, Check("organizations:ListRoots", "*"))


def test_a_role_without_policies_may_do_nothing_but_ask_who_it_is() -> None:
    assert not is_allowed(Policies(), Check("ec2:DescribeVpcs", "*"))
    assert is_allowed(Policies(), Check("sts:GetCallerIdentity", "*"))


# ---------------------------------------------------------------- conditions

ENV, MARK = "aws:ResourceTag/peerd:env", "aws:ResourceTag/peerd:managed-by"
STATUS_ONLY = {
    "ForAllValues:StringEquals": {"aws:TagKeys": ["peerd:status"]},
    "Null": {"aws:TagKeys": "false"},
}
AS_IF = {"StringEqualsIfExists": {"aws:RequestTag/peerd:managed-by": "peerd"}}
FROM_PEERD = {"ForAllValues:StringEquals": {"events:source": ["peerd"]}, "Null": {"events:source": "false"}}
PARTNERS = {"ArnLike": {"ec2:AccepterVpc": [f"arn:aws:ec2:*:{HUB}:vpc/*"]}}


@pytest.mark.parametrize(
    ("condition", "keys", "allowed"),
    [
        ({"Null": {ENV: "false"}}, {ENV: "prod"}, True),
        ({"Null": {ENV: "false"}}, {}, False),
        ({"Null": {MARK: "true"}}, {}, True),
        ({"Null": {MARK: "true"}}, {MARK: "other"}, False),
        ({"StringEquals": {MARK: "peerd"}}, {MARK: "peerd"}, True),
        ({"StringEquals": {MARK: "peerd"}}, {MARK: "other"}, False),
        ({"StringEquals": {MARK: "peerd"}}, {}, False),
        ({"StringLike": {ENV: "?*"}}, {ENV: ""}, False),
        (AS_IF, {}, True),
        (AS_IF, {"aws:RequestTag/peerd:managed-by": "peerd"}, True),
        (AS_IF, {"aws:RequestTag/peerd:managed-by": "other"}, False),
        (STATUS_ONLY, {"aws:TagKeys": ["peerd:status"]}, True),
        (STATUS_ONLY, {"aws:TagKeys": ["peerd:env", "peerd:status"]}, False),
        # Without `Null`, ForAllValues permits a request without tags, such as one that removes all of them.
        (STATUS_ONLY, {}, False),
        (FROM_PEERD, {"events:source": ["peerd"]}, True),
        (FROM_PEERD, {"events:source": ["aws.ec2"]}, False),
        # A multivalued key needs a set operator.
        ({"StringEquals": {"events:source": "peerd"}}, {"events:source": ["peerd"]}, False),
        (PARTNERS, {"ec2:AccepterVpc": f"arn:aws:ec2:eu-west-1:{HUB}:vpc/vpc-2"}, True),
        (PARTNERS, {"ec2:AccepterVpc": f"arn:aws:ec2:eu-west-1:{MEMBER}:vpc/vpc-2"}, False),
        ({"Bool": {"aws:SecureTransport": "true"}}, {}, True),
        ({"StringEquals": {"aws:RequestedRegion": "us-east-1"}}, {}, True),
        ({"StringEquals": {"aws:RequestedRegion": "eu-west-1"}}, {}, False),
        ({"ArnLike": {"aws:PrincipalArn": f"arn:aws:iam::{HUB}:role/peerd-*"}}, {}, True),
        (
            {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["mesh#*"]}},
            {"dynamodb:LeadingKeys": ["mesh#a"]},
            True,
        ),
        (
            {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["mesh#*"]}},
            {"dynamodb:LeadingKeys": ["meshes"]},
            False,
        ),
        ({"NoSuchOperator": {ENV: "prod"}}, {ENV: "prod"}, False),
    ],
)
def test_a_statement_applies_only_under_its_condition(
    condition: dict[str, Any], keys: dict[str, Value], allowed: bool
) -> None:
    policies = role_with(allow("*", Condition=condition))
    assert is_allowed(policies, Check("ec2:CreateTags", VPC, keys, "us-east-1")) is allowed


def test_the_calls_of_a_function_itself_name_the_function_and_those_of_other_code_do_not() -> None:
    function = f"arn:aws:lambda:us-east-1:{HUB}:function:peerd-vpc-events"
    own = {"ArnLike": {"lambda:SourceFunctionArn": f"arn:aws:lambda:*:{HUB}:function:peerd-*"}}
    policies = role_with(allow("ec2:DescribeVpcs", Condition=own))
    assert is_allowed(policies, Check("ec2:DescribeVpcs", "*"), session(function=function))
    assert not is_allowed(policies, Check("ec2:DescribeVpcs", "*"))


# ---------------------------------------------------------------- trust policies


def trusting(principal: Any, **more: Any) -> str:
    return document({"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole", **more})


def with_trust(trust: str, *own: dict[str, Any], caller: str = FUNCTION, role: str = SPOKE) -> Policies:
    return Policies({role: Role(trust), caller: Role(TRUST_ALL, {"own": document(*own)})})


ASSUME = allow("sts:AssumeRole", "arn:aws:iam::*:role/peerd-spoke")
SECRET = {"StringEquals": {"sts:ExternalId": "secret"}}


@pytest.mark.parametrize(
    ("principal", "external_id", "allowed"),
    [
        ({"AWS": FUNCTION}, "secret", True),
        ({"AWS": [FUNCTION, SPOKE]}, "secret", True),
        ({"AWS": FUNCTION}, "wrong", False),
        ({"AWS": FUNCTION}, None, False),
        ({"AWS": f"arn:aws:iam::{HUB}:root"}, "secret", True),
        ({"AWS": HUB}, "secret", True),
        ({"AWS": f"arn:aws:iam::{MEMBER}:root"}, "secret", False),
        ({"AWS": FUNCTION.replace("vpc-events", "drift-repair")}, "secret", False),
        ({"Service": "lambda.amazonaws.com"}, "secret", False),
    ],
)
def test_a_role_of_another_account_is_assumed_only_as_its_trust_policy_allows(
    principal: Any, external_id: str | None, allowed: bool
) -> None:
    keys = {} if external_id is None else {"sts:ExternalId": external_id}
    policies = with_trust(trusting(principal, Condition=SECRET), ASSUME)
    assert is_allowed(policies, Check("sts:AssumeRole", SPOKE, keys)) is allowed


def test_a_role_of_another_account_is_assumed_only_if_the_callers_own_policies_allow_that_too() -> None:
    policies = with_trust(trusting({"AWS": FUNCTION}), allow("ec2:*"))
    denied = decide(session(), Check("sts:AssumeRole", SPOKE), policies)
    assert denied.reason == "because no identity-based policy allows the sts:AssumeRole action"


def test_a_trust_policy_that_names_a_role_of_its_own_account_is_enough() -> None:
    own = SPOKE.replace(MEMBER, HUB)
    named = with_trust(trusting({"AWS": FUNCTION}), role=own)
    account = with_trust(trusting({"AWS": f"arn:aws:iam::{HUB}:root"}), role=own)
    assert is_allowed(named, Check("sts:AssumeRole", own))
    assert not is_allowed(account, Check("sts:AssumeRole", own))


def test_an_administrator_needs_the_trust_of_the_role_as_well() -> None:
    admin = Caller(f"arn:aws:iam::{HUB}:user/anybody", HUB)
    check = Check("sts:AssumeRole", SPOKE)
    assert not is_allowed(with_trust(trusting({"AWS": FUNCTION})), check, admin)
    assert is_allowed(with_trust(trusting({"AWS": HUB})), check, admin)
    assert not is_allowed(Policies(), check, admin)


# ---------------------------------------------------------------- policies of queues and buses


def test_a_queue_of_the_same_account_needs_one_permission_and_of_another_account_both() -> None:
    send, open_queue = Check("sqs:SendMessage", QUEUE), document(allow("sqs:*", Principal={"AWS": FUNCTION}))
    own = {FUNCTION: Role(TRUST_ALL, {"own": document(allow("sqs:*"))})}
    assert is_allowed(Policies(own), send)
    assert is_allowed(Policies({FUNCTION: Role(TRUST_ALL)}, {QUEUE: open_queue}), send)
    assert not is_allowed(Policies({FUNCTION: Role(TRUST_ALL)}), send)
    foreign = Check("sqs:SendMessage", QUEUE.replace(HUB, MEMBER))
    assert not is_allowed(Policies(own), foreign)
    assert is_allowed(Policies(own, {foreign.resource: open_queue}), foreign)


def test_a_denial_by_the_policy_of_a_queue_wins() -> None:
    insecure = {"Bool": {"aws:SecureTransport": "true"}}
    deny = {"Effect": "Deny", "Principal": "*", "Action": "sqs:*", "Resource": QUEUE, "Condition": insecure}
    policies = Policies({FUNCTION: Role(TRUST_ALL, {"own": document(allow("*"))})}, {QUEUE: document(deny)})
    denied = decide(session(), Check("sqs:SendMessage", QUEUE), policies)
    assert denied.reason == "with an explicit deny in a resource-based policy"


@pytest.mark.parametrize(
    ("service", "source", "allowed"),
    [
        (EVENTS, RULE, True),
        (EVENTS, RULE.replace("vpc-tags", "other"), False),
        ("sns.amazonaws.com", RULE, False),
    ],
)
def test_a_service_sends_to_a_queue_only_as_the_queues_policy_allows(
    service: str, source: str, allowed: bool
) -> None:
    statement = allow(
        "sqs:SendMessage",
        QUEUE,
        Principal={"Service": EVENTS},
        Condition={"ArnEquals": {"aws:SourceArn": [RULE]}},
    )
    caller, keys = Caller(service, HUB, service=service), {"aws:SourceArn": source}
    policies = Policies({}, {QUEUE: document(statement)})
    assert is_allowed(policies, Check("sqs:SendMessage", QUEUE, keys), caller) is allowed
    assert not is_allowed(Policies(), Check("sqs:SendMessage", QUEUE, keys), caller)


def test_a_bus_that_admits_an_organization_takes_forwarded_events_of_aws_from_its_accounts_only() -> None:
    condition = {
        "StringEquals": {"aws:PrincipalOrgID": "o-1", "events:eventBusInvocation": "true"},
        "ForAllValues:StringEquals": {"events:source": ["aws.ec2", "aws.tag"]},
        "Null": {"events:source": "false"},
    }
    bus = document(allow("events:PutEvents", BUS, Principal="*", Condition=condition))
    forward = f"arn:aws:iam::{MEMBER}:role/peerd-forward"
    own = {forward: Role(TRUST_ALL, {"own": document(allow("events:PutEvents", BUS))})}
    policies = Policies(own, {BUS: bus})

    def is_taken(source: str, forwarded: bool, organization: str) -> bool:
        keys = {"aws:PrincipalOrgID": organization, **event_keys(source, "Tag Change", forwarded)}
        return is_allowed(policies, Check("events:PutEvents", BUS, keys), session(forward))

    assert is_taken("aws.tag", True, "o-1")
    assert not is_taken("aws.tag", True, "o-2")
    assert not is_taken("aws.tag", False, "o-1")
    assert not is_taken("peerd", True, "o-1")


def test_an_unneeded_statement_or_action_can_be_removed_from_the_policies() -> None:
    policies = role_with(allow("ec2:*"), allow("sqs:SendMessage"), allow("sqs:DeleteMessage"))
    statements = [it for it in policies.statements() if it.policy == "own"]
    assert [it.index for it in statements] == [0, 1, 2]
    send, delete = Check("sqs:SendMessage", QUEUE), Check("sqs:DeleteMessage", QUEUE)
    for changed in (
        policies.without(statements[1]),
        policies.without_action(statements[1], "sqs:SendMessage"),
    ):
        assert not is_allowed(changed, send)
        assert is_allowed(changed, delete)
