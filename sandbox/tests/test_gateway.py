"""The gateway between its parts: where a request goes, faults, the call log, protocols, trust policies."""

import json
import time
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote, urlencode

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from botocore.parsers import create_parser

from sandbox.control import CallLog, ControlPlane, Faults, parse_fault
from sandbox.ec2 import identity
from sandbox.ec2.identity import Principal
from sandbox.gateway import Gateway
from sandbox.rest_actions import rest_action
from sandbox.roles import TrustPolicies
from sandbox.settings import SETTINGS
from sandbox.wire import AwsRequest, Response, error_response, parse_request

HUB, MEMBER = "111111111111", "222222222222"
ROLE = f"arn:aws:iam::{MEMBER}:role/peerd-spoke"


class Parts:
    """A gateway whose moto, ministack and emitter only take notes."""

    def __init__(self) -> None:
        self.faults, self.calls = Faults(), CallLog()
        self.served: list[str] = []
        self.forwarded: list[tuple[str, str]] = []
        self.observed: list[tuple[str, int]] = []
        self.served_at_kills: list[int] = []
        control = ControlPlane(
            self.faults,
            self.calls,
            sweep=list,
            drop_events=lambda drop: None,
            kill_functions=dict,
            activity=dict,
            advance_queues=lambda failed: {},
            register_key=identity.register_key,
        )
        self._gateway = Gateway(self._moto, self, self, self.faults, self.calls, control, self._kill)

    def _moto(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        body = environ["wsgi.input"].read().decode()
        self.served.append(body)
        if "Action=Explode" in body:
            raise RuntimeError("moto broke")
        start_response("200 OK", [("Content-Type", "text/xml"), ("Content-Length", "5")])
        return [b"<ok/>"]

    def forward(self, request: AwsRequest, account: str) -> Response:
        self.forwarded.append((request.action, account))
        return Response(200, [("Content-Type", "application/json")], b"{}")

    def observe(self, request: AwsRequest, response: Response, principal: Principal) -> None:
        self.observed.append((request.action, response.status))

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

        answer: list[Any] = []
        environ = {"REQUEST_METHOD": "POST", "REQUEST_URI": path, "wsgi.input": Input} | headers
        chunks = self._gateway(environ, lambda status, headers: answer.append(status))
        return int(answer[0].split()[0]), b"".join(chunks)

    def logged(self) -> list[tuple[Any, ...]]:
        return [(c["service"], c["action"], c["account"], c["error"]) for c in self.calls.listed()]


def authorization(service: str, key: str) -> dict[str, str]:
    scope = f"{key}/20260101/eu-west-1/{service}/aws4_request"
    return {"HTTP_AUTHORIZATION": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"}


@pytest.fixture
def parts() -> Parts:
    return Parts()


@pytest.mark.parametrize("service", ["ec2", "sts", "organizations", "servicequotas", "cloudtrail"])
def test_moto_serves_its_services(parts: Parts, service: str) -> None:
    assert parts.send(service, Action="DescribeThings") == (200, b"<ok/>")
    assert (len(parts.served), parts.forwarded) == (1, [])


def test_every_other_service_is_forwarded_in_the_name_of_the_callers_account(parts: Parts) -> None:
    identity.register_key(
        "ASIAFUNCTION", HUB, f"arn:aws:iam::{HUB}:role/peerd-vpc-events", "peerd-vpc-events"
    )
    parts.send("sqs", key="ASIAFUNCTION", Action="SendMessage")
    parts.send_json("dynamodb", "DynamoDB_20120810.PutItem")
    assert parts.forwarded == [("SendMessage", HUB), ("PutItem", MEMBER)]
    assert parts.served == []
    assert parts.calls.listed()[0]["principal"] == (
        f"arn:aws:sts::{HUB}:assumed-role/peerd-vpc-events/peerd-vpc-events"
    )


def test_a_presigned_request_is_read_from_its_query_string(parts: Parts) -> None:
    scope = quote(f"{MEMBER}/20260101/us-east-1/sts/aws4_request", safe="")
    path = f"/?Action=GetCallerIdentity&X-Amz-Credential={scope}"
    assert parts.raw({}, path=path)[0] == 200
    assert parts.logged() == [("sts", "GetCallerIdentity", MEMBER, None)]


def test_an_unsigned_request_is_told_to_sign(parts: Parts) -> None:
    status, body = parts.raw({}, b"Action=DescribeVpcs")
    assert status == 403
    assert b"MissingAuthenticationToken" in body
    assert b"sign the request" in body
    assert parts.logged() == []


def test_only_ec2_calls_become_events(parts: Parts) -> None:
    parts.send("ec2", Action="CreateVpc")
    parts.send("sts", Action="GetCallerIdentity")
    assert parts.observed == [("CreateVpc", 200)]


def test_a_fault_is_answered_in_place_of_the_call_and_recorded_as_failed(parts: Parts) -> None:
    parts.fault(action="CreateVpc", times=1, code="RequestLimitExceeded")
    status, body = parts.send("ec2", Action="CreateVpc")
    assert status == 503
    assert b"<Code>RequestLimitExceeded</Code>" in body
    assert parts.served == []
    assert parts.observed == [("CreateVpc", 503)]
    assert parts.send("ec2", Action="CreateVpc")[0] == 200
    assert [error for *_, error in parts.logged()] == ["RequestLimitExceeded", None]


def test_a_fault_after_the_call_answers_an_error_though_the_call_took_effect(parts: Parts) -> None:
    parts.fault(code="InternalError", status=500, when="after")
    assert parts.send("ec2", Action="CreateVpc")[0] == 500
    assert len(parts.served) == 1
    assert parts.observed == [("CreateVpc", 200)]
    assert parts.logged() == [("ec2", "CreateVpc", MEMBER, "InternalError")]


@pytest.mark.parametrize(("when", "served", "observed"), [("before", 0, 500), ("after", 1, 200)])
def test_a_fault_may_kill_the_functions_before_or_after_the_call_takes_effect(
    parts: Parts, when: str, served: int, observed: int
) -> None:
    parts.fault(action="CreateRoute", times=1, kill=True, when=when)
    assert parts.send("ec2", Action="CreateRoute")[0] == 500
    assert parts.send("ec2", Action="CreateRoute")[0] == 200
    assert parts.served_at_kills == [served]
    assert parts.observed == [("CreateRoute", observed), ("CreateRoute", 200)]


def test_a_fault_may_strike_the_calls_of_one_caller_alone(parts: Parts) -> None:
    identity.register_key("ASIASTRUCK", HUB, f"arn:aws:iam::{HUB}:role/peerd-vpc-events", "peerd-vpc-events")
    parts.fault(principal="*:assumed-role/peerd-*", code="InternalError", status=500)
    assert parts.send("ec2", key="ASIASTRUCK", Action="DescribeVpcs")[0] == 500
    assert parts.send("ec2", key=MEMBER, Action="DescribeVpcs")[0] == 200


def test_a_fault_with_only_a_delay_delays(parts: Parts) -> None:
    parts.fault(delay_ms=60)
    started = time.monotonic()
    assert parts.send("ec2", Action="DescribeVpcs")[0] == 200
    assert time.monotonic() - started >= 0.06


def test_latency_applies_to_every_aws_call_and_not_to_the_control_plane(parts: Parts) -> None:
    SETTINGS.update({"latency_ms": 60})
    try:
        for send in (lambda: parts.send("ec2", Action="A"), lambda: parts.send_json("dynamodb", "D.PutItem")):
            started = time.monotonic()
            send()
            assert time.monotonic() - started >= 0.06
        started = time.monotonic()
        parts.raw({}, path="/_sandbox/calls")
        assert time.monotonic() - started < 0.05
    finally:
        SETTINGS.update({"latency_ms": 0})


def test_assuming_a_role_counts_as_a_call_of_the_roles_account(parts: Parts) -> None:
    parts.fault(service="sts", account=MEMBER, code="AccessDenied", status=403)
    assert parts.send("sts", key=HUB, Action="AssumeRole", RoleArn=ROLE)[0] == 403
    assert parts.send("sts", key=MEMBER, Action="AssumeRole", RoleArn=ROLE.replace(MEMBER, HUB))[0] == 200
    assert parts.logged() == [("sts", "AssumeRole", MEMBER, "AccessDenied"), ("sts", "AssumeRole", HUB, None)]


def test_a_part_that_breaks_is_an_answer_and_not_the_end(
    parts: Parts, capsys: pytest.CaptureFixture[str]
) -> None:
    status, body = parts.send("ec2", Action="Explode")
    assert status == 500
    assert b"the sandbox failed at ec2 Explode" in body
    assert "moto broke" in capsys.readouterr().err
    assert parts.send("ec2", Action="DescribeVpcs")[0] == 200


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
def test_an_error_is_one_that_the_services_own_parser_understands(
    service: str, protocol: str, headers: dict[str, str]
) -> None:
    scope = f"{MEMBER}/20260101/us-east-1/{service}/aws4_request"
    signed = [*headers.items(), ("Authorization", f"AWS4-HMAC-SHA256 Credential={scope}, x")]
    body = b"Action=X" if protocol in ("ec2", "query") else b""
    request = parse_request("POST", "/", signed, body)
    response = error_response(request, "SomethingWrong", "a < b & c", 418)
    client = boto3.client(service, region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
    operation = client.meta.service_model.operation_model(client.meta.service_model.operation_names[0])
    answer = AWSResponse("http://x", response.status, dict(response.headers), None)
    parsed = create_parser(protocol).parse(
        {"status_code": answer.status_code, "headers": answer.headers, "body": response.body},
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
def test_rest_calls_are_named_by_the_services_model(
    service: str, method: str, path: str, action: str
) -> None:
    assert rest_action(service, method, path) == action


# ---------------------------------------------------------------- roles

TRUSTED = Principal(
    HUB, f"arn:aws:sts::{HUB}:assumed-role/peerd-vpc-events/f", f"arn:aws:iam::{HUB}:role/peerd-vpc-events"
)
STRANGER = Principal(HUB, f"arn:aws:iam::{HUB}:user/anybody", None)


class Iam:
    """Stands in for the proxy to ministack's IAM, which holds one role or none."""

    def __init__(self, policy: dict[str, Any] | None) -> None:
        self._policy = policy

    def send(self, method: str, target: str, headers: dict[str, str], body: bytes) -> Response:
        assert b"RoleName=peerd-spoke" in body
        assert f"Credential={MEMBER}/" in headers["Authorization"]
        if self._policy is None:
            return Response(404, [], b"<ErrorResponse/>")
        document = quote(json.dumps(self._policy))
        xml = f"<R xmlns='urn:x'><AssumeRolePolicyDocument>{document}</AssumeRolePolicyDocument></R>"
        return Response(200, [], xml.encode())


def policy(condition: dict[str, Any] | None = None) -> dict[str, Any]:
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": [TRUSTED.session_issuer_arn]},
        "Action": "sts:AssumeRole",
        "Condition": condition or {"StringEquals": {"sts:ExternalId": "secret"}},
    }
    return {"Version": "2012-10-17", "Statement": [statement]}


@pytest.mark.parametrize(
    ("document", "external_id", "caller", "why_not"),
    [
        (policy(), "secret", TRUSTED, None),
        (policy(), "wrong", TRUSTED, "the external id is not the one"),
        (policy(), None, TRUSTED, "the external id is not the one"),
        (
            policy(),
            "secret",
            STRANGER,
            "its trust policy names arn:aws:iam::111111111111:role/peerd-vpc-events",
        ),
        (policy({"Bool": {"aws:Mfa": "true"}}), "secret", TRUSTED, "cannot judge the condition Bool aws:Mfa"),
        ({"Statement": []}, "secret", TRUSTED, "its trust policy is empty"),
        (None, "secret", TRUSTED, "the role does not exist"),
    ],
)
def test_a_role_is_assumed_only_as_its_trust_policy_says(
    document: dict[str, Any] | None, external_id: str | None, caller: Principal, why_not: str | None
) -> None:
    answer = TrustPolicies(Iam(document)).check(ROLE, external_id, caller)
    if why_not is None:
        assert answer is None
    else:
        assert answer is not None
        assert why_not in answer
