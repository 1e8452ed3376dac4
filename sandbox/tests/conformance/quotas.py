"""Service Quotas."""

from botocore.exceptions import ClientError

from sandbox.tests.conformance.probe import FIRST, HOME, check, client, record


def run() -> None:
    q = client("service-quotas", FIRST, HOME)
    for k, c, want in (
        ("pcx per VPC L-7E9ECCDB", "L-7E9ECCDB", 50),
        ("routes per table L-93826ACB", "L-93826ACB", 50),
        ("rules per SG L-0EA8095F", "L-0EA8095F", 60),
    ):
        try:
            r = q.get_service_quota(ServiceCode="vpc", QuotaCode=c)["Quota"]
            check(f"sq.{k}", r["Value"] == want, (r["QuotaName"], r["Value"]))
        except ClientError as x:
            record(f"sq.{k}", "missing", x)
    try:
        record("sq.list vpc", "ok", len(q.list_service_quotas(ServiceCode="vpc")["Quotas"]))
    except ClientError as x:
        record("sq.list vpc", "missing", x)
