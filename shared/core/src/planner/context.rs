//! The input of a plan: the desired state, the observed state, and which VPC requests which mesh according to both.

use std::collections::{BTreeMap, BTreeSet};

use super::index::ObservedIndex;
use crate::cidr::{CidrSet, IpNet};
use crate::desired::{DesiredState, Member};
use crate::ids::{MeshName, Pair, PeeringId, VpcRef};
use crate::invariants::Invariant;
use crate::observed::{ObservedState, Peering, Route, RouteTable, RouteTarget, Vpc};
use crate::policy::Policy;
use crate::tags::{self, Tags};

/// What is known of a VPC: from its own tags if its scope was read, else from the index of members.
struct KnownVpc<'c, 'a> {
    meshes: &'c BTreeSet<MeshName>,
    cidrs: &'a CidrSet,
    amazon_provided: &'a CidrSet,
    tags: &'a Tags,
}

/// A member of an unread scope, with the meshes that it requests.
type Indexed<'a> = (&'a Member, BTreeSet<MeshName>);

/// The input of a plan, with the meshes and CIDR blocks of every VPC in it.
pub struct PlanContext<'a> {
    /// The desired state.
    pub desired: &'a DesiredState,
    /// The observed state.
    pub observed: &'a ObservedState,
    /// What plans look up in the observed state.
    pub index: &'a ObservedIndex<'a>,
    /// The members of the scopes that were not read.
    indexed: BTreeMap<&'a VpcRef, Indexed<'a>>,
    /// The peerings that policies release.
    released: BTreeSet<&'a PeeringId>,
    /// The VPCs that exceed the member limit of this run's mesh.
    pub(super) over_capacity: BTreeSet<VpcRef>,
}

impl<'a> PlanContext<'a> {
    /// Takes the tags that were read, and the index of members for the scopes that were not.
    pub fn new(desired: &'a DesiredState, index: &'a ObservedIndex<'a>) -> Self {
        let observed = index.observed;
        let unread = desired.indexed.values().filter(|member| index.vpc(&member.vpc).is_none());
        let unread = unread.filter(|member| !observed.was_read(&member.vpc.scope));
        let indexed = unread.map(|member| (&member.vpc, (member, member.requested_meshes()))).collect();
        let released = desired.declared.values().flat_map(|policy| &policy.release).collect();
        let mut context = Self { desired, observed, index, indexed, released, over_capacity: BTreeSet::new() };
        context.over_capacity = context.find_over_capacity();
        context
    }

    fn known(&self, vpc: &VpcRef) -> Option<KnownVpc<'_, 'a>> {
        if let Some(seen) = self.index.vpc(vpc) {
            let Vpc { vpc_ref: _, cidrs, amazon_provided, cidrs_changing: _, tags } = seen.vpc;
            return Some(KnownVpc { meshes: &seen.requested.meshes, cidrs, amazon_provided, tags });
        }
        let (Member { cidrs, amazon_provided, tags, .. }, meshes) = self.indexed.get(vpc)?;
        Some(KnownVpc { meshes, cidrs, amazon_provided, tags })
    }

    /// The meshes that the live managed peerings of a pair were made for.
    pub(super) fn made_for(&self, pair: &Pair) -> BTreeSet<MeshName> {
        let ours = |peering: &&&Peering| self.is_live_and_ours(peering);
        self.index.peerings_of(pair).iter().filter(ours).flat_map(|peering| peering.tagged_meshes()).collect()
    }

    /// Whether a peering is live, and owned and not released.
    pub(super) fn is_live_and_ours(&self, peering: &Peering) -> bool {
        peering.status.is_live() && peering.is_owned() && !self.is_released(peering)
    }

    /// The route tables of a VPC that may have peering routes, in order of id.
    pub fn tables_of<'m>(&'m self, vpc: &VpcRef) -> impl Iterator<Item = &'a RouteTable> + 'm {
        self.all_tables_of(vpc).filter(|table| !table.is_edge_associated)
    }

    /// The route tables of a VPC, including those that are associated with a gateway, in order of id.
    pub fn all_tables_of<'m>(&'m self, vpc: &VpcRef) -> impl Iterator<Item = &'a RouteTable> + 'm {
        self.index.tables_of(vpc).iter().copied()
    }

    /// Every static route that targets a peering, with its table, including tables that are associated with a gateway. Only tables of
    /// its two VPCs can have one.
    pub fn routes_via<'m>(&'m self, peering: &'m Peering) -> impl Iterator<Item = (&'a RouteTable, &'a Route)> + 'm {
        let tables = peering.ends().into_iter().flat_map(|vpc| self.all_tables_of(vpc));
        let routes = tables.flat_map(|table| table.routes.iter().map(move |route| (table, route)));
        routes.filter(|(_, route)| {
            route.is_static && matches!(&route.target, RouteTarget::Peering(id) if *id == peering.id)
        })
    }

    /// The VPCs that request a mesh, in order, without those in scopes that this run did not try to read: the index does not
    /// make a VPC a member.
    pub fn requesters_of<'m>(&'m self, mesh: &'m MeshName) -> impl Iterator<Item = &'a VpcRef> + 'm {
        self.known_requesters_of(mesh).filter(|vpc| self.observed.scopes.contains_key(&vpc.scope))
    }

    /// The VPCs that request a mesh, in order, also those in scopes that this run did not try to read.
    pub fn known_requesters_of<'m>(&'m self, mesh: &'m MeshName) -> impl Iterator<Item = &'a VpcRef> + 'm {
        let unread = self.indexed.iter().filter(|(_, (_, meshes))| meshes.contains(mesh)).map(|(vpc, _)| *vpc);
        self.index.requesters_of(mesh).chain(unread).collect::<BTreeSet<_>>().into_iter()
    }

    /// The meshes that a VPC requests, declared or not; none for an unknown VPC.
    pub fn meshes_of(&self, vpc: &VpcRef) -> &BTreeSet<MeshName> {
        static NONE: BTreeSet<MeshName> = BTreeSet::new();
        self.known(vpc).map_or(&NONE, |known| known.meshes)
    }

    /// The CIDR blocks of a VPC, as read or as indexed.
    pub fn cidrs_of(&self, vpc: &VpcRef) -> Option<&'a CidrSet> {
        self.known(vpc).map(|known| known.cidrs)
    }

    /// Whether a policy admits a CIDR block of a VPC.
    pub fn admits_cidr(&self, policy: &Policy, vpc: &VpcRef, cidr: &IpNet) -> bool {
        self.known(vpc).is_some_and(|known| policy.admit.cidrs.admits(cidr, known.amazon_provided))
    }

    /// The tags of a VPC, as read or as indexed; the index has only those that determine its role in its meshes.
    pub fn tags_of(&self, vpc: &VpcRef) -> &'a Tags {
        static NONE: Tags = Tags::new();
        self.known(vpc).map_or(&NONE, |known| known.tags)
    }

    /// Whether the VPC's scope was read, so that its tags, or its absence, are proven.
    pub fn is_proven(&self, vpc: &VpcRef) -> bool {
        self.index.was_read(&vpc.scope) || !Invariant::ProofBeforeDelete.is_enforced()
    }

    /// Whether nothing is known of the VPC: its scope was not read, and the index has no record of it.
    pub fn is_unknown(&self, vpc: &VpcRef) -> bool {
        !self.is_proven(vpc) && self.known(vpc).is_none()
    }

    /// Whether both VPCs of a pair are proven.
    pub fn is_pair_proven(&self, pair: &Pair) -> bool {
        pair.ends().into_iter().all(|vpc| self.is_proven(vpc))
    }

    /// Whether this deployment may change a peering: it owns it, and no policy releases it.
    pub fn manages(&self, peering: &Peering) -> bool {
        (peering.is_owned() && !self.is_released(peering)) || !Invariant::OnlyManaged.is_enforced()
    }

    /// Whether a policy releases a peering.
    pub fn is_released(&self, peering: &Peering) -> bool {
        self.released.contains(&peering.id)
    }

    /// The peerings that policies release, in order of id.
    pub fn released<'m>(&'m self) -> impl Iterator<Item = &'a Peering> + 'm {
        self.released.iter().filter_map(|id| self.observed.peerings.get(*id))
    }

    /// Whether a mesh that connects the pair adopts the peering. A peering that another deployment owns cannot be adopted.
    pub fn is_adopted(&self, pair: &Pair, peering: &Peering) -> bool {
        let named = |mesh: &MeshName| self.desired.declared.get(mesh).is_some_and(|p| p.adopt.contains(&peering.id));
        let is_of_other = |current: &Tags| tags::other_owner(current, &self.desired.deployment).is_some();
        !peering.tags.values().any(is_of_other)
            && !self.is_released(peering)
            && self.connecting_meshes(pair).iter().any(named)
    }

    /// Whether this run has read the VPC.
    pub fn is_present(&self, vpc: &VpcRef) -> bool {
        self.index.vpc(vpc).is_some()
    }
}
