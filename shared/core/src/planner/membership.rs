//! Who is a member, who is connected with whom, and what each brings: what the tags ask for, under the policies.

use std::collections::BTreeSet;

use super::context::PlanContext;
use crate::cidr::{self, CidrSet, IpNet};
use crate::finding::{Expected, Finding};
use crate::ids::{MeshName, Pair, VpcRef};
use crate::invariants::Invariant;
use crate::observed::{Peering, RouteTable};
use crate::policy::{Denial, Dns, Mode, Policy, Tables};
use crate::tags::{self, Advertised, Role, TableTag, Tags};

impl PlanContext<'_> {
    /// The policies of those of the meshes that are declared, in order of their names.
    fn policies<'m>(&'m self, meshes: &'m BTreeSet<MeshName>) -> impl Iterator<Item = &'m Policy> {
        meshes.iter().filter_map(|mesh| self.desired.declared.get(mesh))
    }

    /// Why a mesh does not take a VPC that asks for it; nothing if the VPC is a member.
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
        policy.admit.denial(vpc, &self.desired.organization)
    }

    /// Whether it cannot be told if a mesh admits a VPC.
    pub fn is_in_doubt(&self, vpc: &VpcRef, mesh: &MeshName) -> bool {
        self.denial(vpc, mesh).is_some_and(|denial| !denial.is_certain())
    }

    /// The VPCs that ask for this run's mesh and for which it has no room. Who is connected stays, and then who joined first.
    pub(super) fn find_over_capacity(&self) -> BTreeSet<VpcRef> {
        let mesh = &self.desired.mesh;
        let Some(admit) = self.desired.declared.get(mesh).map(|policy| &policy.admit) else { return BTreeSet::new() };
        let Some(most) = admit.members else { return BTreeSet::new() };
        let made_for_it = self.made_for.iter().filter(|(_, meshes)| meshes.contains(mesh));
        let connected: BTreeSet<&VpcRef> = made_for_it.flat_map(|(pair, _)| pair.ends()).collect();
        let refused =
            |vpc: &VpcRef| admit.denial(vpc, &self.desired.organization).is_some_and(|denial| denial.is_certain());
        let mut asking: Vec<&VpcRef> = self.asking_for(mesh).filter(|vpc| !refused(vpc)).collect();
        asking.sort_by_key(|vpc| (!connected.contains(vpc), self.desired.joined(vpc, mesh), *vpc));
        asking.into_iter().skip(most).cloned().collect()
    }

    /// Whether an operator takes the mesh down.
    pub fn is_draining(&self, mesh: &MeshName) -> bool {
        self.desired.declared.get(mesh).is_some_and(|policy| policy.mode == Mode::Draining)
    }

    /// The declared meshes that connect a pair.
    pub fn connecting_meshes(&self, pair: &Pair) -> BTreeSet<MeshName> {
        let mut meshes = self.asked_by_both(pair);
        meshes.retain(|mesh| self.connects(mesh, pair));
        meshes
    }

    /// The meshes on whose account a peering of a pair is not let go of: those that keep the pair, and those that both
    /// VPCs ask for, that the peering was made for and that are not declared any more. Undeclaring a mesh is no proof that
    /// anybody left it.
    pub fn protecting_meshes(&self, pair: &Pair, peering: &Peering) -> BTreeSet<MeshName> {
        let made_for = peering.tagged_meshes();
        let is_undeclared = |mesh: &MeshName| !self.desired.declared.contains_key(mesh) && made_for.contains(mesh);
        let mut meshes = self.retaining_meshes(pair);
        meshes.extend(self.asked_by_both(pair).into_iter().filter(is_undeclared));
        meshes
    }

    /// The declared meshes for which what stands of a pair stays: those that connect it, and those of which it cannot be told
    /// whether they admit both VPCs.
    pub fn retaining_meshes(&self, pair: &Pair) -> BTreeSet<MeshName> {
        let mut meshes = self.asked_by_both(pair);
        meshes.retain(|mesh| self.connects(mesh, pair) || self.may_connect(mesh, pair));
        meshes
    }

    fn may_connect(&self, mesh: &MeshName, pair: &Pair) -> bool {
        let Some(policy) = self.desired.declared.get(mesh) else { return false };
        let denials = pair.ends().map(|vpc| self.denial(vpc, mesh));
        let refused = denials.iter().flatten().any(Denial::is_certain);
        !refused && policy.connects(self.roles_of(pair))
    }

    fn roles_of(&self, pair: &Pair) -> [Role; 2] {
        pair.ends().map(|vpc| Role::of(self.tags_of(vpc)).unwrap_or_default())
    }

    fn asked_by_both(&self, pair: &Pair) -> BTreeSet<MeshName> {
        let mut meshes = &self.meshes_of(pair.requester()) & &self.meshes_of(pair.accepter());
        if !Invariant::AnyMeshKeepsAPair.is_enforced() {
            meshes.retain(|mesh| *mesh == self.desired.mesh);
        }
        meshes
    }

    fn connects(&self, mesh: &MeshName, pair: &Pair) -> bool {
        let Some(policy) = self.desired.declared.get(mesh) else { return false };
        let admitted = pair.ends().into_iter().all(|vpc| self.not_admitted(vpc, policy).is_none());
        let has_room = match policy.admit.members {
            None => true,
            Some(_) if *mesh == self.desired.mesh => {
                !pair.ends().into_iter().any(|vpc| self.over_capacity.contains(vpc))
            }
            // Whom another mesh has room for is for its own run to say, which sees all who ask for it.
            Some(_) => self.made_for.get(pair).is_some_and(|meshes| meshes.contains(mesh)),
        };
        admitted && has_room && policy.connects(self.roles_of(pair))
    }

    /// The blocks that a VPC brings into meshes: what it advertises, within the ranges of a mesh and without what that mesh
    /// leaves out. What one of several meshes takes is taken.
    pub fn advertised_cidrs(&self, vpc: &VpcRef, meshes: &BTreeSet<MeshName>) -> CidrSet {
        let Some(own) = self.cidrs_of(vpc) else { return CidrSet::default() };
        let advertised = Advertised::of(self.tags_of(vpc), own).cidrs;
        let of_mesh = |policy: &Policy| {
            let ranges = &policy.admit.cidrs;
            let within = advertised.iter().filter(|block| ranges.is_empty() || ranges.covers(block)).copied();
            within.collect::<CidrSet>().without(&policy.routes.exclude)
        };
        self.policies(meshes).flat_map(|policy| of_mesh(policy).iter().copied().collect::<Vec<_>>()).collect()
    }

    /// Whether a VPC is known to advertise no part of a CIDR block to these meshes any longer. Of a VPC that cannot be read,
    /// nothing is known.
    pub fn gave_up(&self, vpc: &VpcRef, meshes: &BTreeSet<MeshName>, block: &IpNet) -> bool {
        self.is_proven(vpc)
            && !self.advertised_cidrs(vpc, meshes).iter().any(|advertised_cidrs| cidr::overlap(advertised_cidrs, block))
    }

    /// What is wrong with what a VPC advertises to a mesh, and with the words of its tags.
    pub fn rejected_advertisements(&self, vpc: &VpcRef, mesh: &MeshName) -> Vec<Finding> {
        let (Some(own), Some(policy)) = (self.cidrs_of(vpc), self.desired.declared.get(mesh)) else {
            return Vec::new();
        };
        let Advertised { cidrs, refused } = Advertised::of(self.tags_of(vpc), own);
        let ranges = &policy.admit.cidrs;
        let outside = cidrs.iter().filter(|block| !ranges.is_empty() && !ranges.covers(block));
        let outside =
            outside.map(|cidr| Finding::CidrNotAdmitted { vpc: vpc.clone(), mesh: mesh.clone(), cidr: *cidr });
        let refused = refused.into_iter().map(|word| Finding::invalid_tag(vpc, tags::CIDRS, word, Expected::OwnCidrs));
        let role = Role::of(self.tags_of(vpc)).err();
        let role = role.map(|word| Finding::invalid_tag(vpc, tags::ROLE, word, Expected::HubOrSpoke));
        outside.chain(refused).chain(role).collect()
    }

    /// Whether the table is left as it is, because its owner says so or says something that makes no sense.
    pub fn is_ignored_table(&self, table: &RouteTable) -> bool {
        matches!(TableTag::of(&table.tags), Ok(TableTag::Ignore) | Err(_))
    }

    /// Whether a table takes the routes that these meshes want. What one of several meshes selects is selected.
    pub fn is_managed_table(&self, table: &RouteTable, meshes: &BTreeSet<MeshName>) -> bool {
        let tag = TableTag::of(&table.tags);
        let selects = |policy: &Policy| match policy.routes.tables {
            Tables::All => true,
            Tables::Main => table.main,
            Tables::Tagged => tag == Ok(TableTag::Eligible),
        };
        !table.of_gateway
            && !self.is_ignored_table(table)
            && (tag == Ok(TableTag::Manage) || self.policies(meshes).any(selects))
    }

    /// Whether names are to resolve across a peering of these meshes; nothing if none of them says. Of two that disagree, the
    /// one that says yes is followed.
    pub fn resolves(&self, meshes: &BTreeSet<MeshName>) -> Option<bool> {
        let said: Vec<Dns> = self.policies(meshes).map(|policy| policy.dns).collect();
        match said {
            _ if said.contains(&Dns::On) => Some(true),
            _ if said.contains(&Dns::Off) => Some(false),
            _ => None,
        }
    }

    /// The tags of a managed peering of meshes: peerd's own, and those of the policies. Of two policies that disagree, the
    /// one whose mesh comes first by name is followed.
    pub fn peering_tags(&self, pair: &Pair, meshes: &BTreeSet<MeshName>) -> Tags {
        let mut tags = tags::of_peering(&self.desired.deployment, meshes, pair);
        for (key, value) in self.policies(meshes).flat_map(|policy| &policy.tags) {
            tags.entry(key.clone()).or_insert_with(|| value.clone());
        }
        tags
    }

    /// The paused meshes for whose sake nothing of a pair may be changed: those that both VPCs request, and those for which
    /// one of its peerings was made. What another mesh wants of it waits.
    pub fn freezing(&self, pair: &Pair) -> BTreeSet<MeshName> {
        let made_for = self.made_for.get(pair).into_iter().flatten().cloned();
        let mut meshes: BTreeSet<MeshName> = self.asked_by_both(pair).into_iter().chain(made_for).collect();
        meshes.retain(|mesh| self.desired.declared.get(mesh).is_some_and(Policy::is_frozen));
        meshes
    }
}
