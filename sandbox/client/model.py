"""The nouns that an outsider reads out of Describe calls. Plain data: no calls, no judgement."""

from collections.abc import Mapping
from dataclasses import dataclass

HUB = "111111111111"
ACCOUNTS = (HUB, "222222222222", "333333333333")
HOME_REGION = "us-east-1"
REGIONS = (HOME_REGION, "eu-west-1")
DEPLOYMENT = "peerd"

ENV = "peerd:env"
MANAGED_BY = "peerd:managed-by"
STATUS = "peerd:status"
ALLOW = "peerd:allow"
PORTS = "peerd:ports"
FOR_MESH = "peerd:env/"

# A peering in any other state is history: Describe keeps showing it for hours or days
# (https://docs.aws.amazon.com/vpc/latest/peering/vpc-peering-basics.html).
LIVE = frozenset({"initiating-request", "pending-acceptance", "provisioning", "active"})


@dataclass(frozen=True, order=True)
class Scope:
    """One account and Region: what one set of credentials and one endpoint can see."""

    account: str
    region: str


@dataclass(frozen=True, order=True)
class Vpc:
    """The name of a VPC; what it looks like at some moment is its `VpcView`."""

    account: str
    region: str
    id: str

    @property
    def scope(self) -> Scope:
        """The account and Region that it is in."""
        return Scope(self.account, self.region)

    def __str__(self) -> str:
        return self.id


@dataclass(frozen=True)
class Route:
    """One route of a table; the target is the id of whatever it points to."""

    destination: str
    target: str
    state: str


@dataclass(frozen=True)
class RouteTable:
    """A route table; `gateway` is one that belongs to an internet or private gateway, not to subnets."""

    id: str
    main: bool
    gateway: bool
    routes: tuple[Route, ...]


@dataclass(frozen=True)
class Peering:
    """A peering connection as one side sees it: status and tags may differ on the other side."""

    id: str
    status: str
    requester: Vpc
    accepter: Vpc
    tags: Mapping[str, str]

    @property
    def live(self) -> bool:
        """Whether it exists, in whatever state on its way to active."""
        return self.status in LIVE

    @property
    def managed(self) -> bool:
        """Whether this side of it says that peerd made it."""
        return self.tags.get(MANAGED_BY) == DEPLOYMENT

    def between(self, one: Vpc, other: Vpc) -> bool:
        """Whether it connects these two, in either direction."""
        return {self.requester, self.accepter} == {one, other}


@dataclass(frozen=True)
class IngressRule:
    """What a security group lets in; `text` is such as `tcp/443 10.0.0.0/20`."""

    id: str
    text: str
    tags: Mapping[str, str]

    @property
    def managed(self) -> bool:
        """Whether it says that peerd made it."""
        return self.tags.get(MANAGED_BY) == DEPLOYMENT

    @property
    def meshes(self) -> frozenset[str]:
        """The meshes for which it says that it stands."""
        return frozenset(key.removeprefix(FOR_MESH) for key in self.tags if key.startswith(FOR_MESH))


@dataclass(frozen=True)
class SecurityGroup:
    """A security group as its own account and Region describes it, with its ingress rules."""

    id: str
    vpc: Vpc
    tags: Mapping[str, str]
    rules: tuple[IngressRule, ...]


@dataclass(frozen=True)
class VpcView:
    """One VPC as its own account and Region describes it."""

    vpc: Vpc
    blocks: frozenset[str]
    tags: Mapping[str, str]
    tables: tuple[RouteTable, ...]
    peerings: tuple[Peering, ...]

    @property
    def status(self) -> str:
        """What peerd says about it, or nothing."""
        return self.tags.get(STATUS, "")

    @property
    def routed_tables(self) -> tuple[RouteTable, ...]:
        """The tables that carry its subnets' traffic."""
        return tuple(table for table in self.tables if not table.gateway)

    def live_peerings(self, other: Vpc) -> list[Peering]:
        """The peerings with that VPC that exist now."""
        return [peering for peering in self.peerings if peering.live and peering.between(self.vpc, other)]


Snapshot = Mapping[Vpc, VpcView]
"""Several VPCs, read one after the other; a VPC that no longer exists is not in it."""
