"""The calls that a mesh needs at least: each write once, each scope read once."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

from sandbox.client.model import Scope

DESCRIBES_PER_SCOPE = 5
# EC2's token bucket for CreateRoute, in each account and Region, which peerd respects:
# https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html
ROUTES_AT_ONCE, ROUTES_PER_SECOND = 50, 5
FORMULA = (
    "pairs x (create + accept) + routes + one CreateTags for each peering whose accepter is in another scope "
    "+ one status for each VPC + 5 describes for each scope"
)


@dataclass(frozen=True)
class Bound:
    """The calls that a full mesh of empty VPCs needs at least."""

    pairs: int
    routes: int
    accepter_tags: int
    statuses: int
    describes: int

    @property
    def total(self) -> int:
        """Returns the number of calls."""
        return 2 * self.pairs + self.routes + self.accepter_tags + self.statuses + self.describes

    def by_action(self) -> dict[str, int]:
        """Returns the number of calls of each API; `Describe*` is the sum of the five describes."""
        return {
            "CreateVpcPeeringConnection": self.pairs,
            "AcceptVpcPeeringConnection": self.pairs,
            "CreateRoute": self.routes,
            "CreateTags": self.accepter_tags + self.statuses,
            "Describe*": self.describes,
        }


def forming(scopes: Sequence[Scope], tables: int, blocks: int = 1) -> Bound:
    """Returns the bound for a mesh of VPCs in these scopes, one entry a VPC.

    Each VPC has `tables` route tables and `blocks` CIDR blocks.
    """
    size = len(scopes)
    return Bound(
        pairs=size * (size - 1) // 2,
        routes=size * (size - 1) * tables * blocks,
        accepter_tags=sum(one != other for one, other in combinations(scopes, 2)),
        statuses=size,
        describes=DESCRIBES_PER_SCOPE * len(set(scopes)),
    )


def joining(member_scopes: Sequence[Scope], joiner: Scope, tables: int) -> Bound:
    """Returns the bound for one VPC that joins a mesh of VPCs in these scopes."""
    before, after = Counter(member_scopes), len(member_scopes)
    return Bound(
        pairs=after,
        routes=2 * after * tables,
        accepter_tags=after - before[joiner],
        statuses=1,
        describes=DESCRIBES_PER_SCOPE * len({*member_scopes, joiner}),
    )


def forming_together(meshes: Collection[Sequence[Scope]], tables: int) -> Bound:
    """Returns the bound for several meshes that form at the same time: each scope is read once for all."""
    bounds = [forming(scopes, tables) for scopes in meshes]
    return Bound(
        pairs=sum(it.pairs for it in bounds),
        routes=sum(it.routes for it in bounds),
        accepter_tags=sum(it.accepter_tags for it in bounds),
        statuses=sum(it.statuses for it in bounds),
        describes=DESCRIBES_PER_SCOPE * len({scope for scopes in meshes for scope in scopes}),
    )


def rate_limit_seconds(meshes: Iterable[Sequence[Scope]], tables: int, blocks: int = 1) -> float:
    """Returns the least time that EC2's rate limit allows for the routes of the busiest scope."""
    routes: Counter[Scope] = Counter()
    for scopes in meshes:
        for scope, members in Counter(scopes).items():
            routes[scope] += members * (len(scopes) - 1) * tables * blocks
    return max(0, max(routes.values()) - ROUTES_AT_ONCE) / ROUTES_PER_SECOND
