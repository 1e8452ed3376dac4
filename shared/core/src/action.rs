//! The actions of a plan. Each action names every id that it needs, and applying it twice has the same effect as
//! applying it once.
//!
//! peerd reverts every action itself when the tags require it, and needs no approval of another principal for that.
//! Applying an action involves no decision.

use std::fmt;

use crate::cidr::IpNet;
use crate::ids::{
    Deployment, MeshName, Pair, PeeringId, RouteTableId, Scope, SecurityGroupId, SecurityGroupRuleId, VpcRef,
};
use crate::observed::RouteTable;
use crate::permission::Permission;
use crate::tags::{self, Tags};

/// One change, as an *ensure*: applying it twice has the same effect as applying it once.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// Requests a peering, tagged by the create call itself, so that a crash leaves no untagged peering.
    CreatePeering {
        /// The requester and the accepter.
        pair: Pair,
        /// The tags of the requester's side.
        tags: Tags,
        /// Earlier peerings of the pair that are dead. A claim for one of them is no longer valid.
        dead: Vec<PeeringId>,
    },
    /// Accepts a request, in the accepter's account and Region.
    AcceptPeering {
        /// The peering.
        peering: PeeringId,
        /// The accepter's scope.
        scope: Scope,
    },
    /// Sets tags on one side of a peering.
    TagPeering {
        /// The peering.
        peering: PeeringId,
        /// The scope of the side.
        scope: Scope,
        /// The tags that the side lacks.
        tags: Tags,
    },
    /// Removes this deployment's ownership tags from one side of a peering, which is foreign from then on.
    ReleasePeering {
        /// The peering.
        peering: PeeringId,
        /// The scope of the side.
        scope: Scope,
    },
    /// Enables or disables the DNS option of one end of an active peering.
    SetDns {
        /// The peering.
        peering: PeeringId,
        /// The end: its public host names resolve to private addresses for the other VPC, or no longer do.
        vpc: VpcRef,
        /// Whether the end is the requester.
        requester: bool,
        /// Whether to enable the option; else it is disabled.
        on: bool,
    },
    /// Adds a route to a CIDR block over an active peering.
    AddRoute {
        /// The scope of the table.
        scope: Scope,
        /// The route table.
        table: RouteTableId,
        /// The destination CIDR block.
        destination: IpNet,
        /// The peering that the route is to target.
        peering: PeeringId,
    },
    /// Changes the target of an owned route from one managed peering to another in one call, without an interruption.
    ReplaceRoute {
        /// The scope of the table.
        scope: Scope,
        /// The route table.
        table: RouteTableId,
        /// The destination CIDR block.
        destination: IpNet,
        /// The managed peering that the route targets now.
        from: PeeringId,
        /// The peering that the route is to target.
        peering: PeeringId,
    },
    /// Removes a route that targets a managed peering.
    RemoveRoute {
        /// The scope of the table.
        scope: Scope,
        /// The route table.
        table: RouteTableId,
        /// The destination CIDR block.
        destination: IpNet,
        /// The peering that the route targets now.
        peering: PeeringId,
    },
    /// Deletes a managed peering that no route targets any longer.
    DeletePeering {
        /// The peering.
        peering: PeeringId,
        /// The scope from which peerd deletes it.
        scope: Scope,
        /// The two VPCs of the peering.
        pair: Pair,
    },
    /// Allows a CIDR block in a security group, with a rule that the create call itself tags.
    AuthorizeIngress {
        /// The scope of the group.
        scope: Scope,
        /// The security group.
        group: SecurityGroupId,
        /// The traffic and the source that the rule allows.
        permission: Permission,
        /// The description of the rule, with its seal.
        description: String,
        /// The tags of the rule.
        tags: Tags,
    },
    /// Changes a tag of an owned rule.
    TagIngress {
        /// The scope of the rule.
        scope: Scope,
        /// The rule.
        rule: SecurityGroupRuleId,
        /// The change.
        change: RuleTagChange,
    },
    /// Revokes an owned rule of a security group.
    RevokeIngress {
        /// The scope of the group.
        scope: Scope,
        /// The security group.
        group: SecurityGroupId,
        /// The rule.
        rule: SecurityGroupRuleId,
        /// The traffic and the source that the rule allows.
        permission: Permission,
    },
    /// Writes the tag `peerd:status` of a VPC, or removes it if there is no line.
    SetStatus {
        /// The VPC.
        vpc: VpcRef,
        /// The new value of the tag.
        line: Option<String>,
    },
}

/// A change of a tag of an ingress rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum RuleTagChange {
    /// Another mesh wants the rule.
    AddMesh(MeshName),
    /// A mesh no longer wants the rule.
    RemoveMesh(MeshName),
    /// The rule lost its ownership tag.
    RestoreOwner(Deployment),
}

impl RuleTagChange {
    /// The key of the tag.
    pub fn key(&self) -> String {
        match self {
            Self::AddMesh(mesh) | Self::RemoveMesh(mesh) => tags::for_mesh(mesh),
            Self::RestoreOwner(_) => tags::MANAGED_BY.to_owned(),
        }
    }

    /// The value that the tag gets; none if it is removed.
    pub fn value(&self) -> Option<&str> {
        match self {
            Self::AddMesh(_) => Some(""),
            Self::RemoveMesh(_) => None,
            Self::RestoreOwner(deployment) => Some(deployment.as_str()),
        }
    }
}

impl fmt::Display for RuleTagChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AddMesh(mesh) => write!(f, "is also for {mesh}"),
            Self::RemoveMesh(mesh) => write!(f, "is no longer for {mesh}"),
            Self::RestoreOwner(deployment) => write!(f, "tags {}={deployment}", tags::MANAGED_BY),
        }
    }
}

impl Action {
    /// The action that removes a route over a peering from its table.
    pub fn remove_route(table: &RouteTable, destination: &IpNet, peering: &PeeringId) -> Self {
        let (scope, peering) = (table.vpc.scope.clone(), peering.clone());
        Self::RemoveRoute { scope, table: table.id.clone(), destination: *destination, peering }
    }

    /// The existing peering that the action changes, routes to or deletes.
    pub fn peering(&self) -> Option<&PeeringId> {
        match self {
            Self::AcceptPeering { peering, .. }
            | Self::TagPeering { peering, .. }
            | Self::ReleasePeering { peering, .. }
            | Self::SetDns { peering, .. }
            | Self::AddRoute { peering, .. }
            | Self::ReplaceRoute { peering, .. }
            | Self::RemoveRoute { peering, .. }
            | Self::DeletePeering { peering, .. } => Some(peering),
            Self::CreatePeering { .. }
            | Self::AuthorizeIngress { .. }
            | Self::TagIngress { .. }
            | Self::RevokeIngress { .. }
            | Self::SetStatus { .. } => None,
        }
    }

    /// The scope in which the action is applied.
    pub fn scope(&self) -> &Scope {
        match self {
            Self::CreatePeering { pair, .. } => &pair.requester().scope,
            Self::SetDns { vpc, .. } | Self::SetStatus { vpc, .. } => &vpc.scope,
            Self::AcceptPeering { scope, .. }
            | Self::TagPeering { scope, .. }
            | Self::ReleasePeering { scope, .. }
            | Self::AddRoute { scope, .. }
            | Self::ReplaceRoute { scope, .. }
            | Self::RemoveRoute { scope, .. }
            | Self::DeletePeering { scope, .. }
            | Self::AuthorizeIngress { scope, .. }
            | Self::TagIngress { scope, .. }
            | Self::RevokeIngress { scope, .. } => scope,
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CreatePeering { pair, tags, dead: _ } => {
                let meshes = tags.get(tags::ENV).map_or("", String::as_str);
                write!(f, "+ peering {pair} for {meshes}")
            }
            Self::AcceptPeering { peering, scope } => write!(f, "* peering {peering} accept in {scope}"),
            Self::TagPeering { peering, scope, tags } => {
                // A seal says nothing to a reader.
                let line = |(key, value): (&String, &String)| match key.as_str() {
                    tags::SEAL => key.clone(),
                    _ => format!("{key}={value}"),
                };
                let tags: Vec<String> = tags.iter().map(line).collect();
                write!(f, "* peering {peering} in {scope} tags {}", tags.join(" "))
            }
            Self::ReleasePeering { peering, scope } => write!(f, "* peering {peering} in {scope} is released"),
            Self::SetDns { peering, vpc, requester: _, on } => {
                write!(f, "* peering {peering} dns of {vpc} {}", if *on { "on" } else { "off" })
            }
            Self::AddRoute { scope, table, destination, peering } => {
                write!(f, "+ route {table} in {scope} {destination} -> {peering}")
            }
            Self::ReplaceRoute { scope, table, destination, from, peering } => {
                write!(f, "* route {table} in {scope} {destination} {from} -> {peering}")
            }
            Self::RemoveRoute { scope, table, destination, peering } => {
                write!(f, "- route {table} in {scope} {destination} -> {peering}")
            }
            Self::DeletePeering { peering, scope, pair } => write!(f, "- peering {peering} {pair} from {scope}"),
            Self::AuthorizeIngress { scope, group, permission, description: _, tags } => {
                let meshes: Vec<&str> = tags::meshes_of_rule(tags).collect();
                write!(f, "+ ingress {group} in {scope} {permission} for {}", meshes.join("+"))
            }
            Self::TagIngress { scope, rule, change } => write!(f, "* ingress {rule} in {scope} {change}"),
            Self::RevokeIngress { scope, group, rule, permission } => {
                write!(f, "- ingress {group} in {scope} {permission} by {rule}")
            }
            Self::SetStatus { vpc, line: Some(line) } => write!(f, "* vpc {vpc} status {line}"),
            Self::SetStatus { vpc, line: None } => write!(f, "- vpc {vpc} status"),
        }
    }
}

/// Actions in the order of their kinds. The actions of one plan depend only on the observed state, so peerd may apply
/// them concurrently.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// Changes of the network.
    pub work: Vec<Action>,
    /// Updates of status tags. A run applies them when it has no work left.
    pub labels: Vec<Action>,
}

impl Plan {
    /// Whether the plan has no actions.
    pub fn is_empty(&self) -> bool {
        let Self { work, labels } = self;
        work.is_empty() && labels.is_empty()
    }

    /// All actions, work first.
    pub fn actions(&self) -> impl Iterator<Item = &Action> {
        self.work.iter().chain(&self.labels)
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return writeln!(f, "nothing to do");
        }
        self.actions().try_for_each(|action| writeln!(f, "{action}"))
    }
}
