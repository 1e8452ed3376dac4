//! What is in front of the network interfaces of a VPC: its subnets, network ACLs and security groups. peerd reads them
//! only to explain.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::cidr::{self, CidrSet, IpNet};
use crate::ids::{VpcId, VpcRef};
use crate::network_acl::NetworkAcl;
use crate::path_query::{NetworkInterface, PathEnd};
use crate::permission::Traffic;

/// The filters of some VPCs, or why they could not be read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NetworkFilters {
    /// The subnets of each VPC.
    pub subnets: BTreeMap<VpcRef, Result<Vec<Subnet>, String>>,
    /// The network ACLs of each VPC.
    pub acls: BTreeMap<VpcRef, Result<Vec<NetworkAcl>, String>>,
    /// The security groups of each VPC.
    pub groups: BTreeMap<VpcRef, Result<Vec<GroupRules>, String>>,
}

impl NetworkFilters {
    /// The id of the subnet that contains the address of an end; none for a whole VPC, or if it is not known.
    pub fn subnet_of<'a>(&'a self, end: &'a PathEnd) -> Option<&'a str> {
        let host = end.host.as_ref()?;
        if let Some(interface) = &host.interface {
            return Some(&interface.subnet);
        }
        let subnets = self.subnets.get(&end.vpc)?.as_ref().ok()?;
        subnets.iter().find(|subnet| subnet.cidrs.covers(&host.cidr())).map(|subnet| subnet.id.as_str())
    }
}

/// A network interface of a VPC with one of its addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InterfaceAddress {
    /// The VPC of the network interface.
    pub vpc: VpcId,
    /// The address: the one that was searched, or else its primary private address.
    pub address: IpAddr,
    /// The network interface.
    pub interface: NetworkInterface,
}

/// A subnet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subnet {
    /// The id of the subnet.
    pub id: String,
    /// Its CIDR blocks, IPv4 and IPv6.
    pub cidrs: CidrSet,
}

/// A security group with its rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupRules {
    /// The id of the security group.
    pub id: String,
    /// Its inbound rules.
    pub ingress: Vec<GroupRule>,
    /// Its outbound rules.
    pub egress: Vec<GroupRule>,
}

/// What a rule of a security group allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupRule {
    /// The traffic.
    pub traffic: Traffic,
    /// The source of an inbound rule, the destination of an outbound rule.
    pub peer: GroupRulePeer,
}

/// The source or the destination of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupRulePeer {
    /// A CIDR block; a prefix list is all its CIDR blocks.
    Cidr(IpNet),
    /// The network interfaces with a security group.
    Group(String),
    /// A prefix list that could not be read.
    UnreadableList(String),
}

/// The other side of a rule: addresses, and the security groups of the network interfaces that have them.
#[derive(Debug, Clone, Copy)]
pub struct RemoteSide<'a> {
    /// The addresses.
    pub cidrs: &'a CidrSet,
    /// The ids of the security groups.
    pub groups: &'a BTreeSet<String>,
}

/// Whether a security group allows traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupVerdict {
    /// A rule allows it, for some of the addresses.
    Allowed,
    /// No rule allows it.
    NotAllowed,
    /// A rule may allow it: its prefix list could not be read.
    Unknown,
}

impl GroupRules {
    /// Whether a rule allows traffic from the other side or, with `egress`, to it.
    pub fn verdict(&self, egress: bool, traffic: &Traffic, remote: RemoteSide<'_>) -> GroupVerdict {
        let rules = if egress { &self.egress } else { &self.ingress };
        let includes = |rule: &&GroupRule| match traffic {
            Traffic::All => true,
            one => rule.traffic.covers(one),
        };
        let mut verdict = GroupVerdict::NotAllowed;
        for rule in rules.iter().filter(includes) {
            match &rule.peer {
                GroupRulePeer::Cidr(cidr) if remote.cidrs.iter().any(|one| cidr::overlap(one, cidr)) => {
                    return GroupVerdict::Allowed;
                }
                GroupRulePeer::Group(group) if remote.groups.contains(group) => return GroupVerdict::Allowed,
                GroupRulePeer::UnreadableList(_) => verdict = GroupVerdict::Unknown,
                GroupRulePeer::Cidr(_) | GroupRulePeer::Group(_) => {}
            }
        }
        verdict
    }
}
