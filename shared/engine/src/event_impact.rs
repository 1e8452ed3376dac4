//! Reads the resources that an event names: which meshes it affects, and whether the read can be the state after it.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, stream};
use peerd_core::policy::Mode;
use peerd_core::status;
use peerd_core::tags::{self, MeshTag};
use peerd_core::{AccountId, Invariant, MeshName, Pair, PeeringId, Policy, Scope, Vpc, VpcId, VpcRef};

use crate::engine::Engine;
use crate::error::{CloudError, InfraError, chain};
use crate::event_target::{EventTarget, ExpectedState};
use crate::membership_index::ScanError;
use crate::observer::KnownAccounts;

/// The number of scopes whose VPCs are read concurrently.
const CONCURRENCY: usize = 32;

/// What the events of a batch read once.
pub struct BatchReads {
    /// The accounts and scopes that peerd knows. An event from another account wakes nothing.
    known: KnownAccounts,
    /// The VPCs that the events name, as read from each scope.
    vpcs: BTreeMap<Scope, Result<BTreeMap<VpcRef, Vpc>, CloudError>>,
    /// The declared meshes.
    declared: BTreeMap<MeshName, Policy>,
}

/// The result of reading the resources of one event.
#[derive(Default)]
pub struct EventImpact {
    /// The meshes that the event affects, with the scopes to read.
    pub meshes: Vec<(MeshName, BTreeSet<Scope>)>,
    /// Whether a read contradicts the event or failed with a transient error, so that it must be repeated.
    pub stale: bool,
}

impl EventImpact {
    /// Records an unreadable scope. peerd reads it again after a transient error; if it is denied, the next sweep does.
    fn unreadable(&mut self, scope: &Scope, error: &CloudError) {
        if error.kind.is_transient() {
            self.stale = true;
        } else {
            tracing::warn!(%scope, error = chain(error), "unreadable scope: resources of the event not read");
        }
    }

    fn add_meshes(&mut self, meshes: impl IntoIterator<Item = MeshName>, scopes: &BTreeSet<Scope>) {
        self.meshes.extend(meshes.into_iter().map(|mesh| (mesh, scopes.clone())));
    }
}

/// Whether the status tag of a VPC that requests no indexed mesh must be written or removed: its mesh tag contains
/// something, or it has a status tag.
fn is_reported(vpc: &Vpc) -> bool {
    MeshTag::of(&vpc.tags) != MeshTag::default() || vpc.tags.contains_key(tags::STATUS)
}

/// Returns the meshes whose runs write the status tag of a VPC that requests no indexed mesh: those that it names, and any active
/// one for what names no declared mesh.
fn meshes_of_status(vpc: &Vpc, declared: &BTreeMap<MeshName, Policy>) -> BTreeSet<MeshName> {
    let entries = vpc.tags.get(tags::STATUS).map(|line| status::parse(line)).unwrap_or_default();
    let named = declared.keys().filter(|mesh| entries.iter().any(|entry| entry.mesh == mesh.as_str()));
    let active = declared.iter().find_map(|(mesh, policy)| (policy.mode == Mode::Active).then_some(mesh));
    named.chain(active).cloned().collect()
}

impl Engine<'_> {
    /// Reads the known accounts, and every VPC in them that the events name, with one call per scope. Registers the Regions of known
    /// accounts that were read for the first time.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    pub(crate) async fn read_vpcs(&self, targets: &[&EventTarget]) -> Result<BatchReads, InfraError> {
        let mut known = self.observer().known_accounts().await?;
        let mut wanted: BTreeMap<Scope, BTreeSet<VpcId>> = BTreeMap::new();
        let vpcs = targets.iter().flat_map(|target| target.vpcs.keys());
        for vpc in vpcs.filter(|vpc| known.knows(&vpc.scope)) {
            wanted.entry(vpc.scope.clone()).or_default().insert(vpc.id.clone());
        }
        let reads = wanted.into_iter().map(|(scope, ids)| async move {
            let read = self.cloud.vpcs_by_id(&scope, &ids).await;
            let by_ref = read.map(|vpcs| vpcs.into_iter().map(|vpc| (vpc.vpc_ref.clone(), vpc)).collect());
            (scope, by_ref)
        });
        let vpcs: BTreeMap<Scope, Result<_, CloudError>> =
            stream::iter(reads).buffer_unordered(CONCURRENCY).collect().await;
        for (scope, _) in vpcs.iter().filter(|(_, read)| read.is_ok()) {
            if known.scopes.insert(scope.clone()) {
                tracing::info!(%scope, "Region registered by its first event");
                self.store.register(scope).await?;
            }
        }
        Ok(BatchReads { known, vpcs, declared: self.observer().declared().await? })
    }

    /// Reads all resources that an event names. If `has_retries_left` is false, a read that contradicts the event is accepted.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    pub(crate) async fn assess(
        &self,
        target: &EventTarget,
        has_retries_left: bool,
        reads: &BatchReads,
    ) -> Result<EventImpact, ScanError> {
        let EventTarget { vpcs, peerings, tables, groups, causes: _ } = target;
        let mut impact = EventImpact::default();
        for (vpc, expect) in vpcs {
            if !reads.known.knows(&vpc.scope) {
                self.refuse(&vpc.scope.account, expect, &reads.known).await?;
                continue;
            }
            self.read_vpc(vpc, expect, has_retries_left, reads, &mut impact).await?;
        }
        let is_known = |scope: &Scope| reads.known.knows(scope);
        for (scope, id) in peerings.iter().filter(|(scope, _)| is_known(scope)) {
            self.read_peering(scope, id, &reads.declared, &mut impact).await?;
        }
        for (scope, id) in tables.iter().filter(|(scope, _)| is_known(scope)) {
            let table = self.cloud.route_table(scope, id).await;
            self.read_owner(scope, table.map(|table| table.map(|table| table.vpc)), &mut impact).await?;
        }
        for (scope, id) in groups.iter().filter(|(scope, _)| is_known(scope)) {
            self.read_owner(scope, self.cloud.vpc_of_group(scope, id).await, &mut impact).await?;
        }
        Ok(impact)
    }

    async fn read_vpc(
        &self,
        vpc: &VpcRef,
        expect: &ExpectedState,
        has_retries_left: bool,
        reads: &BatchReads,
        impact: &mut EventImpact,
    ) -> Result<(), ScanError> {
        let read = match reads.vpcs.get(&vpc.scope) {
            Some(Ok(read)) => read.get(vpc),
            Some(Err(error)) => {
                impact.unreadable(&vpc.scope, error);
                return Ok(());
            }
            None => return Ok(()),
        };
        if !expect.allows(read) && has_retries_left && Invariant::StaleReadsAreReadAgain.is_enforced() {
            tracing::info!(%vpc, "stale read: it contradicts the event");
            impact.stale = true;
            return Ok(());
        }
        let tag_version = expect.tag_version().filter(|_| expect.allows(read));
        let mut touched = self.scan_vpc(vpc, read, tag_version, &reads.declared, None).await?.member.meshes;
        if let Some(vpc) = read.filter(|vpc| touched.is_empty() && is_reported(vpc)) {
            touched.extend(meshes_of_status(vpc, &reads.declared));
        }
        impact.add_meshes(touched, &[vpc.scope.clone()].into());
        Ok(())
    }

    /// Ignores an event from an unknown account. If a VPC requests a mesh there, the next runs report it.
    async fn refuse(
        &self,
        account: &AccountId,
        expect: &ExpectedState,
        known: &KnownAccounts,
    ) -> Result<(), InfraError> {
        tracing::warn!(%account, "event of an account that is not registered, ignored");
        let asks = matches!(expect, ExpectedState::Tagged { asks, .. } if !asks.meshes.is_empty());
        if asks && !known.removed.contains(account) && !known.accounts.unknown.contains(account) {
            self.store.record_unknown(account, true).await?;
        }
        Ok(())
    }

    /// Adds the meshes of the VPCs of a peering and, if the deployment owns it, the declared meshes that its tags name: a
    /// foreign peering's tags wake nothing.
    async fn read_peering(
        &self,
        scope: &Scope,
        id: &PeeringId,
        declared: &BTreeMap<MeshName, Policy>,
        impact: &mut EventImpact,
    ) -> Result<(), InfraError> {
        let view = match self.cloud.peering(scope, id).await {
            Ok(Some(view)) => view,
            Ok(None) => {
                impact.stale = true;
                return Ok(());
            }
            Err(error) => {
                impact.unreadable(scope, &error);
                return Ok(());
            }
        };
        let ends = [&view.requester, &view.accepter];
        let pair = Pair::of(&view.requester, &view.accepter);
        let mut meshes = match pair.is_some_and(|pair| self.settings.seals.verify_peering(&pair, &view.tags)) {
            true => tags::meshes_of_peering(&view.tags),
            false => BTreeSet::new(),
        };
        meshes.retain(|mesh| declared.contains_key(mesh));
        for end in ends {
            meshes.extend(self.indexed_meshes_of(end).await?);
        }
        impact.add_meshes(meshes, &ends.map(|vpc| vpc.scope.clone()).into());
        Ok(())
    }

    /// Adds the meshes of the VPC of a route table or a security group.
    async fn read_owner(
        &self,
        scope: &Scope,
        vpc: Result<Option<VpcRef>, CloudError>,
        impact: &mut EventImpact,
    ) -> Result<(), InfraError> {
        match vpc {
            Ok(Some(vpc)) => impact.add_meshes(self.indexed_meshes_of(&vpc).await?, &[scope.clone()].into()),
            Ok(None) => impact.stale = true, // not visible yet, or deleted; after a few reads, the latter
            Err(error) => impact.unreadable(scope, &error),
        }
        Ok(())
    }

    async fn indexed_meshes_of(&self, vpc: &VpcRef) -> Result<BTreeSet<MeshName>, InfraError> {
        Ok(self.store.member(vpc).await?.map(|member| member.meshes).unwrap_or_default())
    }
}
