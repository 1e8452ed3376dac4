"""Parses an AWS request from its HTTP form: the service, the action, the caller's key, the protocol.

It supports the wire protocols (EC2 and plain query, JSON 1.0/1.1, rest-json, rest-xml) as far as needed to
find the action and to return errors in the protocol of the caller. It does not verify signatures: any keys
are valid.
"""

import json
import re
import uuid
from dataclasses import dataclass, field
from functools import cached_property
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

from sandbox.rest_actions import rest_action

Headers = list[tuple[str, str]]

_CREDENTIAL = re.compile(
    r"(?P<key>[^/\s=]+)/(?P<day>\d{8})/(?P<region>[^/\s]+)/(?P<service>[^/\s]+)/aws4_request"
)
_QUERY_SERVICES = {"sts", "iam", "cloudformation", "sns", "monitoring", "autoscaling", "elasticloadbalancing"}


class NotSigned(ValueError):
    """The request has no credential scope, so that its service is unknown."""


@dataclass(frozen=True)
class AwsRequest:
    """A signed request. `headers` have the client's spelling; `header` returns one of them."""

    method: str
    target: str
    headers: Headers
    body: bytes
    access_key: str
    region: str
    service: str
    form: dict[str, str] = field(default_factory=dict)

    @cached_property
    def path(self) -> str:
        return self.target.partition("?")[0]

    def header(self, name: str) -> str:
        return next((value for key, value in self.headers if key.lower() == name), "")

    @cached_property
    def action(self) -> str:
        """Returns the operation's name, or the method and path of a REST call without a service model."""
        if target := self.header("x-amz-target"):
            return target.rpartition(".")[2]
        if "Action" in self.form:
            return self.form["Action"]
        if found := re.fullmatch(r"/service/[^/]+/operation/([^/]+)", self.path):
            return found[1]  # smithy's rpc-v2-cbor
        return rest_action(self.service, self.method, self.path)


@dataclass
class Response:
    """A response to the client."""

    status: int
    headers: Headers
    body: bytes


def parse_request(method: str, target: str, headers: Headers, body: bytes) -> AwsRequest:
    """Parses a request; raises NotSigned if neither the Authorization header nor the query has a scope."""
    query = dict(parse_qsl(target.partition("?")[2], keep_blank_values=True))
    names = {name.lower(): value for name, value in headers}
    scope = _CREDENTIAL.search(names.get("authorization", "")) or _CREDENTIAL.search(
        query.get("X-Amz-Credential", "")
    )
    if scope is None:
        raise NotSigned(
            f"{method} {target.partition('?')[0]} carries no AWS signature (an Authorization header or "
            "X-Amz-Credential with <key>/<date>/<region>/<service>/aws4_request); the service is read from "
            "it, so sign the request: any keys will do"
        )
    form = query
    if names.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        form = query | dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
    return AwsRequest(
        method, target, headers, body, scope["key"], scope["region"], scope["service"].lower(), form
    )


def error_response(request: AwsRequest, code: str, message: str, status: int) -> Response:
    """Returns an error in the protocol of the request's service, so that every SDK finds the code."""
    request_id = str(uuid.uuid4())
    if request.header("x-amz-target"):
        return _json_error(
            request_id,
            code,
            message,
            status,
            content_type=request.header("content-type") or "application/json",
        )
    if request.service == "ec2":
        return _xml(
            status,
            request_id,
            f"<Response><Errors><Error><Code>{escape(code)}</Code><Message>{escape(message)}</Message></Error></Errors>"
            f"<RequestID>{request_id}</RequestID></Response>",
        )
    if request.service == "s3":
        return _xml(
            status,
            request_id,
            f"<Error><Code>{escape(code)}</Code><Message>{escape(message)}</Message><RequestId>{request_id}</RequestId></Error>",
        )
    if "Action" in request.form or request.service in _QUERY_SERVICES:
        kind = "Sender" if status < 500 else "Receiver"
        return _xml(
            status,
            request_id,
            f"<ErrorResponse><Error><Type>{kind}</Type><Code>{escape(code)}</Code><Message>{escape(message)}</Message>"
            f"</Error><RequestId>{request_id}</RequestId></ErrorResponse>",
        )
    return _json_error(request_id, code, message, status, content_type="application/json")


def unsigned_response(reason: NotSigned) -> Response:
    """Returns AWS's error for a request without a signature; XML, since the protocol is unknown."""
    return _xml(
        403,
        str(uuid.uuid4()),
        f"<ErrorResponse><Error><Type>Sender</Type><Code>MissingAuthenticationToken</Code><Message>{escape(str(reason))}"
        "</Message></Error></ErrorResponse>",
    )


def error_code(request: AwsRequest, response: Response) -> str | None:
    """Returns the error code of a response, or None for a success."""
    if response.status < 400:
        return None
    headers = {name.lower(): value for name, value in response.headers}
    if error_type := headers.get("x-amzn-errortype"):
        return error_type.partition(":")[0].rpartition("#")[2]
    if found := re.search(rb"<Code>([^<]+)</Code>", response.body):
        return found[1].decode()
    try:
        body = json.loads(response.body)
    except ValueError:
        body = None
    code = (body.get("__type") or body.get("code")) if isinstance(body, dict) else None
    return str(code).rpartition("#")[2] if code else f"HTTP {response.status}"


def _xml(status: int, request_id: str, body: str) -> Response:
    headers = [("Content-Type", "text/xml;charset=UTF-8"), ("x-amzn-RequestId", request_id)]
    return Response(status, headers, b'<?xml version="1.0" encoding="UTF-8"?>\n' + body.encode())


def _json_error(request_id: str, code: str, message: str, status: int, content_type: str) -> Response:
    body = json.dumps({"__type": code, "message": message, "Message": message}).encode()
    headers = [("Content-Type", content_type), ("x-amzn-RequestId", request_id), ("x-amzn-ErrorType", code)]
    return Response(status, headers, body)
