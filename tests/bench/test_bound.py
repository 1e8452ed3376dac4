"""The bound against examples that were computed by hand."""

from itertools import cycle, islice

from sandbox.client.model import ACCOUNTS, HOME_REGION, HUB, REGIONS, Scope
from tests.bench.bound import Bound, forming, forming_together, joining, rate_limit_seconds

HOME = Scope(HUB, HOME_REGION)
SCOPES = [Scope(account, region) for account in ACCOUNTS for region in REGIONS]


def spread(size: int) -> list[Scope]:
    """Returns the scopes of VPCs that are spread evenly over the six scopes."""
    return list(islice(cycle(SCOPES), size))


def test_two_vpcs_in_one_scope_need_eleven_calls() -> None:
    # 1 create, 1 accept, 2 routes, no tags for the accepter, 2 statuses, 5 describes
    assert forming([HOME, HOME], tables=1) == Bound(1, 2, 0, 2, 5)
    assert forming([HOME, HOME], tables=1).total == 11


def test_two_vpcs_in_two_scopes_need_five_describes_and_one_tags_call_more() -> None:
    assert forming(SCOPES[:2], tables=1) == Bound(1, 2, 1, 2, 10)
    assert forming(SCOPES[:2], tables=1).total == 17


def test_twelve_vpcs_in_six_scopes_need_498_calls() -> None:
    # 66 pairs, of which the 6 within a scope need no CreateTags; 12 x 11 x 2 tables = 264 routes
    bound = forming(spread(12), tables=2)
    assert bound == Bound(66, 264, 60, 12, 30)
    assert bound.total == 66 + 66 + 264 + 60 + 12 + 30 == 498


def test_fifty_vpcs_in_six_scopes_need_8471_calls() -> None:
    # two scopes have 9 VPCs and four have 8: 2 x 36 + 4 x 28 = 184 of the 1,225 pairs are within a scope
    bound = forming(spread(50), tables=2)
    assert bound == Bound(1225, 4900, 1041, 50, 30)
    assert bound.total == 8471


def test_the_calls_by_api_add_up_to_the_total() -> None:
    bound = forming(spread(12), tables=2)
    assert sum(bound.by_action().values()) == bound.total


def test_a_second_cidr_block_doubles_the_routes() -> None:
    assert forming(spread(12), tables=2, blocks=2).routes == 528


def test_a_vpc_that_joins_ten_needs_no_tags_call_in_its_own_scope() -> None:
    # 10 creates, 10 accepts, 10 peers x 2 directions x 2 tables = 40 routes, 8 of 10 peers in another scope
    bound = joining(spread(10), HOME, tables=2)
    assert bound == Bound(10, 40, 8, 1, 30)
    assert bound.total == 20 + 40 + 8 + 1 + 30 == 99


def test_meshes_that_form_at_the_same_time_share_the_describes() -> None:
    # two meshes of 2 VPCs in scopes 1, 2 and 2, 3: twice 1 pair, 2 routes, 1 CreateTags and 2 statuses
    bound = forming_together([SCOPES[:2], SCOPES[1:3]], tables=1)
    assert bound == Bound(2, 4, 2, 4, 15)


def test_the_rate_limit_of_routes_holds_fifty_vpcs_back_for_166_seconds_and_twelve_not_at_all() -> None:
    # 9 VPCs x 49 peers x 2 tables = 882 routes in the busiest scope; 50 at once, then 5 a second
    assert rate_limit_seconds([spread(50)], tables=2) == (882 - 50) / 5 == 166.4
    # 2 VPCs x 11 peers x 2 tables = 44 routes
    assert rate_limit_seconds([spread(12)], tables=2) == 0


def test_meshes_in_one_scope_share_its_rate_limit() -> None:
    # twice 2 VPCs x 1 peer x 20 tables = 80 routes
    assert rate_limit_seconds([[HOME, HOME], [HOME, HOME]], tables=20) == 6
