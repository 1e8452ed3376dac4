"""Opt-in Regions, which are disabled in every account of the sandbox.

https://docs.aws.amazon.com/global-infrastructure/latest/regions/aws-regions.html. EC2's error there:
https://github.com/turbot/steampipe-plugin-aws/issues/75, https://github.com/fog/fog-aws/issues/585
"""

import copy
from collections.abc import Callable
from typing import Any

from moto.core.responses import ActionResult
from moto.ec2.responses import EC2Response

from sandbox.ec2.errors import client_error

_OPT_IN = {
    "af-south-1",
    "ap-east-1",
    "ap-south-2",
    "ap-southeast-3",
    "ap-southeast-4",
    "ap-southeast-5",
    "ap-southeast-7",
    "ca-west-1",
    "eu-central-2",
    "eu-south-1",
    "eu-south-2",
    "il-central-1",
    "me-central-1",
    "me-south-1",
    "mx-central-1",
}


def install() -> None:
    """Patches moto's DescribeRegions; the module `calls` rejects the calls in disabled Regions."""
    EC2Response.describe_regions = _describe_regions(EC2Response.describe_regions)


def is_disabled(region: str) -> bool:
    """Returns whether a Region is an opt-in Region."""
    return region in _OPT_IN


def refuse() -> None:
    """Raises EC2's error in a disabled Region."""
    raise client_error("AuthFailure", "AWS was not able to validate the provided access credentials")


def _describe_regions(
    describe: Callable[[EC2Response], ActionResult],
) -> Callable[[EC2Response], ActionResult]:
    def describe_regions(self: EC2Response) -> ActionResult:
        all_regions = str(self._get_param("AllRegions", "false")).lower() == "true"
        regions = [_with_opt_in_status(region) for region in describe(self).result["Regions"]]
        shown = [it for it in regions if all_regions or it.opt_in_status != "not-opted-in"]
        return ActionResult({"Regions": shown})

    return describe_regions


def _with_opt_in_status(region: Any) -> Any:
    changed = copy.copy(region)
    changed.opt_in_status = "not-opted-in" if is_disabled(region.name) else "opt-in-not-required"
    return changed
