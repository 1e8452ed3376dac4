//! What `peerd explain` is asked: two VPCs, or addresses in them, and the traffic between.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

use crate::cidr::{CidrSet, IpNet};
use crate::ids::VpcRef;
use crate::permission::Traffic;

/// A path between two ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathQuery {
    /// The two ends, which are in different VPCs. With `traffic`, the first is the client.
    pub ends: [PathEnd; 2],
    /// The traffic from the first end to the second; without it, all traffic in both directions.
    pub traffic: Option<Traffic>,
}

impl PathQuery {
    /// All traffic between two VPCs.
    pub fn between(vpcs: [&VpcRef; 2]) -> Self {
        Self { ends: vpcs.map(PathEnd::of_vpc), traffic: None }
    }

    /// The VPCs of the two ends.
    pub fn vpcs(&self) -> [&VpcRef; 2] {
        let [one, other] = &self.ends;
        [&one.vpc, &other.vpc]
    }

    /// The traffic that leaves an end towards its peer, or arrives from there.
    pub fn traffic_at(&self, end: &PathEnd, is_outbound: bool) -> Traffic {
        match &self.traffic {
            None => Traffic::All,
            Some(traffic) if self.is_client(end) == is_outbound => traffic.clone(),
            Some(traffic) => traffic.replies(),
        }
    }

    /// Whether connections are opened from this end; without `traffic`, from both.
    pub fn opens(&self, end: &PathEnd) -> bool {
        self.traffic.is_none() || self.is_client(end)
    }

    /// Whether connections are opened to this end; without `traffic`, to both.
    pub fn serves(&self, end: &PathEnd) -> bool {
        self.traffic.is_none() || !self.is_client(end)
    }

    fn is_client(&self, end: &PathEnd) -> bool {
        self.ends[0].vpc == end.vpc
    }
}

/// A VPC, or an address in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathEnd {
    /// The VPC.
    pub vpc: VpcRef,
    /// Its CIDR blocks.
    pub cidrs: CidrSet,
    /// The address; none for the whole VPC.
    pub host: Option<Host>,
}

impl PathEnd {
    /// A whole VPC.
    pub fn of_vpc(vpc: &VpcRef) -> Self {
        Self { vpc: vpc.clone(), cidrs: CidrSet::default(), host: None }
    }
}

impl fmt::Display for PathEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Some(host) => write!(f, "{} in {}", host.address, self.vpc),
            None => self.vpc.fmt(f),
        }
    }
}

/// An address in a VPC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// The private IPv4 address, or the IPv6 address.
    pub address: IpAddr,
    /// The network interface that has the address; none if no interface has it.
    pub interface: Option<NetworkInterface>,
}

impl Host {
    /// The CIDR block of the address alone.
    pub fn cidr(&self) -> IpNet {
        self.address.into()
    }
}

/// A network interface, as far as it decides what reaches it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkInterface {
    /// The id of the network interface.
    pub id: String,
    /// The id of its subnet.
    pub subnet: String,
    /// The ids of its security groups.
    pub groups: BTreeSet<String>,
}
