//! The picture: areas, the lines of the pairs, and the VPCs above them.

use std::collections::{BTreeMap, BTreeSet};

use maud::{Markup, html};
use peerd_core::map::{Edge, Health, Node, NodeState};
use peerd_core::{Map, MeshName, tags};

use super::layout::{Area, CHIP, Layout, Point};

/// The style of the picture, light and dark.
pub const STYLE: &str = include_str!("page/picture.css");
/// The number of mesh colors; further meshes reuse them.
const COLORS: usize = 16;
/// The number of characters of a name that fit in a chip.
const NAME: usize = 18;

/// A standalone picture.
pub fn document(map: &Map) -> String {
    let picture = picture(map, Some(STYLE));
    format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{}\n", picture.into_string())
}

/// The element `svg`: standalone with a style of its own; else part of a page, whose script draws the lines of [`curves`].
pub fn picture(map: &Map, style: Option<&str>) -> Markup {
    let layout = Layout::of(map);
    let colors = colors(map);
    let (width, height) = (layout.size.width, layout.size.height);
    html! {
        svg xmlns="http://www.w3.org/2000/svg" class=(if map.changes.is_some() { "map plan" } else { "map" }) viewBox=(format!("0 0 {width} {height}")) role="group"
            aria-label=(title(map)) {
            @if let Some(style) = style { style { (maud::PreEscaped(style)) } }
            g class="areas" {
                @for account in &layout.accounts { (area(account, "account")) }
                @for region in &layout.regions { (area(region, "region")) }
            }
            g class="pairs" {
                @if style.is_some() {
                    @for (n, edge) in map.pairs.iter().enumerate() { (pair(n, edge, &layout, &colors)) }
                }
            }
            g class="vpcs" {
                @for node in &map.vpcs {
                    @if let Some(at) = layout.chips.get(&node.vpc) { (chip(node, *at, map, &colors)) }
                }
            }
        }
    }
}

/// The content of the picture in one line.
pub fn title(map: &Map) -> String {
    let meshes: Vec<String> = colors(map).into_keys().map(ToString::to_string).collect();
    let meshes = if meshes.is_empty() { "no mesh".to_owned() } else { meshes.join(", ") };
    let [vpcs, pairs, findings] =
        [(map.vpcs.len(), "VPC"), (map.pairs.len(), "pair"), (map.findings.len(), "finding")].map(count);
    match map.changes.map(|changes| count((changes, "change"))) {
        None => format!("Map of {meshes}: {vpcs}, {pairs}, {findings}"),
        Some(changes) => format!("Map of {meshes} after a plan of {changes}: {vpcs}, {pairs}, {findings}"),
    }
}

fn count((number, noun): (usize, &str)) -> String {
    if number == 1 { format!("{number} {noun}") } else { format!("{number} {noun}s") }
}

/// The color of each mesh.
fn colors(map: &Map) -> BTreeMap<&MeshName, usize> {
    let of_pairs = map.pairs.iter().flat_map(|edge| &edge.meshes);
    let meshes: BTreeSet<&MeshName> = map.vpcs.iter().flat_map(|node| &node.meshes).chain(of_pairs).collect();
    meshes.into_iter().enumerate().map(|(n, mesh)| (mesh, n % COLORS)).collect()
}

/// The CSS class with the color of the first of the meshes.
fn color(meshes: &BTreeSet<MeshName>, colors: &BTreeMap<&MeshName, usize>) -> String {
    let first = meshes.first().and_then(|mesh| colors.get(mesh)).copied().unwrap_or_default();
    format!("mesh-{first}")
}

fn area(Area { name, at, size }: &Area, class: &str) -> Markup {
    html! {
        g class=(class) {
            rect x=(at.x) y=(at.y) width=(size.width) height=(size.height) rx="10" {}
            text x=(at.x + 18) y=(at.y + 30) { (name) }
        }
    }
}

/// The line of each pair, if both VPCs are in the picture.
pub fn curves(map: &Map) -> Vec<Option<String>> {
    let layout = Layout::of(map);
    map.pairs.iter().map(|edge| curve(edge, &layout)).collect()
}

fn curve(edge: &Edge, layout: &Layout<'_>) -> Option<String> {
    let [one, other] = &edge.between;
    Some(line(*layout.chips.get(one)?, *layout.chips.get(other)?))
}

fn pair(n: usize, edge: &Edge, layout: &Layout<'_>, colors: &BTreeMap<&MeshName, usize>) -> Markup {
    let [one, other] = &edge.between;
    let Some(curve) = curve(edge, layout) else { return html! {} };
    let health = match edge.health() {
        Health::Active => "active",
        Health::Waiting => "waiting",
        Health::Broken => "broken",
    };
    let many = if edge.meshes.len() > 1 { " many" } else { "" };
    let change = edge.planned.as_ref().map_or_else(String::new, |planned| format!(" {}", planned.kind.word()));
    html! {
        path class=(format!("pair {} {health}{many}{change}", color(&edge.meshes, colors))) data-pair=(n) d=(curve) {
            title { (tags::join_meshes(&edge.meshes)) ": " (one) " – " (other) ", " (edge.state) }
        }
    }
}

/// A curve from the center of one chip to the center of another: bent, so that lines in a row do not overlap.
fn line(from: Point, to: Point) -> String {
    let middle = |at: Point| (f64::from(at.x + CHIP.width / 2), f64::from(at.y + CHIP.height / 2));
    let ((x1, y1), (x2, y2)) = (middle(from), middle(to));
    let bend = 0.12;
    let (x, y) = (f64::midpoint(x1, x2) - (y2 - y1) * bend, f64::midpoint(y1, y2) + (x2 - x1) * bend);
    format!("M{x1:.0} {y1:.0}Q{x:.0} {y:.0} {x2:.0} {y2:.0}")
}

fn chip(node: &Node, at: Point, map: &Map, colors: &BTreeMap<&MeshName, usize>) -> Markup {
    let open = map.findings_of(node.vpc.as_str()).next().is_some();
    let class = format!("vpc {} {}{}", color(&node.meshes, colors), node.state, if open { " open" } else { "" });
    let (name, id) = (node.name.as_deref().filter(|name| !name.trim().is_empty()), node.vpc.as_str());
    html! {
        g class=(class) data-vpc=(id) transform=(format!("translate({},{})", at.x, at.y)) {
            rect width=(CHIP.width) height=(CHIP.height) rx="6" {}
            text class="name" x="12" y="19" { (name.map_or_else(|| end_of(id), |name| short(name, NAME))) }
            text class="id" x="12" y="33" { (id) }
            text class="cidrs" x="12" y="48" { (cidrs(&node.cidrs)) }
            @if node.state.is_apart() { (state(node.state)) }
            @if open {
                g class="badge" {
                    circle cx=(CHIP.width) cy="0" r="9" {}
                    text x=(CHIP.width) y="4" { "!" }
                }
            }
        }
    }
}

/// The state of a VPC that a mesh does not connect, on the lower edge of its chip.
fn state(state: NodeState) -> Markup {
    let word = state.to_string();
    let wide = 7 * word.len() + 12;
    let right = usize::try_from(CHIP.width).unwrap_or_default() - 8;
    html! {
        g class="state" {
            rect x=(right - wide) y=(CHIP.height - 7) width=(wide) height="16" rx="8" {}
            text x=(right - wide / 2) y=(CHIP.height + 5) { (word) }
        }
    }
}

/// The end of an id, for a VPC without a name.
fn end_of(id: &str) -> String {
    let skip = id.chars().count().saturating_sub(8);
    ['…'].into_iter().chain(id.chars().skip(skip)).collect()
}

fn short(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => text.to_owned(),
        Some(_) => text.chars().take(most - 1).chain(['…']).collect(),
    }
}

fn cidrs(cidrs: &[String]) -> String {
    match cidrs {
        [] => String::new(),
        [one] => one.clone(),
        [first, rest @ ..] => format!("{first} +{}", rest.len()),
    }
}

#[cfg(test)]
mod tests {
    use peerd_core::planned_map::{ChangeKind, PlannedChange};

    use super::super::tests::map_of;
    use super::*;

    #[test]
    fn an_svg_has_a_chip_for_every_vpc_and_a_line_for_every_pair() {
        let svg = document(&map_of(10));
        assert!(svg.starts_with("<?xml"), "{svg}");
        assert_eq!((svg.matches("data-vpc=").count(), svg.matches("data-pair=").count()), (10, 9));
        assert!(svg.contains("pair mesh-0 active") && svg.contains("pair mesh-0 broken"));
        assert!(svg.contains("Map of prod: 10 VPCs, 9 pairs, 1 finding"), "{svg}");
        assert_eq!(svg.matches("class=\"badge\"").count(), 1);
    }

    #[test]
    fn the_map_of_a_plan_marks_the_pairs_that_it_changes() {
        let mut map = map_of(3);
        map.changes = Some(1);
        map.pairs[0].planned = Some(PlannedChange { kind: ChangeKind::Create, steps: vec!["+ peering".to_owned()] });
        let svg = document(&map);
        assert!(svg.contains("class=\"map plan\"") && svg.contains("pair mesh-0 active create\""), "{svg}");
        assert!(svg.contains("pair mesh-0 broken\""), "{svg}");
        assert!(svg.contains("Map of prod after a plan of 1 change: 3 VPCs, 2 pairs, 1 finding"), "{svg}");
    }

    #[test]
    fn a_vpc_that_a_mesh_refuses_is_marked() {
        let mut map = map_of(2);
        let mut node = map.vpcs.pop_first().unwrap();
        node.state = NodeState::Refused;
        map.vpcs.insert(node);
        let svg = document(&map);
        assert!(svg.contains("class=\"vpc mesh-0 refused open\"") && svg.contains(">refused</text>"), "{svg}");
        assert_eq!(svg.matches("class=\"state\"").count(), 1);
    }

    #[test]
    fn a_vpc_name_with_markup_is_escaped() {
        let mut map = map_of(1);
        let mut node = map.vpcs.pop_first().unwrap();
        node.name = Some("<script>\"&".to_owned());
        map.vpcs.insert(node);
        let svg = document(&map);
        assert!(svg.contains("&lt;script&gt;&quot;&amp;") && !svg.contains("<script"), "{svg}");
    }

    #[test]
    fn a_long_name_is_truncated() {
        assert_eq!(short("short", 20), "short");
        assert_eq!(short("äöü-0123456789-0123456789", 6), "äöü-0…");
    }
}
