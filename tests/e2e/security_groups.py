"""Security groups of a test: made, tagged and tampered with by an outsider, and what they let in."""

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import count
from typing import Any

from sandbox.client.model import ALLOW, PORTS, IngressRule, Vpc
from tests.e2e.world import World

_names = count(1)


@dataclass(frozen=True)
class Group:
    """A security group that somebody made in a VPC; it goes with the VPC."""

    world: World
    vpc: Vpc
    id: str

    def tag(self, key: str, value: str) -> None:
        """Sets a tag."""
        self._ec2.create_tags(Resources=[self.id], Tags=[{"Key": key, "Value": value}])

    def untag(self, *keys: str) -> None:
        """Removes tags."""
        self._ec2.delete_tags(Resources=[self.id], Tags=[{"Key": key} for key in keys])

    def let_in(self, *texts: str) -> None:
        """Lets in by hand what texts such as `tcp/22 192.0.2.0/24` say, in one call and without tags."""
        permissions = [_permission(text) for text in texts]
        self._ec2.authorize_security_group_ingress(GroupId=self.id, IpPermissions=permissions)

    def revoke(self, *rules: IngressRule) -> None:
        """Takes rules out by hand."""
        ids = [rule.id for rule in rules]
        self._ec2.revoke_security_group_ingress(GroupId=self.id, SecurityGroupRuleIds=ids)

    def change(self, rule: IngressRule, text: str) -> None:
        """Has a rule let in something else, by hand: it keeps its id and its tags."""
        permission = _permission(text)
        (block,) = permission.pop("IpRanges", None) or permission.pop("Ipv6Ranges")
        source = {"CidrIpv4" if key == "CidrIp" else key: value for key, value in block.items()}
        update = {"SecurityGroupRuleId": rule.id, "SecurityGroupRule": permission | source}
        self._ec2.modify_security_group_rules(GroupId=self.id, SecurityGroupRules=[update])

    def rules(self) -> list[IngressRule]:
        """Everything that it lets in, whoever wants that."""
        return [rule for seen in self.world.groups(self.vpc) if seen.id == self.id for rule in seen.rules]

    def ours(self) -> dict[str, IngressRule]:
        """Peerd's rules by what they let in; two that let in the same are one too many."""
        managed = [rule for rule in self.rules() if rule.managed]
        assert len({rule.text for rule in managed}) == len(managed), f"{self.id} lets in twice: {managed}"
        return {rule.text: rule for rule in managed}

    def by_hand(self) -> set[str]:
        """What it lets in by rules that are not peerd's."""
        return {rule.text for rule in self.rules() if not rule.managed}

    def not_open(self, wanted: Iterable[str], *meshes: str) -> list[str]:
        """Why peerd's rules do not let in exactly this, each for exactly these meshes if any is named."""
        found, wanted = self.ours(), set(wanted)
        problems = [f"{self.id} does not let in {text}" for text in sorted(wanted - found.keys())]
        problems += [f"{self.id} lets in {text}" for text in sorted(found.keys() - wanted)]
        return problems + [
            f"{self.id} lets in {text} for {sorted(rule.meshes)}, not {sorted(meshes)}"
            for text, rule in found.items()
            if meshes and rule.meshes != set(meshes)
        ]

    def until_open(self, wanted: Iterable[str], *meshes: str) -> dict[str, IngressRule]:
        """Waits until peerd's rules let in exactly this, for exactly these meshes if any is named."""
        wanted = set(wanted)
        self.world.eventually(lambda: self.not_open(wanted, *meshes))
        return self.ours()

    def until_shut(self) -> None:
        """Waits until no rule of peerd's is left."""
        self.until_open(())

    @property
    def _ec2(self) -> Any:
        return self.world.ec2(self.vpc)


def group(world: World, vpc: Vpc, allow: str | None = None, ports: str | None = None) -> Group:
    """Creates a security group; its tags are part of the very call that creates it."""
    name = f"e2e-{next(_names)}"
    tags = {"Name": name, ALLOW: allow, PORTS: ports}
    listed = [{"Key": key, "Value": value} for key, value in tags.items() if value is not None]
    made = world.ec2(vpc).create_security_group(
        GroupName=name,
        Description="of a test",
        VpcId=vpc.id,
        TagSpecifications=[{"ResourceType": "security-group", "Tags": listed}],
    )
    return Group(world, vpc, made["GroupId"])


def from_peers(world: World, what: str, *peers: Vpc) -> set[str]:
    """What lets in `what` from all blocks of these, where blocks that make one block are one."""
    blocks = [ipaddress.ip_network(block) for peer in peers for block in world.look(peer).blocks]
    families = [[block for block in blocks if block.version == version] for version in (4, 6)]
    merged = [block for family in families for block in ipaddress.collapse_addresses(family)]
    return {f"{'icmpv6' if what == 'icmp' and block.version == 6 else what} {block}" for block in merged}


def neighbours(world: World) -> tuple[str, str, str]:
    """Two blocks that make one together, and that one."""
    while True:
        one = ipaddress.ip_network(world.cidr())
        both = one.supernet()
        if both.network_address == one.network_address:
            return str(one), world.cidr(), str(both)


def _permission(text: str) -> dict[str, Any]:
    what, block = text.split()
    protocol, _, ports = what.partition("/")
    permission: dict[str, Any] = {"IpProtocol": "-1" if protocol == "all" else protocol}
    if ports:
        first, _, last = ports.partition("-")
        permission |= {"FromPort": int(first), "ToPort": int(last or first)}
    if ":" in block:
        return permission | {"Ipv6Ranges": [{"CidrIpv6": block}]}
    return permission | {"IpRanges": [{"CidrIp": block}]}
