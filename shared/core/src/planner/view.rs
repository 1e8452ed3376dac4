//! What a plan looks at: what is wanted, what was seen, and who, by both, is in which mesh and how well that is known.

use std::collections::{BTreeMap, BTreeSet};

use crate::cidr::CidrSet;
use crate::desired::Desired;
use crate::ids::{MeshName, Pair, VpcRef};
use crate::observed::{Observed, Peering};
use crate::rules::Rule;
use crate::tags::MeshTag;

/// What is believed of a VPC: by its own tag where its scope answered, by the index where it did not.
struct Standing<'a> {
    meshes: BTreeSet<MeshName>,
    cidrs: Option<&'a CidrSet>,
}

/// The inputs of a plan, with the meshes and blocks of every VPC that they know of.
pub struct View<'a> {
    /// What is wanted.
    pub desired: &'a Desired,
    /// What was seen.
    pub observed: &'a Observed,
    standings: BTreeMap<&'a VpcRef, Standing<'a>>,
}

impl<'a> View<'a> {
    /// Lays the tags that were read over the index.
    pub fn new(desired: &'a Desired, observed: &'a Observed) -> Self {
        let remembered = desired.remembered.values().filter(|member| !observed.answered(&member.vpc.scope));
        let remembered =
            remembered.map(|member| (&member.vpc, Standing { meshes: member.asked(), cidrs: Some(&member.cidrs) }));
        let seen = observed
            .vpcs
            .values()
            .map(|vpc| (&vpc.at, Standing { meshes: MeshTag::of(&vpc.tags).meshes, cidrs: Some(&vpc.cidrs) }));
        Self { desired, observed, standings: remembered.chain(seen).collect() }
    }

    /// The VPCs that ask for a mesh, in order. One in a scope that this run did not even try to read is not among them: it
    /// is not the index that says who is a member.
    pub fn asking_for<'m>(&'m self, mesh: &'m MeshName) -> impl Iterator<Item = &'a VpcRef> + 'm {
        let asks = move |(vpc, standing): &(&&VpcRef, &Standing<'_>)| {
            standing.meshes.contains(mesh) && self.observed.scopes.contains_key(&vpc.scope)
        };
        self.standings.iter().filter(asks).map(|(vpc, _)| *vpc)
    }

    /// The meshes that a VPC asks for, declared or not; none of one that is not known.
    pub fn meshes_of(&self, vpc: &VpcRef) -> BTreeSet<MeshName> {
        self.standings.get(vpc).map(|standing| standing.meshes.clone()).unwrap_or_default()
    }

    /// The declared meshes that connect a pair.
    pub fn connecting(&self, pair: &Pair) -> BTreeSet<MeshName> {
        let mut meshes = self.asked_by_both(pair);
        meshes.retain(|mesh| self.desired.declared.contains_key(mesh));
        if !Rule::AnyMeshKeepsAPair.is_kept() {
            meshes.retain(|mesh| *mesh == self.desired.mesh);
        }
        meshes
    }

    /// The meshes that both VPCs ask for, declared or not: undeclaring a mesh is no proof that anybody left it.
    pub fn asked_by_both(&self, pair: &Pair) -> BTreeSet<MeshName> {
        let mut meshes = &self.meshes_of(pair.requester()) & &self.meshes_of(pair.accepter());
        if !Rule::AnyMeshKeepsAPair.is_kept() {
            meshes.retain(|mesh| *mesh == self.desired.mesh);
        }
        meshes
    }

    /// The blocks of a VPC, as read or as remembered.
    pub fn cidrs_of(&self, vpc: &VpcRef) -> Option<&'a CidrSet> {
        self.standings.get(vpc).and_then(|standing| standing.cidrs)
    }

    /// Whether the VPC's scope answered, so that its tags, or its absence, are known for certain.
    pub fn is_proven(&self, vpc: &VpcRef) -> bool {
        self.observed.answered(&vpc.scope) || !Rule::ProofBeforeDelete.is_kept()
    }

    /// Whether this deployment made a peering.
    pub fn manages(&self, peering: &Peering) -> bool {
        peering.is_managed_by(&self.desired.deployment) || !Rule::OnlyManaged.is_kept()
    }

    /// Whether the VPC was seen in this run.
    pub fn is_present(&self, vpc: &VpcRef) -> bool {
        self.observed.vpcs.contains_key(vpc)
    }
}
