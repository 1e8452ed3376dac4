//! The log of all changes in the simulated AWS, in order: the only input of the oracle.

use std::fmt;

use peerd_core::cidr::{CidrSet, IpNet};
use peerd_core::{
    DnsSupport, PeeringId, PeeringStatus, RouteTableId, RouteTarget, Scope, SecurityGroupId, SecurityGroupRuleId, Tags,
    VpcRef,
};
use peerd_engine::Timestamp;

use crate::aws::GroupRule;

/// The principal that made a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Actor {
    /// AWS itself, when a state transition was due.
    Aws,
    /// A user or an external tool.
    User,
    /// A worker of peerd, by number.
    Worker(u32),
}

/// One change.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The virtual time of the change.
    pub at: Timestamp,
    /// The principal.
    pub by: Actor,
    /// The change.
    pub change: Change,
}

/// A change, with the state after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A VPC was created, or its CIDR blocks or tags changed.
    Vpc {
        /// The VPC.
        vpc: VpcRef,
        /// Its associated CIDR blocks.
        cidrs: CidrSet,
        /// Its tags.
        tags: Tags,
    },
    /// A VPC was deleted.
    VpcGone {
        /// The VPC.
        vpc: VpcRef,
    },
    /// A route table was created.
    Table {
        /// The route table.
        table: RouteTableId,
        /// Its VPC.
        vpc: VpcRef,
        /// Whether it has an edge association with a gateway.
        is_edge_associated: bool,
        /// Whether it is the VPC's main table.
        main: bool,
    },
    /// The tags of a route table changed.
    TableTags {
        /// The route table.
        table: RouteTableId,
        /// Its tags.
        tags: Tags,
    },
    /// A route to a prefix list with one CIDR block was created.
    List {
        /// The route table.
        table: RouteTableId,
        /// The CIDR block in the prefix list.
        cidr: IpNet,
    },
    /// A gateway propagates a route.
    Propagated {
        /// The route table.
        table: RouteTableId,
        /// The destination.
        cidr: IpNet,
    },
    /// A route table was deleted.
    TableGone {
        /// The route table.
        table: RouteTableId,
    },
    /// A peering was requested.
    Peering {
        /// The peering.
        id: PeeringId,
        /// The VPC that requested it.
        requester: VpcRef,
        /// The VPC that can accept it.
        accepter: VpcRef,
    },
    /// The state of a peering changed.
    Status {
        /// The peering.
        id: PeeringId,
        /// The new state.
        status: PeeringStatus,
    },
    /// The tags of one side of a peering changed.
    Tags {
        /// The peering.
        id: PeeringId,
        /// The scope of the side.
        scope: Scope,
        /// The tags of that side.
        tags: Tags,
    },
    /// The DNS attributes of a VPC changed.
    Dns {
        /// The VPC.
        vpc: VpcRef,
        /// Its attributes.
        has: DnsSupport,
    },
    /// The DNS option of one end of a peering changed.
    Option {
        /// The peering.
        id: PeeringId,
        /// The VPC at that end.
        vpc: VpcRef,
        /// Whether the option is on.
        on: bool,
    },
    /// A security group was created, or its tags changed.
    Group {
        /// The security group.
        group: SecurityGroupId,
        /// Its VPC.
        vpc: VpcRef,
        /// Its tags.
        tags: Tags,
    },
    /// A security group was deleted with its rules.
    GroupGone {
        /// The security group.
        group: SecurityGroupId,
    },
    /// A rule of a security group was created, tagged or deleted.
    Rule {
        /// The security group.
        group: SecurityGroupId,
        /// The id of the rule.
        rule: SecurityGroupRuleId,
        /// The rule before the change; none if it was created.
        was: Option<GroupRule>,
        /// The rule after the change; none if it was deleted.
        now: Option<GroupRule>,
    },
    /// A static route was created, replaced or deleted.
    Route {
        /// The route table.
        table: RouteTableId,
        /// The destination.
        cidr: IpNet,
        /// The target before the change; none if the route was created.
        was: Option<RouteTarget>,
        /// The target after the change; none if the route was deleted.
        now: Option<RouteTarget>,
    },
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Aws => f.pad("AWS"),
            Self::User => f.pad("user"),
            Self::Worker(worker) => f.pad(&format!("worker {worker}")),
        }
    }
}

fn tags_of(tags: &Tags) -> String {
    let tags: Vec<String> = tags.iter().map(|(key, value)| format!("{key}={value}")).collect();
    if tags.is_empty() { "no tags".to_owned() } else { tags.join(", ") }
}

fn target(target: Option<&RouteTarget>) -> String {
    target.map_or_else(|| "nothing".to_owned(), ToString::to_string)
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Vpc { vpc, cidrs, tags } => {
                let cidrs: Vec<String> = cidrs.iter().map(ToString::to_string).collect();
                write!(f, "{vpc} has {} and {}", cidrs.join(" "), tags_of(tags))
            }
            Self::VpcGone { vpc } => write!(f, "{vpc} is deleted"),
            Self::Table { table, vpc, is_edge_associated, main } => {
                let kind = match (is_edge_associated, main) {
                    (true, _) => ", with an edge association",
                    (false, true) => ", its main table",
                    (false, false) => "",
                };
                write!(f, "{table} of {vpc} is created{kind}")
            }
            Self::TableTags { table, tags } => write!(f, "{table} has {}", tags_of(tags)),
            Self::List { table, cidr } => write!(f, "{table} routes a prefix list with {cidr} to tgw-1"),
            Self::Propagated { table, cidr } => write!(f, "{table} has a propagated route to {cidr}"),
            Self::TableGone { table } => write!(f, "{table} is deleted"),
            Self::Peering { id, requester, accepter } => write!(f, "{id} is requested by {requester} from {accepter}"),
            Self::Status { id, status } => write!(f, "{id} is {status}"),
            Self::Tags { id, scope, tags } => write!(f, "{id} in {scope} has {}", tags_of(tags)),
            Self::Dns { vpc, has: DnsSupport { hostnames, support } } => {
                write!(f, "{vpc} has DNS host names {hostnames} and DNS support {support}")
            }
            Self::Option { id, vpc, on } => {
                write!(f, "{id} has the DNS option of {vpc} {}", if *on { "on" } else { "off" })
            }
            Self::Group { group, vpc, tags } => write!(f, "{group} of {vpc} has {}", tags_of(tags)),
            Self::GroupGone { group } => write!(f, "{group} is deleted"),
            Self::Rule { group, rule, was: _, now: Some(GroupRule { permission, description, tags }) } => {
                write!(f, "{group} allows {permission} by {rule} with {} ({description})", tags_of(tags))
            }
            Self::Rule { group, rule, was: _, now: None } => write!(f, "{group} no longer has {rule}"),
            Self::Route { table, cidr, was, now } => {
                write!(f, "{table} routes {cidr} to {}, before to {}", target(now.as_ref()), target(was.as_ref()))
            }
        }
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>12}  {}: {}", crate::transport::clock(self.at), self.by, self.change)
    }
}
