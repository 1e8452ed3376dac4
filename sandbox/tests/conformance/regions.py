"""Regions that an account has to switch on."""

from sandbox.tests.conformance.probe import FIRST, HOME, check, client, failure

OFF = "me-central-1"


def run() -> None:
    """Asks of one that is off, at home and there."""
    home = client("ec2", FIRST, HOME)
    told = home.describe_regions(AllRegions=True, RegionNames=[OFF])["Regions"]
    check("region.off with AllRegions", [it["OptInStatus"] for it in told] == ["not-opted-in"], told)
    names = [it["RegionName"] for it in home.describe_regions()["Regions"]]
    check("region.off without AllRegions", OFF not in names and HOME in names, names)
    refused = failure(client("ec2", FIRST, OFF).describe_vpcs)
    check("region.off refuses", refused is not None and refused[0] == "AuthFailure", refused)
