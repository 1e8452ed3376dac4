"""Every EC2 call: dry runs that change nothing, pages, and describes that read as of a moment."""

import base64
import binascii
from collections.abc import Callable
from typing import Any

from moto.core.responses import ActionResult, BaseResponse
from moto.core.utils import camelcase_to_underscores
from moto.ec2.exceptions import DryRunClientError
from moto.ec2.responses import EC2Response

from sandbox.ec2.errors import fail
from sandbox.ec2.regions import is_off, refuse
from sandbox.ec2.tags import refuse_reserved
from sandbox.ec2.timeline import reading_stale

# The list in the answer, and the largest page: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/Query-Requests.html
_PAGED = {
    "DescribeVpcs": ("Vpcs", 1000),
    "DescribeVpcPeeringConnections": ("VpcPeeringConnections", 1000),
    "DescribeRouteTables": ("RouteTables", 100),
    "DescribeSecurityGroups": ("SecurityGroups", 1000),
    "DescribeSecurityGroupRules": ("SecurityGroupRules", 1000),
}
_SMALLEST_PAGE = 5


def install() -> None:
    """Wraps moto's dispatch of EC2 calls."""
    EC2Response.call_action = _call_action(BaseResponse.call_action)


def _call_action(call: Callable[[EC2Response], Any]) -> Callable[[EC2Response], Any]:
    def call_action(self: EC2Response) -> Any:
        action = self._get_action() or ""
        name = camelcase_to_underscores(action)
        method = getattr(self, name, None)
        if method is not None and is_off(self.region):
            setattr(self, name, refuse)
        elif method is not None and str(self._get_param("DryRun", "false")).lower() == "true":
            setattr(self, name, _dry_run)
        elif method is not None and action in _PAGED:
            setattr(self, name, lambda: _page(self, method, *_PAGED[action]))
        elif method is not None and action.startswith("Create"):
            setattr(self, name, lambda: refuse_reserved(self) or method())
        if action.startswith("Describe"):
            with reading_stale():
                return call(self)
        return call(self)

    return call_action


def _dry_run() -> None:
    raise DryRunClientError()


def _page(self: EC2Response, method: Callable[[], ActionResult], key: str, largest: int) -> ActionResult:
    size, token = self._get_param("MaxResults"), self._get_param("NextToken")
    if size is not None and not _SMALLEST_PAGE <= int(size) <= largest:
        expected = f"Expecting a value between {_SMALLEST_PAGE} and {largest}."
        raise fail(
            "InvalidParameterValue", f"Value ( {size} ) for parameter maxResults is invalid. {expected}"
        )
    answer = method()
    if size is None and token is None:
        return answer
    items, start = list(answer.result[key]), _start(token)
    end = start + int(size or largest)
    result: dict[str, Any] = {key: items[start:end]}
    if end < len(items):
        result["NextToken"] = base64.urlsafe_b64encode(str(end).encode()).decode()
    return ActionResult(result)


def _start(token: str | None) -> int:
    try:
        return int(base64.urlsafe_b64decode(token)) if token else 0
    except (binascii.Error, ValueError):
        raise fail("InvalidNextToken", f"The token '{token}' is invalid") from None
