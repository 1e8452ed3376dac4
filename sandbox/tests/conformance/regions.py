"""Opt-in Regions."""

from sandbox.tests.conformance.probe import FIRST, HOME, check, client, failure

DISABLED = "me-central-1"


def run() -> None:
    """Checks a disabled Region, from the home Region and in it."""
    home = client("ec2", FIRST, HOME)
    found = home.describe_regions(AllRegions=True, RegionNames=[DISABLED])["Regions"]
    check("region.off with AllRegions", [it["OptInStatus"] for it in found] == ["not-opted-in"], found)
    names = [it["RegionName"] for it in home.describe_regions()["Regions"]]
    check("region.off without AllRegions", DISABLED not in names and HOME in names, names)
    refused = failure(client("ec2", FIRST, DISABLED).describe_vpcs)
    check("region.off refuses", refused is not None and refused[0] == "AuthFailure", refused)
