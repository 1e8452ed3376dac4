"""`peerd map`: every member, every peering with its routes, and what is open."""

import json
from pathlib import Path

from sandbox.client.model import ACCOUNTS, REGIONS
from tests.e2e.cli import Peerd
from tests.e2e.world import World

HUB, SECOND, THIRD = ACCOUNTS
HOME, AWAY = REGIONS
HERE = ("--stack", "peerd", "--role", "sandbox-admin")


def test_a_mesh_is_drawn_with_its_vpcs_peerings_and_findings(
    world: World, peerd: Peerd, mesh: str, tmp_path: Path
) -> None:
    peerd.declare(mesh)
    one, two = world.vpc(HUB, HOME, mesh=mesh), world.vpc(SECOND, AWAY, mesh=mesh)
    twin = world.vpc(THIRD, HOME, cidr=next(iter(world.look(one).blocks)), mesh=mesh)
    world.until_connected(one, two)
    world.until_status(twin, f"refused {mesh}", "overlaps")
    world.quiet()

    seen = json.loads(peerd.ok("map", mesh, *HERE, "--format", "json"))

    assert {it["vpc"] for it in seen["vpcs"]} == {one.id, two.id, twin.id}
    edges = {frozenset(it["between"]): it for it in seen["pairs"]}
    edge = edges[frozenset((one.id, two.id))]
    assert (edge["state"], edge["meshes"], len(edge["routes"])) == ("active", [mesh], 2)
    assert edge["peering"] == world.peering(one, two).id
    block = next(iter(world.look(two).blocks))
    assert {"vpc": one.id, "table": world.main_table(one), "block": block} in edge["routes"]
    explained = json.loads(peerd.ok("explain", edge["between"][0], edge["between"][1], *HERE, "--json"))
    assert [it for it in explained["checks"] if it in edge["checks"]] == edge["checks"]
    assert edges[frozenset((one.id, twin.id))]["state"] == "overlapping"
    assert any(it["kind"] == "overlap" and twin.id in it["subject"] for it in seen["findings"])
    chart = peerd.ok("map", mesh, *HERE, "--format", "mermaid")
    assert chart.startswith("flowchart LR\n") and f'subgraph area0["{HUB} {HOME}"]' in chart
    assert f'{one.id} ---|"{mesh}"| {two.id}' in chart or f'{two.id} ---|"{mesh}"| {one.id}' in chart
    graph = tmp_path / "mesh.dot"
    said = peerd.run("map", mesh, *HERE, "--format", "dot", "--out", str(graph))
    assert said.code == 0 and not said.out and "3 VPCs, 3 pairs" in said.err
    assert graph.read_text().startswith("graph peerd {") and "1 findings" in graph.read_text()
    assert "<svg" in peerd.ok("map", mesh, *HERE, "--format", "svg")
    assert peerd.ok("map", mesh, *HERE).startswith("<!doctype html>")
    wrong = tmp_path / "wrong.json"
    wrong.write_text("{}")
    said = peerd.run("map", "--from", str(wrong))
    assert said.code == 1 and "wrong.json is no map" in said.err and "missing field" in said.err
