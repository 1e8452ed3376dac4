"""Security groups: canonical sources, atomic calls, quotas by family, eventual consistency."""

from typing import Any

import pytest

from sandbox.settings import SETTINGS
from sandbox.tests.ec2.sides import Refused, Side, client, specification

RefusedType = type[Refused]
RULE_TAGS = {"peerd:managed-by": "peerd", "peerd:env/prod": "", "Name": "peerd"}
NO_RULE, NO_GROUP = "sgr-0123456789abcdef0", "sg-0123456789abcdef0"


def _group(side: Side, vpc: str, name: str = "web", **tags: str) -> str:
    created = side.ec2.create_security_group(
        GroupName=name, Description="x", VpcId=vpc, **specification("security-group", tags)
    )
    return created["GroupId"]


def _permission(text: str, *blocks: str) -> dict[str, Any]:
    """Returns a permission such as `tcp/443` for CIDR blocks of both families."""
    protocol, _, ports = text.partition("/")
    permission: dict[str, Any] = {"IpProtocol": protocol}
    if ports:
        first, _, last = ports.partition("-")
        permission |= {"FromPort": int(first), "ToPort": int(last or first)}
    permission["IpRanges"] = [{"CidrIp": block} for block in blocks if ":" not in block]
    permission["Ipv6Ranges"] = [{"CidrIpv6": block} for block in blocks if ":" in block]
    return permission


def _authorize(side: Side, group: str, text: str, *blocks: str, **tags: str) -> list[str]:
    """Adds rules and returns their ids."""
    response = side.ec2.authorize_security_group_ingress(
        GroupId=group,
        IpPermissions=[_permission(text, *blocks)],
        **specification("security-group-rule", tags),
    )
    return [rule["SecurityGroupRuleId"] for rule in response["SecurityGroupRules"]]


def _rules(side: Side, group: str, **more: Any) -> list[dict[str, Any]]:
    of_group = [{"Name": "group-id", "Values": [group]}]
    found = side.ec2.describe_security_group_rules(Filters=of_group, **more)["SecurityGroupRules"]
    return [rule for rule in found if not rule["IsEgress"]]


def _described(side: Side, group: str) -> set[tuple[Any, ...]]:
    return {
        (it["IpProtocol"], it["FromPort"], it["ToPort"], it.get("CidrIpv4") or it.get("CidrIpv6"))
        for it in _rules(side, group)
    }


@pytest.fixture
def vpc(ours: Side) -> str:
    """A VPC of ours."""
    return ours.vpc("10.1.0.0/16")


@pytest.fixture
def group(ours: Side, vpc: str) -> str:
    """A group of ours without ingress rules."""
    return _group(ours, vpc)


@pytest.mark.parametrize(
    ("given", "stored"),
    [("100.68.0.18/18", "100.68.0.0/18"), ("2600:1F16:0::1/56", "2600:1f16::/56")],
)
def test_a_source_is_stored_in_canonical_form_and_is_a_duplicate_in_any_form(
    ours: Side, group: str, given: str, stored: str, refused: RefusedType
) -> None:
    _authorize(ours, group, "tcp/443", given)
    assert _described(ours, group) == {("tcp", 443, 443, stored)}
    for again in (given, stored):
        with refused("InvalidPermission.Duplicate"):
            _authorize(ours, group, "tcp/443", again)


@pytest.mark.parametrize("block", ["10.0.0.0/99", "10.0.0.1", "none"])
def test_a_source_that_is_not_a_cidr_block_is_malformed(
    ours: Side, group: str, block: str, refused: RefusedType
) -> None:
    with refused("InvalidParameterValue") as error:
        _authorize(ours, group, "tcp/443", block)
    assert error.message == f"CIDR block {block} is malformed"


def test_ipv6_in_the_ipv4_parameter_is_malformed(ours: Side, group: str, refused: RefusedType) -> None:
    permission = _permission("tcp/443") | {"IpRanges": [{"CidrIp": "2600::/56"}]}
    with refused("InvalidParameterValue") as error:
        ours.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[permission])
    assert error.message == "CIDR block 2600::/56 is malformed"


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("-1", ("-1", -1, -1)),
        ("icmp/-1", ("icmp", -1, -1)),
        ("icmpv6", ("icmpv6", -1, -1)),
        ("58", ("icmpv6", -1, -1)),
        ("6/80-81", ("tcp", 80, 81)),
        ("50", ("50", -1, -1)),
    ],
)
def test_protocols_are_stored_by_name_and_have_minus_one_without_ports(
    ours: Side, group: str, given: str, stored: tuple[Any, ...]
) -> None:
    permission = _permission(given.replace("/-1", ""), "2600:1f16::/56")
    if given.endswith("/-1"):
        permission |= {"FromPort": -1, "ToPort": -1}
    response = ours.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[permission])
    (rule,) = response["SecurityGroupRules"]
    assert (rule["IpProtocol"], rule["FromPort"], rule["ToPort"]) == stored
    assert _described(ours, group) == {(*stored, "2600:1f16::/56")}


@pytest.mark.parametrize("text", ["tcp", "udp", "icmp", "tcp/90-80", "udp/70000"])
def test_missing_or_invalid_ports_are_rejected(
    ours: Side, group: str, text: str, refused: RefusedType
) -> None:
    with refused("InvalidParameterValue"):
        _authorize(ours, group, text, "10.2.0.0/16")


def test_a_rule_has_an_id_an_owner_and_tags_that_can_be_changed_and_searched_for(
    ours: Side, group: str
) -> None:
    (rule,) = _authorize(ours, group, "-1", "10.2.0.0/16", **RULE_TAGS)
    _authorize(ours, group, "-1", "10.3.0.0/16")
    ours.ec2.create_tags(Resources=[rule], Tags=[{"Key": "peerd:env/staging", "Value": ""}])
    ours.ec2.delete_tags(Resources=[rule], Tags=[{"Key": "peerd:env/prod"}])
    by_tag = [{"Name": "tag:peerd:managed-by", "Values": ["*"]}]
    (found,) = ours.ec2.describe_security_group_rules(Filters=by_tag)["SecurityGroupRules"]
    assert (found["SecurityGroupRuleId"], found["GroupOwnerId"]) == (rule, ours.account)
    assert {tag["Key"] for tag in found["Tags"]} == {"peerd:managed-by", "peerd:env/staging", "Name"}


def test_rules_are_filtered_by_documented_filters_only(ours: Side, refused: RefusedType) -> None:
    with refused("InvalidParameterValue"):
        ours.ec2.describe_security_group_rules(Filters=[{"Name": "tag-key", "Values": ["peerd:managed-by"]}])


def test_one_existing_permission_fails_the_whole_call(ours: Side, group: str, refused: RefusedType) -> None:
    _authorize(ours, group, "tcp/443", "10.2.0.0/16")
    both = [_permission("tcp/80", "10.2.0.0/16"), _permission("tcp/443", "10.2.0.0/16")]
    with refused("InvalidPermission.Duplicate"):
        ours.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=both)
    assert len(_rules(ours, group)) == 1
    both[1] = _permission("tcp/8443", "10.2.0.0/16")
    response = ours.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=both)
    assert [rule["FromPort"] for rule in response["SecurityGroupRules"]] == [80, 8443]


def test_a_rule_is_revoked_by_its_id_or_by_its_permission(
    ours: Side, vpc: str, group: str, refused: RefusedType
) -> None:
    (first,) = _authorize(ours, group, "tcp/443", "10.2.0.0/16")
    _authorize(ours, group, "tcp/443", "10.3.0.0/16")
    response = ours.ec2.revoke_security_group_ingress(GroupId=group, SecurityGroupRuleIds=[first])
    (revoked,) = response["RevokedSecurityGroupRules"]
    assert (revoked["SecurityGroupRuleId"], revoked["CidrIpv4"]) == (first, "10.2.0.0/16")
    with refused("InvalidPermission.NotFound"):
        ours.ec2.revoke_security_group_ingress(
            GroupId=group, IpPermissions=[_permission("tcp/444", "10.3.0.0/16")]
        )
    ours.ec2.revoke_security_group_ingress(
        GroupId=group, IpPermissions=[_permission("tcp/443", "10.3.0.9/16")]
    )
    assert _rules(ours, group) == []


def test_a_call_with_an_unknown_rule_neither_revokes_nor_tags_any_rule(
    ours: Side, vpc: str, group: str, refused: RefusedType
) -> None:
    (rule,) = _authorize(ours, group, "tcp/443", "10.2.0.0/16")
    with refused("InvalidSecurityGroupRuleId.NotFound"):
        ours.ec2.revoke_security_group_ingress(GroupId=group, SecurityGroupRuleIds=[rule, NO_RULE])
    with refused("InvalidSecurityGroupRuleId.NotFound"):
        ours.ec2.revoke_security_group_ingress(
            GroupId=_group(ours, vpc, "other"), SecurityGroupRuleIds=[rule]
        )
    with refused("InvalidSecurityGroupRuleId.NotFound"):
        ours.ec2.create_tags(Resources=[rule, NO_RULE], Tags=[{"Key": "Name", "Value": "x"}])
    (existing,) = _rules(ours, group)
    assert existing["SecurityGroupRuleId"] == rule
    assert not existing["Tags"]


def test_a_group_that_does_not_exist_is_not_found_by_any_call(ours: Side, refused: RefusedType) -> None:
    permission = _permission("tcp/443", "10.2.0.0/16")
    with refused("InvalidGroup.NotFound"):
        ours.ec2.authorize_security_group_ingress(GroupId=NO_GROUP, IpPermissions=[permission])
    with refused("InvalidGroup.NotFound"):
        ours.ec2.revoke_security_group_ingress(GroupId=NO_GROUP, SecurityGroupRuleIds=[NO_RULE])
    with refused("InvalidGroup.NotFound") as error:
        ours.ec2.describe_security_groups(GroupIds=[NO_GROUP])
    assert error.message == f"The security group '{NO_GROUP}' does not exist"
    with refused("InvalidVpcID.NotFound"):
        _group(ours, "vpc-0123456789abcdef0")


@pytest.mark.parametrize(("given", "block"), [("CidrIpv4", "10.9.1.1/16"), ("CidrIpv6", "2600:9::1/56")])
def test_a_modified_rule_keeps_its_id_and_tags(ours: Side, group: str, given: str, block: str) -> None:
    before = "10.2.0.0/16" if given == "CidrIpv4" else "2600:1::/56"
    (rule,) = _authorize(ours, group, "-1", before, **RULE_TAGS)
    wanted = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, given: block}
    ours.ec2.modify_security_group_rules(
        GroupId=group, SecurityGroupRules=[{"SecurityGroupRuleId": rule, "SecurityGroupRule": wanted}]
    )
    (seen,) = _rules(ours, group)
    assert seen["SecurityGroupRuleId"] == rule
    assert seen[given] == {"CidrIpv4": "10.9.0.0/16", "CidrIpv6": "2600:9::/56"}[given]
    assert (seen["IpProtocol"], seen["FromPort"]) == ("tcp", 22)
    assert {tag["Key"]: tag["Value"] for tag in seen["Tags"]} == RULE_TAGS


def test_a_rule_cannot_be_modified_into_a_duplicate_or_into_another_family(
    ours: Side, group: str, refused: RefusedType
) -> None:
    (rule,) = _authorize(ours, group, "tcp/443", "10.2.0.0/16")
    _authorize(ours, group, "tcp/80", "10.2.0.0/16")

    def change(**wanted: Any) -> None:
        update = {"SecurityGroupRuleId": rule, "SecurityGroupRule": {"IpProtocol": "tcp"} | wanted}
        ours.ec2.modify_security_group_rules(GroupId=group, SecurityGroupRules=[update])

    with refused("InvalidPermission.Duplicate"):
        change(FromPort=80, ToPort=80, CidrIpv4="10.2.0.0/16")
    with refused("InvalidParameterValue"):
        change(FromPort=80, ToPort=80, CidrIpv6="2600:1::/56")
    with refused("MissingParameter"):
        change(FromPort=80, ToPort=80)
    assert {rule[1] for rule in _described(ours, group)} == {80, 443}


def test_rules_are_counted_per_group_and_family(ours: Side, group: str, refused: RefusedType) -> None:
    SETTINGS.update({"quota_rules": 2})
    _authorize(ours, group, "tcp/443", "10.2.0.0/16", "10.3.0.0/16")
    with refused("RulesPerSecurityGroupLimitExceeded"):
        _authorize(ours, group, "tcp/443", "10.4.0.0/16")
    _authorize(ours, group, "tcp/443", "2600:1::/56", "2600:2::/56")
    with refused("RulesPerSecurityGroupLimitExceeded"):
        _authorize(ours, group, "tcp/443", "2600:3::/56")


def test_a_referenced_group_counts_once_in_each_family_and_a_prefix_list_as_its_maximum_entries(
    ours: Side, vpc: str, group: str, refused: RefusedType
) -> None:
    SETTINGS.update({"quota_rules": 4})
    prefix_list = ours.ec2.create_managed_prefix_list(PrefixListName="x", MaxEntries=3, AddressFamily="IPv4")
    sources = {
        "UserIdGroupPairs": [{"GroupId": _group(ours, vpc, "other")}],
        "PrefixListIds": [{"PrefixListId": prefix_list["PrefixList"]["PrefixListId"]}],
    }
    permission = _permission("tcp/443") | sources
    ours.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[permission])
    for block in ("10.2.0.0/16", "2600:1::/56"):
        with refused("RulesPerSecurityGroupLimitExceeded"):
            _authorize(ours, group, "tcp/443", block)


def test_service_quotas_return_the_enforced_quota(ours: Side) -> None:
    SETTINGS.update({"quota_rules": 7})
    response = client("service-quotas", ours.account).get_service_quota(
        ServiceCode="vpc", QuotaCode="L-0EA8095F"
    )
    assert response["Quota"]["Value"] == 7.0


def test_groups_and_rules_are_paginated(ours: Side, vpc: str, group: str) -> None:
    for number in range(6):
        _group(ours, vpc, f"g{number}", **{"peerd:allow": "prod"})
        _authorize(ours, group, "tcp/443", f"10.{number + 2}.0.0/16", **RULE_TAGS)
    by_allow_tag = [{"Name": "tag-key", "Values": ["peerd:allow"]}]
    pages = ours.ec2.get_paginator("describe_security_groups").paginate(
        Filters=by_allow_tag, PaginationConfig={"PageSize": 5}
    )
    assert [len(page["SecurityGroups"]) for page in pages] == [5, 1]
    by_managed_tag = [{"Name": "tag:peerd:managed-by", "Values": ["peerd"]}]
    pages = ours.ec2.get_paginator("describe_security_group_rules").paginate(
        Filters=by_managed_tag, PaginationConfig={"PageSize": 5}
    )
    assert [len(page["SecurityGroupRules"]) for page in pages] == [5, 1]


def test_a_vpc_is_deleted_only_after_its_own_groups_and_the_default_group_only_with_it(
    ours: Side, vpc: str, group: str, refused: RefusedType
) -> None:
    of_vpc = [{"Name": "vpc-id", "Values": [vpc]}, {"Name": "group-name", "Values": ["default"]}]
    (default,) = ours.ec2.describe_security_groups(Filters=of_vpc)["SecurityGroups"]
    with refused("DependencyViolation"):
        ours.ec2.delete_vpc(VpcId=vpc)
    with refused("CannotDelete"):
        ours.ec2.delete_security_group(GroupId=default["GroupId"])
    ours.ec2.delete_security_group(GroupId=group)
    ours.ec2.delete_vpc(VpcId=vpc)
    assert ours.ec2.describe_security_groups(Filters=of_vpc)["SecurityGroups"] == []


def test_a_group_that_another_group_references_cannot_be_deleted(
    ours: Side, vpc: str, group: str, refused: RefusedType
) -> None:
    other = _group(ours, vpc, "other")
    permission = _permission("tcp/443") | {"UserIdGroupPairs": [{"GroupId": group}]}
    ours.ec2.authorize_security_group_ingress(GroupId=other, IpPermissions=[permission])
    with refused("DependencyViolation"):
        ours.ec2.delete_security_group(GroupId=group)
    ours.ec2.delete_security_group(GroupId=other)
    ours.ec2.delete_security_group(GroupId=group)


def test_a_default_group_allows_its_own_members(ours: Side, vpc: str) -> None:
    of_vpc = [{"Name": "vpc-id", "Values": [vpc]}]
    (default,) = ours.ec2.describe_security_groups(Filters=of_vpc)["SecurityGroups"]
    (rule,) = _rules(ours, default["GroupId"])
    assert rule["ReferencedGroupInfo"]["GroupId"] == default["GroupId"]


def test_a_new_group_and_a_new_rule_are_described_only_after_the_delay(
    ours: Side, vpc: str, refused: RefusedType
) -> None:
    SETTINGS.update({"visibility_ms": 60_000})
    group = _group(ours, vpc)
    with refused("InvalidGroup.NotFound"):
        ours.ec2.describe_security_groups(GroupIds=[group])
    SETTINGS.advance(61)
    (rule,) = _authorize(ours, group, "-1", "10.2.0.0/16", **RULE_TAGS)
    assert _rules(ours, group) == []
    with refused("InvalidPermission.Duplicate"):
        _authorize(ours, group, "-1", "10.2.0.0/16")
    SETTINGS.advance(61)
    (seen,) = _rules(ours, group)
    assert seen["SecurityGroupRuleId"] == rule


def test_stale_reads_return_earlier_rules(ours: Side, group: str) -> None:
    (first,) = _authorize(ours, group, "-1", "10.2.0.0/16")
    SETTINGS.advance(3600)
    SETTINGS.update({"stale_ms": 60_000})
    ours.ec2.revoke_security_group_ingress(GroupId=group, SecurityGroupRuleIds=[first])
    _authorize(ours, group, "-1", "10.3.0.0/16")

    def blocks() -> list[str]:
        return [rule["CidrIpv4"] for rule in _rules(ours, group)]

    assert blocks() == ["10.2.0.0/16"]
    SETTINGS.advance(61)
    assert blocks() == ["10.3.0.0/16"]
