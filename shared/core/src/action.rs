//! What a plan is made of: actions that each name every id they need and can be done twice without harm.
//!
//! Who may undo one: every action here is undone by peerd itself when the tags say so, and by nobody else's leave. An
//! action never makes a choice when it is applied.

use std::fmt;

use crate::cidr::IpNet;
use crate::ids::{MeshName, Pair, PeeringId, RouteTableId, Scope, SecurityGroupId, SecurityGroupRuleId, VpcRef};
use crate::ingress::Permission;
use crate::observed::{ObservedState, PeeringStatus, PeeringView, Route, RouteTable, RouteTarget};
use crate::tags::{self, Tags};

/// One step, an *ensure*: doing it twice is doing it once.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// Request a peering, tagged in the create call itself, so that a crash leaves no orphan.
    CreatePeering {
        /// Requester and accepter.
        pair: Pair,
        /// The requester's side's tags.
        tags: Tags,
        /// Earlier peerings of the pair that are dead: a claim made for one of them no longer holds.
        dead: Vec<PeeringId>,
    },
    /// Accept a request, in the accepter's account and Region.
    AcceptPeering {
        /// Which.
        peering: PeeringId,
        /// The accepter's scope.
        scope: Scope,
    },
    /// Put tags on one side of a peering.
    TagPeering {
        /// Which.
        peering: PeeringId,
        /// The side's scope.
        scope: Scope,
        /// What that side lacks.
        tags: Tags,
    },
    /// Take the mark of this deployment off one side of a peering, which is somebody else's from then on.
    ReleasePeering {
        /// Which.
        peering: PeeringId,
        /// The side's scope.
        scope: Scope,
    },
    /// Switch the DNS option of one end of an active peering.
    SetDns {
        /// Which.
        peering: PeeringId,
        /// The end: its names resolve to private addresses for the other VPC, or no longer do.
        vpc: VpcRef,
        /// Whether the end is the requester.
        requester: bool,
        /// On or off.
        on: bool,
    },
    /// Route a block to an active peering.
    AddRoute {
        /// Where the table is.
        scope: Scope,
        /// Which table.
        table: RouteTableId,
        /// The block.
        destination: IpNet,
        /// Where to.
        peering: PeeringId,
    },
    /// Move a route of ours from one managed peering to another, without a moment between.
    ReplaceRoute {
        /// Where the table is.
        scope: Scope,
        /// Which table.
        table: RouteTableId,
        /// The block.
        destination: IpNet,
        /// The managed peering that it leads to now.
        from: PeeringId,
        /// Where to.
        peering: PeeringId,
    },
    /// Take out a route that leads to a managed peering.
    RemoveRoute {
        /// Where the table is.
        scope: Scope,
        /// Which table.
        table: RouteTableId,
        /// The block.
        destination: IpNet,
        /// Where it leads now.
        peering: PeeringId,
    },
    /// Delete a managed peering that carries no route any more.
    DeletePeering {
        /// Which.
        peering: PeeringId,
        /// The scope to delete it from.
        scope: Scope,
        /// Whose.
        pair: Pair,
    },
    /// Let a block into a security group, by a rule that is tagged in the very call that makes it.
    AuthorizeIngress {
        /// Where the group is.
        scope: Scope,
        /// Which group.
        group: SecurityGroupId,
        /// What to let in.
        permission: Permission,
        /// The rule's tags.
        tags: Tags,
    },
    /// Have a rule of ours stand for one mesh more, or for one less.
    MarkIngress {
        /// Where the rule is.
        scope: Scope,
        /// Which.
        rule: SecurityGroupRuleId,
        /// The mesh.
        mesh: MeshName,
        /// More or less.
        on: bool,
    },
    /// Take a rule of ours out of a security group.
    RevokeIngress {
        /// Where the group is.
        scope: Scope,
        /// Which group.
        group: SecurityGroupId,
        /// Which rule.
        rule: SecurityGroupRuleId,
        /// What it lets in.
        permission: Permission,
    },
    /// Write, or with none remove, `peerd:status` of a VPC.
    SetStatus {
        /// Which.
        vpc: VpcRef,
        /// The new line.
        line: Option<String>,
    },
}

impl Action {
    /// Takes a route over a peering out of its table.
    pub fn remove_route(table: &RouteTable, destination: &IpNet, peering: &PeeringId) -> Self {
        let (scope, peering) = (table.vpc.scope.clone(), peering.clone());
        Self::RemoveRoute { scope, table: table.id.clone(), destination: *destination, peering }
    }

    /// The scope in which it is done.
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
            | Self::MarkIngress { scope, .. }
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
                let tags: Vec<String> = tags.iter().map(|(key, value)| format!("{key}={value}")).collect();
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
            Self::AuthorizeIngress { scope, group, permission, tags } => {
                let meshes: Vec<&str> = tags::meshes_of_rule(tags).collect();
                write!(f, "+ ingress {group} in {scope} {permission} for {}", meshes.join("+"))
            }
            Self::MarkIngress { scope, rule, mesh, on } => {
                write!(f, "* ingress {rule} in {scope} is {} for {mesh}", if *on { "also" } else { "no longer" })
            }
            Self::RevokeIngress { scope, group, rule, permission } => {
                write!(f, "- ingress {group} in {scope} {permission} by {rule}")
            }
            Self::SetStatus { vpc, line: Some(line) } => write!(f, "* vpc {vpc} status {line}"),
            Self::SetStatus { vpc, line: None } => write!(f, "- vpc {vpc} status"),
        }
    }
}

/// What an applied action brought about, as far as the planner must know it for the next pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// What was ensured holds, whether or not something had to be changed.
    Done,
    /// The answer to a create: the new peering, or one that already stood.
    Peering(Box<PeeringView>),
    /// The state that a peering has now.
    Status(PeeringStatus),
    /// The rule that a group has now.
    Rule(SecurityGroupRuleId),
    /// Nothing: a quota of AWS is used up, in AWS's words.
    Refused(String),
}

/// Actions in the order of their kinds; those of one plan depend on nothing but what was observed, so they may run at
/// the same time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// What changes the network.
    pub work: Vec<Action>,
    /// What only tells: status tags. Applied when no work is left to do in this run.
    pub labels: Vec<Action>,
}

impl Plan {
    /// Whether nothing is to be done.
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

impl Action {
    /// The pair that it serves; none for a status, nor for what serves a whole mesh.
    pub fn pair(&self, observed: &ObservedState) -> Option<Pair> {
        match self {
            Self::CreatePeering { pair, .. } | Self::DeletePeering { pair, .. } => Some(pair.clone()),
            Self::AcceptPeering { peering, .. }
            | Self::TagPeering { peering, .. }
            | Self::ReleasePeering { peering, .. }
            | Self::SetDns { peering, .. }
            | Self::AddRoute { peering, .. }
            | Self::ReplaceRoute { peering, .. }
            | Self::RemoveRoute { peering, .. } => observed.peerings.get(peering)?.pair(),
            Self::AuthorizeIngress { .. }
            | Self::MarkIngress { .. }
            | Self::RevokeIngress { .. }
            | Self::SetStatus { .. } => None,
        }
    }
}

impl ObservedState {
    /// Folds in what an action's own call returned, so that the next pass need not read everything again.
    pub fn apply_effect(&mut self, action: &Action, effect: Effect) {
        match (action, effect) {
            (Action::AuthorizeIngress { group, .. }, Effect::Refused(why)) => {
                drop(self.run.full_groups.insert(group.clone(), why))
            }
            (_, Effect::Refused(why)) => {
                self.run.quota_refusals.extend(action.pair(self).map(|pair| (pair, why)));
            }
            (Action::CreatePeering { pair, .. }, Effect::Peering(view)) => {
                self.add_peering(&pair.requester().scope, *view);
            }
            (Action::AcceptPeering { peering, scope }, Effect::Status(status)) => {
                if let Some(peering) = self.peerings.get_mut(peering) {
                    peering.status = status;
                    peering.tags.entry(scope.clone()).or_default();
                }
            }
            (Action::TagPeering { peering, scope, tags }, _) => {
                if let Some(peering) = self.peerings.get_mut(peering) {
                    peering.tags.entry(scope.clone()).or_default().extend(tags.clone());
                }
            }
            (Action::ReleasePeering { peering, scope }, _) => {
                let current = self.peerings.get_mut(peering).and_then(|peering| peering.tags.get_mut(scope));
                current
                    .into_iter()
                    .for_each(|current| tags::OWNERSHIP_KEYS.iter().for_each(|key| drop(current.remove(*key))));
            }
            (Action::SetDns { peering, vpc, on, .. }, _) => {
                if let Some(peering) = self.peerings.get_mut(peering) {
                    peering.dns.insert(vpc.clone(), *on);
                }
            }
            (
                Action::AddRoute { table, destination, peering, .. }
                | Action::ReplaceRoute { table, destination, peering, .. },
                _,
            ) => {
                self.remove_route(table, destination);
                if let Some(table) = self.tables.get_mut(table) {
                    let target = RouteTarget::Peering(peering.clone());
                    table.routes.push(Route { destination: *destination, target, created: true, blackhole: false });
                }
            }
            (Action::RemoveRoute { table, destination, .. }, _) => self.remove_route(table, destination),
            (Action::DeletePeering { peering, .. }, _) => {
                self.run.deleted.insert(peering.clone());
                if let Some(peering) = self.peerings.get_mut(peering) {
                    peering.status = PeeringStatus::Deleted;
                }
            }
            (Action::AuthorizeIngress { .. } | Action::MarkIngress { .. } | Action::RevokeIngress { .. }, effect) => {
                self.ingress.apply_effect(action, effect);
            }
            (Action::SetStatus { vpc, line }, _) => {
                if let Some(vpc) = self.vpcs.get_mut(vpc) {
                    match line {
                        Some(line) => drop(vpc.tags.insert(tags::STATUS.to_owned(), line.clone())),
                        None => drop(vpc.tags.remove(tags::STATUS)),
                    }
                }
            }
            (Action::CreatePeering { .. } | Action::AcceptPeering { .. }, _) => {}
        }
    }

    fn remove_route(&mut self, table: &crate::ids::RouteTableId, destination: &IpNet) {
        if let Some(table) = self.tables.get_mut(table) {
            table.routes.retain(|route| !(route.created && route.destination == *destination));
        }
    }
}
