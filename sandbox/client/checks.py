"""Says what is wrong with what was observed: in sentences, and in none when all is well.

Written from the documented promises alone, independent of peerd's planner, so that it can find the planner
wrong. It makes no calls.
"""

import ipaddress
import re
from collections.abc import Iterable
from itertools import combinations

from sandbox.client.model import ALLOW, ENV, STATUS, Peering, SecurityGroup, Snapshot, Vpc, VpcView

Problems = list[str]


def not_connected(snapshot: Snapshot, one: Vpc, other: Vpc, meshes: str | None = None) -> Problems:
    """Why these two are not connected by exactly one managed peering, tagged and routed on both sides."""
    problems = _gone(snapshot, one, other)
    if problems:
        return problems
    seen = [(snapshot[one], other), (snapshot[other], one)]
    found = [peering for view, peer in seen for peering in view.live_peerings(peer)]
    ids = sorted({peering.id for peering in found})
    if len(ids) != 1 or len(found) != 2:
        return [f"{one} and {other} should share one live peering that both sides see; seen: {_list(found)}"]
    for view, peer in seen:
        problems += _peering_problems(view.live_peerings(peer)[0], view.vpc, meshes)
        problems += _unrouted(view, snapshot[peer], ids[0])
    names = {peering.tags.get("Name", "") for peering in found}
    if len(names) != 1 or "" in names:
        problems.append(f"{ids[0]} should have the same Name on both sides, has {sorted(names)}")
    return problems


def not_all_connected(snapshot: Snapshot, vpcs: Iterable[Vpc], meshes: str | None = None) -> Problems:
    """Why some pair of these is not connected."""
    pairs = combinations(vpcs, 2)
    return [problem for one, other in pairs for problem in not_connected(snapshot, one, other, meshes)]


def not_apart(snapshot: Snapshot, one: Vpc, other: Vpc) -> Problems:
    """Why these two are not without any live peering, and without routes to any that they ever had."""
    problems = []
    for vpc, peer in ((one, other), (other, one)):
        view = snapshot.get(vpc)
        if view is None:
            continue
        problems += [f"{vpc} still has {_show(peering)} with {peer}" for peering in view.live_peerings(peer)]
        between = {peering.id for peering in view.peerings if peering.between(vpc, peer)}
        problems += [f"{vpc} still has {text}" for text in _routes_to(view, between)]
    return problems


def not_clean(snapshot: Snapshot, vpc: Vpc) -> Problems:
    """What peerd left behind on a VPC that is in no mesh any more."""
    view = snapshot.get(vpc)
    if view is None:
        return []
    managed = {peering.id for peering in view.peerings if peering.managed}
    problems = [f"{vpc} still has {_show(it)}" for it in view.peerings if it.live and it.managed]
    problems += [f"{vpc} still has {text}" for text in _routes_to(view, managed)]
    if STATUS in view.tags:
        problems.append(f"{vpc} still wears {STATUS}={view.status!r}")
    return problems


def dead_routes(snapshot: Snapshot) -> Problems:
    """Routes to peerings that no longer exist."""
    problems = []
    for view in snapshot.values():
        live = {peering.id for peering in view.peerings if peering.live}
        peering_targets = {route.target for table in view.tables for route in table.routes}
        dead = {target for target in peering_targets if target.startswith("pcx-")} - live
        problems += [f"{view.vpc} has a dead {text}" for text in _routes_to(view, dead)]
    return problems


def orphans(peerings: Iterable[Peering], members: Iterable[Vpc]) -> Problems:
    """Live managed peerings of pairs that no full mesh of these members wants."""
    members = set(members)
    return [
        f"{_show(peering)} between {peering.requester} and {peering.accepter} is wanted by nobody"
        for peering in peerings
        if peering.live and peering.managed and not {peering.requester, peering.accepter} <= members
    ]


def stray_rules(groups: Iterable[SecurityGroup], members: Iterable[Vpc]) -> Problems:
    """Rules of peerd's in groups of nobody here, or for a mesh that their group does not allow."""
    members = set(members)
    problems = []
    for group in groups:
        allowed = set(re.split(r"[ ,+/:;]", group.tags.get(ALLOW, ""))) if group.vpc in members else set()
        for rule in group.rules:
            if rule.managed and not (rule.meshes and rule.meshes <= allowed):
                meshes = "+".join(sorted(rule.meshes)) or "no mesh"
                problems.append(f"{group.id} of {group.vpc} lets in {rule.text} for {meshes}, unasked")
    return problems


def wanted_routes(snapshot: Snapshot, members: Iterable[Vpc]) -> set[tuple[str, str, Vpc]]:
    """Each (route table, destination, peer) that a full mesh of these members needs."""
    views = [snapshot[vpc] for vpc in members if vpc in snapshot]
    return {
        (table.id, canonical(block), peer.vpc)
        for view in views
        for table in view.routed_tables
        for peer in views
        if peer.vpc != view.vpc
        for block in peer.blocks
    }


def standing_routes(snapshot: Snapshot, members: Iterable[Vpc]) -> set[tuple[str, str, Vpc]]:
    """Those of `wanted_routes` that are active and go to an active managed peering with the right peer."""
    members = list(members)
    standing = set()
    for vpc in members:
        view = snapshot.get(vpc)
        if view is None:
            continue
        ways = {pcx.id: _far_end(pcx, vpc) for pcx in view.peerings if pcx.status == "active" and pcx.managed}
        standing |= {
            (table.id, canonical(route.destination), ways[route.target])
            for table in view.routed_tables
            for route in table.routes
            if route.target in ways and route.state == "active"
        }
    return standing & wanted_routes(snapshot, members)


def active_peerings(snapshot: Snapshot, members: Iterable[Vpc]) -> dict[str, Peering]:
    """The managed active peerings among these members, by id, each once."""
    members = set(members)
    return {
        peering.id: peering
        for vpc in members & set(snapshot)
        for peering in snapshot[vpc].peerings
        if peering.status == "active" and peering.managed and {peering.requester, peering.accepter} <= members
    }


def canonical(destination: str) -> str:
    """A CIDR with its host bits cleared and IPv6 compressed, or the text itself (a prefix list)."""
    try:
        return str(ipaddress.ip_network(destination, strict=False))
    except ValueError:
        return destination


def _gone(snapshot: Snapshot, *vpcs: Vpc) -> Problems:
    return [f"{vpc} does not exist" for vpc in vpcs if vpc not in snapshot]


def _peering_problems(peering: Peering, side: Vpc, meshes: str | None) -> Problems:
    problems = []
    if peering.status != "active":
        problems.append(f"{_show(peering)}, seen by {side}, should be active")
    if not peering.managed:
        problems.append(f"{peering.id} lacks the managed tag on the side of {side}: {dict(peering.tags)}")
    worn = peering.tags.get(ENV)
    if worn is None or (meshes is not None and worn != meshes):
        problems.append(f"{peering.id} should wear {ENV}={meshes or 'its meshes'} at {side}, wears {worn}")
    return problems


def _unrouted(view: VpcView, peer: VpcView, peering: str) -> Problems:
    problems = [] if view.routed_tables else [f"{view.vpc} has no route table"]
    for table in view.routed_tables:
        ways = {canonical(route.destination): route for route in table.routes}
        for block in sorted(peer.blocks):
            route = ways.get(canonical(block))
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


def _far_end(peering: Peering, vpc: Vpc) -> Vpc:
    return peering.accepter if peering.requester == vpc else peering.requester


def _show(peering: Peering) -> str:
    return f"{peering.id} ({peering.status})"


def _list(peerings: Iterable[Peering]) -> str:
    return ", ".join(_show(peering) for peering in peerings) or "none"
