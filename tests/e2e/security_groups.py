"""Security groups of a test: creation, tags, manual changes, and their rules."""

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any

from sandbox.client.model import ALLOW, PORTS, IngressRule, Vpc
from tests.e2e.world import World

_names = count(1)


@dataclass(frozen=True)
class Group:
    """A security group in a VPC; it is deleted with the VPC."""

    world: World
    vpc: Vpc
    id: str

    def tag(self, key: str, value: str) -> None:
        """Sets a tag."""
        self._ec2.create_tags(Resources=[self.id], Tags=[{"Key": key, "Value": value}])

    def untag(self, *keys: str) -> None:
        """Removes tags."""
        self._ec2.delete_tags(Resources=[self.id], Tags=[{"Key": key} for key in keys])

    def allow(self, *texts: str) -> None:
        """Adds unmanaged rules such as `tcp/22 192.0.2.0/24`, in one call and without tags."""
        permissions = [_permission(text) for text in texts]
        self._ec2.authorize_security_group_ingress(GroupId=self.id, IpPermissions=permissions)

    def retag(self, rule: IngressRule, tags: Mapping[str, str], remove: Iterable[str] = ()) -> None:
        """Sets and removes tags of a rule."""
        if tags:
            self._ec2.create_tags(Resources=[rule.id], Tags=[{"Key": k, "Value": v} for k, v in tags.items()])
        if remove:
            self._ec2.delete_tags(Resources=[rule.id], Tags=[{"Key": key} for key in remove])

    def revoke(self, *rules: IngressRule) -> None:
        """Revokes rules."""
        ids = [rule.id for rule in rules]
        self._ec2.revoke_security_group_ingress(GroupId=self.id, SecurityGroupRuleIds=ids)

    def modify(self, rule: IngressRule, text: str) -> None:
        """Modifies a rule, which keeps its id and its tags."""
        permission = _permission(text)
        (block,) = permission.pop("IpRanges", None) or permission.pop("Ipv6Ranges")
        source = {"CidrIpv4" if key == "CidrIp" else key: value for key, value in block.items()}
        update = {"SecurityGroupRuleId": rule.id, "SecurityGroupRule": permission | source}
        self._ec2.modify_security_group_rules(GroupId=self.id, SecurityGroupRules=[update])

    def rules(self) -> list[IngressRule]:
        """Returns all ingress rules, managed or not."""
        return [rule for it in self.world.groups(self.vpc) if it.id == self.id for rule in it.rules]

    def managed_rules(self) -> dict[str, IngressRule]:
        """Returns the managed rules by their text; fails if two have the same text."""
        managed = [rule for rule in self.rules() if rule.managed]
        assert len({rule.text for rule in managed}) == len(managed), (
            f"{self.id} has duplicate rules: {managed}"
        )
        return {rule.text: rule for rule in managed}

    def unmanaged_rules(self) -> set[str]:
        """Returns the texts of the unmanaged rules."""
        return {rule.text for rule in self.rules() if not rule.managed}

    def rule_problems(self, wanted: Iterable[str], *meshes: str) -> list[str]:
        """Returns why the managed rules are not exactly these, each for exactly these meshes, if given."""
        found, wanted = self.managed_rules(), set(wanted)
        problems = [f"{self.id} does not allow {text}" for text in sorted(wanted - found.keys())]
        problems += [f"{self.id} allows {text}" for text in sorted(found.keys() - wanted)]
        return problems + [
            f"{self.id} allows {text} for {sorted(rule.meshes)}, not {sorted(meshes)}"
            for text, rule in found.items()
            if meshes and rule.meshes != set(meshes)
        ]

    def until_rules(self, wanted: Iterable[str], *meshes: str) -> dict[str, IngressRule]:
        """Waits until the managed rules are exactly these, for exactly these meshes, if given."""
        wanted = set(wanted)
        self.world.eventually(lambda: self.rule_problems(wanted, *meshes))
        return self.managed_rules()

    def until_no_rules(self) -> None:
        """Waits until no managed rule is left."""
        self.until_rules(())

    @property
    def _ec2(self) -> Any:
        return self.world.ec2(self.vpc)


def create_group(world: World, vpc: Vpc, allow: str | None = None, ports: str | None = None) -> Group:
    """Creates a security group with its tags in one call."""
    name = f"e2e-{next(_names)}"
    tags = {"Name": name, ALLOW: allow, PORTS: ports}
    tag_list = [{"Key": key, "Value": value} for key, value in tags.items() if value is not None]
    created = world.ec2(vpc).create_security_group(
        GroupName=name,
        Description="Group of a test",
        VpcId=vpc.id,
        TagSpecifications=[{"ResourceType": "security-group", "Tags": tag_list}],
    )
    return Group(world, vpc, created["GroupId"])


def rules_from_peers(world: World, port: str, *peers: Vpc) -> set[str]:
    """Returns the rules that allow `port` from all CIDR blocks of the peers; adjacent blocks are merged."""
    blocks = [ipaddress.ip_network(block) for peer in peers for block in world.view(peer).blocks]
    families = [[block for block in blocks if block.version == version] for version in (4, 6)]
    merged = [block for family in families for block in ipaddress.collapse_addresses(family)]
    return {f"{'icmpv6' if port == 'icmp' and block.version == 6 else port} {block}" for block in merged}


def adjacent_cidrs(world: World) -> tuple[str, str, str]:
    """Returns two adjacent CIDR blocks and the block that contains both."""
    while True:
        one = ipaddress.ip_network(world.cidr())
        both = one.supernet()
        if both.network_address == one.network_address:
            return str(one), world.cidr(), str(both)


def _permission(text: str) -> dict[str, Any]:
    port, block = text.split()
    protocol, _, ports = port.partition("/")
    permission: dict[str, Any] = {"IpProtocol": "-1" if protocol == "all" else protocol}
    if ports:
        first, _, last = ports.partition("-")
        permission |= {"FromPort": int(first), "ToPort": int(last or first)}
    if ":" in block:
        return permission | {"Ipv6Ranges": [{"CidrIpv6": block}]}
    return permission | {"IpRanges": [{"CidrIp": block}]}
