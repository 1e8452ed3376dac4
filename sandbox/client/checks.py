"""Checks a snapshot against the documented behavior. Each check returns the problems that it finds.

The checks are independent of peerd's planner, so that they can detect errors of the planner. They make no
calls.
"""

import ipaddress
import re
from collections.abc import Iterable
from itertools import combinations

from sandbox.client.model import ALLOW, ENV, STATUS, Peering, SecurityGroup, Snapshot, Vpc, VpcView

Problems = list[str]


def connection_problems(snapshot: Snapshot, one: Vpc, other: Vpc, meshes: str | None = None) -> Problems:
    """Returns why the two do not share exactly one managed peering, tagged and routed on both sides."""
    problems = _missing_vpcs(snapshot, one, other)
    if problems:
        return problems
    sides = [(snapshot[one], other), (snapshot[other], one)]
    found = [peering for view, peer in sides for peering in view.live_peerings(peer)]
    ids = sorted({peering.id for peering in found})
    if len(ids) != 1 or len(found) != 2:
        return [f"{one} and {other} should have one live peering that both sides see; found: {_list(found)}"]
    for view, peer in sides:
        problems += _peering_problems(view.live_peerings(peer)[0], view.vpc, meshes)
        problems += _missing_routes(view, snapshot[peer], ids[0])
    names = {peering.tags.get("Name", "") for peering in found}
    if len(names) != 1 or "" in names:
        problems.append(f"{ids[0]} should have the same Name on both sides, has {sorted(names)}")
    return problems


def full_mesh_problems(snapshot: Snapshot, vpcs: Iterable[Vpc], meshes: str | None = None) -> Problems:
    """Returns why some pair of these is not connected."""
    pairs = combinations(vpcs, 2)
    return [problem for one, other in pairs for problem in connection_problems(snapshot, one, other, meshes)]


def isolation_problems(snapshot: Snapshot, one: Vpc, other: Vpc) -> Problems:
    """Returns the live peerings of the two, and their routes to any peering between them."""
    problems = []
    for vpc, peer in ((one, other), (other, one)):
        view = snapshot.get(vpc)
        if view is None:
            continue
        problems += [
            f"{vpc} still has {_describe(peering)} with {peer}" for peering in view.live_peerings(peer)
        ]
        between = {peering.id for peering in view.peerings if peering.between(vpc, peer)}
        problems += [f"{vpc} still has {text}" for text in _routes_to(view, between)]
    return problems


def cleanup_problems(snapshot: Snapshot, vpc: Vpc) -> Problems:
    """Returns the managed resources that remain on a VPC that is no longer in a mesh."""
    view = snapshot.get(vpc)
    if view is None:
        return []
    managed = {peering.id for peering in view.peerings if peering.managed}
    problems = [f"{vpc} still has {_describe(it)}" for it in view.peerings if it.live and it.managed]
    problems += [f"{vpc} still has {text}" for text in _routes_to(view, managed)]
    if STATUS in view.tags:
        problems.append(f"{vpc} still has {STATUS}={view.status!r}")
    return problems


def dangling_routes(snapshot: Snapshot) -> Problems:
    """Returns the routes to peerings that no longer exist."""
    problems = []
    for view in snapshot.values():
        live = {peering.id for peering in view.peerings if peering.live}
        peering_targets = {route.target for table in view.tables for route in table.routes}
        deleted = {target for target in peering_targets if target.startswith("pcx-")} - live
        problems += [f"{view.vpc} has a dangling {text}" for text in _routes_to(view, deleted)]
    return problems


def orphaned_peerings(peerings: Iterable[Peering], members: Iterable[Vpc]) -> Problems:
    """Returns the live managed peerings between VPCs that are not both members."""
    members = set(members)
    return [
        f"{_describe(peering)} between {peering.requester} and {peering.accepter} has no two members"
        for peering in peerings
        if peering.live and peering.managed and not {peering.requester, peering.accepter} <= members
    ]


def orphaned_rules(groups: Iterable[SecurityGroup], members: Iterable[Vpc]) -> Problems:
    """Returns the managed rules of groups of other VPCs, or for a mesh that the group does not allow."""
    members = set(members)
    problems = []
    for group in groups:
        allowed = set(re.split(r"[ ,+/:;]", group.tags.get(ALLOW, ""))) if group.vpc in members else set()
        for rule in group.rules:
            if rule.managed and not (rule.meshes and rule.meshes <= allowed):
                meshes = "+".join(sorted(rule.meshes)) or "no mesh"
                problems.append(f"{group.id} of {group.vpc} allows {rule.text} for {meshes}, unrequested")
    return problems


def desired_routes(snapshot: Snapshot, members: Iterable[Vpc]) -> set[tuple[str, str, Vpc]]:
    """Returns each (route table, destination, peer) that a full mesh of these members needs."""
    views = [snapshot[vpc] for vpc in members if vpc in snapshot]
    return {
        (table.id, canonical(block), peer.vpc)
        for view in views
        for table in view.routed_tables
        for peer in views
        if peer.vpc != view.vpc
        for block in peer.blocks
    }


def active_routes(snapshot: Snapshot, members: Iterable[Vpc]) -> set[tuple[str, str, Vpc]]:
    """Returns the `desired_routes` that are active and target an active managed peering with that peer."""
    members = list(members)
    active = set()
    for vpc in members:
        view = snapshot.get(vpc)
        if view is None:
            continue
        peers = {
            pcx.id: _other_end(pcx, vpc) for pcx in view.peerings if pcx.status == "active" and pcx.managed
        }
        active |= {
            (table.id, canonical(route.destination), peers[route.target])
            for table in view.routed_tables
            for route in table.routes
            if route.target in peers and route.state == "active"
        }
    return active & desired_routes(snapshot, members)


def active_peerings(snapshot: Snapshot, members: Iterable[Vpc]) -> dict[str, Peering]:
    """Returns the active managed peerings among these members, by id."""
    members = set(members)
    return {
        peering.id: peering
        for vpc in members & set(snapshot)
        for peering in snapshot[vpc].peerings
        if peering.status == "active" and peering.managed and {peering.requester, peering.accepter} <= members
    }


def canonical(destination: str) -> str:
    """Returns a CIDR block in canonical form, or the text itself if it is none (a prefix list)."""
    try:
        return str(ipaddress.ip_network(destination, strict=False))
    except ValueError:
        return destination


def _missing_vpcs(snapshot: Snapshot, *vpcs: Vpc) -> Problems:
    return [f"{vpc} does not exist" for vpc in vpcs if vpc not in snapshot]


def _peering_problems(peering: Peering, side: Vpc, meshes: str | None) -> Problems:
    problems = []
    if peering.status != "active":
        problems.append(f"{_describe(peering)}, seen by {side}, should be active")
    if not peering.managed:
        problems.append(f"{peering.id} lacks the managed tag on the side of {side}: {dict(peering.tags)}")
    found = peering.tags.get(ENV)
    if found is None or (meshes is not None and found != meshes):
        problems.append(
            f"{peering.id} should carry {ENV}={meshes or 'its meshes'} at {side}, carries {found}"
        )
    return problems


def _missing_routes(view: VpcView, peer: VpcView, peering: str) -> Problems:
    problems = [] if view.routed_tables else [f"{view.vpc} has no route table"]
    for table in view.routed_tables:
        routes = {canonical(route.destination): route for route in table.routes}
        for block in sorted(peer.blocks):
            route = routes.get(canonical(block))
            if route is None:
                problems.append(f"{table.id} of {view.vpc} lacks the route {block} -> {peering}")
            elif route.target != peering or route.state != "active":
                problems.append(
                    f"{table.id} of {view.vpc} has {block} -> {route.target} ({route.state}), not {peering}"
                )
    return problems


def _routes_to(view: VpcView, peerings: set[str]) -> Problems:
    return [
        f"route {route.destination} -> {route.target} ({route.state}) in {table.id}"
        for table in view.tables
        for route in table.routes
        if route.target in peerings
    ]


def _other_end(peering: Peering, vpc: Vpc) -> Vpc:
    return peering.accepter if peering.requester == vpc else peering.requester


def _describe(peering: Peering) -> str:
    return f"{peering.id} ({peering.status})"


def _list(peerings: Iterable[Peering]) -> str:
    return ", ".join(_describe(peering) for peering in peerings) or "none"
