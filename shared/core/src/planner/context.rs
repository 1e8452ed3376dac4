//! What a plan looks at: what is wanted, what was seen, and who, by both, asks for which mesh and how well that is known.

use std::collections::{BTreeMap, BTreeSet};

use crate::cidr::CidrSet;
use crate::desired::DesiredState;
use crate::ids::{MeshName, Pair, VpcRef};
use crate::invariants::Invariant;
use crate::observed::{ObservedState, Peering};
use crate::tags::{self, MeshTag, Tags};

/// What is believed of a VPC: by its own tag where its scope answered, by the index where it did not.
struct Standing<'a> {
    meshes: BTreeSet<MeshName>,
    cidrs: &'a CidrSet,
    tags: &'a Tags,
}

/// The inputs of a plan, with the meshes and blocks of every VPC that they know of.
pub struct PlanContext<'a> {
    /// What is wanted.
    pub desired: &'a DesiredState,
    /// What was seen.
    pub observed: &'a ObservedState,
    standings: BTreeMap<&'a VpcRef, Standing<'a>>,
    /// The meshes for which the live managed peerings of a pair were made.
    pub(super) made_for: BTreeMap<Pair, BTreeSet<MeshName>>,
    /// The VPCs for which this run's mesh has no room.
    pub(super) over_capacity: BTreeSet<VpcRef>,
}

impl<'a> PlanContext<'a> {
    /// Lays the tags that were read over the index.
    pub fn new(desired: &'a DesiredState, observed: &'a ObservedState) -> Self {
        let remembered = desired.remembered.values().filter(|member| !observed.answered(&member.vpc.scope));
        let remembered = remembered
            .map(|member| (&member.vpc, Standing { meshes: member.asked(), cidrs: &member.cidrs, tags: &member.tags }));
        let seen = observed.vpcs.values().map(|vpc| {
            (&vpc.at, Standing { meshes: MeshTag::of(&vpc.tags).meshes, cidrs: &vpc.cidrs, tags: &vpc.tags })
        });
        let mut made_for: BTreeMap<Pair, BTreeSet<MeshName>> = BTreeMap::new();
        let released = |peering: &Peering| desired.declared.values().any(|p| p.release.contains(&peering.id));
        let ours = |peering: &&Peering| {
            peering.status.is_live() && peering.is_managed_by(&desired.deployment) && !released(peering)
        };
        for peering in observed.peerings.values().filter(ours) {
            if let Some(pair) = peering.pair() {
                made_for.entry(pair).or_default().extend(peering.tagged_meshes());
            }
        }
        let (standings, over_capacity) = (remembered.chain(seen).collect(), BTreeSet::new());
        let mut context = Self { desired, observed, standings, made_for, over_capacity };
        context.over_capacity = context.find_over_capacity();
        context
    }

    /// The VPCs that ask for a mesh, in order. One in a scope that this run did not even try to read is not among them: it
    /// is not the index that says who is a member.
    pub fn asking_for<'m>(&'m self, mesh: &'m MeshName) -> impl Iterator<Item = &'a VpcRef> + 'm {
        self.known_to_ask_for(mesh).filter(|vpc| self.observed.scopes.contains_key(&vpc.scope))
    }

    /// The VPCs that ask for a mesh, in order, also those in scopes that this run did not even try to read.
    pub fn known_to_ask_for<'m>(&'m self, mesh: &'m MeshName) -> impl Iterator<Item = &'a VpcRef> + 'm {
        let asks = |(_, standing): &(_, &Standing<'_>)| standing.meshes.contains(mesh);
        self.standings.iter().filter(asks).map(|(vpc, _)| *vpc)
    }

    /// The meshes that a VPC asks for, declared or not; none of one that is not known.
    pub fn meshes_of(&self, vpc: &VpcRef) -> BTreeSet<MeshName> {
        self.standings.get(vpc).map(|standing| standing.meshes.clone()).unwrap_or_default()
    }

    /// The blocks of a VPC, as read or as remembered.
    pub fn cidrs_of(&self, vpc: &VpcRef) -> Option<&'a CidrSet> {
        self.standings.get(vpc).map(|standing| standing.cidrs)
    }

    /// The tags of a VPC, as read or as remembered: of the latter only those that say what it is in its meshes.
    pub fn tags_of(&self, vpc: &VpcRef) -> &Tags {
        static NONE: Tags = Tags::new();
        self.standings.get(vpc).map_or(&NONE, |standing| standing.tags)
    }

    /// Whether the VPC's scope answered, so that its tags, or its absence, are known for certain.
    pub fn is_proven(&self, vpc: &VpcRef) -> bool {
        self.observed.answered(&vpc.scope) || !Invariant::ProofBeforeDelete.is_enforced()
    }

    /// Whether nothing is known of the VPC: its scope did not answer, and the index has no record of it.
    pub fn is_unknown(&self, vpc: &VpcRef) -> bool {
        !self.is_proven(vpc) && !self.standings.contains_key(vpc)
    }

    /// Whether both VPCs of a pair are so known.
    pub fn is_pair_proven(&self, pair: &Pair) -> bool {
        pair.ends().into_iter().all(|vpc| self.is_proven(vpc))
    }

    /// Whether a peering is this deployment's to change: it wears the mark, and no policy releases it.
    pub fn manages(&self, peering: &Peering) -> bool {
        let marked = peering.is_managed_by(&self.desired.deployment) && !self.is_released(peering);
        marked || !Invariant::OnlyManaged.is_enforced()
    }

    /// Whether a policy says that a peering is to be managed no more.
    pub fn is_released(&self, peering: &Peering) -> bool {
        self.desired.declared.values().any(|policy| policy.release.contains(&peering.id))
    }

    /// Whether a mesh that connects the pair of a peering says that peerd is to manage it from now on. One that another
    /// deployment manages is not for the taking.
    pub fn is_adopted(&self, pair: &Pair, peering: &Peering) -> bool {
        let named = |mesh: &MeshName| self.desired.declared.get(mesh).is_some_and(|p| p.adopt.contains(&peering.id));
        let free = peering.tags.values().all(|worn| !worn.contains_key(tags::MANAGED_BY));
        free && !self.is_released(peering) && self.connecting_meshes(pair).iter().any(named)
    }

    /// Whether the VPC was seen in this run.
    pub fn is_present(&self, vpc: &VpcRef) -> bool {
        self.observed.vpcs.contains_key(vpc)
    }
}
