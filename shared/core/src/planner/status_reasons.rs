//! Why VPCs are not connected with their peers: what the steps collect for the status tags.

use std::collections::{BTreeMap, BTreeSet};

use crate::ids::{MeshName, Pair, VpcRef};
use crate::status::{StatusReason, StatusState};

/// Why VPCs are not connected with their peers, collected from all steps.
#[derive(Default)]
pub struct StatusReasons {
    /// By VPC, state and peer. The first reason that is given for a peer stays.
    pub(super) of_peers: BTreeMap<VpcRef, BTreeMap<(StatusState, VpcRef), StatusReason>>,
    /// Meshes that a VPC left while the deletes of its peerings wait for a confirmation.
    held: BTreeMap<VpcRef, BTreeSet<MeshName>>,
}

impl StatusReasons {
    /// Adds a reason for both VPCs of a pair, unless an earlier step has given one.
    pub fn add(&mut self, pair: &Pair, reason: StatusReason) {
        for (vpc, peer) in pair.directions() {
            let of_vpc = self.of_peers.entry(vpc.clone()).or_default();
            of_vpc.entry((reason.state(), peer.clone())).or_insert_with(|| reason.clone());
        }
    }

    /// Gives both VPCs of a pair this reason instead of any other of the same state.
    pub fn replace(&mut self, pair: &Pair, reason: StatusReason) {
        for (vpc, peer) in pair.directions() {
            let of_vpc = self.of_peers.entry(vpc.clone()).or_default();
            of_vpc.insert((reason.state(), peer.clone()), reason.clone());
        }
    }

    /// Records that the delete of the pair's peering waits for a confirmation.
    pub fn hold(&mut self, pair: &Pair, mesh: &MeshName) {
        for vpc in pair.ends() {
            self.held.entry(vpc.clone()).or_default().insert(mesh.clone());
        }
    }

    /// Adds the reasons of a later step.
    pub fn merge(&mut self, later: Self) {
        for (vpc, reasons) in later.of_peers {
            let of_vpc = self.of_peers.entry(vpc).or_default();
            for (key, reason) in reasons {
                of_vpc.entry(key).or_insert(reason);
            }
        }
        for (vpc, meshes) in later.held {
            self.held.entry(vpc).or_default().extend(meshes);
        }
    }

    /// The VPCs that wait for a peer.
    pub fn waiting(&self) -> BTreeSet<VpcRef> {
        let waits = |reasons: &BTreeMap<(StatusState, VpcRef), StatusReason>| {
            reasons.keys().any(|(state, _)| *state == StatusState::Waiting)
        };
        self.of_peers.iter().filter(|(_, reasons)| waits(reasons)).map(|(vpc, _)| vpc.clone()).collect()
    }

    /// Whether the deletes of peerings of a VPC that left the mesh wait for a confirmation.
    pub(super) fn is_held(&self, vpc: &VpcRef, mesh: &MeshName) -> bool {
        self.held.get(vpc).is_some_and(|held| held.contains(mesh))
    }
}
