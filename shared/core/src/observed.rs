//! The observed state of AWS: VPCs, peerings and route tables of every scope that was read, and the unreadable scopes.
//!
//! An unreadable scope never proves absence. The two sides of a peering show it at different times, each with its own
//! tags; one [`Peering`] merges both views and records what each side has shown.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::cidr::CidrSet;
use crate::ids::{AccountId, Deployment, MeshName, Pair, PeeringId, RouteTableId, Scope, SecurityGroupId, VpcRef};
use crate::ingress::Ingress;
use crate::printable::printable;
use crate::quotas::Quotas;
pub use crate::route_table::{PrefixListRoute, PrefixLists, Route, RouteTable, RouteTarget};
use crate::run_history::RunHistory;
use crate::seal::Seals;
use crate::tags::{self, Tags};

/// A VPC as its own scope shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vpc {
    /// The id and the scope of the VPC.
    pub vpc_ref: VpcRef,
    /// Its CIDR blocks in state `associated`, IPv4 and IPv6.
    pub cidrs: CidrSet,
    /// Those of its IPv6 CIDR blocks that Amazon provided: no one else uses their addresses. An owner can bring any other
    /// IPv6 CIDR block from an address pool of their own.
    pub amazon_provided: CidrSet,
    /// Whether a CIDR block is being associated or disassociated, so that a later read shows a different state.
    pub cidrs_changing: bool,
    /// All its tags.
    pub tags: Tags,
}

/// The attributes of a VPC that names need to resolve to private addresses across a peering: both of them
/// (<https://docs.aws.amazon.com/vpc/latest/peering/vpc-peering-dns.html>).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DnsSupport {
    /// `enableDnsHostnames`.
    pub hostnames: bool,
    /// `enableDnsSupport`.
    pub support: bool,
}

/// A state of a peering (<https://docs.aws.amazon.com/vpc/latest/peering/vpc-peering-basics.html>).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PeeringStatus {
    /// Requested, not yet with the accepter.
    InitiatingRequest,
    /// Waits for the accepter, 7 days at most.
    PendingAcceptance,
    /// Accepted, but without traffic yet: seconds to a minute or two.
    Provisioning,
    /// Carries the traffic of routes that target it.
    Active,
    /// Refused by AWS after the create call succeeded: overlap, or a wrong id.
    Failed,
    /// Not accepted in time.
    Expired,
    /// Refused by the accepter's owner.
    Rejected,
    /// Being deleted.
    Deleting,
    /// Deleted, but still listed for hours or days.
    Deleted,
    /// A state that AWS added later: peerd neither uses such a peering nor treats it as dead.
    Unknown(String),
}

impl PeeringStatus {
    /// Parses AWS's status code.
    pub fn parse(code: &str) -> Self {
        match code {
            "initiating-request" => Self::InitiatingRequest,
            "pending-acceptance" => Self::PendingAcceptance,
            "provisioning" => Self::Provisioning,
            "active" => Self::Active,
            "failed" => Self::Failed,
            "expired" => Self::Expired,
            "rejected" => Self::Rejected,
            "deleting" => Self::Deleting,
            "deleted" => Self::Deleted,
            other => Self::Unknown(other.to_owned()),
        }
    }

    /// Whether the peering can still become or stay useful.
    pub fn is_live(&self) -> bool {
        !matches!(self, Self::Failed | Self::Expired | Self::Rejected | Self::Deleting | Self::Deleted)
    }

    /// How far along the peering is. Of two views the lesser counts: peerd waits until both sides show a state.
    fn progress(&self) -> u8 {
        match self {
            Self::Failed | Self::Expired | Self::Rejected | Self::Deleting | Self::Deleted => 0,
            Self::Unknown(_) => 1,
            Self::InitiatingRequest => 2,
            Self::PendingAcceptance => 3,
            Self::Provisioning => 4,
            Self::Active => 5,
        }
    }
}

impl fmt::Display for PeeringStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::InitiatingRequest => "initiating-request",
            Self::PendingAcceptance => "pending-acceptance",
            Self::Provisioning => "provisioning",
            Self::Active => "active",
            Self::Failed => "failed",
            Self::Expired => "expired",
            Self::Rejected => "rejected",
            Self::Deleting => "deleting",
            Self::Deleted => "deleted",
            Self::Unknown(code) => code,
        })
    }
}

/// A peering as one scope shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeeringView {
    /// The id of the peering.
    pub id: PeeringId,
    /// The VPC that requested the peering.
    pub requester: VpcRef,
    /// The VPC that accepts the peering.
    pub accepter: VpcRef,
    /// The state that this scope shows.
    pub status: PeeringStatus,
    /// AWS's message about the state.
    pub message: String,
    /// The tags that the peering has in this scope.
    pub tags: Tags,
    /// Whether the DNS option (`AllowDnsResolutionFromRemoteVpc`) is enabled, for each end in this scope for which AWS
    /// reports it. AWS reports it for active peerings only.
    pub dns: BTreeMap<VpcRef, bool>,
}

impl PeeringView {
    /// A view without a message about the state and without DNS options.
    pub fn new(id: PeeringId, [requester, accepter]: [&VpcRef; 2], status: PeeringStatus, tags: Tags) -> Self {
        let (requester, accepter) = (requester.clone(), accepter.clone());
        Self { id, requester, accepter, status, message: String::new(), tags, dns: BTreeMap::new() }
    }
}

/// A peering, merged from the views of all readable sides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peering {
    /// The id of the peering.
    pub id: PeeringId,
    /// The VPC that requested the peering.
    pub requester: VpcRef,
    /// The VPC that accepts the peering.
    pub accepter: VpcRef,
    /// Dead if either side shows it as dead; else the lesser progress of the two.
    pub status: PeeringStatus,
    /// AWS's message about the state.
    pub message: String,
    /// The tags by the scope that shows them; within one account and Region the two sides have one set of tags.
    pub tags: BTreeMap<Scope, Tags>,
    /// The scopes whose tags have a valid seal of this deployment.
    pub sealed_in: BTreeSet<Scope>,
    /// Whether the DNS option of an end is enabled, as its own scope reports it.
    pub dns: BTreeMap<VpcRef, bool>,
}

impl Peering {
    /// Whether this deployment owns the peering: a side has its seal.
    pub fn is_owned(&self) -> bool {
        !self.sealed_in.is_empty()
    }

    /// Whether a side has the ownership tag of the deployment, which every principal that may write tags can write.
    pub fn is_marked(&self, deployment: &Deployment) -> bool {
        self.tags.keys().any(|scope| self.is_marked_in(scope, deployment))
    }

    /// The meshes that it was last tagged for, on either side.
    pub fn tagged_meshes(&self) -> BTreeSet<MeshName> {
        self.tags.values().flat_map(tags::meshes_of_peering).collect()
    }

    /// Its two VPCs as a pair; `None` if both are the same VPC.
    pub fn pair(&self) -> Option<Pair> {
        Pair::of(&self.requester, &self.accepter)
    }

    /// Both VPCs, requester first.
    pub fn ends(&self) -> [&VpcRef; 2] {
        [&self.requester, &self.accepter]
    }

    /// The peer of this VPC, which is one of the ends; `None` if it is both.
    pub fn peer_of(&self, vpc: &VpcRef) -> Option<&VpcRef> {
        self.ends().into_iter().find(|end| *end != vpc)
    }

    fn merge(&mut self, seen_by: &Scope, view: PeeringView, is_sealed: bool) {
        if view.status.progress() < self.status.progress() {
            self.status = view.status;
            self.message = view.message;
        }
        self.tags.insert(seen_by.clone(), view.tags);
        match is_sealed {
            true => drop(self.sealed_in.insert(seen_by.clone())),
            false => drop(self.sealed_in.remove(seen_by)),
        }
        self.dns.extend(view.dns);
    }

    /// Whether the side of a scope has the deployment's ownership tag, so that the role of the scope may change it.
    pub fn is_marked_in(&self, scope: &Scope, deployment: &Deployment) -> bool {
        self.tags.get(scope).is_some_and(|current| tags::has_ownership_tag(current, deployment))
    }

    /// Whether the scope of one of its ends shows it.
    pub fn is_shown_by(&self, scope: &Scope) -> bool {
        self.tags.contains_key(scope)
    }
}

/// What a run has read of AWS, with the inputs of the planner and the effects of the run itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ObservedState {
    /// Every scope that the run tried to read: read in full, or why not.
    pub scopes: BTreeMap<Scope, Result<(), String>>,
    /// Scopes that are unreadable because the Region is disabled in the account.
    pub disabled_regions: BTreeSet<Scope>,
    /// The VPCs of the scopes that were read.
    pub vpcs: BTreeMap<VpcRef, Vpc>,
    /// The peerings that a readable side shows, dead ones included.
    pub peerings: BTreeMap<PeeringId, Peering>,
    /// The route tables of the scopes that were read.
    pub tables: BTreeMap<RouteTableId, RouteTable>,
    /// The security groups with `peerd:allow`, and the rules of all deployments, of all scopes.
    pub ingress: Ingress,
    /// Scopes that were read except for their security groups, and why: peerd changes no rule there.
    pub unreadable_groups: BTreeMap<Scope, String>,
    /// Answers to the questions of earlier plans of the run.
    pub inputs: PlannerInputs,
    /// What AWS did in response to this run's calls.
    pub run: RunEffects,
}

/// Inputs that only some plans need. A plan requests a missing one ([`crate::InputRequest`]), and the run plans again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PlannerInputs {
    /// The DNS attributes of VPCs, or why they could not be read.
    pub dns: BTreeMap<VpcRef, Result<DnsSupport, String>>,
    /// The quotas of scopes, or why they could not be read.
    pub quotas: BTreeMap<Scope, Result<Quotas, String>>,
    /// The CIDR blocks of prefix lists, or why they could not be read.
    pub prefix_lists: PrefixLists,
    /// What earlier runs of each mesh created and removed.
    pub run_histories: BTreeMap<MeshName, RunHistory>,
}

/// What AWS did in response to the calls of one run. The next plan of the same run takes it into account.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunEffects {
    /// Security groups in which AWS refused a rule because a quota is exceeded, with AWS's message.
    pub full_groups: BTreeMap<SecurityGroupId, String>,
    /// Pairs for which AWS refused a call because a quota is exceeded, with AWS's message.
    pub quota_refusals: BTreeMap<Pair, String>,
    /// Peerings that the run has deleted.
    pub deleted: BTreeSet<PeeringId>,
}

impl ObservedState {
    /// Whether the scope was read in full.
    pub fn was_read(&self, scope: &Scope) -> bool {
        matches!(self.scopes.get(scope), Some(Ok(())))
    }

    /// Whether the security groups of the scope and their rules were read too.
    pub fn has_groups_of(&self, scope: &Scope) -> bool {
        self.was_read(scope) && !self.unreadable_groups.contains_key(scope)
    }

    /// The values of the tag `Name` of the VPCs, printable.
    pub fn names(&self) -> BTreeMap<VpcRef, String> {
        let name = |vpc: &Vpc| Some((vpc.vpc_ref.clone(), printable(vpc.tags.get(tags::NAME)?)));
        self.vpcs.values().filter_map(name).collect()
    }

    /// Adds one scope's view of a peering, and verifies its seal.
    pub fn add_peering(&mut self, seen_by: &Scope, view: PeeringView, seals: &Seals) {
        let pair = Pair::of(&view.requester, &view.accepter);
        let is_sealed = pair.is_some_and(|pair| seals.verify_peering(&pair, &view.tags));
        match self.peerings.get_mut(&view.id) {
            Some(peering) => peering.merge(seen_by, view, is_sealed),
            None => {
                let tags = BTreeMap::from([(seen_by.clone(), view.tags)]);
                let sealed_in = is_sealed.then(|| seen_by.clone()).into_iter().collect();
                let PeeringView { id, requester, accepter, status, message, tags: _, dns } = view;
                let peering = Peering { id: id.clone(), requester, accepter, status, message, tags, sealed_in, dns };
                self.peerings.insert(id, peering);
            }
        }
    }

    /// Empties the scopes of an account, as if they had been read without any resources.
    pub fn empty_account(&mut self, account: &AccountId) {
        let is_here = |scope: &Scope| scope.account == *account;
        self.scopes.iter_mut().filter(|(scope, _)| is_here(scope)).for_each(|(_, read)| *read = Ok(()));
        self.vpcs.retain(|vpc, _| !is_here(&vpc.scope));
        self.tables.retain(|_, table| !is_here(&table.vpc.scope));
        self.ingress.groups.retain(|_, group| !is_here(&group.vpc.scope));
        self.ingress.rules.retain(|_, rule| !is_here(&rule.scope));
        for peering in self.peerings.values_mut() {
            peering.tags.retain(|scope, _| !is_here(scope));
            peering.sealed_in.retain(|scope| !is_here(scope));
        }
        self.peerings.retain(|_, peering| !peering.tags.is_empty());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seal::SealKeys;

    fn scope(account: &str) -> Scope {
        Scope::new(account.parse().unwrap(), "us-east-1".parse().unwrap())
    }

    fn view(status: PeeringStatus) -> PeeringView {
        let requester = VpcRef::new(scope("111111111111"), "vpc-1".parse().unwrap());
        let accepter = VpcRef::new(scope("222222222222"), "vpc-2".parse().unwrap());
        PeeringView::new("pcx-1".parse().unwrap(), [&requester, &accepter], status, Tags::new())
    }

    fn merged(first: PeeringStatus, second: PeeringStatus) -> PeeringStatus {
        let mut observed = ObservedState::default();
        let seals = Seals::new("peerd".parse().unwrap(), SealKeys::default());
        observed.add_peering(&scope("111111111111"), view(first), &seals);
        observed.add_peering(&scope("222222222222"), view(second), &seals);
        observed.peerings.into_values().next().unwrap().status
    }

    #[test]
    fn a_peering_is_active_only_if_both_readable_sides_report_it() {
        use PeeringStatus::{Active, Deleted, Provisioning};
        assert_eq!(merged(Active, Provisioning), Provisioning);
        assert_eq!(merged(Provisioning, Active), Provisioning);
        assert_eq!(merged(Active, Deleted), Deleted);
        assert_eq!(merged(Active, Active), Active);
    }

    #[test]
    fn an_unknown_peering_status_is_neither_active_nor_dead() {
        let status = PeeringStatus::parse("migrating");
        assert!(status.is_live());
        assert_ne!(status, PeeringStatus::Active);
        assert_eq!(status.to_string(), "migrating");
    }
}
