//! The input of a plan: the desired state, the observed state, and which VPC requests which mesh according to both.

use std::collections::{BTreeMap, BTreeSet};

use crate::cidr::{CidrSet, IpNet};
use crate::desired::{DesiredState, Member};
use crate::ids::{MeshName, Pair, VpcRef};
use crate::invariants::Invariant;
use crate::observed::{ObservedState, Peering, Route, RouteTable, RouteTarget, Vpc};
use crate::policy::Policy;
use crate::tags::{self, MeshTag, Tags};

/// What is known of a VPC: from its own tags if its scope was read, else from the index.
struct KnownVpc<'a> {
    meshes: BTreeSet<MeshName>,
    cidrs: &'a CidrSet,
    amazon_provided: &'a CidrSet,
    tags: &'a Tags,
}

/// The input of a plan, with the meshes and CIDR blocks of every VPC in it.
pub struct PlanContext<'a> {
    /// The desired state.
    pub desired: &'a DesiredState,
    /// The observed state.
    pub observed: &'a ObservedState,
    vpcs: BTreeMap<&'a VpcRef, KnownVpc<'a>>,
    /// The route tables of each VPC, in order of id.
    tables: BTreeMap<&'a VpcRef, Vec<&'a RouteTable>>,
    /// The meshes that the live managed peerings of a pair were made for.
    pub(super) made_for: BTreeMap<Pair, BTreeSet<MeshName>>,
    /// The VPCs that exceed the member limit of this run's mesh.
    pub(super) over_capacity: BTreeSet<VpcRef>,
}

impl<'a> PlanContext<'a> {
    /// Takes the tags that were read, and the index for the scopes that were not.
    pub fn new(desired: &'a DesiredState, observed: &'a ObservedState) -> Self {
        let indexed = desired.indexed.values().filter(|member| !observed.was_read(&member.vpc.scope));
        let indexed = indexed.map(|member| {
            let Member { vpc, cidrs, amazon_provided, tags, .. } = member;
            (vpc, KnownVpc { meshes: member.requested_meshes(), cidrs, amazon_provided, tags })
        });
        let seen = observed.vpcs.values().map(|vpc| {
            let Vpc { vpc_ref, cidrs, amazon_provided, cidrs_changing: _, tags } = vpc;
            (vpc_ref, KnownVpc { meshes: MeshTag::of(tags).meshes, cidrs, amazon_provided, tags })
        });
        let mut made_for: BTreeMap<Pair, BTreeSet<MeshName>> = BTreeMap::new();
        let released = |peering: &Peering| desired.declared.values().any(|p| p.release.contains(&peering.id));
        let ours = |peering: &&Peering| peering.status.is_live() && peering.is_owned() && !released(peering);
        for peering in observed.peerings.values().filter(ours) {
            if let Some(pair) = peering.pair() {
                made_for.entry(pair).or_default().extend(peering.tagged_meshes());
            }
        }
        let mut tables: BTreeMap<&VpcRef, Vec<&RouteTable>> = BTreeMap::new();
        for table in observed.tables.values() {
            tables.entry(&table.vpc).or_default().push(table);
        }
        let (vpcs, over_capacity) = (indexed.chain(seen).collect(), BTreeSet::new());
        let mut context = Self { desired, observed, vpcs, tables, made_for, over_capacity };
        context.over_capacity = context.find_over_capacity();
        context
    }

    /// The route tables of a VPC that may have peering routes, in order of id.
    pub fn tables_of<'m>(&'m self, vpc: &VpcRef) -> impl Iterator<Item = &'a RouteTable> + 'm {
        self.all_tables_of(vpc).filter(|table| !table.is_edge_associated)
    }

    /// The route tables of a VPC, including those that are associated with a gateway, in order of id.
    pub fn all_tables_of<'m>(&'m self, vpc: &VpcRef) -> impl Iterator<Item = &'a RouteTable> + 'm {
        self.tables.get(vpc).into_iter().flatten().copied()
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
        let requests = |(_, known): &(_, &KnownVpc<'_>)| known.meshes.contains(mesh);
        self.vpcs.iter().filter(requests).map(|(vpc, _)| *vpc)
    }

    /// The meshes that a VPC requests, declared or not; none for an unknown VPC.
    pub fn meshes_of(&self, vpc: &VpcRef) -> BTreeSet<MeshName> {
        self.vpcs.get(vpc).map(|known| known.meshes.clone()).unwrap_or_default()
    }

    /// The CIDR blocks of a VPC, as read or as indexed.
    pub fn cidrs_of(&self, vpc: &VpcRef) -> Option<&'a CidrSet> {
        self.vpcs.get(vpc).map(|known| known.cidrs)
    }

    /// Whether a policy admits a CIDR block of a VPC.
    pub fn admits_cidr(&self, policy: &Policy, vpc: &VpcRef, cidr: &IpNet) -> bool {
        self.vpcs.get(vpc).is_some_and(|known| policy.admit.cidrs.admits(cidr, known.amazon_provided))
    }

    /// The tags of a VPC, as read or as indexed; the index has only those that determine its role in its meshes.
    pub fn tags_of(&self, vpc: &VpcRef) -> &Tags {
        static NONE: Tags = Tags::new();
        self.vpcs.get(vpc).map_or(&NONE, |known| known.tags)
    }

    /// Whether the VPC's scope was read, so that its tags, or its absence, are proven.
    pub fn is_proven(&self, vpc: &VpcRef) -> bool {
        self.observed.was_read(&vpc.scope) || !Invariant::ProofBeforeDelete.is_enforced()
    }

    /// Whether nothing is known of the VPC: its scope was not read, and the index has no record of it.
    pub fn is_unknown(&self, vpc: &VpcRef) -> bool {
        !self.is_proven(vpc) && !self.vpcs.contains_key(vpc)
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
        self.desired.declared.values().any(|policy| policy.release.contains(&peering.id))
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
        self.observed.vpcs.contains_key(vpc)
    }
}
