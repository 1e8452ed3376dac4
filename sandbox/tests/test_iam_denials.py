"""Denied calls: who is restricted, what the services return, and what precedes faults."""

from collections.abc import Iterable
from typing import Any
from urllib.parse import urlencode

import boto3
import pytest
from botocore.parsers import create_parser

from sandbox.control import parse_fault
from sandbox.ec2 import identity
from sandbox.gateway import Gateway
from sandbox.iam.model import Check, Delivery, Recorded
from sandbox.iam.policies import Policies, Role
from sandbox.tests.stubs import GatewayStubs
from sandbox.wire import AwsRequest, Response

HUB, MEMBER = "111111111111", "222222222222"
SPOKE = f"arn:aws:iam::{MEMBER}:role/peerd-spoke"
ADMIN = f"arn:aws:iam::{MEMBER}:role/sandbox-admin"
SESSION = f"arn:aws:sts::{MEMBER}:assumed-role/peerd-spoke/peerd"
QUEUE = f"arn:aws:sqs:us-east-1:{MEMBER}:work"
READS = '{"Statement": {"Effect": "Allow", "Action": "ec2:Describe*", "Resource": "*"}}'
TRUST = '{"Statement": {"Effect": "Allow", "Principal": {"Service": "%s"}, "Action": "sts:AssumeRole"}}'


class GatewayHarness(GatewayStubs):
    """A gateway with a spoke role that may only describe; moto and ministack always succeed."""

    def __init__(self) -> None:
        super().__init__(Policies({SPOKE: Role(TRUST % "events.amazonaws.com", {"reads": READS})}))
        self.served: list[str] = []
        self._gateway = Gateway(
            self._moto, self, self, self.faults, self.calls, self.control, self.authorizer, dict
        )
        identity.register_key("ASIASPOKE", MEMBER, SPOKE, "peerd")
        identity.register_key("ASIAADMIN", MEMBER, ADMIN, "client")

    def _moto(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        self.served.append(environ["wsgi.input"].read().decode())
        start_response("200 OK", [("Content-Type", "text/xml")])
        return [b"<ok/>"]

    def forward(self, request: AwsRequest, account: str) -> Response:
        """Counts ministack's calls as served too."""
        self.served.append(request.action)
        return super().forward(request, account)

    def send(self, service: str, action: str, key: str = "ASIASPOKE", **parameters: str) -> Response:
        """Sends a request in the query protocol."""
        body = urlencode({"Action": action, **parameters}).encode()
        return self._send(service, key, body, ("Content-Type", "application/x-www-form-urlencoded"))

    def send_json(self, service: str, target: str, key: str = "ASIASPOKE") -> Response:
        """Sends a request in the JSON protocol."""
        kind = ("Content-Type", "application/x-amz-json-1.0")
        return self._send(service, key, b"{}", kind, ("X-Amz-Target", target))

    def _send(self, service: str, key: str, body: bytes, *headers: tuple[str, str]) -> Response:
        scope = f"{key}/20260101/us-east-1/{service}/aws4_request"
        signed = [*headers, ("Authorization", f"AWS4-HMAC-SHA256 Credential={scope}, Signature=0")]
        return self._gateway._handle_aws("POST", "/", signed, body)


@pytest.fixture
def harness() -> GatewayHarness:
    return GatewayHarness()


def parsed_error(service: str, protocol: str, response: Response) -> tuple[str, str]:
    """Returns the code and the message that an SDK finds in an error."""
    client = boto3.client(service, region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
    model = client.meta.service_model
    shape = model.operation_model(model.operation_names[0]).output_shape
    parsed = create_parser(protocol).parse(
        {"status_code": response.status, "headers": dict(response.headers), "body": response.body}, shape
    )
    return parsed["Error"]["Code"], parsed["Error"]["Message"]


def test_ec2_denies_with_its_own_code_and_names_the_caller_the_action_and_the_resource(
    harness: GatewayHarness,
) -> None:
    response = harness.send("ec2", "CreateVpc", DryRun="true")
    code, message = parsed_error("ec2", "ec2", response)
    assert (response.status, code) == (403, "UnauthorizedOperation")
    assert message.startswith(
        f"You are not authorized to perform this operation. User: {SESSION} is not authorized to perform: "
        "ec2:CreateVpc on resource: * because no identity-based policy allows the ec2:CreateVpc action. "
        "Encoded authorization failure message: "
    )
    assert harness.served == []


@pytest.mark.parametrize(
    ("service", "target", "status", "action"),
    [
        ("dynamodb", "DynamoDB_20120810.Scan", 400, "dynamodb:Scan"),
        ("events", "AWSEvents.ListRules", 400, "events:ListRules"),
        ("organizations", "AWSOrganizationsV20161128.ListRoots", 400, "organizations:ListRoots"),
    ],
)
def test_a_service_with_the_json_protocol_returns_access_denied_exception(
    harness: GatewayHarness, service: str, target: str, status: int, action: str
) -> None:
    response = harness.send_json(service, target)
    code, message = parsed_error(service, "json", response)
    assert (response.status, code) == (status, "AccessDeniedException")
    assert f"User: {SESSION} is not authorized to perform: {action} on resource:" in message


def test_sqs_and_the_services_with_the_query_protocol_return_access_denied(harness: GatewayHarness) -> None:
    sqs = harness.send_json("sqs", "AmazonSQS.ListQueues")
    iam = harness.send("iam", "ListRoles")
    sts = harness.send("sts", "AssumeRole", RoleArn=SPOKE.replace("spoke", "other"), RoleSessionName="s")
    assert (sqs.status, parsed_error("sqs", "json", sqs)[0]) == (403, "AccessDenied")
    assert "is not authorized to perform: sqs:listqueues on resource" in parsed_error("sqs", "json", sqs)[1]
    assert (iam.status, parsed_error("iam", "query", iam)[0]) == (403, "AccessDenied")
    assert (sts.status, parsed_error("sts", "query", sts)[0]) == (403, "AccessDenied")


def test_only_the_sessions_of_roles_are_restricted_and_the_administrators_session_is_not(
    harness: GatewayHarness,
) -> None:
    assert harness.send("ec2", "DescribeVpcs").status == 200
    assert harness.send("ec2", "CreateVpc").status == 403
    assert harness.send("ec2", "CreateVpc", key="ASIAADMIN").status == 200
    assert harness.send("ec2", "CreateVpc", key=MEMBER).status == 200
    assert harness.send("sts", "GetCallerIdentity").status == 200


def test_anybody_may_assume_the_administrators_role_and_other_roles_by_their_trust_only(
    harness: GatewayHarness,
) -> None:
    def status(role: str) -> int:
        return harness.send("sts", "AssumeRole", key=HUB, RoleArn=role, RoleSessionName="s").status

    assert status(ADMIN) == 200
    assert status(SPOKE) == status(f"{SPOKE}-unknown") == 403
    trust = '{"Statement": {"Effect": "Allow", "Principal": {"AWS": "%s"}, "Action": "sts:AssumeRole"}}'
    harness.authorizer.replace_policies(Policies({SPOKE: Role(trust % HUB)}))
    assert status(SPOKE) == 200


def test_a_denied_call_is_logged_has_an_event_and_uses_up_no_fault(harness: GatewayHarness) -> None:
    harness.faults.replace(
        [parse_fault({"action": "CreateVpc", "code": "InternalError", "times": 1}, "fault")]
    )
    assert harness.send("ec2", "CreateVpc").status == 403
    assert harness.observed == [("CreateVpc", 403)]
    assert harness.calls.listed()[0]["error"] == "UnauthorizedOperation"
    assert harness.faults.listed()[0]["times"] == 1


def test_decisions_are_recorded_once_and_can_be_read_back(harness: GatewayHarness) -> None:
    for _ in range(2):
        harness.send("ec2", "DescribeVpcs")
    harness.send("ec2", "CreateVpc")
    recorded = harness.authorizer.recorded()
    assert [(it.check.action, it.decision.allowed) for it in recorded] == [
        ("ec2:DescribeVpcs", True),
        ("ec2:CreateVpc", False),
    ]
    assert [Recorded.parse(it.as_dict()) for it in recorded] == recorded
    harness.authorizer.clear()
    assert harness.authorizer.recorded() == []


# ---------------------------------------------------------------- deliveries


def test_a_service_acts_with_a_role_only_if_the_role_trusts_it_and_has_the_permission(
    harness: GatewayHarness,
) -> None:
    send, read = Check("sqs:SendMessage", QUEUE), Check("ec2:DescribeVpcs", "*")

    def is_delivered(service: str, check: Check) -> bool:
        delivery = Delivery(MEMBER, (check,), source="arn:rule", service=service, role=SPOKE)
        return harness.authorizer.authorize_delivery(delivery) is None

    assert is_delivered("events.amazonaws.com", read)
    assert not is_delivered("events.amazonaws.com", send)
    assert not is_delivered("scheduler.amazonaws.com", read)


def test_a_delivery_states_its_source_and_the_account_of_the_source(harness: GatewayHarness) -> None:
    delivery = Delivery(MEMBER, (Check("sqs:SendMessage", QUEUE),), "arn:rule", "events.amazonaws.com")
    denied = harness.authorizer.authorize_delivery(delivery)
    assert denied is not None
    assert denied.check.keys == {"aws:SourceArn": "arn:rule", "aws:SourceAccount": MEMBER}
    assert denied.caller.arn == "events.amazonaws.com"
