//! The index of an observed state: what the plans of all meshes look up in it. One index serves every mesh that is planned on the
//! same state, so that a plan costs what its mesh has, and not what all meshes have.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use crate::ids::{MeshName, Pair, PeeringId, Scope, VpcRef};
use crate::observed::{ObservedState, Peering, PeeringStatus, RouteTable, Vpc};
use crate::status::{self, StatusEntry};
use crate::tags::{self, MeshTag};

/// A VPC that was read, with its tags parsed.
pub struct IndexedVpc<'a> {
    /// The VPC.
    pub vpc: &'a Vpc,
    /// The value of `peerd:env`.
    pub requested: MeshTag,
    /// The entries of `peerd:status`.
    pub status: BTreeSet<StatusEntry>,
}

/// An observed state, with what plans look up in it.
pub struct ObservedIndex<'a> {
    /// The observed state.
    pub observed: &'a ObservedState,
    /// The scopes that were read in full.
    read: HashSet<&'a Scope>,
    /// The VPCs in order, and the place of each.
    vpcs: Vec<IndexedVpc<'a>>,
    places: HashMap<&'a VpcRef, usize>,
    peerings: HashMap<&'a PeeringId, &'a Peering>,
    /// The VPCs whose tags request each mesh.
    requesters: BTreeMap<MeshName, BTreeSet<&'a VpcRef>>,
    /// The route tables of each VPC, in order of id.
    tables: HashMap<&'a VpcRef, Vec<&'a RouteTable>>,
    /// The peerings of each pair by its lesser and its greater VPC, in order of id.
    of_pairs: HashMap<&'a VpcRef, HashMap<&'a VpcRef, Vec<&'a Peering>>>,
    /// The live peerings of each VPC, in order of id.
    live: HashMap<&'a VpcRef, Vec<&'a Peering>>,
    /// The peerings that were made for each mesh, in order of id.
    made_for: BTreeMap<MeshName, Vec<&'a Peering>>,
    /// The peerings that were made for no mesh.
    made_for_none: Vec<&'a Peering>,
    /// The requested peerings.
    pending: Vec<&'a Peering>,
    /// The live peerings that this deployment does not own.
    not_owned: Vec<&'a Peering>,
}

impl<'a> ObservedIndex<'a> {
    /// Indexes an observed state.
    pub fn new(observed: &'a ObservedState) -> Self {
        let mut index = Self {
            observed,
            read: observed.scopes.iter().filter(|(_, read)| read.is_ok()).map(|(scope, _)| scope).collect(),
            vpcs: Vec::with_capacity(observed.vpcs.len()),
            places: HashMap::with_capacity(observed.vpcs.len()),
            peerings: observed.peerings.iter().collect(),
            requesters: BTreeMap::new(),
            tables: HashMap::new(),
            of_pairs: HashMap::new(),
            live: HashMap::new(),
            made_for: BTreeMap::new(),
            made_for_none: Vec::new(),
            pending: Vec::new(),
            not_owned: Vec::new(),
        };
        observed.vpcs.iter().for_each(|(vpc, seen)| index.add_vpc(vpc, seen));
        for table in observed.tables.values() {
            index.tables.entry(&table.vpc).or_default().push(table);
        }
        observed.peerings.values().for_each(|peering| index.add_peering(peering));
        index
    }

    fn add_vpc(&mut self, vpc: &'a VpcRef, seen: &'a Vpc) {
        let requested = MeshTag::of(&seen.tags);
        for mesh in &requested.meshes {
            self.requesters.entry(mesh.clone()).or_default().insert(vpc);
        }
        let status = seen.tags.get(tags::STATUS).map(|line| status::parse(line)).unwrap_or_default();
        self.places.insert(vpc, self.vpcs.len());
        self.vpcs.push(IndexedVpc { vpc: seen, requested, status });
    }

    fn add_peering(&mut self, peering: &'a Peering) {
        let mut ends = peering.ends();
        ends.sort_unstable();
        let [lesser, greater] = ends;
        self.of_pairs.entry(lesser).or_default().entry(greater).or_default().push(peering);
        let meshes = peering.tagged_meshes();
        if meshes.is_empty() {
            self.made_for_none.push(peering);
        }
        for mesh in meshes {
            self.made_for.entry(mesh).or_default().push(peering);
        }
        if !peering.status.is_live() {
            return;
        }
        for vpc in BTreeSet::from(ends) {
            self.live.entry(vpc).or_default().push(peering);
        }
        if matches!(peering.status, PeeringStatus::InitiatingRequest | PeeringStatus::PendingAcceptance) {
            self.pending.push(peering);
        }
        if !peering.is_owned() {
            self.not_owned.push(peering);
        }
    }

    /// The VPCs that were read, in order.
    pub fn vpcs(&self) -> impl Iterator<Item = &IndexedVpc<'a>> {
        self.vpcs.iter()
    }

    /// A VPC that was read.
    pub fn vpc(&self, vpc: &VpcRef) -> Option<&IndexedVpc<'a>> {
        self.places.get(vpc).and_then(|place| self.vpcs.get(*place))
    }

    /// Whether a scope was read in full.
    pub fn was_read(&self, scope: &Scope) -> bool {
        self.read.contains(scope)
    }

    /// A peering.
    pub fn peering(&self, id: &PeeringId) -> Option<&'a Peering> {
        self.peerings.get(id).copied()
    }

    /// The VPCs whose own tags request a mesh, in order.
    pub fn requesters_of(&self, mesh: &MeshName) -> impl Iterator<Item = &'a VpcRef> {
        self.requesters.get(mesh).into_iter().flatten().copied()
    }

    /// The route tables of a VPC, in order of id.
    pub fn tables_of(&self, vpc: &VpcRef) -> &[&'a RouteTable] {
        self.tables.get(vpc).map_or(&[], Vec::as_slice)
    }

    /// The peerings of a pair, dead ones included, in order of id.
    pub fn peerings_of(&self, pair: &Pair) -> &[&'a Peering] {
        let of_lesser = self.of_pairs.get(pair.requester());
        of_lesser.and_then(|of_lesser| of_lesser.get(pair.accepter())).map_or(&[], Vec::as_slice)
    }

    /// The live peerings of a VPC, in order of id.
    pub fn live_peerings_of(&self, vpc: &VpcRef) -> &[&'a Peering] {
        self.live.get(vpc).map_or(&[], Vec::as_slice)
    }

    /// The peerings that were made for a mesh, in order of id.
    pub fn made_for(&self, mesh: &MeshName) -> &[&'a Peering] {
        self.made_for.get(mesh).map_or(&[], Vec::as_slice)
    }

    /// The peerings that were made for no mesh, or for a mesh of which this is true.
    pub fn made_for_none_or(&self, is: impl Fn(&MeshName) -> bool) -> impl Iterator<Item = &'a Peering> {
        let of_meshes = self.made_for.iter().filter(move |(mesh, _)| is(mesh)).flat_map(|(_, peerings)| peerings);
        self.made_for_none.iter().chain(of_meshes).copied()
    }

    /// The requested peerings, in order of id.
    pub fn pending(&self) -> impl Iterator<Item = &'a Peering> {
        self.pending.iter().copied()
    }

    /// The live peerings that this deployment does not own, in order of id.
    pub fn not_owned(&self) -> impl Iterator<Item = &'a Peering> {
        self.not_owned.iter().copied()
    }
}
