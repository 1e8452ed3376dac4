"""Regions that an account has to switch on, and here none has: nothing answers there.

https://docs.aws.amazon.com/global-infrastructure/latest/regions/aws-regions.html. What EC2 answers there:
https://github.com/turbot/steampipe-plugin-aws/issues/75, https://github.com/fog/fog-aws/issues/585
"""

import copy
from collections.abc import Callable
from typing import Any

from moto.core.responses import ActionResult
from moto.ec2.responses import EC2Response

from sandbox.ec2.errors import fail

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
    """Lays the rules over moto's DescribeRegions; the refusal is `calls`' to make."""
    EC2Response.describe_regions = _describe_regions(EC2Response.describe_regions)


def is_off(region: str) -> bool:
    """Whether a Region has to be switched on."""
    return region in _OPT_IN


def refuse() -> None:
    """What EC2 answers in a Region that is off."""
    raise fail("AuthFailure", "AWS was not able to validate the provided access credentials")


def _describe_regions(
    describe: Callable[[EC2Response], ActionResult],
) -> Callable[[EC2Response], ActionResult]:
    def describe_regions(self: EC2Response) -> ActionResult:
        everything = str(self._get_param("AllRegions", "false")).lower() == "true"
        regions = [_as_it_is(region) for region in describe(self).result["Regions"]]
        shown = [it for it in regions if everything or it.opt_in_status != "not-opted-in"]
        return ActionResult({"Regions": shown})

    return describe_regions


def _as_it_is(region: Any) -> Any:
    known = copy.copy(region)
    known.opt_in_status = "not-opted-in" if is_off(region.name) else "opt-in-not-required"
    return known
