//! The layout of the picture: chips in Regions, Regions in accounts, accounts side by side.

use std::collections::BTreeMap;

use peerd_core::map::Node;
use peerd_core::{AccountId, Map, Region, VpcId};

/// The box of a VPC.
pub const CHIP: Size = Size { width: 176, height: 56 };
/// Between the chips of a Region, for the lines.
const CHIP_GAP: u32 = 32;
/// Between areas.
const AREA_GAP: u32 = 24;
/// Around the content of an area.
const MARGIN: u32 = 18;
/// For the title of an area.
const TITLE: u32 = 30;

/// Width and height, in the units of the picture.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Size {
    /// From left to right.
    pub width: u32,
    /// From top to bottom.
    pub height: u32,
}

/// A position, from the left and from the top.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Point {
    /// From the left.
    pub x: u32,
    /// From the top.
    pub y: u32,
}

impl Point {
    fn within(self, outer: Self) -> Self {
        Self { x: self.x + outer.x, y: self.y + outer.y }
    }
}

/// An account or a Region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Area {
    /// Its name.
    pub name: String,
    /// Its upper left corner.
    pub at: Point,
    /// How large it is.
    pub size: Size,
}

/// The positions of all areas and chips.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Layout<'a> {
    /// How large the picture is.
    pub size: Size,
    /// The accounts.
    pub accounts: Vec<Area>,
    /// The Regions in them.
    pub regions: Vec<Area>,
    /// The upper left corner of each VPC.
    pub chips: BTreeMap<&'a VpcId, Point>,
}

/// The content of an area, relative to its upper left corner.
struct Inside<'a> {
    size: Size,
    regions: Vec<Area>,
    chips: Vec<(&'a VpcId, Point)>,
}

impl<'a> Layout<'a> {
    /// Computes the layout of a map.
    pub fn of(map: &'a Map) -> Self {
        let mut by_account: BTreeMap<&AccountId, BTreeMap<&Region, Vec<&'a Node>>> = BTreeMap::new();
        for node in &map.vpcs {
            by_account.entry(&node.account).or_default().entry(&node.region).or_default().push(node);
        }
        let insides: Vec<Inside<'a>> = by_account.values().map(account).collect();
        let (places, size) = flow(insides.iter().map(|inside| inside.size).collect(), AREA_GAP);
        let mut layout = Self { size: with_margin(size), ..Self::default() };
        for ((name, inside), place) in by_account.keys().zip(insides).zip(places) {
            let at = place.within(Point { x: MARGIN, y: MARGIN });
            layout.accounts.push(Area { name: name.to_string(), at, size: inside.size });
            layout.regions.extend(inside.regions.into_iter().map(|area| Area { at: area.at.within(at), ..area }));
            layout.chips.extend(inside.chips.into_iter().map(|(vpc, point)| (vpc, point.within(at))));
        }
        layout
    }
}

/// The Regions of an account.
fn account<'a>(regions: &BTreeMap<&Region, Vec<&'a Node>>) -> Inside<'a> {
    let insides: Vec<Inside<'a>> = regions.values().map(|nodes| region(nodes)).collect();
    let (places, size) = flow(insides.iter().map(|inside| inside.size).collect(), AREA_GAP);
    let mut all = Inside { size: with_title(size), regions: Vec::new(), chips: Vec::new() };
    for ((name, inside), place) in regions.keys().zip(insides).zip(places) {
        let at = place.within(CONTENT);
        all.regions.push(Area { name: name.to_string(), at, size: inside.size });
        all.chips.extend(inside.chips.into_iter().map(|(vpc, point)| (vpc, point.within(at))));
    }
    all
}

/// The VPCs of a Region.
fn region<'a>(nodes: &[&'a Node]) -> Inside<'a> {
    let (places, size) = flow(vec![CHIP; nodes.len()], CHIP_GAP);
    let chips = nodes.iter().zip(places).map(|(node, place)| (&node.vpc, place.within(CONTENT))).collect();
    Inside { size: with_title(size), regions: Vec::new(), chips }
}

/// The upper left corner of the content of an area.
const CONTENT: Point = Point { x: MARGIN, y: MARGIN + TITLE };

fn with_margin(Size { width, height }: Size) -> Size {
    Size { width: width + 2 * MARGIN, height: height + 2 * MARGIN }
}

fn with_title(size: Size) -> Size {
    let Size { width, height } = with_margin(size);
    Size { width, height: height + TITLE }
}

/// Puts boxes into rows, from left to right, so that they are as large as possible in a frame 16 wide and 10 high.
fn flow(sizes: Vec<Size>, spacing: u32) -> (Vec<Point>, Size) {
    let mut limit = sizes.iter().map(|size| size.width).max().unwrap_or_default();
    let room = |all: Size| (all.width * 10).max(all.height * 16);
    let mut best = rows(&sizes, spacing, limit);
    let mut last = best.clone();
    while last.0.iter().any(|place| place.y > 0) {
        limit += limit / 8 + 1;
        last = rows(&sizes, spacing, limit);
        if room(last.1) < room(best.1) {
            best = last.clone();
        }
    }
    best
}

/// Puts boxes into rows that are no wider than the limit.
fn rows(sizes: &[Size], spacing: u32, limit: u32) -> (Vec<Point>, Size) {
    let (mut next, mut row, mut all) = (Point::default(), 0, Size::default());
    let mut place = |size: &Size| {
        if next.x > 0 && next.x + size.width > limit {
            next = Point { x: 0, y: next.y + row + spacing };
            row = 0;
        }
        let at = next;
        row = row.max(size.height);
        next.x += size.width + spacing;
        all = Size { width: all.width.max(at.x + size.width), height: all.height.max(at.y + size.height) };
        at
    };
    let places = sizes.iter().map(&mut place).collect();
    (places, all)
}

#[cfg(test)]
mod tests {
    use super::super::tests::map_of;
    use super::*;

    fn apart(one: (Point, Size), other: (Point, Size)) -> bool {
        let beside = |a: (Point, Size), b: (Point, Size)| a.0.x + a.1.width <= b.0.x || a.0.y + a.1.height <= b.0.y;
        beside(one, other) || beside(other, one)
    }

    fn contains(outer: (Point, Size), inner: (Point, Size)) -> bool {
        let (ends, end) = (|(at, size): (Point, Size)| (at.x + size.width, at.y + size.height), inner.0);
        outer.0.x <= end.x && outer.0.y <= end.y && ends(inner).0 <= ends(outer).0 && ends(inner).1 <= ends(outer).1
    }

    #[test]
    fn no_shapes_overlap_and_each_is_inside_its_parent_for_up_to_500_vpcs() {
        for vpcs in [1, 10, 500] {
            let map = map_of(vpcs);
            let layout = Layout::of(&map);
            let chips: Vec<(Point, Size)> = layout.chips.values().map(|at| (*at, CHIP)).collect();
            let regions: Vec<(Point, Size)> = layout.regions.iter().map(|area| (area.at, area.size)).collect();
            let accounts: Vec<(Point, Size)> = layout.accounts.iter().map(|area| (area.at, area.size)).collect();
            assert_eq!(chips.len(), vpcs);
            for level in [&chips, &regions, &accounts] {
                for (n, one) in level.iter().enumerate() {
                    assert!(level[n + 1..].iter().all(|other| apart(*one, *other)), "{vpcs} VPCs: {one:?}");
                }
            }
            let whole = [(Point::default(), layout.size)];
            for (inner, outer) in [(&chips, &regions[..]), (&regions, &accounts), (&accounts, &whole)] {
                let inside = |it: &(Point, Size)| outer.iter().filter(|area| contains(**area, *it)).count();
                assert!(inner.iter().all(|it| inside(it) == 1), "{vpcs} VPCs");
            }
        }
    }

    #[test]
    fn a_map_of_many_vpcs_is_less_than_three_times_as_wide_as_high() {
        let map = map_of(500);
        let Size { width, height } = Layout::of(&map).size;
        assert!(height < width && width < 3 * height, "{width} x {height}");
    }
}
