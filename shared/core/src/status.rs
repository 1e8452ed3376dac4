//! The value of the tag `peerd:status`: per mesh one or more entries that start with joined, waiting or refused.
//!
//! A run of one mesh rewrites that mesh's entries and keeps those of the VPC's other meshes, so that the runs of two meshes
//! do not overwrite each other.

use std::collections::BTreeSet;
use std::fmt;

use crate::admission::Denial;
use crate::cidr::IpNet;
use crate::finding::Finding;
use crate::ids::{PeeringId, PrefixListId, RouteTableId, Scope, VpcId};
use crate::observed::{PeeringStatus, RouteTarget};
use crate::plural::counted;
use crate::printable::is_printable;
use crate::tags::MAX_MESHES;
use crate::tags::MAX_VALUE_LEN;

/// Between entries. An entry never contains it.
const SEPARATOR: &str = ". ";

/// The first word of an entry, in the order in which the entries of one mesh are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum StatusState {
    /// In progress; a later run writes the result.
    Waiting,
    /// Connected with every other member, except those that a following entry names.
    Joined,
    /// Not connected, until an operator or the owner of the VPC acts.
    Refused,
    /// The tag has no room for more entries.
    More,
}

impl StatusState {
    const ALL: [Self; 4] = [Self::Waiting, Self::Joined, Self::Refused, Self::More];
}

impl fmt::Display for StatusState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Waiting => "waiting",
            Self::Joined => "joined",
            Self::Refused => "refused",
            Self::More => "more",
        })
    }
}

/// Why a VPC is not connected, with a peer or with a whole mesh. [`fmt::Display`] words it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, strum::EnumDiscriminants)]
#[strum_discriminants(
    name(StatusReasonVariant),
    derive(strum::VariantArray),
    doc = "The variants of [`StatusReason`]."
)]
#[expect(missing_docs, reason = "the fields are what their names and types say")]
pub enum StatusReason {
    /// This plan requests the peering.
    PeeringRequested,
    /// The request waits for its acceptance.
    PeeringPending,
    /// The peering is in another state on the way to active, in AWS's word.
    PeeringInState(String),
    /// As many requests are pending as AWS allows.
    TooManyRequests,
    /// This plan adds routes.
    AddingRoutes,
    /// This plan replaces the targets of routes.
    ReplacingRoutes,
    /// The scope of an end cannot be read.
    UnreadableScope(Scope),
    /// A prefix list that may have a route to the peer cannot be read.
    UnreadablePrefixList(PrefixListId),
    /// Another principal keeps reverting a change of the pair.
    BackingOff,
    /// The VPC no longer requests the mesh, and the deletes wait for a confirmation.
    RemovalNeedsConfirmation,
    /// AWS refused a call because a quota is exceeded.
    QuotaRefused,
    /// The VPC has as many peerings as its quota allows.
    PeeringQuota(VpcId),
    /// The table has as many routes as its quota allows.
    RouteQuota(RouteTableId),
    /// CIDR blocks of the two VPCs overlap.
    CidrOverlap(IpNet, IpNet),
    /// A CIDR block of the peer overlaps one of the table's own VPC.
    OwnCidrOverlap(IpNet),
    /// A CIDR block of the peer overlaps one that a table routes to another peer.
    RouteOverlap { cidr: IpNet, routed_cidr: IpNet, routed_peer: VpcId },
    /// A table routes a CIDR block of the peer to something that peerd does not own.
    ForeignRoute { table: RouteTableId, cidr: IpNet, target: RouteTarget },
    /// A live peering of the pair that peerd does not own.
    ForeignPeering(PeeringId),
    /// AWS failed the request.
    FailedPeering(PeeringId),
    /// The tag names something that is not a mesh name.
    InvalidMeshName,
    /// The tag names more meshes than count.
    TooManyMeshes,
    /// The mesh does not admit the VPC.
    Denied(Denial),
    /// Something of what the VPC advertises is rejected.
    RejectedAdvertisement(Box<Finding>),
    /// So many entries do not fit.
    NotShown(usize),
}

impl StatusReason {
    /// The reason for a peering that is not active yet.
    pub fn of_state(status: &PeeringStatus) -> Self {
        Self::PeeringInState(status.to_string())
    }

    /// The first word of the entry.
    pub fn state(&self) -> StatusState {
        match self {
            Self::PeeringRequested
            | Self::PeeringPending
            | Self::PeeringInState(_)
            | Self::TooManyRequests
            | Self::AddingRoutes
            | Self::ReplacingRoutes
            | Self::UnreadableScope(_)
            | Self::UnreadablePrefixList(_)
            | Self::BackingOff
            | Self::RemovalNeedsConfirmation => StatusState::Waiting,
            Self::QuotaRefused
            | Self::PeeringQuota(_)
            | Self::RouteQuota(_)
            | Self::CidrOverlap(..)
            | Self::OwnCidrOverlap(_)
            | Self::RouteOverlap { .. }
            | Self::ForeignRoute { .. }
            | Self::ForeignPeering(_)
            | Self::FailedPeering(_)
            | Self::InvalidMeshName
            | Self::TooManyMeshes
            | Self::Denied(_)
            | Self::RejectedAdvertisement(_) => StatusState::Refused,
            Self::NotShown(_) => StatusState::More,
        }
    }
}

impl fmt::Display for StatusReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PeeringRequested => f.write_str("peering is requested"),
            Self::PeeringPending => f.write_str("peering is pending"),
            Self::PeeringInState(state) => write!(f, "peering is {state}"),
            Self::TooManyRequests => f.write_str("too many requests are pending"),
            Self::AddingRoutes => f.write_str("routes are being added"),
            Self::ReplacingRoutes => f.write_str("routes are being replaced"),
            Self::UnreadableScope(scope) => write!(f, "{scope} cannot be read"),
            Self::UnreadablePrefixList(list) => write!(f, "{list} cannot be read"),
            Self::BackingOff => f.write_str("backing off, another principal reverts it"),
            Self::RemovalNeedsConfirmation => f.write_str("removal needs confirmation"),
            Self::QuotaRefused => f.write_str("an AWS quota is exceeded"),
            Self::PeeringQuota(vpc) => write!(f, "{vpc} has reached its peering quota"),
            Self::RouteQuota(table) => write!(f, "{table} has reached its route quota"),
            Self::CidrOverlap(ours, theirs) => write!(f, "{ours} overlaps {theirs}"),
            Self::OwnCidrOverlap(cidr) => write!(f, "{cidr} overlaps"),
            Self::RouteOverlap { cidr, routed_cidr, routed_peer } => {
                write!(f, "{cidr} overlaps {routed_cidr} of {routed_peer}")
            }
            Self::ForeignRoute { table, cidr, target } => write!(f, "{table} routes {cidr} to {target}"),
            Self::ForeignPeering(peering) => write!(f, "foreign peering {peering}"),
            Self::FailedPeering(peering) => write!(f, "AWS failed {peering}"),
            Self::InvalidMeshName => f.write_str("not a mesh name"),
            Self::TooManyMeshes => write!(f, "only {MAX_MESHES} names count"),
            Self::Denied(denial) => denial.fmt(f),
            Self::RejectedAdvertisement(finding) => f.write_str(&finding.message()),
            Self::NotShown(entries) => write!(f, "{entries} not shown"),
        }
    }
}

/// One entry: `<state> <mesh>`, with a peer and a reason where there is one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct StatusEntry {
    /// The mesh, or the invalid name that the tag has in its place.
    pub mesh: String,
    /// The first word.
    pub state: StatusState,
    /// What follows the mesh's name, with its own leading punctuation.
    pub rest: String,
}

impl StatusEntry {
    /// `joined prod`.
    pub fn joined(mesh: impl fmt::Display) -> Self {
        Self { mesh: mesh.to_string(), state: StatusState::Joined, rest: String::new() }
    }

    /// `<state> prod: reason`.
    pub fn of_mesh(mesh: impl fmt::Display, reason: &StatusReason) -> Self {
        Self::new(mesh, "", reason)
    }

    /// `<state> prod with vpc-1: reason`. Of several peers, the first one is named and the others are counted.
    pub fn of_peers(mesh: impl fmt::Display, peers: &[&VpcId], reason: &StatusReason) -> Self {
        match peers {
            [] => Self::of_mesh(mesh, reason),
            [only] => Self::new(mesh, &format!(" with {only}"), reason),
            [first, others @ ..] => {
                Self::new(mesh, &format!(" with {first} and {}", counted(others.len(), "other")), reason)
            }
        }
    }

    fn new(mesh: impl fmt::Display, peers: &str, reason: &StatusReason) -> Self {
        let rest = format!("{peers}: {}", reason.to_string().replace(SEPARATOR, " "));
        Self { mesh: mesh.to_string(), state: reason.state(), rest }
    }

    fn parse(text: &str) -> Option<Self> {
        let (state, rest) = text.split_once(' ')?;
        let state = StatusState::ALL.into_iter().find(|known| known.to_string() == state)?;
        let end = rest.find([' ', ':']).unwrap_or(rest.len());
        Some(Self { mesh: rest[..end].to_owned(), state, rest: rest[end..].to_owned() })
    }
}

impl fmt::Display for StatusEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}{}", self.state, self.mesh, self.rest)
    }
}

/// The entries of a value that peerd wrote earlier; drops anything else in it.
pub fn parse(value: &str) -> BTreeSet<StatusEntry> {
    value.split(SEPARATOR).filter(|entry| is_printable(entry)).filter_map(StatusEntry::parse).collect()
}

/// As many entries of one mesh as fit into its share of a value for so many meshes, at least one, and the number of the
/// others.
///
/// Each mesh keeps to its share, so that the run of one mesh never cuts what the run of another wrote: they would take turns
/// forever.
pub fn fit(entries: BTreeSet<StatusEntry>, meshes: usize) -> BTreeSet<StatusEntry> {
    let share = (MAX_VALUE_LEN / meshes.max(1)).saturating_sub(SEPARATOR.len());
    let length = |entry: &StatusEntry| entry.to_string().chars().count() + SEPARATOR.len();
    if entries.len() == 1 || entries.iter().map(length).sum::<usize>() <= share {
        return entries;
    }
    let all = entries.len();
    let mut kept = BTreeSet::new();
    let mut room = share;
    for entry in entries {
        let more = StatusEntry::of_mesh(&entry.mesh, &StatusReason::NotShown(all - kept.len()));
        if !kept.is_empty() && length(&entry) + length(&more) > room {
            kept.insert(more);
            break;
        }
        room = room.saturating_sub(length(&entry));
        kept.insert(entry);
    }
    kept
}

/// The value of the tag, or none without entries. Entries that do not fit into a tag are left out at the end.
pub fn line(entries: &BTreeSet<StatusEntry>) -> Option<String> {
    let mut line = String::new();
    for entry in entries.iter().map(ToString::to_string) {
        let entry: String = entry.chars().take(MAX_VALUE_LEN).collect();
        let separator = if line.is_empty() { "" } else { SEPARATOR };
        if line.chars().count() + separator.len() + entry.chars().count() > MAX_VALUE_LEN {
            break;
        }
        line.push_str(separator);
        line.push_str(&entry);
    }
    (!line.is_empty()).then_some(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vpc(id: &str) -> VpcId {
        id.parse().unwrap()
    }

    #[test]
    fn a_status_value_parses_back_to_its_entries() {
        let overlap = StatusReason::CidrOverlap("10.1.0.0/16".parse().unwrap(), "10.1.128.0/17".parse().unwrap());
        let entries = BTreeSet::from([
            StatusEntry::joined("prod"),
            StatusEntry::of_peers("prod", &[&vpc("vpc-2")], &overlap),
            StatusEntry::of_mesh("nosuch", &StatusReason::Denied(Denial::NotDeclared)),
        ]);
        let written = line(&entries).unwrap();
        assert_eq!(
            written,
            "refused nosuch: mesh is not declared. joined prod. refused prod with vpc-2: 10.1.0.0/16 overlaps 10.1.128.0/17"
        );
        assert_eq!(parse(&written), entries);
    }

    #[test]
    fn a_status_value_fits_a_tag_and_counts_the_omitted_entries() {
        let of = |mesh: &str| {
            let entry = |n| StatusEntry::of_peers(mesh, &[&vpc(&format!("vpc-{n}"))], &StatusReason::PeeringPending);
            fit((100..140).map(entry).collect(), 2)
        };
        let (prod, staging) = (of("prod"), of("staging"));
        let written = line(&(&prod | &staging)).unwrap();
        assert!(written.len() <= MAX_VALUE_LEN, "{}", written.len());
        assert!(written.contains("more prod: 38 not shown. waiting staging"), "{written}");
        assert!(written.ends_with("more staging: 39 not shown"), "{written}");
        assert_eq!(parse(&written), &prod | &staging);
    }

    #[test]
    fn a_truncated_status_value_is_the_same_whichever_mesh_run_writes_it() {
        let entry = |n| StatusEntry::joined(format!("mesh-number-{n}"));
        let written = line(&(10..40).map(entry).collect()).unwrap();
        for n in 10..40 {
            let mut entries = parse(&written);
            entries.extend(fit(BTreeSet::from([entry(n)]), 30));
            assert!(line(&entries).unwrap().starts_with("joined mesh-number-10. joined mesh-number-11"));
        }
    }

    /// Entries of exactly so many characters, in this order.
    fn of_lengths(lengths: &[usize]) -> BTreeSet<StatusEntry> {
        let entry = |(n, length): (usize, &usize)| {
            let of = |state: String| StatusEntry { mesh: "a".to_owned(), state: StatusState::Refused, rest: state };
            let start = of(format!(": {n}")).to_string().len();
            of(format!(": {n}{}", "x".repeat(length - start)))
        };
        lengths.iter().enumerate().map(entry).collect()
    }

    #[test]
    fn a_status_value_of_exactly_the_maximum_length_is_complete() {
        let written = |lengths: [usize; 2]| line(&of_lengths(&lengths)).unwrap().len();
        assert_eq!(written([127, 127]), MAX_VALUE_LEN);
        assert_eq!(written([127, 128]), 127, "the second would be cut");
    }

    #[test]
    fn as_many_entries_as_fit_are_kept_with_a_count_of_the_rest() {
        let fitted =
            |lengths: &[usize]| fit(of_lengths(lengths), 1).iter().map(|s| s.to_string().len()).collect::<Vec<_>>();
        let more = "more a: 1 not shown".len();
        assert_eq!(fitted(&[125, 125]), [125, 125], "254 with what separates them");
        assert_eq!(fitted(&[125, 126]), [125, more]);
        assert_eq!(fitted(&[100, 129, 100]), [100, 129, more], "to the last character");
        assert_eq!(fitted(&[100, 130, 100]), [100, more]);
        assert_eq!(fitted(&[60, 60, 60, 60]), [60, 60, 60, 60]);
    }

    #[test]
    fn no_entries_give_no_status_value_and_foreign_text_is_dropped() {
        assert_eq!(line(&BTreeSet::new()), None);
        assert_eq!(parse("hello world. joined prod"), BTreeSet::from([StatusEntry::joined("prod")]));
    }
}
