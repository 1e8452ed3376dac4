//! Maps for Graphviz and Mermaid: a box for each account and Region with its VPCs, and a line for each pair.

use std::collections::BTreeMap;

use peerd_core::map::{Edge, Health, Node};
use peerd_core::plural::counted;
use peerd_core::{Map, tags};

/// The VPCs by account and Region.
fn areas(map: &Map) -> BTreeMap<String, Vec<&Node>> {
    let mut areas: BTreeMap<String, Vec<&Node>> = BTreeMap::new();
    for node in &map.vpcs {
        areas.entry(format!("{} {}", node.account, node.region)).or_default().push(node);
    }
    areas
}

/// The text in a VPC's box: its name and id, its CIDR blocks, and the number of its open findings.
fn lines(node: &Node, map: &Map) -> Vec<String> {
    let open = map.findings_of(node.vpc.as_str()).count();
    let name = node.name.iter().map(|name| plain(name));
    let id = std::iter::once(node.vpc.to_string());
    let findings = (open > 0).then(|| counted(open, "finding"));
    name.chain(id).chain(node.cidrs.iter().cloned()).chain(findings).collect()
}

/// A name without the characters that have a meaning in these languages: the name of a VPC can be any text.
fn plain(name: &str) -> String {
    name.chars().map(|c| if c.is_alphanumeric() || " .-_/".contains(c) { c } else { '_' }).collect()
}

/// <https://mermaid.js.org/syntax/flowchart.html>
pub fn mermaid(map: &Map) -> String {
    let mut text = "flowchart LR\n".to_owned();
    for (n, (area, nodes)) in areas(map).into_iter().enumerate() {
        text += &format!("  subgraph area{n}[\"{area}\"]\n");
        for node in nodes {
            text += &format!("    {}[\"{}\"]\n", node.vpc, lines(node, map).join("<br/>"));
        }
        text += "  end\n";
    }
    for edge in &map.pairs {
        let line = if edge.health() == Health::Active { "---" } else { "-.-" };
        let [one, other] = &edge.between;
        text += &format!("  {one} {line}|\"{}\"| {other}\n", label(edge));
    }
    text
}

/// <https://graphviz.org/doc/info/lang.html>
pub fn dot(map: &Map) -> String {
    let mut text = "graph peerd {\n  rankdir=LR;\n  node [shape=box];\n".to_owned();
    for (n, (area, nodes)) in areas(map).into_iter().enumerate() {
        text += &format!("  subgraph cluster{n} {{\n    label=\"{area}\";\n");
        for node in nodes {
            text += &format!("    \"{}\" [label=\"{}\"];\n", node.vpc, lines(node, map).join("\\n"));
        }
        text += "  }\n";
    }
    for edge in &map.pairs {
        let style = if edge.health() == Health::Active { "solid" } else { "dashed" };
        let [one, other] = &edge.between;
        text += &format!("  \"{one}\" -- \"{other}\" [label=\"{}\", style={style}];\n", label(edge));
    }
    text + "}\n"
}

fn label(edge: &Edge) -> String {
    let meshes = tags::join_meshes(&edge.meshes);
    match (&edge.planned, edge.state.as_str()) {
        (Some(planned), _) => format!("{meshes}: {}", planned.kind.word()),
        (None, "active") => meshes,
        (None, state) => format!("{meshes}: {state}"),
    }
}

#[cfg(test)]
mod tests {
    use peerd_core::map::NodeState;

    use super::*;

    fn map() -> Map {
        let node = |vpc: &str, name: Option<&str>| Node {
            account: "111111111111".parse().unwrap(),
            region: "us-east-1".parse().unwrap(),
            vpc: vpc.parse().unwrap(),
            name: name.map(str::to_owned),
            cidrs: vec!["10.1.0.0/16".to_owned()],
            meshes: ["prod".parse().unwrap()].into(),
            status: None,
            state: NodeState::NoStatus,
            planned: None,
        };
        let edge = |id: &str, state: &str| Edge {
            peering: Some(id.parse().unwrap()),
            between: ["vpc-a", "vpc-b"].map(|id| id.parse().unwrap()),
            state: state.to_owned(),
            meshes: ["prod".parse().unwrap()].into(),
            routes: [].into(),
            checks: Vec::new(),
            planned: None,
        };
        let vpcs = [node("vpc-a", Some("web \"1\"]")), node("vpc-b", None)].into();
        Map {
            vpcs,
            pairs: [edge("pcx-1", "active"), edge("pcx-2", "provisioning")].into(),
            findings: [].into(),
            changes: None,
        }
    }

    #[test]
    fn a_mermaid_chart_groups_vpcs_and_draws_inactive_pairs_with_dotted_lines() {
        assert_eq!(
            mermaid(&map()),
            "flowchart LR\n  subgraph area0[\"111111111111 us-east-1\"]\n    vpc-a[\"web _1__<br/>vpc-a<br/>10.1.0.0/16\"]\n    \
             vpc-b[\"vpc-b<br/>10.1.0.0/16\"]\n  end\n  vpc-a ---|\"prod\"| vpc-b\n  vpc-a -.-|\"prod: provisioning\"| vpc-b\n"
        );
    }

    #[test]
    fn a_dot_graph_groups_vpcs_and_draws_inactive_pairs_with_dashed_lines() {
        assert_eq!(
            dot(&map()),
            "graph peerd {\n  rankdir=LR;\n  node [shape=box];\n  subgraph cluster0 {\n    label=\"111111111111 us-east-1\";\n    \
             \"vpc-a\" [label=\"web _1__\\nvpc-a\\n10.1.0.0/16\"];\n    \"vpc-b\" [label=\"vpc-b\\n10.1.0.0/16\"];\n  }\n  \
             \"vpc-a\" -- \"vpc-b\" [label=\"prod\", style=solid];\n  \"vpc-a\" -- \"vpc-b\" [label=\"prod: provisioning\", style=dashed];\n}\n"
        );
    }
}
