"""Several meshes at once: what two of them share survives one letting go, and only declared meshes exist."""

import threading
from concurrent.futures import ThreadPoolExecutor

from sandbox.client import judge
from sandbox.client.model import ACCOUNTS, ENV, REGIONS, Vpc
from tests.e2e.world import World

HUB, SECOND, THIRD = ACCOUNTS
HOME, AWAY = REGIONS


def test_a_vpc_in_two_meshes_reaches_the_members_of_both_whatever_separates_their_names(world: World) -> None:
    both = world.vpc(HUB, HOME, mesh="prod+staging")
    also_both = world.vpc(SECOND, AWAY, mesh="staging, prod")
    prod = world.vpc(THIRD, HOME, mesh="prod")
    staging = world.vpc(HUB, HOME, mesh="staging/shared")

    world.until_connected(both, also_both, meshes="prod+staging")
    world.until_connected(both, prod, meshes="prod")
    world.until_connected(also_both, staging, meshes="staging")
    assert not judge.not_apart(world.see(prod, staging), prod, staging)
    for mesh in ("prod", "staging"):
        world.until_status(both, f"joined {mesh}")


def test_a_pair_that_two_meshes_share_keeps_its_peering_and_routes_when_one_lets_go(world: World) -> None:
    one, other = world.vpc(HUB, HOME, mesh="prod+staging"), world.vpc(SECOND, AWAY, mesh="prod+staging")
    world.until_connected(one, other, meshes="prod+staging")
    peering = world.peering(one, other).id
    watch = Watch(world, one, other)

    with watch:
        world.tag(one, "prod")
        world.until_connected(one, other, meshes="prod")
        world.quiet()

    assert watch.looks > 3
    assert not watch.broken, f"the connection broke: {watch.broken}"
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


def test_a_mesh_that_nobody_declared_is_refused_until_the_tag_is_corrected(world: World) -> None:
    member, typo = world.vpc(HUB, HOME, mesh="prod"), world.vpc(SECOND, AWAY, mesh="prodd")
    world.until_status(typo, "refused prodd", "not declared")
    assert not world.look(typo).peerings

    world.tag(typo, "prod")

    world.until_connected(member, typo)
    assert "prodd" not in world.until_status(typo, "joined prod")


def test_a_refused_mesh_does_not_keep_a_vpc_out_of_its_other_mesh(world: World) -> None:
    member, half = world.vpc(HUB, HOME, mesh="prod"), world.vpc(THIRD, AWAY, mesh="prod+nosuch")

    world.until_connected(member, half, meshes="prod")

    world.until_status(half, "joined prod")
    world.until_status(half, "refused nosuch", "not declared")


def test_an_empty_tag_joins_nothing_and_is_no_error(world: World) -> None:
    blank, member = world.vpc(HUB, HOME, mesh=""), world.vpc(HUB, HOME, mesh="prod")
    world.until_status(member, "joined prod")

    assert world.look(blank).tags[ENV] == ""
    assert not world.look(blank).peerings and not world.status(blank)


class Watch:
    """Looks at a connected pair without a pause while it is open, and keeps whatever it saw broken."""

    def __init__(self, world: World, one: Vpc, other: Vpc) -> None:
        self.broken: list[str] = []
        self.looks = 0
        self._world, self._pair = world, (one, other)
        self._stop = threading.Event()
        self._pool = ThreadPoolExecutor(max_workers=1)

    def __enter__(self) -> None:
        self._looking = self._pool.submit(self._look)

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._pool.shutdown()
        self._looking.result()

    def _look(self) -> None:
        while not self._stop.is_set():
            seen = self._world.see(*self._pair)
            # The tags of the two sides may differ for a moment; the way itself may not break.
            problems = judge.not_connected(seen, *self._pair)
            self.broken += [it for it in problems if "wears" not in it and "same Name" not in it]
            self.looks += 1
