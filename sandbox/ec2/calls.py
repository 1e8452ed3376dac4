"""Rules for every EC2 call: dry runs, pagination, and the read time of Describe calls."""

import base64
import binascii
from collections.abc import Callable
from typing import Any

from moto.core.responses import ActionResult, BaseResponse
from moto.core.utils import camelcase_to_underscores
from moto.ec2.exceptions import DryRunClientError
from moto.ec2.responses import EC2Response

from sandbox.ec2.errors import client_error
from sandbox.ec2.regions import is_disabled, refuse
from sandbox.ec2.tags import refuse_reserved
from sandbox.ec2.timeline import stale_reads

# The list in the response, and the maximum page size: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/Query-Requests.html
_PAGED = {
    "DescribeVpcs": ("Vpcs", 1000),
    "DescribeVpcPeeringConnections": ("VpcPeeringConnections", 1000),
    "DescribeRouteTables": ("RouteTables", 100),
    "DescribeSecurityGroups": ("SecurityGroups", 1000),
    "DescribeSecurityGroupRules": ("SecurityGroupRules", 1000),
}
_MIN_PAGE_SIZE = 5


def install() -> None:
    """Wraps moto's dispatch of EC2 calls."""
    EC2Response.call_action = _call_action(BaseResponse.call_action)


def _call_action(call: Callable[[EC2Response], Any]) -> Callable[[EC2Response], Any]:
    def call_action(self: EC2Response) -> Any:
        action = self._get_action() or ""
        name = camelcase_to_underscores(action)
        method = getattr(self, name, None)
        if method is not None and is_disabled(self.region):
            setattr(self, name, refuse)
        elif method is not None and str(self._get_param("DryRun", "false")).lower() == "true":
            setattr(self, name, _dry_run)
        elif method is not None and action in _PAGED:
            setattr(self, name, lambda: _page(self, method, *_PAGED[action]))
        elif method is not None and action.startswith("Create"):
            setattr(self, name, lambda: refuse_reserved(self) or method())
        if action.startswith("Describe"):
            with stale_reads():
                return call(self)
        return call(self)

    return call_action


def _dry_run() -> None:
    raise DryRunClientError()


def _page(self: EC2Response, method: Callable[[], ActionResult], key: str, max_size: int) -> ActionResult:
    size, token = self._get_param("MaxResults"), self._get_param("NextToken")
    if size is not None and not _MIN_PAGE_SIZE <= int(size) <= max_size:
        expected = f"Expecting a value between {_MIN_PAGE_SIZE} and {max_size}."
        raise client_error(
            "InvalidParameterValue", f"Value ( {size} ) for parameter maxResults is invalid. {expected}"
        )
    response = method()
    if size is None and token is None:
        return response
    items, start = list(response.result[key]), _start(token)
    end = start + int(size or max_size)
    result: dict[str, Any] = {key: items[start:end]}
    if end < len(items):
        result["NextToken"] = base64.urlsafe_b64encode(str(end).encode()).decode()
    return ActionResult(result)


def _start(token: str | None) -> int:
    try:
        return int(base64.urlsafe_b64decode(token)) if token else 0
    except (binascii.Error, ValueError):
        raise client_error("InvalidNextToken", f"The token '{token}' is invalid") from None
