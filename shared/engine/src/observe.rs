//! Observes meshes: first the peerings, route tables and ingress rules of every relevant scope, then its VPCs and security
//! groups with their tags, then the index and the policies. Each scope is read once, for all meshes.
//!
//! The order is a safety rule. A resource that was read first and found unwanted later was unwanted while it existed.
//! In the reverse order, a run would delete what a concurrent run has just created.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, TryStreamExt, stream, try_join};
use peerd_core::observed::Peering;
use peerd_core::policy::{Mode, Policy};
use peerd_core::tags::MeshTag;
use peerd_core::{DeleteApproval, DesiredState, Invariant, Member, MeshName, ObservedState, Scope, VpcRef};

use crate::error::InfraError;
use crate::observer::{KnownAccounts, Observer};
pub use crate::scope_reads::READS_PER_SCOPE;
use crate::scope_reads::Reads;
use crate::settings::Settings;

/// The number of items of the index that are read concurrently.
const CONCURRENCY: usize = 32;

/// The meshes to observe, each with the scopes to read besides those of its members.
pub type ObservedMeshes = BTreeMap<MeshName, BTreeSet<Scope>>;

/// Returns meshes to observe in the scopes of their members.
pub fn meshes<'a>(meshes: impl IntoIterator<Item = &'a MeshName>) -> ObservedMeshes {
    meshes.into_iter().map(|mesh| (mesh.clone(), BTreeSet::new())).collect()
}

/// What was read for several meshes, before anything is planned.
pub struct Observation {
    /// The observed state.
    pub observed: ObservedState,
    /// The scopes of which a read failed with a transient error.
    pub retryable: BTreeSet<Scope>,
    /// The scopes of each mesh: of its members, of the remote ends of its peerings, and those that were requested for it.
    pub scopes: ObservedMeshes,
    /// The indexed members of each mesh.
    pub members: BTreeMap<MeshName, BTreeMap<VpcRef, Member>>,
    /// The declared meshes.
    pub declared: BTreeMap<MeshName, Policy>,
    /// The accounts that the deployment knows.
    pub accounts: KnownAccounts,
    /// The new meshes: a parameter declares them, the store has no record of them, and they have no peerings.
    pub new: BTreeSet<MeshName>,
    /// The index items of VPCs in unreadable scopes that have a managed peering.
    unread_ends: BTreeMap<VpcRef, Member>,
}

/// What was read for one mesh.
pub struct Snapshot {
    /// The desired state.
    pub desired: DesiredState,
    /// The observed state.
    pub observed: ObservedState,
}

impl Observation {
    /// Returns the desired state of one of the meshes, with deletes within the limits of its policy.
    pub fn desired(&self, mesh: &MeshName, settings: &Settings) -> DesiredState {
        let mut indexed = self.members.get(mesh).cloned().unwrap_or_default();
        for (vpc, member) in &self.unread_ends {
            indexed.entry(vpc.clone()).or_insert_with(|| member.clone());
        }
        DesiredState {
            deployment: settings.deployment.clone(),
            seals: settings.seals.clone(),
            role: settings.role.clone(),
            mesh: mesh.clone(),
            delete_approval: DeleteApproval::WithinLimits,
            declared: self.declared.clone(),
            accounts: self.accounts.accounts.clone(),
            organization: self.accounts.organization.clone(),
            indexed,
        }
    }

    /// Freezes each of these meshes that has peerings, although the store has no record of it: its policy was lost, and the
    /// default one could connect what it had closed. The others are new.
    fn freeze_lost(&mut self, unrecorded: BTreeSet<MeshName>) {
        let live = self.observed.peerings.values().filter(|peering| peering.is_owned() && peering.status.is_live());
        let made_for: BTreeSet<MeshName> = live.flat_map(Peering::tagged_meshes).collect();
        for lost in &unrecorded & &made_for {
            let why = "the table has no record of this mesh, and peerings of it exist: its policy was lost";
            let mode = Mode::Unreadable(why.to_owned());
            self.declared.insert(lost, Policy { mode, ..Policy::default() });
        }
        self.new = unrecorded;
        self.new.retain(|mesh| !self.declared.get(mesh).is_some_and(Policy::is_frozen));
    }
}

impl Observer<'_> {
    /// Observes a mesh: the scopes of its members, `scopes`, and the scopes of the remote ends of its peerings.
    ///
    /// # Errors
    /// When the store cannot be read. An unreadable scope is not an error, but part of the result.
    pub async fn observe(&self, mesh: &MeshName, scopes: &BTreeSet<Scope>) -> Result<Snapshot, InfraError> {
        let meshes = BTreeMap::from([(mesh.clone(), scopes.clone())]);
        let observation = self.observe_all(&meshes, &BTreeSet::new()).await?;
        let desired = observation.desired(mesh, self.settings);
        Ok(Snapshot { desired, observed: observation.observed })
    }

    /// Observes meshes, and reads `more` scopes in addition; every known scope if the store has no record of one of the
    /// meshes, to determine whether it is new.
    ///
    /// # Errors
    /// When the store cannot be read. An unreadable scope is not an error, but part of the result.
    pub async fn observe_all(
        &self,
        meshes: &ObservedMeshes,
        more: &BTreeSet<Scope>,
    ) -> Result<Observation, InfraError> {
        let (mut observation, mut unrecorded) = self.observe_scopes(meshes, more).await?;
        if meshes.keys().any(|mesh| unrecorded.contains(mesh)) {
            let all = more | &self.scopes().await?;
            if !all.iter().all(|scope| observation.observed.scopes.contains_key(scope)) {
                (observation, unrecorded) = self.observe_scopes(meshes, &all).await?;
            }
        }
        observation.freeze_lost(unrecorded);
        Ok(observation)
    }

    async fn observe_scopes(
        &self,
        meshes: &ObservedMeshes,
        more: &BTreeSet<Scope>,
    ) -> Result<(Observation, BTreeSet<MeshName>), InfraError> {
        let mut scopes = meshes.clone();
        for (mesh, members) in self.members(meshes).await? {
            scopes.entry(mesh).or_default().extend(members.into_keys().map(|vpc| vpc.scope));
        }
        let accounts = self.known_accounts().await?;
        let early = match Invariant::PeeringsBeforeMembership.is_enforced() {
            true => None,
            false => Some(self.read_tags(scopes.values().flatten().chain(more).cloned().collect()).await),
        };
        let mut reads = Reads::default();
        let accounts = self.read_networks(&mut scopes, more, accounts, &mut reads).await?;
        let tags = match early {
            None => {
                let is_present = |scope: &&Scope| !accounts.removed.contains(&scope.account);
                let readable = reads.observed.scopes.iter().filter(|(_, read)| read.is_ok()).map(|(scope, _)| scope);
                self.read_tags(readable.filter(is_present).cloned().collect()).await
            }
            Some(early) => early,
        };
        tags.into_iter().for_each(|(scope, tags)| reads.add_tags(scope, tags));
        self.read_unmarked_rules(&mut reads).await;
        let Reads { observed, retryable } = reads;
        let (members, recorded) = try_join!(self.members(meshes), self.recorded_meshes())?;
        let unread_ends = self.unread_ends(&observed).await?;
        for vpc in observed.vpcs.values() {
            for mesh in MeshTag::of(&vpc.tags).meshes {
                scopes.entry(mesh).and_modify(|scopes| scopes.extend([vpc.vpc_ref.scope.clone()]));
            }
        }
        let unrecorded = recorded.unrecorded.clone();
        let (declared, new) = (recorded.declared(), BTreeSet::new());
        let observation = Observation { observed, retryable, scopes, members, declared, accounts, new, unread_ends };
        Ok((observation, unrecorded))
    }

    /// Reads the peerings, route tables and ingress rules of these scopes and of the scopes of the remote ends of the meshes'
    /// peerings, and returns the known accounts after that.
    ///
    /// The removal of an account proves that its VPCs left. Like the membership, it must be read after the peerings: an
    /// account that was registered again in the meantime is read.
    async fn read_networks(
        &self,
        scopes: &mut ObservedMeshes,
        more: &BTreeSet<Scope>,
        mut accounts: KnownAccounts,
        reads: &mut Reads,
    ) -> Result<KnownAccounts, InfraError> {
        let mut needed: BTreeSet<Scope> = scopes.values().flatten().chain(more).cloned().collect();
        loop {
            let removed = needed.iter().filter(|scope| accounts.removed.contains(&scope.account));
            // A removed account has no resources.
            reads.observed.scopes.extend(removed.map(|scope| (scope.clone(), Ok(()))));
            let is_unread = |scope: &&Scope| !reads.observed.scopes.contains_key(*scope);
            let unread: Vec<Scope> = needed.iter().filter(is_unread).cloned().collect();
            if unread.is_empty() {
                let removed = std::mem::replace(&mut accounts, self.known_accounts().await?).removed;
                let is_back =
                    |scope: &Scope| removed.contains(&scope.account) && !accounts.removed.contains(&scope.account);
                if !needed.iter().any(is_back) {
                    return Ok(accounts);
                }
                reads.observed.scopes.retain(|scope, _| !is_back(scope));
                continue;
            }
            for (scope, resources) in self.read_resources(unread).await {
                if resources.is_err() && !Invariant::FailuresStayAlone.is_enforced() {
                    return Err(InfraError::new(format!("{scope} cannot be read")));
                }
                reads.add_resources(scope, resources, &self.settings.seals);
            }
            add_remote_scopes(scopes, &reads.observed, &accounts.scopes);
            needed.extend(scopes.values().flatten().cloned());
        }
    }

    /// Reads the indexed members of meshes.
    pub(crate) async fn members(
        &self,
        meshes: &ObservedMeshes,
    ) -> Result<BTreeMap<MeshName, BTreeMap<VpcRef, Member>>, InfraError> {
        let read = |mesh: MeshName| async move {
            let members = self.store.members(&mesh).await?;
            Ok((mesh, members.into_iter().map(|member| (member.vpc.clone(), member)).collect()))
        };
        stream::iter(meshes.keys().cloned()).map(read).buffer_unordered(CONCURRENCY).try_collect().await
    }

    /// Reads the index items of the VPCs in unreadable scopes that have a managed peering.
    async fn unread_ends(&self, observed: &ObservedState) -> Result<BTreeMap<VpcRef, Member>, InfraError> {
        let ends = observed.peerings.values().filter(|peering| peering.is_owned()).flat_map(Peering::ends);
        let unread: BTreeSet<&VpcRef> = ends.filter(|vpc| !observed.was_read(&vpc.scope)).collect();
        let read = |vpc: VpcRef| async move { self.store.member(&vpc).await.map(|member| Some((vpc, member?))) };
        let items = stream::iter(unread.into_iter().cloned()).map(read).buffer_unordered(CONCURRENCY);
        let items: Vec<_> = items.try_collect().await?;
        Ok(items.into_iter().flatten().collect())
    }
}

/// Adds the scopes of both ends of every peering that was created for a mesh: both sides may have routes to it. A peering whose
/// visible side has lost the seal may have it on the other side, so that is included if the deployment knows its scope.
fn add_remote_scopes(scopes: &mut ObservedMeshes, observed: &ObservedState, known: &BTreeSet<Scope>) {
    for peering in observed.peerings.values() {
        let is_ours = peering.is_owned();
        let ends = peering.ends().map(|vpc| &vpc.scope).into_iter().filter(|scope| is_ours || known.contains(scope));
        let ends: Vec<&Scope> = ends.collect();
        for mesh in peering.tagged_meshes() {
            scopes.entry(mesh).and_modify(|scopes| scopes.extend(ends.iter().copied().cloned()));
        }
    }
}
