//! Membership: which VPCs are members, which pairs are connected, and what each VPC advertises, by its tags and the policies.

use std::collections::BTreeSet;

use super::context::PlanContext;
use crate::cidr::{self, CidrSet, IpNet};
use crate::finding::{Expected, Finding};
use crate::ids::{MeshName, Pair, VpcRef};
use crate::invariants::Invariant;
use crate::observed::{Peering, RouteTable};
use crate::policy::{Denial, Dns, Mode, Policy, Tables, Topology};
use crate::tags::{self, Advertised, Role, TableTag, Tags};

/// What a mesh decides about a pair whose VPCs both request it, from least to most. Each verdict includes those before it:
/// a mesh that connects a pair also keeps what exists of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum PairVerdict {
    /// The mesh does not connect the pair: nothing of it stays for the mesh's sake.
    Unwanted,
    /// The mesh is not declared. A peering that was made for it stays: undeclaring a mesh is no proof that a VPC left it.
    Undeclared,
    /// Whether the mesh admits both VPCs cannot be determined: what exists stays, and nothing is created.
    Undetermined,
    /// The mesh connects the pair.
    Connect,
}

impl PlanContext<'_> {
    /// The policies of those of the meshes that are declared, in order of their names.
    fn policies<'m>(&'m self, meshes: &'m BTreeSet<MeshName>) -> impl Iterator<Item = &'m Policy> {
        meshes.iter().filter_map(|mesh| self.desired.declared.get(mesh))
    }

    /// Why a mesh does not admit a VPC that requests it; `None` if the VPC is a member.
    pub fn denial(&self, vpc: &VpcRef, mesh: &MeshName) -> Option<Denial> {
        match self.desired.declared.get(mesh) {
            None => Some(Denial::NotDeclared),
            Some(_) if self.is_draining(mesh) => Some(Denial::Draining),
            Some(policy) => self.not_admitted(vpc, policy).or_else(|| {
                let members =
                    policy.admit.members.filter(|_| *mesh == self.desired.mesh && self.over_capacity.contains(vpc));
                members.map(|members| Denial::Full { members })
            }),
        }
    }

    fn not_admitted(&self, vpc: &VpcRef, policy: &Policy) -> Option<Denial> {
        let account = &vpc.scope.account;
        let unknown = (!self.desired.accounts.known.contains(account)).then(|| Denial::UnknownAccount(account.clone()));
        policy.admit.denial(vpc, &self.desired.organization).or(unknown)
    }

    /// Whether it cannot be determined if a mesh admits a VPC.
    pub fn is_undetermined(&self, vpc: &VpcRef, mesh: &MeshName) -> bool {
        self.denial(vpc, mesh).is_some_and(|denial| !denial.is_certain())
    }

    /// Whether a mesh is declared and admits no VPC of the account of this one. That does not depend on any tag.
    pub fn excludes_account_of(&self, vpc: &VpcRef, mesh: &MeshName) -> bool {
        let (account, organization) = (&vpc.scope.account, &self.desired.organization);
        self.desired.declared.get(mesh).is_some_and(|policy| policy.admit.excludes_account(account, organization))
    }

    /// Whether policies exclude the account of a VPC that was not read from a peering: a mesh that the peering was made for, and
    /// every mesh that the peer requests, which was read. No tag of the VPC can connect it with the peer then. A mesh that is not
    /// declared excludes no account.
    pub fn is_excluded(&self, vpc: &VpcRef, peering: &Peering) -> bool {
        let made_for = peering.tagged_meshes();
        let keeps_out = |mesh: &MeshName| match self.desired.declared.contains_key(mesh) {
            true => self.excludes_account_of(vpc, mesh),
            false => !made_for.contains(mesh),
        };
        let peer = peering.peer_of(vpc).filter(|peer| self.is_proven(peer));
        !self.is_proven(vpc)
            && made_for.iter().any(|mesh| self.excludes_account_of(vpc, mesh))
            && peer.is_some_and(|peer| self.meshes_of(peer).iter().all(keeps_out))
    }

    /// Whether a side of a peering was not read and its routes count all the same: policies do not exclude its account, or a declared
    /// mesh that the peering was made for admits it.
    pub fn is_missing_side(&self, vpc: &VpcRef, peering: &Peering) -> bool {
        let made_for = peering.tagged_meshes();
        let mut declared = made_for.iter().filter(|mesh| self.desired.declared.contains_key(*mesh));
        let is_admitted = declared.any(|mesh| !self.excludes_account_of(vpc, mesh));
        !self.is_proven(vpc) && (is_admitted || !self.is_excluded(vpc, peering))
    }

    /// The VPCs that request this run's mesh and exceed its member limit. Connected VPCs keep their slots, then the earliest.
    pub(super) fn find_over_capacity(&self) -> BTreeSet<VpcRef> {
        let mesh = &self.desired.mesh;
        let Some(policy) = self.desired.declared.get(mesh) else { return BTreeSet::new() };
        let Some(most) = policy.admit.members else { return BTreeSet::new() };
        let made_for_it = self.index.made_for(mesh).iter().filter(|peering| self.is_live_and_ours(peering));
        let connected: BTreeSet<&VpcRef> = made_for_it.flat_map(|peering| peering.ends()).collect();
        let refused = |vpc: &VpcRef| self.not_admitted(vpc, policy).is_some_and(|denial| denial.is_certain());
        let mut asking: Vec<&VpcRef> = self.requesters_of(mesh).filter(|vpc| !refused(vpc)).collect();
        asking.sort_by_key(|vpc| (!connected.contains(vpc), self.desired.joined_at(vpc, mesh), *vpc));
        asking.into_iter().skip(most).cloned().collect()
    }

    /// Whether an operator drains the mesh.
    pub fn is_draining(&self, mesh: &MeshName) -> bool {
        self.desired.declared.get(mesh).is_some_and(|policy| policy.mode == Mode::Draining)
    }

    /// What a mesh that both VPCs of a pair request decides about the pair.
    fn verdict(&self, mesh: &MeshName, pair: &Pair) -> PairVerdict {
        if !self.desired.declared.contains_key(mesh) {
            PairVerdict::Undeclared
        } else if self.connects(mesh, pair) {
            PairVerdict::Connect
        } else if self.may_connect(mesh, pair) {
            PairVerdict::Undetermined
        } else {
            PairVerdict::Unwanted
        }
    }

    /// The meshes that both VPCs of a pair request and that decide at least this about it.
    fn meshes_with(&self, pair: &Pair, least: PairVerdict) -> BTreeSet<MeshName> {
        let mut meshes = self.requested_by_both(pair);
        meshes.retain(|mesh| self.verdict(mesh, pair) >= least);
        meshes
    }

    /// The meshes that connect a pair.
    pub fn connecting_meshes(&self, pair: &Pair) -> BTreeSet<MeshName> {
        self.meshes_with(pair, PairVerdict::Connect)
    }

    /// The declared meshes that keep what exists of a pair.
    pub fn retaining_meshes(&self, pair: &Pair) -> BTreeSet<MeshName> {
        self.meshes_with(pair, PairVerdict::Undetermined)
    }

    /// The meshes that keep a peering of a pair from being deleted: those that retain the pair, and undeclared ones that the
    /// peering was made for.
    pub fn protecting_meshes(&self, pair: &Pair, peering: &Peering) -> BTreeSet<MeshName> {
        let made_for = peering.tagged_meshes();
        let mut meshes = self.meshes_with(pair, PairVerdict::Undeclared);
        meshes.retain(|mesh| self.desired.declared.contains_key(mesh) || made_for.contains(mesh));
        meshes
    }

    fn may_connect(&self, mesh: &MeshName, pair: &Pair) -> bool {
        let Some(policy) = self.desired.declared.get(mesh) else { return false };
        let denials = pair.ends().map(|vpc| self.denial(vpc, mesh));
        let is_denied = denials.iter().flatten().any(Denial::is_certain);
        !is_denied && policy.connects(self.roles_of(pair, policy, Role::Hub))
    }

    /// The roles of the VPCs of a pair in a mesh, with this one for a VPC of which it is unknown whether the policy names it.
    fn roles_of(&self, pair: &Pair, policy: &Policy, unknown: Role) -> [Role; 2] {
        pair.ends().map(|vpc| self.role_of(vpc, policy).unwrap_or(unknown))
    }

    /// The role of a VPC in a mesh; `None` if it is unknown whether the policy names it as a hub.
    pub fn role_of(&self, vpc: &VpcRef, policy: &Policy) -> Option<Role> {
        match Role::requested(self.tags_of(vpc)) {
            Ok(Some(Role::Spoke)) | Err(_) => Some(Role::Spoke),
            Ok(Some(Role::Hub) | None) => match policy.hubs.names(vpc, &self.desired.organization) {
                Ok(true) => Some(Role::Hub),
                Ok(false) => Some(Role::Spoke),
                Err(_unlisted) => None,
            },
        }
    }

    fn requested_by_both(&self, pair: &Pair) -> BTreeSet<MeshName> {
        let mut meshes = self.meshes_of(pair.requester()) & self.meshes_of(pair.accepter());
        if !Invariant::AnyMeshKeepsAPair.is_enforced() {
            meshes.retain(|mesh| *mesh == self.desired.mesh);
        }
        meshes
    }

    fn connects(&self, mesh: &MeshName, pair: &Pair) -> bool {
        let Some(policy) = self.desired.declared.get(mesh) else { return false };
        let is_admitted = pair.ends().into_iter().all(|vpc| self.not_admitted(vpc, policy).is_none());
        let is_within_limit = match policy.admit.members {
            None => true,
            Some(_) if *mesh == self.desired.mesh => {
                !pair.ends().into_iter().any(|vpc| self.over_capacity.contains(vpc))
            }
            // Only the other mesh's own run reads all VPCs that request it, and so knows which of them exceed its limit.
            Some(_) => self.made_for(pair).contains(mesh),
        };
        is_admitted && is_within_limit && policy.connects(self.roles_of(pair, policy, Role::Spoke))
    }

    /// The CIDR blocks that a VPC advertises to meshes: those of its tag, within the ranges that a mesh admits and without
    /// those that it excludes. What one of several meshes accepts is accepted.
    pub fn advertised_cidrs(&self, vpc: &VpcRef, meshes: &BTreeSet<MeshName>) -> CidrSet {
        let Some(own) = self.cidrs_of(vpc) else { return CidrSet::default() };
        self.accepted_cidrs(vpc, meshes, &Advertised::of(self.tags_of(vpc), own).cidrs)
    }

    /// Those of a VPC's CIDR blocks that its meshes accept.
    fn accepted_cidrs(&self, vpc: &VpcRef, meshes: &BTreeSet<MeshName>, cidrs: &CidrSet) -> CidrSet {
        let of_mesh = |policy: &Policy| {
            let within = cidrs.iter().filter(|cidr| self.admits_cidr(policy, vpc, cidr)).copied();
            within.collect::<CidrSet>().without(&policy.routes.exclude)
        };
        self.policies(meshes).flat_map(|policy| of_mesh(policy).iter().copied().collect::<Vec<_>>()).collect()
    }

    /// Whether a VPC is proven to advertise no part of a CIDR block to these meshes any longer.
    pub fn no_longer_advertises(&self, vpc: &VpcRef, meshes: &BTreeSet<MeshName>, cidr: &IpNet) -> bool {
        self.is_proven(vpc)
            && !self.may_mean(vpc, meshes, cidr)
            && !self.advertised_cidrs(vpc, meshes).iter().any(|advertised_cidrs| cidr::overlap(advertised_cidrs, cidr))
    }

    /// Whether the tag of a VPC has an invalid word, which may be a typo for this CIDR block or a part of it.
    pub fn may_mean(&self, vpc: &VpcRef, meshes: &BTreeSet<MeshName>, cidr: &IpNet) -> bool {
        self.cidrs_of(vpc).is_some_and(|own| {
            !Advertised::of(self.tags_of(vpc), own).refused.is_empty()
                && self.accepted_cidrs(vpc, meshes, own).covers(cidr)
        })
    }

    /// What a mesh rejects of what a VPC advertises, and invalid values of its tags.
    pub fn rejected_advertisements(&self, vpc: &VpcRef, mesh: &MeshName) -> Vec<Finding> {
        let (Some(own), Some(policy)) = (self.cidrs_of(vpc), self.desired.declared.get(mesh)) else {
            return Vec::new();
        };
        if policy.is_unreadable() {
            return Vec::new(); // what it admits is unknown
        }
        let Advertised { cidrs, refused } = Advertised::of(self.tags_of(vpc), own);
        let is_refused = |cidr: &&IpNet| !self.admits_cidr(policy, vpc, cidr) && !policy.routes.exclude.spans(cidr);
        let outside = cidrs.iter().filter(is_refused);
        let outside =
            outside.map(|cidr| Finding::CidrNotAdmitted { vpc: vpc.clone(), mesh: mesh.clone(), cidr: *cidr });
        let refused = refused.into_iter().map(|word| Finding::invalid_tag(vpc, tags::CIDRS, word, Expected::OwnCidrs));
        outside.chain(refused).chain(self.rejected_role(vpc, mesh, policy)).collect()
    }

    fn rejected_role(&self, vpc: &VpcRef, mesh: &MeshName, policy: &Policy) -> Option<Finding> {
        let requested = match Role::requested(self.tags_of(vpc)) {
            Ok(requested) => requested,
            Err(word) => return Some(Finding::invalid_tag(vpc, tags::ROLE, word, Expected::HubOrSpoke)),
        };
        if policy.topology != Topology::HubAndSpoke || requested == Some(Role::Spoke) {
            return None;
        }
        let (vpc_ref, mesh) = (vpc.clone(), mesh.clone());
        match policy.hubs.names(vpc, &self.desired.organization) {
            Ok(false) if requested.is_some() => Some(Finding::NotAHub { vpc: vpc_ref, mesh }),
            Ok(_) => None,
            Err(unit) => {
                let denial = Denial::UnitNotListed { unit: unit.clone() };
                Some(Finding::NotAdmitted { vpc: vpc_ref, mesh, denial })
            }
        }
    }

    /// Whether peerd changes nothing in a table, because its tag says so or is invalid.
    pub fn is_ignored_table(&self, table: &RouteTable) -> bool {
        matches!(TableTag::of(&table.tags), Ok(TableTag::Ignore) | Err(_))
    }

    /// Whether a table gets the routes of these meshes. A table that one of several meshes selects is selected.
    pub fn is_managed_table(&self, table: &RouteTable, meshes: &BTreeSet<MeshName>) -> bool {
        let tag = TableTag::of(&table.tags);
        let selects = |policy: &Policy| match policy.routes.tables {
            Tables::All => true,
            Tables::Main => table.main,
            Tables::Tagged => tag == Ok(TableTag::Eligible),
        };
        !table.is_edge_associated
            && !self.is_ignored_table(table)
            && (tag == Ok(TableTag::Manage) || self.policies(meshes).any(selects))
    }

    /// Whether DNS resolution is to be on across a peering of these meshes; `None` if none of them manages it. If two
    /// disagree, on applies.
    pub fn resolves(&self, meshes: &BTreeSet<MeshName>) -> Option<bool> {
        let options: Vec<Dns> = self.policies(meshes).map(|policy| policy.dns).collect();
        if options.contains(&Dns::On) {
            Some(true)
        } else if options.contains(&Dns::Off) {
            Some(false)
        } else {
            None
        }
    }

    /// The tags of a managed peering of meshes: peerd's own, and those of the policies. If two policies disagree, the one
    /// whose mesh comes first by name applies.
    pub fn peering_tags(&self, pair: &Pair, meshes: &BTreeSet<MeshName>) -> Tags {
        let seal = self.desired.seals.of_peering(pair);
        let mut tags = tags::of_peering(&self.desired.deployment, meshes, pair, seal);
        for (key, value) in self.policies(meshes).flat_map(|policy| &policy.tags) {
            tags.entry(key.clone()).or_insert_with(|| value.clone());
        }
        tags
    }

    /// The paused meshes that keep a pair from being changed: those that both VPCs request, and those that one of its peerings
    /// was made for. Changes that other meshes want wait.
    pub fn pausing_meshes(&self, pair: &Pair) -> BTreeSet<MeshName> {
        let mut meshes = &self.requested_by_both(pair) | &self.made_for(pair);
        meshes.retain(|mesh| self.desired.declared.get(mesh).is_some_and(Policy::is_frozen));
        meshes
    }
}
