//! Ingress rules of security groups: what a group's tags allow, and which rules exist.
//!
//! The id and the tags of a rule determine its owner, never what the rule allows
//! (<https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_SecurityGroupRule.html>).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use crate::cidr::IpNet;
use crate::ids::{Deployment, MeshName, Scope, SecurityGroupId, SecurityGroupRuleId, VpcRef};
use crate::tags::{self, MeshTag, Tags};

/// The traffic that a rule allows, from any source.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Traffic {
    /// All traffic: AWS's protocol `-1`.
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
    /// The traffic that the tag `peerd:ports` of a group allows, with adjacent ranges merged, and the invalid words of
    /// the tag. A group without the tag allows all traffic; a tag without a valid word allows none.
    pub fn of(tags: &Tags) -> (BTreeSet<Self>, BTreeSet<String>) {
        let Some(value) = tags.get(tags::PORTS) else { return ([Self::All].into(), BTreeSet::new()) };
        let mut refused = BTreeSet::new();
        let mut read = BTreeSet::new();
        for word in tags::words(value) {
            match word.parse() {
                Ok(traffic) => drop(read.insert(traffic)),
                Err(NotTraffic) => drop(refused.insert(word.to_owned())),
            }
        }
        (merged(read), refused)
    }
}

/// Merges ranges of one protocol that touch or overlap, and drops what `all` covers.
fn merged(read: BTreeSet<Traffic>) -> BTreeSet<Traffic> {
    if read.contains(&Traffic::All) {
        return [Traffic::All].into();
    }
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotTraffic;

impl FromStr for Traffic {
    type Err = NotTraffic;

    /// Parses `all`, `icmp`, `tcp`, `tcp/443` and `udp/8000-8100`.
    fn from_str(word: &str) -> Result<Self, NotTraffic> {
        let (protocol, ports) = word.split_once('/').map_or((word, None), |(protocol, ports)| (protocol, Some(ports)));
        let (first, last) = match ports {
            None => (0, u16::MAX),
            Some(ports) => {
                let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
                (first.parse().map_err(|_| NotTraffic)?, last.parse().map_err(|_| NotTraffic)?)
            }
        };
        match protocol {
            "all" if ports.is_none() => Ok(Self::All),
            "icmp" if ports.is_none() => Ok(Self::Icmp),
            "tcp" if first <= last => Ok(Self::Tcp(first, last)),
            "udp" if first <= last => Ok(Self::Udp(first, last)),
            _ => Err(NotTraffic),
        }
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
            (0, u16::MAX) => f.pad(protocol),
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

/// A security group with the tag `peerd:allow`, as its own scope shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecurityGroup {
    /// The id of the group.
    pub id: SecurityGroupId,
    /// The VPC of the group.
    pub vpc: VpcRef,
    /// All its tags.
    pub tags: Tags,
    /// What it allows from CIDR blocks, whichever principal added the rules.
    pub open: BTreeSet<Permission>,
    /// The number of its ingress rules with other sources: groups and prefix lists.
    pub others: usize,
}

impl SecurityGroup {
    /// The meshes whose members it allows.
    pub fn allows(&self) -> MeshTag {
        self.tags.get(tags::ALLOW).map_or_else(MeshTag::default, |value| MeshTag::parse(value))
    }

    /// The number of its rules for IPv4 or IPv6. As in AWS, a rule whose source is no CIDR block counts in both.
    pub fn count(&self, v4: bool) -> usize {
        self.others + self.open.iter().filter(|open| open.is_v4() == v4).count()
    }
}

/// An ingress rule with the ownership tag of some deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IngressRule {
    /// The id of the rule.
    pub id: SecurityGroupRuleId,
    /// The scope of the rule.
    pub scope: Scope,
    /// The security group of the rule.
    pub group: SecurityGroupId,
    /// The traffic and the source that the rule allows.
    pub permission: Permission,
    /// All its tags.
    pub tags: Tags,
}

impl IngressRule {
    /// Whether the deployment owns the rule, by its tags.
    pub fn is_managed_by(&self, deployment: &Deployment) -> bool {
        tags::has_ownership_tag(&self.tags, deployment)
    }

    /// Whether the rule has the tag of a mesh.
    pub fn is_for(&self, mesh: &MeshName) -> bool {
        self.tags.contains_key(&tags::for_mesh(mesh))
    }

    /// The number of meshes that the tags of the rule name.
    pub fn meshes(&self) -> usize {
        tags::meshes_of_rule(&self.tags).count()
    }
}

/// The security groups and rules that were read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ingress {
    /// The groups with the tag `peerd:allow`.
    pub groups: BTreeMap<SecurityGroupId, SecurityGroup>,
    /// The rules with the ownership tag of a deployment, in any group.
    pub rules: BTreeMap<SecurityGroupRuleId, IngressRule>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(ports: &str) -> (String, Vec<String>) {
        let (traffic, refused) = Traffic::of(&Tags::from([(tags::PORTS.to_owned(), ports.to_owned())]));
        let traffic: Vec<String> = traffic.iter().map(ToString::to_string).collect();
        (traffic.join(" "), refused.into_iter().collect())
    }

    #[test]
    fn a_group_without_ports_tag_allows_all_traffic_and_one_with_no_valid_port_none() {
        assert_eq!(Traffic::of(&Tags::new()).0, [Traffic::All].into());
        assert_eq!(read(""), (String::new(), vec![]));
        assert_eq!(read("tpc/443"), (String::new(), vec!["tpc/443".to_owned()]));
    }

    #[test]
    fn displayed_ports_parse_back() {
        let text = "icmp tcp/443 tcp/8000-8100 udp/53";
        assert_eq!(read(text), (text.to_owned(), vec![]));
        assert_eq!(read("udp, tcp;icmp").0, "icmp tcp udp");
        assert_eq!(read("all tcp/1").0, "all");
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
        assert_eq!(read("tcp/1-65535 tcp/0 tcp/7").0, "tcp");
        assert_eq!(read("tcp/10-90 tcp/20-30 tcp/50").0, "tcp/10-90");
    }

    #[test]
    fn a_rule_is_for_the_meshes_that_its_tags_name() {
        let mesh = |name: &str| name.parse::<MeshName>().unwrap();
        let mark = |name: &str| (tags::for_mesh(&mesh(name)), String::new());
        let rule = |tags: Tags| IngressRule {
            id: "sgr-1".parse().unwrap(),
            scope: "111111111111/us-east-1".parse().unwrap(),
            group: "sg-1".parse().unwrap(),
            permission: Permission { traffic: Traffic::All, from: "10.0.0.0/16".parse().unwrap() },
            tags,
        };
        let both = rule([mark("prod"), mark("staging"), (tags::NAME.to_owned(), "x".to_owned())].into());
        assert!(both.is_for(&mesh("prod")) && both.is_for(&mesh("staging")) && !both.is_for(&mesh("pro")));
        assert_eq!([both, rule([mark("prod")].into()), rule(Tags::new())].map(|rule| rule.meshes()), [2, 1, 0]);
    }
}
