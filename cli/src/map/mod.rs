//! `peerd map`: the meshes as a picture.

mod draw;
mod layout;
mod pack;
mod page;
mod svg;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use peerd_core::{Map, MeshName};
use peerd_engine::observe;
use serde::Deserialize;

use crate::input;
use crate::plan::{Backend, SavedPlan, Source};
use crate::shell::Shell;

/// The arguments of `peerd map`.
#[derive(Args)]
pub struct Arguments {
    /// Meshes to draw [default: all]
    meshes: Vec<MeshName>,
    #[command(flatten)]
    source: Source,
    /// Draw a saved plan (`peerd plan --out`) with its changes, or the output of `peerd map --format json`, instead of reading AWS
    #[arg(long, value_name = "FILE", conflicts_with_all = ["meshes", "file", "role"])]
    from: Option<PathBuf>,
    /// Format [default: by the file's extension, or html]
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// File to write
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Languages of pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A web page that needs no network
    Html,
    /// An image
    Svg,
    /// For Graphviz
    Dot,
    /// For GitHub, GitLab and mermaid.live
    Mermaid,
    /// VPCs, pairs with routes and checks, findings
    Json,
}

impl Format {
    /// The format for the extension of a file name.
    fn of(out: &Path) -> Option<Self> {
        let ending = out.extension()?.to_str()?;
        Some(match ending {
            "html" | "htm" => Self::Html,
            "svg" => Self::Svg,
            "dot" | "gv" => Self::Dot,
            "mmd" | "mermaid" => Self::Mermaid,
            "json" => Self::Json,
            _ => return None,
        })
    }

    fn draw(self, map: &Map) -> Result<String> {
        Ok(match self {
            Self::Html => page::page(map)?,
            Self::Svg => svg::document(map),
            Self::Dot => draw::dot(map),
            Self::Mermaid => draw::mermaid(map),
            Self::Json => serde_json::to_string_pretty(map)? + "\n",
        })
    }
}

/// `peerd map`.
pub async fn run(arguments: Arguments, shell: &Shell<'_>) -> Result<String> {
    let Arguments { meshes, source, from, format, out } = arguments;
    let asked = if shell.json { Some(Format::Json) } else { format.or_else(|| out.as_deref().and_then(Format::of)) };
    let map = match from {
        Some(file) => read(&file)?,
        None => observe(meshes, source, shell).await?,
    };
    let text = asked.unwrap_or(Format::Html).draw(&map)?;
    let Some(out) = out else { return Ok(text) };
    std::fs::write(&out, text).with_context(|| format!("{} not written", out.display()))?;
    shell.say(&format!("{}: {}", out.display(), svg::title(&map)));
    Ok(String::new())
}

fn read(file: &Path) -> Result<Map> {
    /// What only a saved plan has.
    #[derive(Deserialize)]
    struct Probe {
        version: Option<u8>,
    }
    let text = input::read(file)?;
    let name = input::name(file);
    match serde_json::from_str(&text) {
        Ok(Probe { version: Some(_) }) => {
            SavedPlan::read(&text).and_then(SavedPlan::into_map).with_context(|| name.into_owned())
        }
        _ => serde_json::from_str(&text).with_context(|| {
            format!(
                "{name} is not a map: expected a plan that `peerd plan --out` saved, or the output of `peerd map --format json`"
            )
        }),
    }
}

async fn observe(meshes: Vec<MeshName>, source: Source, shell: &Shell<'_>) -> Result<Map> {
    let site = Backend::open(source, shell).await?;
    let observer = site.observer();
    let scopes = observer.scopes().await?;
    let mut map = Map::default();
    let meshes = crate::plan::chosen(&observer, (!meshes.is_empty()).then_some(meshes)).await?;
    shell.terminal.stage("reading meshes", meshes.len());
    let observation = observer.observe_all(&observe::meshes(&meshes), &scopes).await?;
    for mesh in &meshes {
        map.add(&observation.desired(mesh, observer.settings), &observation.observed, site.operator());
        shell.terminal.step();
    }
    Ok(map)
}

#[cfg(test)]
mod tests {
    use peerd_core::map::{Edge, Node, NodeState};
    use peerd_core::{Check, CheckResult, Finding, Rendered};

    use super::*;

    /// A map of one mesh: a chain of VPCs in four accounts and two Regions, whose last pair is broken.
    pub(super) fn map_of(vpcs: usize) -> Map {
        let node = |n: usize| Node {
            account: format!("{:012}", 111_111_111_111 + n % 4).parse().unwrap(),
            region: ["us-east-1", "eu-west-1"][n % 3 / 2].parse().unwrap(),
            vpc: format!("vpc-{n:017x}").parse().unwrap(),
            name: n.is_multiple_of(2).then(|| format!("web {n}")),
            cidrs: vec![format!("10.{}.{}.0/24", n / 256, n % 256)],
            meshes: ["prod".parse().unwrap()].into(),
            status: None,
            state: NodeState::NoStatus,
            planned: None,
        };
        let nodes: Vec<Node> = (0..vpcs).map(node).collect();
        let mut pairs: Vec<Edge> = nodes.windows(2).map(edge).collect();
        if let Some(last) = pairs.last_mut() {
            let (text, remedy) = ("there is no route".to_owned(), Some("wait".to_owned()));
            last.checks.push(Check { result: CheckResult::Fail, text, remedy });
        }
        let finding = |node: &Node| {
            let (resource, key, word) = (node.vpc.to_string(), "peerd:cidrs".to_owned(), "any".to_owned());
            let expected = peerd_core::Expected::OwnCidrs;
            Rendered::new(&Finding::InvalidTag { resource, key, word, expected }, &peerd_core::Operator::default())
        };
        let findings = nodes.first().map(finding).into_iter().collect();
        Map { vpcs: nodes.into_iter().collect(), pairs, findings, changes: None }
    }

    fn edge(ends: &[Node]) -> Edge {
        Edge {
            between: [&ends[0], &ends[1]].map(|node| node.vpc.clone()),
            peering: Some(format!("pcx-{}", &ends[0].vpc.as_str()[4..]).parse().unwrap()),
            state: "active".to_owned(),
            meshes: ends[0].meshes.clone(),
            routes: [].into(),
            checks: Vec::new(),
            planned: None,
        }
    }

    #[test]
    fn the_file_extension_determines_the_format() {
        assert_eq!(Format::of(Path::new("map.html")), Some(Format::Html));
        assert_eq!(Format::of(Path::new("a/b.svg")), Some(Format::Svg));
        assert_eq!(Format::of(Path::new("map")), None);
    }

    #[test]
    fn a_map_round_trips_through_json() {
        let map = map_of(10);
        let text = Format::Json.draw(&map).unwrap();
        assert_eq!(serde_json::from_str::<Map>(&text).unwrap(), map);
    }
}
