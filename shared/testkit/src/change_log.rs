//! What really happened in AWS, in order: the only thing that the oracle knows of a world.

use std::fmt;

use peerd_core::cidr::{CidrSet, IpNet};
use peerd_core::{
    DnsSupport, PeeringId, PeeringStatus, RouteTableId, RouteTarget, Scope, SecurityGroupId, SecurityGroupRuleId, Tags,
    VpcRef,
};
use peerd_engine::Timestamp;

use crate::aws::GroupRule;

/// Who did it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Actor {
    /// AWS itself, in the course of time.
    Aws,
    /// Somebody with the console, or another tool.
    User,
    /// A worker of peerd's.
    Worker(u32),
}

/// One change.
#[derive(Debug, Clone)]
pub struct Entry {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub by: Actor,
    /// What.
    pub deed: Change,
}

/// Kinds of change; each says what there is afterwards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A VPC was made, or its blocks or tags changed.
    Vpc {
        /// Which.
        vpc: VpcRef,
        /// Its associated blocks.
        blocks: CidrSet,
        /// Its tags.
        tags: Tags,
    },
    /// A VPC was deleted.
    VpcGone {
        /// Which.
        vpc: VpcRef,
    },
    /// A route table was made.
    Table {
        /// Which.
        table: RouteTableId,
        /// Whose.
        vpc: VpcRef,
        /// Whether it is a gateway's.
        of_gateway: bool,
        /// Whether it is the VPC's main table.
        main: bool,
    },
    /// A route table has other tags.
    TableTags {
        /// Which.
        table: RouteTableId,
        /// The tags.
        tags: Tags,
    },
    /// A prefix list with one block was led somewhere by a route table.
    List {
        /// Which table.
        table: RouteTableId,
        /// The block.
        block: IpNet,
    },
    /// A route table was deleted.
    TableGone {
        /// Which.
        table: RouteTableId,
    },
    /// A peering was requested.
    Peering {
        /// Which.
        id: PeeringId,
        /// By which VPC.
        requester: VpcRef,
        /// Of which VPC.
        accepter: VpcRef,
    },
    /// A peering has another state.
    Status {
        /// Which.
        id: PeeringId,
        /// The new state.
        status: PeeringStatus,
    },
    /// One side of a peering has other tags.
    Tags {
        /// Which.
        id: PeeringId,
        /// Which side.
        scope: Scope,
        /// The tags.
        tags: Tags,
    },
    /// A VPC has, or lacks, what names need.
    Dns {
        /// Which.
        vpc: VpcRef,
        /// Its attributes.
        has: DnsSupport,
    },
    /// The DNS option of one end of a peering was switched.
    Option {
        /// Which peering.
        id: PeeringId,
        /// Which end.
        vpc: VpcRef,
        /// On or off.
        on: bool,
    },
    /// A security group was made, or its tags changed.
    Group {
        /// Which.
        group: SecurityGroupId,
        /// Whose.
        vpc: VpcRef,
        /// Its tags.
        tags: Tags,
    },
    /// A security group is gone, and its rules with it.
    GroupGone {
        /// Which.
        group: SecurityGroupId,
    },
    /// A rule of a security group was made, or has other tags, or is gone.
    Rule {
        /// Of which group.
        group: SecurityGroupId,
        /// Which.
        rule: SecurityGroupRuleId,
        /// What it was.
        was: Option<GroupRule>,
        /// What it is.
        now: Option<GroupRule>,
    },
    /// A created route leads somewhere, or no longer leads anywhere.
    Route {
        /// In which table.
        table: RouteTableId,
        /// The block.
        block: IpNet,
        /// Where it led before.
        was: Option<RouteTarget>,
        /// Where it leads now.
        now: Option<RouteTarget>,
    },
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Aws => f.pad("AWS"),
            Self::User => f.pad("somebody"),
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
            Self::Vpc { vpc, blocks, tags } => {
                let blocks: Vec<String> = blocks.iter().map(ToString::to_string).collect();
                write!(f, "{vpc} has {} and {}", blocks.join(" "), tags_of(tags))
            }
            Self::VpcGone { vpc } => write!(f, "{vpc} is gone"),
            Self::Table { table, vpc, of_gateway, main } => {
                let kind = match (of_gateway, main) {
                    (true, _) => ", a gateway's",
                    (false, true) => ", its main table",
                    (false, false) => "",
                };
                write!(f, "{table} of {vpc} is there{kind}")
            }
            Self::TableTags { table, tags } => write!(f, "{table} wears {}", tags_of(tags)),
            Self::List { table, block } => write!(f, "{table} leads a prefix list with {block} to tgw-1"),
            Self::TableGone { table } => write!(f, "{table} is gone"),
            Self::Peering { id, requester, accepter } => write!(f, "{id} is requested by {requester} of {accepter}"),
            Self::Status { id, status } => write!(f, "{id} is {status}"),
            Self::Tags { id, scope, tags } => write!(f, "{id} in {scope} wears {}", tags_of(tags)),
            Self::Dns { vpc, has: DnsSupport { hostnames, support } } => {
                write!(f, "{vpc} has DNS host names {hostnames} and DNS support {support}")
            }
            Self::Option { id, vpc, on } => write!(f, "{id} dns of {vpc} {}", if *on { "on" } else { "off" }),
            Self::Group { group, vpc, tags } => write!(f, "{group} of {vpc} wears {}", tags_of(tags)),
            Self::GroupGone { group } => write!(f, "{group} is gone"),
            Self::Rule { group, rule, was: _, now: Some(GroupRule { permission, tags }) } => {
                write!(f, "{group} lets in {permission} by {rule} with {}", tags_of(tags))
            }
            Self::Rule { group, rule, was: _, now: None } => write!(f, "{group} has {rule} no more"),
            Self::Route { table, block, was, now } => {
                write!(f, "{table} leads {block} to {}, before to {}", target(now.as_ref()), target(was.as_ref()))
            }
        }
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>12}  {}: {}", crate::transport::clock(self.at), self.by, self.deed)
    }
}
