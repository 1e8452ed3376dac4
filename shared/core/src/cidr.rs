//! Sets of CIDR blocks, IPv4 and IPv6 together, in canonical form.
//!
//! AWS clears host bits, and refuses a peering if *any* CIDR block of one VPC contains, or is contained in, any CIDR
//! block of the other (<https://docs.aws.amazon.com/vpc/latest/peering/vpc-peering-basics.html>). A check for equality
//! is not enough.

use std::collections::BTreeSet;
use std::fmt;

pub use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// Text that is not a CIDR block.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a CIDR block such as 10.0.0.0/16 or 2600:1f18::/56")]
pub struct CidrError {
    /// The text.
    pub text: String,
}

/// Parses one CIDR block and clears its host bits, as AWS does.
///
/// # Errors
/// When the text is not an address with a prefix length.
pub fn parse(text: &str) -> Result<IpNet, CidrError> {
    text.trim().parse::<IpNet>().map(|cidr| cidr.trunc()).map_err(|_| CidrError { text: text.to_owned() })
}

/// Two CIDR blocks share addresses exactly when one contains the other.
pub fn overlap(a: &IpNet, b: &IpNet) -> bool {
    a.contains(b) || b.contains(a)
}

/// CIDR blocks without host bits, sorted, none inside another; IPv4 sorts before IPv6.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "BTreeSet<IpNet>")]
pub struct CidrSet(BTreeSet<IpNet>);

impl CidrSet {
    /// Adds a CIDR block. If the set covers it already, nothing changes; CIDR blocks that it covers are removed.
    pub fn insert(&mut self, cidr: IpNet) {
        let cidr = cidr.trunc();
        if !self.0.iter().any(|known| known.contains(&cidr)) {
            self.0.retain(|known| !cidr.contains(known));
            self.0.insert(cidr);
        }
    }

    /// The CIDR blocks in order.
    pub fn iter(&self) -> impl Iterator<Item = &IpNet> {
        self.0.iter()
    }

    /// Whether exactly this CIDR block is in the set (not merely covered by another one).
    pub fn has(&self, cidr: &IpNet) -> bool {
        self.0.contains(cidr)
    }

    /// Whether the set is empty.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a CIDR block of the set contains this one.
    pub fn covers(&self, cidr: &IpNet) -> bool {
        self.0.iter().any(|known| known.contains(cidr))
    }

    /// Whether all addresses of a CIDR block are in the set, in one of its CIDR blocks or in several.
    pub fn spans(&self, cidr: &IpNet) -> bool {
        rest_of(cidr, self).is_empty()
    }

    /// The addresses of this set that are not in the other, in as few CIDR blocks as possible.
    pub fn without(&self, other: &Self) -> Self {
        self.0.iter().flat_map(|cidr| rest_of(cidr, other)).collect()
    }

    /// The same addresses and no others, in as few CIDR blocks as possible.
    pub fn aggregated(&self) -> Self {
        Self(IpNet::aggregate(&self.0.iter().copied().collect()).into_iter().collect())
    }

    /// The first CIDR block of this set that overlaps one of the other, with that one.
    pub fn first_overlap(&self, other: &Self) -> Option<(IpNet, IpNet)> {
        self.0
            .iter()
            .find_map(|mine| other.0.iter().find(|theirs| overlap(mine, theirs)).map(|theirs| (*mine, *theirs)))
    }
}

/// The free parts of a CIDR block: halves it until each part is either free or taken as a whole.
fn rest_of(cidr: &IpNet, taken: &CidrSet) -> Vec<IpNet> {
    if taken.covers(cidr) {
        return Vec::new();
    }
    if !taken.0.iter().any(|taken| overlap(taken, cidr)) {
        return vec![*cidr];
    }
    let halves = cidr.subnets(cidr.prefix_len() + 1).into_iter().flatten();
    halves.flat_map(|half| rest_of(&half, taken)).collect()
}

impl FromIterator<IpNet> for CidrSet {
    fn from_iter<I: IntoIterator<Item = IpNet>>(cidrs: I) -> Self {
        let mut set = Self::default();
        for cidr in cidrs {
            set.insert(cidr);
        }
        set
    }
}

impl TryFrom<Vec<String>> for CidrSet {
    type Error = CidrError;

    fn try_from(cidrs: Vec<String>) -> Result<Self, CidrError> {
        cidrs.iter().map(|cidr| parse(cidr)).collect()
    }
}

impl From<CidrSet> for BTreeSet<IpNet> {
    fn from(set: CidrSet) -> Self {
        set.0
    }
}

impl fmt::Display for CidrSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cidrs: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.pad(&cidrs.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn set(text: &str) -> CidrSet {
        text.split_whitespace().map(|cidr| parse(cidr).unwrap()).collect()
    }

    #[test]
    fn host_bits_are_cleared_and_covered_cidrs_are_dropped() {
        assert_eq!(set("10.1.2.3/16 10.1.128.0/17 2600:1f18::1/56").to_string(), "10.1.0.0/16 2600:1f18::/56");
        assert_eq!(set("10.1.128.0/17 10.1.0.0/16"), set("10.1.0.0/16"));
    }

    #[test]
    fn cidrs_overlap_if_one_contains_the_other_within_one_address_family() {
        assert_eq!(
            set("10.0.0.0/16 10.9.0.0/16").first_overlap(&set("10.9.128.0/17")),
            Some((parse("10.9.0.0/16").unwrap(), parse("10.9.128.0/17").unwrap()))
        );
        assert!(set("10.9.128.0/17").first_overlap(&set("10.9.0.0/16")).is_some());
        assert_eq!(set("0.0.0.0/0").first_overlap(&set("::/0")), None);
        assert_eq!(set("10.0.0.0/16").first_overlap(&set("10.1.0.0/16")), None);
    }

    #[test]
    fn subtracting_a_cidr_leaves_the_cidrs_around_it() {
        let without = |cidrs, taken| set(cidrs).without(&set(taken)).to_string();
        assert_eq!(without("10.0.0.0/8", "10.64.0.0/10"), "10.0.0.0/10 10.128.0.0/9");
        assert_eq!(without("10.1.0.0/16 100.64.1.0/24", "100.64.0.0/10"), "10.1.0.0/16");
        assert_eq!(without("10.1.0.0/31", "10.1.0.1/32"), "10.1.0.0/32");
        assert_eq!(without("2600:1f18::/56", "10.0.0.0/8"), "2600:1f18::/56");
        assert_eq!(without("10.1.0.0/16", "10.1.0.0/16"), "");
        assert!(set("10.1.0.0/17 10.1.128.0/17").spans(&parse("10.1.0.0/16").unwrap()));
        assert!(!set("10.1.0.0/17 10.1.192.0/18").spans(&parse("10.1.0.0/16").unwrap()));
        assert!(set("10.0.0.0/8").covers(&parse("10.1.0.0/16").unwrap()) && set("").is_empty());
    }

    #[test]
    fn adjacent_cidrs_are_aggregated_if_that_adds_no_address() {
        let aggregated = |cidrs| set(cidrs).aggregated().to_string();
        assert_eq!(aggregated("10.0.0.0/16 10.1.0.0/16 10.2.0.0/16"), "10.0.0.0/15 10.2.0.0/16");
        assert_eq!(aggregated("10.1.0.0/16 10.2.0.0/16"), "10.1.0.0/16 10.2.0.0/16");
        assert_eq!(aggregated("2600:1f18::/57 2600:1f18:0:80::/57 10.0.0.0/16"), "10.0.0.0/16 2600:1f18::/56");
    }

    #[test]
    fn parse_rejects_an_invalid_cidr_and_names_it() {
        assert_eq!(parse("10.0.0.0/33").unwrap_err().text, "10.0.0.0/33");
        assert!(parse("").is_err());
    }

    proptest! {
        /// The oracle compares first and last addresses, which the set does not use.
        #[test]
        fn overlap_agrees_with_comparing_address_ranges(a in any::<u32>(), m in 0u8..=32, b in any::<u32>(), n in 0u8..=32) {
            let range = |address: u32, length: u8| {
                let size = 1u64 << (32 - length);
                let first = u64::from(address) / size * size;
                (first, first + size - 1)
            };
            let cidr = |address: u32, length: u8| parse(&format!("{}/{length}", std::net::Ipv4Addr::from(address))).unwrap();
            let ((first_a, last_a), (first_b, last_b)) = (range(a, m), range(b, n));
            prop_assert_eq!(overlap(&cidr(a, m), &cidr(b, n)), first_a <= last_b && first_b <= last_a);
        }

        #[test]
        fn aggregated_cidrs_cover_the_same_addresses(cidrs in proptest::collection::vec((0u8..16, 20u8..=28), 0..12)) {
            let nets: CidrSet = cidrs.iter().map(|(a, n)| parse(&format!("10.0.{a}.0/{n}")).unwrap()).collect();
            let aggregated = nets.aggregated();
            prop_assert!(nets.without(&aggregated).is_empty() && aggregated.without(&nets).is_empty());
            prop_assert!(aggregated.iter().count() <= nets.iter().count());
        }

        #[test]
        fn insertion_order_does_not_matter(cidrs in proptest::collection::vec((any::<u16>(), 8u8..=28), 0..12)) {
            let nets: Vec<IpNet> = cidrs.iter().map(|(a, n)| parse(&format!("10.{}.{}.0/{n}", a >> 8, a & 255)).unwrap()).collect();
            let forward: CidrSet = nets.iter().copied().collect();
            let backward: CidrSet = nets.iter().rev().copied().collect();
            prop_assert_eq!(&forward, &backward);
            prop_assert!(forward.iter().all(|x| forward.iter().all(|y| x == y || !overlap(x, y))));
        }
    }
}
