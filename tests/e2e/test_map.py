"""`peerd map`: every member, every peering with its routes, and every finding."""

import json
from pathlib import Path

from sandbox.client.model import ACCOUNTS, REGIONS
from tests.e2e.cli import Peerd
from tests.e2e.world import World

HUB, SECOND, THIRD = ACCOUNTS
HOME, AWAY = REGIONS
STACK_OPTIONS = ("--stack", "peerd", "--role", "sandbox-admin")


def test_a_mesh_is_drawn_with_its_vpcs_peerings_and_findings(
    world: World, peerd: Peerd, mesh: str, tmp_path: Path
) -> None:
    peerd.declare(mesh)
    one, two = world.vpc(HUB, HOME, mesh=mesh), world.vpc(SECOND, AWAY, mesh=mesh)
    twin = world.vpc(THIRD, HOME, cidr=next(iter(world.view(one).blocks)), mesh=mesh)
    world.until_connected(one, two)
    world.until_status(twin, f"refused {mesh}", "overlaps")
    world.until_idle()

    document = json.loads(peerd.ok("map", mesh, *STACK_OPTIONS, "--format", "json"))

    assert {it["vpc"] for it in document["vpcs"]} == {one.id, two.id, twin.id}
    edges = {frozenset(it["between"]): it for it in document["pairs"]}
    edge = edges[frozenset((one.id, two.id))]
    assert (edge["state"], edge["meshes"], len(edge["routes"])) == ("active", [mesh], 2)
    assert edge["peering"] == world.peering(one, two).id
    block = next(iter(world.view(two).blocks))
    assert {"vpc": one.id, "table": world.main_table(one), "cidr": block} in edge["routes"]
    explained = json.loads(
        peerd.ok("explain", edge["between"][0], edge["between"][1], *STACK_OPTIONS, "--json")
    )
    checks = [{key: it[key] for key in ("result", "text", "remedy")} for it in explained["checks"]]
    assert [it for it in checks if it in edge["checks"]] == edge["checks"]
    assert edges[frozenset((one.id, twin.id))]["state"] == "overlapping"
    assert any(it["kind"] == "overlap" and twin.id in it["subject"] for it in document["findings"])
    chart = peerd.ok("map", mesh, *STACK_OPTIONS, "--format", "mermaid")
    assert chart.startswith("flowchart LR\n") and f'subgraph area0["{HUB} {HOME}"]' in chart
    assert f'{one.id} ---|"{mesh}"| {two.id}' in chart or f'{two.id} ---|"{mesh}"| {one.id}' in chart
    graph = tmp_path / "mesh.dot"
    result = peerd.run("map", mesh, *STACK_OPTIONS, "--format", "dot", "--out", str(graph))
    assert result.code == 0 and not result.out and "3 VPCs, 3 pairs" in result.err
    assert graph.read_text().startswith("graph peerd {") and "1 finding" in graph.read_text()
    assert "<svg" in peerd.ok("map", mesh, *STACK_OPTIONS, "--format", "svg")
    assert peerd.ok("map", mesh, *STACK_OPTIONS).startswith("<!doctype html>")
    invalid = tmp_path / "wrong.json"
    invalid.write_text("{}")
    result = peerd.run("map", "--from", str(invalid))
    assert result.code == 1 and "wrong.json is not a map" in result.err and "missing field" in result.err
