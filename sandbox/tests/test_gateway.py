"""The gateway: routing, faults, the call log, protocols."""

import time
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote, urlencode

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from botocore.parsers import create_parser

from sandbox.control import parse_fault
from sandbox.ec2 import identity
from sandbox.gateway import Gateway
from sandbox.iam.policies import Policies, Role
from sandbox.rest_actions import rest_action
from sandbox.settings import SETTINGS
from sandbox.tests.stubs import GatewayStubs
from sandbox.wire import error_response, parse_request

HUB, MEMBER = "111111111111", "222222222222"
ROLE = f"arn:aws:iam::{MEMBER}:role/peerd-spoke"
FUNCTION_ROLE = f"arn:aws:iam::{HUB}:role/peerd-vpc-events"

# Roles with every permission that anybody may assume: these tests are not about policies.
ROLES = (FUNCTION_ROLE, ROLE, ROLE.replace(MEMBER, HUB))
ANYTHING = Role(
    '{"Statement": {"Effect": "Allow", "Principal": "*", "Action": "*"}}',
    {"all": '{"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}'},
)


class GatewayHarness(GatewayStubs):
    """A gateway with stubs for moto, ministack and the emitter."""

    def __init__(self) -> None:
        super().__init__(Policies(dict.fromkeys(ROLES, ANYTHING)))
        self.served: list[str] = []
        self.served_at_kills: list[int] = []
        self._gateway = Gateway(
            self._moto, self, self, self.faults, self.calls, self.control, self.authorizer, self._kill
        )

    def _moto(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        body = environ["wsgi.input"].read().decode()
        self.served.append(body)
        if "Action=Explode" in body:
            raise RuntimeError("moto broke")
        start_response("200 OK", [("Content-Type", "text/xml"), ("Content-Length", "5")])
        return [b"<ok/>"]

    def _kill(self) -> None:
        self.served_at_kills.append(len(self.served))

    def fault(self, **fault: Any) -> None:
        self.faults.replace([parse_fault(fault, "fault")])

    def send(self, service: str, key: str = MEMBER, **form: str) -> tuple[int, bytes]:
        headers = {"CONTENT_TYPE": "application/x-www-form-urlencoded"}
        return self.raw(headers | authorization(service, key), urlencode(form).encode())

    def send_json(self, service: str, target: str) -> tuple[int, bytes]:
        headers = {"CONTENT_TYPE": "application/x-amz-json-1.0", "HTTP_X_AMZ_TARGET": target}
        return self.raw(headers | authorization(service, MEMBER), b"{}")

    def raw(self, headers: dict[str, str], body: bytes = b"", path: str = "/") -> tuple[int, bytes]:
        class Input:
            read = staticmethod(lambda: body)

        statuses: list[Any] = []
        environ = {"REQUEST_METHOD": "POST", "REQUEST_URI": path, "wsgi.input": Input} | headers
        chunks = self._gateway(environ, lambda status, headers: statuses.append(status))
        return int(statuses[0].split()[0]), b"".join(chunks)

    def logged(self) -> list[tuple[Any, ...]]:
        return [(c["service"], c["action"], c["account"], c["error"]) for c in self.calls.listed()]


def authorization(service: str, key: str) -> dict[str, str]:
    scope = f"{key}/20260101/eu-west-1/{service}/aws4_request"
    return {"HTTP_AUTHORIZATION": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"}


@pytest.fixture
def harness() -> GatewayHarness:
    return GatewayHarness()


@pytest.mark.parametrize("service", ["ec2", "sts", "organizations", "servicequotas", "cloudtrail"])
def test_moto_serves_its_services(harness: GatewayHarness, service: str) -> None:
    assert harness.send(service, Action="DescribeThings") == (200, b"<ok/>")
    assert (len(harness.served), harness.forwarded) == (1, [])


def test_every_other_service_is_forwarded_for_the_account_of_the_caller(harness: GatewayHarness) -> None:
    identity.register_key("ASIAFUNCTION", HUB, FUNCTION_ROLE, "peerd-vpc-events")
    harness.send("sqs", key="ASIAFUNCTION", Action="SendMessage")
    harness.send_json("dynamodb", "DynamoDB_20120810.PutItem")
    assert harness.forwarded == [("SendMessage", HUB), ("PutItem", MEMBER)]
    assert harness.served == []
    assert harness.calls.listed()[0]["principal"] == (
        f"arn:aws:sts::{HUB}:assumed-role/peerd-vpc-events/peerd-vpc-events"
    )


def test_a_presigned_request_is_read_from_its_query_string(harness: GatewayHarness) -> None:
    scope = quote(f"{MEMBER}/20260101/us-east-1/sts/aws4_request", safe="")
    path = f"/?Action=GetCallerIdentity&X-Amz-Credential={scope}"
    assert harness.raw({}, path=path)[0] == 200
    assert harness.logged() == [("sts", "GetCallerIdentity", MEMBER, None)]


def test_an_unsigned_request_is_rejected_with_a_remedy(harness: GatewayHarness) -> None:
    status, body = harness.raw({}, b"Action=DescribeVpcs")
    assert status == 403
    assert b"MissingAuthenticationToken" in body
    assert b"sign the request" in body
    assert harness.logged() == []


def test_only_ec2_calls_become_events(harness: GatewayHarness) -> None:
    harness.send("ec2", Action="CreateVpc")
    harness.send("sts", Action="GetCallerIdentity")
    assert harness.observed == [("CreateVpc", 200)]


def test_a_fault_replaces_the_call_and_is_recorded_as_failed(harness: GatewayHarness) -> None:
    harness.fault(action="CreateVpc", times=1, code="RequestLimitExceeded")
    status, body = harness.send("ec2", Action="CreateVpc")
    assert status == 503
    assert b"<Code>RequestLimitExceeded</Code>" in body
    assert harness.served == []
    assert harness.observed == [("CreateVpc", 503)]
    assert harness.send("ec2", Action="CreateVpc")[0] == 200
    assert [error for *_, error in harness.logged()] == ["RequestLimitExceeded", None]


def test_a_fault_after_the_call_returns_an_error_although_the_call_took_effect(
    harness: GatewayHarness,
) -> None:
    harness.fault(code="InternalError", status=500, when="after")
    assert harness.send("ec2", Action="CreateVpc")[0] == 500
    assert len(harness.served) == 1
    assert harness.observed == [("CreateVpc", 200)]
    assert harness.logged() == [("ec2", "CreateVpc", MEMBER, "InternalError")]


@pytest.mark.parametrize(("when", "served", "observed"), [("before", 0, 500), ("after", 1, 200)])
def test_a_fault_may_kill_the_functions_before_or_after_the_call_takes_effect(
    harness: GatewayHarness, when: str, served: int, observed: int
) -> None:
    harness.fault(action="CreateRoute", times=1, kill=True, when=when)
    assert harness.send("ec2", Action="CreateRoute")[0] == 500
    assert harness.send("ec2", Action="CreateRoute")[0] == 200
    assert harness.served_at_kills == [served]
    assert harness.observed == [("CreateRoute", observed), ("CreateRoute", 200)]


def test_a_fault_may_apply_to_the_calls_of_one_caller_only(harness: GatewayHarness) -> None:
    identity.register_key("ASIAFAULTED", HUB, FUNCTION_ROLE, "peerd-vpc-events")
    harness.fault(principal="*:assumed-role/peerd-*", code="InternalError", status=500)
    assert harness.send("ec2", key="ASIAFAULTED", Action="DescribeVpcs")[0] == 500
    assert harness.send("ec2", key=MEMBER, Action="DescribeVpcs")[0] == 200


def test_a_fault_without_an_error_delays_the_call(harness: GatewayHarness) -> None:
    harness.fault(delay_ms=60)
    started = time.monotonic()
    assert harness.send("ec2", Action="DescribeVpcs")[0] == 200
    assert time.monotonic() - started >= 0.06


def test_latency_applies_to_every_aws_call_and_not_to_the_control_plane(harness: GatewayHarness) -> None:
    SETTINGS.update({"latency_ms": 60})
    try:
        for send in (
            lambda: harness.send("ec2", Action="A"),
            lambda: harness.send_json("dynamodb", "D.PutItem"),
        ):
            started = time.monotonic()
            send()
            assert time.monotonic() - started >= 0.06
        SETTINGS.update({"latency_ms": 60_000})
        started = time.monotonic()
        harness.raw({}, path="/_sandbox/calls")
        assert time.monotonic() - started < 60
    finally:
        SETTINGS.update({"latency_ms": 0})


def test_assuming_a_role_counts_as_a_call_of_the_roles_account(harness: GatewayHarness) -> None:
    harness.fault(service="sts", account=MEMBER, code="AccessDenied", status=403)
    assert harness.send("sts", key=HUB, Action="AssumeRole", RoleArn=ROLE)[0] == 403
    assert harness.send("sts", key=MEMBER, Action="AssumeRole", RoleArn=ROLE.replace(MEMBER, HUB))[0] == 200
    assert harness.logged() == [
        ("sts", "AssumeRole", MEMBER, "AccessDenied"),
        ("sts", "AssumeRole", HUB, None),
    ]


def test_an_exception_becomes_an_error_response_and_the_gateway_keeps_running(
    harness: GatewayHarness, capsys: pytest.CaptureFixture[str]
) -> None:
    status, body = harness.send("ec2", Action="Explode")
    assert status == 500
    assert b"the sandbox failed at ec2 Explode" in body
    assert "moto broke" in capsys.readouterr().err
    assert harness.send("ec2", Action="DescribeVpcs")[0] == 200


# ---------------------------------------------------------------- protocols


@pytest.mark.parametrize(
    ("service", "protocol", "headers"),
    [
        ("ec2", "ec2", {"Content-Type": "application/x-www-form-urlencoded"}),
        ("sts", "query", {"Content-Type": "application/x-www-form-urlencoded"}),
        ("iam", "query", {"Content-Type": "application/x-www-form-urlencoded"}),
        ("dynamodb", "json", {"X-Amz-Target": "DynamoDB_20120810.PutItem"}),
        ("sqs", "json", {"X-Amz-Target": "AmazonSQS.SendMessage"}),
        ("lambda", "rest-json", {}),
        ("s3", "rest-xml", {}),
    ],
)
def test_an_error_can_be_parsed_by_the_parser_of_the_service(
    service: str, protocol: str, headers: dict[str, str]
) -> None:
    scope = f"{MEMBER}/20260101/us-east-1/{service}/aws4_request"
    signed = [*headers.items(), ("Authorization", f"AWS4-HMAC-SHA256 Credential={scope}, x")]
    body = b"Action=X" if protocol in ("ec2", "query") else b""
    request = parse_request("POST", "/", signed, body)
    response = error_response(request, "SomethingWrong", "a < b & c", 418)
    client = boto3.client(service, region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
    operation = client.meta.service_model.operation_model(client.meta.service_model.operation_names[0])
    http_response = AWSResponse("http://x", response.status, dict(response.headers), None)
    parsed = create_parser(protocol).parse(
        {"status_code": http_response.status_code, "headers": http_response.headers, "body": response.body},
        operation.output_shape,
    )
    assert parsed["Error"]["Code"] == "SomethingWrong"
    assert parsed["Error"]["Message"] == "a < b & c"


@pytest.mark.parametrize(
    ("service", "method", "path", "action"),
    [
        ("lambda", "POST", "/2015-03-31/functions/f/invocations", "Invoke"),
        ("lambda", "GET", "/2015-03-31/event-source-mappings", "ListEventSourceMappings"),
        ("lambda", "GET", "/2015-03-31/event-source-mappings/", "ListEventSourceMappings"),
        ("scheduler", "GET", "/schedules/peerd-sweep", "GetSchedule"),
        ("s3", "PUT", "/bucket/key", "PUT /bucket/key"),
        ("nonesuch", "GET", "/x", "GET /x"),
    ],
)
def test_rest_calls_are_named_by_the_model_of_the_service(
    service: str, method: str, path: str, action: str
) -> None:
    assert rest_action(service, method, path) == action
