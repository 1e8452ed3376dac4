"""The world of a test, seen and changed as an outsider: AWS calls to one endpoint, and the control plane.

A `World` remembers what it made, so that it can take everything away again and say what peerd left behind.
"""

import ipaddress
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from sandbox.client import judge
from sandbox.client.control import Control
from sandbox.client.model import (
    ACCOUNTS,
    ENV,
    HOME_REGION,
    HUB,
    REGIONS,
    Peering,
    Scope,
    SecurityGroup,
    Snapshot,
    Vpc,
    VpcView,
)
from sandbox.client.observe import live_peerings, observe, security_groups
from sandbox.client.sessions import Sessions
from tests.e2e import waiting
from tests.e2e.waiting import Problems

# More deletes than this in one run, and over 30 % of a mesh, wait for an operator: a safeguard of peerd's.
_DELETES_AT_ONCE = 10
# What an observation calls in each account and Region.
READS = (
    "DescribeVpcs",
    "DescribeVpcPeeringConnections",
    "DescribeRouteTables",
    "DescribeSecurityGroups",
    "DescribeSecurityGroupRules",
)
_WRITES = ("Create", "Delete", "Accept", "Reject", "Replace", "Modify", "Associate", "Disassociate")
_WRITES += ("Authorize", "Revoke")


def address_ranges() -> Iterator[str]:
    """Blocks that no other test of the session uses: /20 after /20 of 10.0.0.0/8."""
    return (str(block) for block in ipaddress.ip_network("10.0.0.0/8").subnets(new_prefix=20))


class World:
    """What one test sees and does."""

    def __init__(self, sessions: Sessions, control: Control, ranges: Iterator[str]) -> None:
        self.sessions = sessions
        self.control = control
        self._ranges = ranges
        self._made: list[Vpc] = []
        self._lock = threading.Lock()

    # -- doing -----------------------------------------------------------------------------------------------

    def cidr(self) -> str:
        """A block of addresses that nothing else in this session uses."""
        with self._lock:
            return next(self._ranges)

    def vpc(
        self,
        account: str = HUB,
        region: str = HOME_REGION,
        cidr: str | None = None,
        mesh: str | None = None,
        cidrs: Iterable[str] = (),
        ipv6: bool = False,
    ) -> Vpc:
        """Creates a VPC; with a mesh, its tag is part of the very call that creates it."""
        ec2 = self.sessions.client("ec2", account, region)
        tags = [{"Key": "Name", "Value": f"e2e-{len(self._made)}"}]
        if mesh is not None:
            tags.append({"Key": ENV, "Value": mesh})
        made = ec2.create_vpc(
            CidrBlock=cidr or self.cidr(),
            AmazonProvidedIpv6CidrBlock=ipv6,
            TagSpecifications=[{"ResourceType": "vpc", "Tags": tags}],
        )
        vpc = Vpc(account, region, made["Vpc"]["VpcId"])
        with self._lock:
            self._made.append(vpc)
        for extra in cidrs:
            self.associate_cidr(vpc, extra)
        return vpc

    def tag(self, vpc: Vpc, mesh: str) -> None:
        """Sets `peerd:env`."""
        self.ec2(vpc).create_tags(Resources=[vpc.id], Tags=[{"Key": ENV, "Value": mesh}])

    def untag(self, vpc: Vpc) -> None:
        """Removes `peerd:env`."""
        self.ec2(vpc).delete_tags(Resources=[vpc.id], Tags=[{"Key": ENV}])

    def associate_cidr(self, vpc: Vpc, cidr: str) -> str:
        """Adds an IPv4 block and answers its association id."""
        made = self.ec2(vpc).associate_vpc_cidr_block(VpcId=vpc.id, CidrBlock=cidr)
        return made["CidrBlockAssociation"]["AssociationId"]

    def associate_ipv6(self, vpc: Vpc) -> str:
        """Adds an IPv6 block of Amazon's and answers its association id."""
        made = self.ec2(vpc).associate_vpc_cidr_block(VpcId=vpc.id, AmazonProvidedIpv6CidrBlock=True)
        return made["Ipv6CidrBlockAssociation"]["AssociationId"]

    def disassociate_cidr(self, vpc: Vpc, association: str) -> None:
        """Removes a block."""
        self.ec2(vpc).disassociate_vpc_cidr_block(AssociationId=association)

    def route_table(self, vpc: Vpc) -> str:
        """Adds a route table beside the main one."""
        return self.ec2(vpc).create_route_table(VpcId=vpc.id)["RouteTable"]["RouteTableId"]

    def internet_gateway(self, vpc: Vpc) -> str:
        """Attaches an internet gateway."""
        gateway = self.ec2(vpc).create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
        self.ec2(vpc).attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc.id)
        return gateway

    def main_table(self, vpc: Vpc) -> str:
        """The id of the main route table."""
        return self.see(vpc)[vpc].tables[0].id

    def create_peering(self, requester: Vpc, accepter: Vpc, accept: bool = True) -> str:
        """Makes a peering by hand, as somebody does who has never heard of peerd."""
        made = self.ec2(requester).create_vpc_peering_connection(
            VpcId=requester.id,
            PeerVpcId=accepter.id,
            PeerOwnerId=accepter.account,
            PeerRegion=accepter.region,
        )
        peering = made["VpcPeeringConnection"]["VpcPeeringConnectionId"]
        if accept:
            self.ec2(accepter).accept_vpc_peering_connection(VpcPeeringConnectionId=peering)
        return peering

    def delete_vpc(self, vpc: Vpc) -> None:
        """Deletes a VPC and what stands in the way of that, as the console does."""
        ec2 = self.ec2(vpc)
        for table in ec2.describe_route_tables(Filters=_of(vpc))["RouteTables"]:
            if not any(association.get("Main") for association in table["Associations"]):
                for association in table["Associations"]:
                    ec2.disassociate_route_table(AssociationId=association["RouteTableAssociationId"])
                ec2.delete_route_table(RouteTableId=table["RouteTableId"])
        attached = [{"Name": "attachment.vpc-id", "Values": [vpc.id]}]
        for gateway in ec2.describe_internet_gateways(Filters=attached)["InternetGateways"]:
            ec2.detach_internet_gateway(InternetGatewayId=gateway["InternetGatewayId"], VpcId=vpc.id)
            ec2.delete_internet_gateway(InternetGatewayId=gateway["InternetGatewayId"])
        for group in ec2.describe_security_groups(Filters=_of(vpc))["SecurityGroups"]:
            if group["GroupName"] != "default":
                ec2.delete_security_group(GroupId=group["GroupId"])
        ec2.delete_vpc(VpcId=vpc.id)
        self._made.remove(vpc)

    # -- seeing ----------------------------------------------------------------------------------------------

    def ec2(self, vpc: Vpc) -> Any:
        """The EC2 client of the account and Region that this VPC is in."""
        return self.sessions.ec2(vpc.scope)

    def see(self, *vpcs: Vpc) -> Snapshot:
        """These VPCs as they are now."""
        return observe(self.sessions, vpcs)

    def look(self, vpc: Vpc) -> VpcView:
        """One VPC as it is now."""
        return self.see(vpc)[vpc]

    def status(self, vpc: Vpc) -> str:
        """What `peerd:status` says; nothing too if the VPC cannot be seen yet."""
        return "".join(view.status for view in self.see(vpc).values())

    def routes(self, vpc: Vpc) -> dict[str, str]:
        """The routes of the main table: destination to target."""
        return {route.destination: route.target for route in self.look(vpc).tables[0].routes}

    def groups(self, *vpcs: Vpc) -> list[SecurityGroup]:
        """The security groups of these VPCs as they are now."""
        return [group for vpc in vpcs for group in security_groups(self.sessions, vpc.scope, vpc)]

    def peering(self, one: Vpc, other: Vpc) -> Peering:
        """The one live peering between these two."""
        found = self.look(one).live_peerings(other)
        assert len(found) == 1, f"expected one live peering between {one} and {other}, found {found}"
        return found[0]

    def peerd_calls(self) -> list[dict[str, Any]]:
        """The logged EC2 calls that were made with peerd's role."""
        return [
            call
            for call in self.control.calls()
            if call["service"] == "ec2" and ":assumed-role/peerd-spoke/" in (call["principal"] or "")
        ]

    def peerd_writes(self) -> list[dict[str, Any]]:
        """Those of `peerd_calls` that change something."""
        return [call for call in self.peerd_calls() if call["action"].startswith(_WRITES)]

    def orphans(self, *members: Vpc) -> list[str]:
        """What of peerd's stands anywhere although no mesh of these members wants it."""
        scopes = [Scope(account, region) for account in ACCOUNTS for region in REGIONS]
        peerings = [peering for scope in scopes for peering in live_peerings(self.sessions, scope)]
        groups = [group for scope in scopes for group in security_groups(self.sessions, scope)]
        left = judge.orphans(peerings, members) + judge.stray_rules(groups, members)
        return left + judge.dead_routes(self.see(*self._made))

    # -- waiting ---------------------------------------------------------------------------------------------

    def eventually(self, problems: Problems) -> float:
        """Waits until nothing is wrong and answers how many seconds it took."""
        return waiting.until(self.control, problems)

    def until_connected(self, *vpcs: Vpc, meshes: str | None = None) -> float:
        """Waits until every pair of these is connected."""
        return self.eventually(lambda: judge.not_all_connected(self.see(*vpcs), vpcs, meshes))

    def sweep_until(self, problems: Problems) -> float:
        """Sweeps as the schedule would, again and again, until nothing is wrong."""
        return waiting.sweep_until(self.control, problems)

    def sweep_until_connected(self, *vpcs: Vpc) -> float:
        """Sweeps until every pair of these is connected."""
        return self.sweep_until(lambda: judge.not_all_connected(self.see(*vpcs), vpcs))

    def until_apart(self, one: Vpc, other: Vpc) -> float:
        """Waits until nothing connects these two."""
        return self.eventually(lambda: judge.not_apart(self.see(one, other), one, other))

    def until_clean(self, *vpcs: Vpc) -> float:
        """Waits until nothing of peerd's is left on these."""
        return self.eventually(lambda: _each(self.see(*vpcs), vpcs, judge.not_clean))

    def until_status(self, vpc: Vpc, *words: str) -> str:
        """Waits until one sentence of the status begins with the first of these and holds the others."""
        self.eventually(lambda: _unsaid(self.status(vpc), words, vpc))
        return self.status(vpc)

    def settle(self, *vpcs: Vpc) -> None:
        """Waits until these are one mesh, say so, and peerd has nothing more to do."""
        self.until_connected(*vpcs)
        for vpc in vpcs:
            self.until_status(vpc, "joined")
        self.quiet()

    def quiet(self) -> None:
        """Waits until peerd has nothing more to do, now or later."""
        waiting.until_quiet(self.control)

    def dead_letters(self) -> dict[str, int]:
        """How many messages each dead-letter queue holds."""
        sqs = self.sessions.client("sqs")
        urls = {
            name: url for name, url in hub_outputs(self.sessions).items() if name.endswith("DeadLettersUrl")
        }
        assert urls, "the hub's stack names no dead-letter queues in its outputs"
        count = "ApproximateNumberOfMessages"
        return {
            name: int(sqs.get_queue_attributes(QueueUrl=url, AttributeNames=[count])["Attributes"][count])
            for name, url in urls.items()
        }

    # -- leaving ---------------------------------------------------------------------------------------------

    def clean_up(self) -> None:
        """Takes every VPC of this test out of its meshes, waits until peerd has let go, and deletes it."""
        self.control.faults()
        self.control.drop_events(False)
        # A VPC may not be described yet, and one that is forgotten here would stay in its mesh.
        self.eventually(
            lambda: [f"{vpc} cannot be seen" for vpc in set(self._made) - set(self.see(*self._made))]
        )
        seen = self.see(*self._made)
        peerings = {it.id for view in seen.values() for it in view.peerings if it.live and it.managed}
        try:
            for vpc in seen:
                self.untag(vpc)
                if len(peerings) > _DELETES_AT_ONCE:
                    self.until_clean(vpc)
            self.until_clean(*seen)
            self.eventually(lambda: judge.stray_rules(self.groups(*seen), []))
        finally:
            self._delete(list(seen))

    def _delete(self, vpcs: list[Vpc]) -> None:
        for vpc, view in self.see(*vpcs).items():
            for peering in view.peerings:
                if peering.live and peering.requester == vpc:
                    self.ec2(vpc).delete_vpc_peering_connection(VpcPeeringConnectionId=peering.id)
        for vpc in vpcs:
            self.delete_vpc(vpc)


def hub_outputs(sessions: Sessions) -> dict[str, str]:
    """The outputs of the hub's stack, which is the one that names peerd's table."""
    for stack in sessions.client("cloudformation").describe_stacks()["Stacks"]:
        outputs = {it["OutputKey"]: it["OutputValue"] for it in stack.get("Outputs", [])}
        if "VpcEventsQueueUrl" in outputs:
            return outputs
    raise AssertionError("no stack in the hub's account has the output VpcEventsQueueUrl")


def _of(vpc: Vpc) -> list[dict[str, Any]]:
    return [{"Name": "vpc-id", "Values": [vpc.id]}]


def _each(
    snapshot: Snapshot, vpcs: Iterable[Vpc], problems: Callable[[Snapshot, Vpc], list[str]]
) -> list[str]:
    return [problem for vpc in vpcs for problem in problems(snapshot, vpc)]


def _unsaid(status: str, words: tuple[str, ...], vpc: Vpc) -> list[str]:
    first, rest = words[0], words[1:]
    for sentence in status.split(". "):
        if sentence.startswith(first) and all(word in sentence for word in rest):
            return []
    return [f"{vpc} should say {' ... '.join(words)!r}, says {status!r}"]
