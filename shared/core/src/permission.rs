//! What a security group may allow: traffic, and its sources.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::cidr::IpNet;
use crate::tags::{self, Tags};

/// The traffic that a rule allows, from any source.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Traffic {
    /// All traffic: AWS's protocol `-1`. peerd never allows it.
    All,
    /// ICMP, all types; from IPv6 CIDR blocks, ICMPv6.
    Icmp,
    /// TCP to the ports from the first to the last.
    Tcp(u16, u16),
    /// UDP to the ports from the first to the last.
    Udp(u16, u16),
    /// Other traffic, which peerd never allows, in AWS's words.
    Other(String),
}

impl Traffic {
    /// What both allow; none if they have no port in common.
    fn and(&self, other: &Self) -> Option<Self> {
        let common = |a: (u16, u16), b: (u16, u16)| {
            let (first, last) = (a.0.max(b.0), a.1.min(b.1));
            (first <= last).then_some((first, last))
        };
        match (self, other) {
            (Self::Icmp, Self::Icmp) => Some(Self::Icmp),
            (Self::Tcp(a, b), Self::Tcp(c, d)) => common((*a, *b), (*c, *d)).map(|(a, b)| Self::Tcp(a, b)),
            (Self::Udp(a, b), Self::Udp(c, d)) => common((*a, *b), (*c, *d)).map(|(a, b)| Self::Udp(a, b)),
            _ => None,
        }
    }

    /// Whether both include some of the same packets. Of traffic in AWS's words that is not known: then they do.
    pub fn overlaps(&self, other: &Self) -> bool {
        let is_unclear = |one: &Self| matches!(one, Self::All | Self::Other(_));
        is_unclear(self) || is_unclear(other) || self.and(other).is_some()
    }

    /// Whether it includes every packet of the other.
    pub fn covers(&self, other: &Self) -> bool {
        *self == Self::All || self.and(other).as_ref() == Some(other)
    }

    /// The traffic that answers it: to a port that a client's operating system chose
    /// (<https://docs.aws.amazon.com/vpc/latest/userguide/custom-network-acl.html#nacl-ephemeral-ports>).
    pub fn replies(&self) -> Self {
        match self {
            Self::Tcp(..) => Self::Tcp(1024, u16::MAX),
            Self::Udp(..) => Self::Udp(1024, u16::MAX),
            other => other.clone(),
        }
    }
}

/// The traffic that the tags of a security group request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PortsTag {
    /// The traffic that `peerd:ports` names, with adjacent ranges merged; `None` without the tag. A tag without a valid word
    /// requests none.
    pub requested: Option<BTreeSet<Traffic>>,
    /// The invalid words of the tag, as far as [`tags::MAX_WORD_LEN`].
    pub invalid: BTreeSet<String>,
}

impl PortsTag {
    /// Parses the tag among a group's tags.
    pub fn of(tags: &Tags) -> Self {
        let Some(value) = tags.get(tags::PORTS) else { return Self::default() };
        let mut tag = Self::default();
        let mut read = BTreeSet::new();
        for word in tags::words(value) {
            match word.parse() {
                Ok(traffic) => drop(read.insert(traffic)),
                Err(InvalidTraffic(_)) => drop(tag.invalid.insert(tags::shortened(word))),
            }
        }
        tag.requested = Some(merged(read));
        tag
    }

    /// What the group allows where a policy admits these ports: all of them without the tag, else what both name.
    pub fn within(&self, admitted: &BTreeSet<Traffic>) -> BTreeSet<Traffic> {
        let Some(requested) = &self.requested else { return merged(admitted.clone()) };
        merged(requested.iter().flat_map(|one| admitted.iter().filter_map(|other| one.and(other))).collect())
    }

    /// What the tag requests and a policy that admits these ports does not admit in full.
    pub fn beyond(&self, admitted: &BTreeSet<Traffic>) -> BTreeSet<Traffic> {
        let admitted = merged(admitted.clone());
        let is_within = |one: &&Traffic| admitted.iter().any(|other| other.covers(one));
        self.requested.iter().flatten().filter(|one| !is_within(one)).cloned().collect()
    }
}

/// Merges ranges of one protocol that touch or overlap.
fn merged(read: BTreeSet<Traffic>) -> BTreeSet<Traffic> {
    let mut kept: Vec<Traffic> = Vec::new();
    for traffic in read {
        match (kept.last_mut(), traffic) {
            (Some(Traffic::Tcp(_, end)), Traffic::Tcp(first, last))
            | (Some(Traffic::Udp(_, end)), Traffic::Udp(first, last))
                if first <= end.saturating_add(1) =>
            {
                *end = last.max(*end);
            }
            (_, traffic) => kept.push(traffic),
        }
    }
    kept.into_iter().collect()
}

/// A word that names no traffic.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a protocol with ports: expected tcp/443, udp/53, tcp/8000-8100 or icmp, for example")]
pub struct InvalidTraffic(pub String);

impl FromStr for Traffic {
    type Err = InvalidTraffic;

    /// Parses `icmp`, `tcp/443` and `udp/8000-8100`. No word means all ports.
    fn from_str(word: &str) -> Result<Self, InvalidTraffic> {
        let invalid = || InvalidTraffic(word.to_owned());
        if word == "icmp" {
            return Ok(Self::Icmp);
        }
        let (protocol, ports) = word.split_once('/').ok_or_else(invalid)?;
        let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
        let (first, last) = (first.parse().map_err(|_| invalid())?, last.parse().map_err(|_| invalid())?);
        match protocol {
            "tcp" if first <= last => Ok(Self::Tcp(first, last)),
            "udp" if first <= last => Ok(Self::Udp(first, last)),
            _ => Err(invalid()),
        }
    }
}

impl TryFrom<String> for Traffic {
    type Error = InvalidTraffic;

    fn try_from(word: String) -> Result<Self, InvalidTraffic> {
        word.parse()
    }
}

impl From<Traffic> for String {
    fn from(traffic: Traffic) -> Self {
        traffic.to_string()
    }
}

impl fmt::Display for Traffic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (protocol, first, last) = match self {
            Self::All => return f.pad("all"),
            Self::Icmp => return f.pad("icmp"),
            Self::Other(words) => return f.pad(words),
            Self::Tcp(first, last) => ("tcp", first, last),
            Self::Udp(first, last) => ("udp", first, last),
        };
        match (*first, *last) {
            (first, last) if first == last => write!(f, "{protocol}/{first}"),
            (first, last) => write!(f, "{protocol}/{first}-{last}"),
        }
    }
}

/// The traffic and the source that a rule allows.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Permission {
    /// The traffic.
    pub traffic: Traffic,
    /// The source CIDR block.
    pub from: IpNet,
}

impl Permission {
    /// Whether it counts against the quota for IPv4 rules; IPv6 rules have a quota of their own
    /// (<https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html>).
    pub fn is_v4(&self) -> bool {
        matches!(self.from, IpNet::V4(_))
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} from {}", self.traffic, self.from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(ports: &str) -> PortsTag {
        PortsTag::of(&Tags::from([(tags::PORTS.to_owned(), ports.to_owned())]))
    }

    fn joined(traffic: impl IntoIterator<Item = Traffic>) -> String {
        traffic.into_iter().map(|traffic| traffic.to_string()).collect::<Vec<_>>().join(" ")
    }

    fn read(ports: &str) -> (String, Vec<String>) {
        let PortsTag { requested, invalid } = tag(ports);
        (joined(requested.unwrap()), invalid.into_iter().collect())
    }

    #[test]
    fn a_group_allows_what_both_its_tag_and_the_policy_name() {
        let admitted: BTreeSet<Traffic> =
            ["icmp", "tcp/443", "tcp/8000-8100", "tcp/8101", "udp/53"].map(|word| word.parse().unwrap()).into();
        let within = |tag: PortsTag| joined(tag.within(&admitted));
        assert_eq!(within(PortsTag::default()), "icmp tcp/443 tcp/8000-8101 udp/53", "without the tag, all of them");
        assert_eq!(within(tag("")), "");
        assert_eq!(within(tag("tpc/443")), "", "a typo opens nothing");
        assert_eq!(within(tag("tcp/443 tcp/8050-9000 udp/1-1000")), "tcp/443 tcp/8050-8101 udp/53");
        assert_eq!(within(tag("tcp/22")), "");
        assert_eq!(
            joined(tag("tcp/443 tcp/8050-9000 tcp/8100-8101 udp/52-53 icmp").beyond(&admitted)),
            "tcp/8050-9000 udp/52-53"
        );
        assert_eq!(joined(tag("icmp udp/53").beyond(&admitted)), "");
        assert_eq!(joined(PortsTag::default().beyond(&admitted)), "");
    }

    #[test]
    fn no_word_opens_all_ports() {
        assert_eq!(read("all tcp udp -1").1, ["-1", "all", "tcp", "udp"]);
        assert_eq!(
            serde_json::from_str::<Traffic>("\"tcp\"").unwrap_err().to_string(),
            Traffic::try_from("tcp".to_owned()).unwrap_err().to_string()
        );
        assert_eq!(serde_json::to_string(&Traffic::Tcp(0, u16::MAX)).unwrap(), "\"tcp/0-65535\"");
    }

    #[test]
    fn displayed_ports_parse_back() {
        let text = "icmp tcp/443 tcp/8000-8100 udp/53";
        assert_eq!(read(text), (text.to_owned(), vec![]));
        assert_eq!(read("udp/1, tcp/1;icmp").0, "icmp tcp/1 udp/1");
    }

    #[test]
    fn invalid_ports_are_kept_for_the_report_and_valid_ones_take_effect() {
        let (traffic, refused) = read("tcp/443 tcp/70000 tcp/9-8 icmp/8 all/1 tcp/ -1 http");
        assert_eq!(traffic, "tcp/443");
        assert_eq!(refused, ["-1", "all/1", "http", "icmp/8", "tcp/", "tcp/70000", "tcp/9-8"]);
    }

    #[test]
    fn adjacent_port_ranges_are_merged_and_separate_ones_are_not() {
        assert_eq!(read("tcp/80 tcp/81 tcp/90-99 tcp/95 udp/82").0, "tcp/80-81 tcp/90-99 udp/82");
        assert_eq!(read("tcp/1-65535 tcp/0 tcp/7").0, "tcp/0-65535");
        assert_eq!(read("tcp/10-90 tcp/20-30 tcp/50").0, "tcp/10-90");
    }
}
