"""Several meshes: a pair that two meshes share keeps its peering, and undeclared meshes are refused."""

import threading
from concurrent.futures import ThreadPoolExecutor

from sandbox.client import checks
from sandbox.client.model import ACCOUNTS, ENV, REGIONS, Vpc
from tests.e2e.world import World

HUB, SECOND, THIRD = ACCOUNTS
HOME, AWAY = REGIONS


def test_a_vpc_in_two_meshes_reaches_the_members_of_both_with_any_separator(world: World) -> None:
    both = world.vpc(HUB, HOME, mesh="prod+staging")
    also_both = world.vpc(SECOND, AWAY, mesh="staging, prod")
    prod = world.vpc(THIRD, HOME, mesh="prod")
    staging = world.vpc(HUB, HOME, mesh="staging/shared")

    world.until_connected(both, also_both, meshes="prod+staging")
    world.until_connected(both, prod, meshes="prod")
    world.until_connected(also_both, staging, meshes="staging")
    assert not checks.isolation_problems(world.snapshot(prod, staging), prod, staging)
    for mesh in ("prod", "staging"):
        world.until_status(both, f"joined {mesh}")


def test_a_pair_that_two_meshes_share_keeps_its_peering_and_routes_when_one_mesh_releases_it(
    world: World,
) -> None:
    one, other = world.vpc(HUB, HOME, mesh="prod+staging"), world.vpc(SECOND, AWAY, mesh="prod+staging")
    world.until_connected(one, other, meshes="prod+staging")
    peering = world.peering(one, other).id
    monitor = ConnectionMonitor(world, one, other)

    with monitor:
        world.tag(one, "prod")
        world.until_connected(one, other, meshes="prod")
        world.until_idle()

    assert monitor.polls > 3
    assert not monitor.problems, f"the connection was interrupted: {monitor.problems}"
    assert world.peering(one, other).id == peering
    assert "staging" not in world.until_status(one, "joined prod")


def test_a_second_mesh_is_added_to_a_connected_pair_in_place(world: World) -> None:
    one, other = world.vpc(HUB, HOME, mesh="prod"), world.vpc(THIRD, HOME, mesh="prod")
    world.until_connected(one, other, meshes="prod")
    peering = world.peering(one, other).id

    world.tag(one, "shared:prod")
    world.tag(other, "prod shared")

    world.until_connected(one, other, meshes="prod+shared")
    assert world.peering(one, other).id == peering


def test_an_undeclared_mesh_is_refused_until_the_tag_is_corrected(world: World) -> None:
    member, typo = world.vpc(HUB, HOME, mesh="prod"), world.vpc(SECOND, AWAY, mesh="prodd")
    world.until_status(typo, "refused prodd", "not declared")
    assert not world.view(typo).peerings

    world.tag(typo, "prod")

    world.until_connected(member, typo)
    assert "prodd" not in world.until_status(typo, "joined prod")


def test_a_refused_mesh_does_not_keep_a_vpc_out_of_its_other_mesh(world: World) -> None:
    member, partial = world.vpc(HUB, HOME, mesh="prod"), world.vpc(THIRD, AWAY, mesh="prod+nosuch")

    world.until_connected(member, partial, meshes="prod")

    world.until_status(partial, "joined prod")
    world.until_status(partial, "refused nosuch", "not declared")


def test_an_empty_tag_joins_no_mesh_and_is_not_an_error(world: World) -> None:
    blank, member = world.vpc(HUB, HOME, mesh=""), world.vpc(HUB, HOME, mesh="prod")
    world.until_status(member, "joined prod")

    assert world.view(blank).tags[ENV] == ""
    assert not world.view(blank).peerings and not world.status(blank)


class ConnectionMonitor:
    """Polls a connected pair continuously while the context is open, and records every problem."""

    def __init__(self, world: World, one: Vpc, other: Vpc) -> None:
        self.problems: list[str] = []
        self.polls = 0
        self._world, self._pair = world, (one, other)
        self._stop = threading.Event()
        self._pool = ThreadPoolExecutor(max_workers=1)

    def __enter__(self) -> None:
        self._polling = self._pool.submit(self._poll)

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._pool.shutdown()
        self._polling.result()

    def _poll(self) -> None:
        while not self._stop.is_set():
            snapshot = self._world.snapshot(*self._pair)
            # The tags of the two sides may differ for a moment; the connection must not be interrupted.
            problems = checks.connection_problems(snapshot, *self._pair)
            self.problems += [it for it in problems if "carries" not in it and "same Name" not in it]
            self.polls += 1
