//! Reads tags and writes the membership index.
//!
//! peerd writes a VPC that joins to the index immediately. It removes a VPC that leaves only when the meshes that the
//! VPC left have converged: if a worker crashes before that, the next one still finds what to clean up.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, TryStreamExt, stream};
use peerd_core::tags::{self, MeshTag};
use peerd_core::{AccountId, DesiredState, Member, MeshName, ObservedState, Policy, Scope, Vpc, VpcRef};

use crate::engine::Engine;
use crate::error::{CloudError, InfraError, chain};
use crate::follow_up::delay;
use crate::message::{Message, Work};
use crate::observe::{self, Observation};

/// How long EC2's reads are assumed to lag, in milliseconds. They lag by minutes at worst
/// (<https://docs.aws.amazon.com/ec2/latest/devguide/eventual-consistency.html>), and mostly by less than a second.
const SETTLED_MS: u64 = 60_000;
/// The number of index items that are written concurrently, and of scopes that are scanned.
const CONCURRENCY: usize = 32;
/// Attempts to write the index item of a VPC while other workers write it.
const MAX_TRIES: usize = 4;

/// The result of scanning one VPC.
#[derive(Debug, Clone)]
pub struct IndexUpdate {
    /// Its index item: its meshes are those that it requests or requested. A VPC without meshes has no item.
    pub member: Member,
    /// Whether the index changed.
    pub changed: bool,
}

/// The result of scanning an account.
#[derive(Debug, Default)]
pub struct AccountScan {
    /// The meshes whose membership changed, and the scopes in which it did.
    pub changed: BTreeMap<MeshName, BTreeSet<Scope>>,
    /// The error of a scope that was not scanned, if a retry may succeed soon.
    pub transient: Option<ScanError>,
}

impl Engine<'_> {
    /// Compares what was read of a VPC (nothing if it does not exist) with the index, and writes the difference. Of the
    /// meshes that it requests, only declared ones are indexed: otherwise every tag could add work to every sweep. The
    /// meshes that it left stay in the index until [`Engine::prune_index`]. `tag_version` is the tag change that the event
    /// reported. For a minute after a change, a read without an event, or with an older tag change than the indexed
    /// one, may be stale, and peerd does not conclude from it that the VPC left. `indexed` is its item, if it was read already.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    pub async fn scan_vpc(
        &self,
        vpc: &VpcRef,
        read: Option<&Vpc>,
        tag_version: Option<u64>,
        declared: &BTreeMap<MeshName, Policy>,
        indexed: Option<&Member>,
    ) -> Result<IndexUpdate, InfraError> {
        let mut before = match indexed {
            Some(member) => Some(member.clone()),
            None => self.store.member(vpc).await?,
        };
        for _ in 0..MAX_TRIES {
            let member = self.member_now(vpc, read, tag_version, before.as_ref(), declared);
            if member.meshes.is_empty() || before.as_ref() == Some(&member) {
                return Ok(IndexUpdate { member, changed: false });
            }
            let member = Member { version: self.next_version(before.as_ref()), ..member };
            if self.store.update_member(before.as_ref(), &member).await? {
                return Ok(IndexUpdate { member, changed: true });
            }
            before = self.store.member(vpc).await?;
        }
        Err(InfraError::new(format!("concurrent workers keep changing the index item of {vpc}")))
    }

    /// Returns the index item of a VPC after a read.
    fn member_now(
        &self,
        vpc: &VpcRef,
        read: Option<&Vpc>,
        tag_version: Option<u64>,
        before: Option<&Member>,
        declared: &BTreeMap<MeshName, Policy>,
    ) -> Member {
        let mut requested = read.map(|vpc| MeshTag::of(&vpc.tags).meshes).unwrap_or_default();
        requested.retain(|mesh| declared.contains_key(mesh) || before.is_some_and(|it| it.meshes.contains(mesh)));
        let tag_version_read = tag_version.filter(|_| read.is_some()).unwrap_or_default();
        let Some(before) = before else { return self.new_member(vpc, read, tag_version_read, requested) };
        let meshes = &before.meshes | &requested;
        let is_reported = tag_version.is_some_and(|version| version >= before.tag_version);
        let is_young = self.clock.now() < before.changed_at + SETTLED_MS;
        if is_young && !is_reported && !before.requested_meshes().is_subset(&requested) {
            // The run also reconciles the meshes that the VPC seems to request in addition, but the item keeps a
            // request that the VPC once made.
            return Member {
                left_meshes: &before.left_meshes | &(&requested - &before.meshes),
                meshes,
                ..before.clone()
            };
        }
        // An event with a newer tag change than the indexed one is a change, even if an earlier read was the same.
        let is_newer = tag_version.is_some_and(|version| version > before.tag_version)
            || !requested.is_subset(&before.requested_meshes());
        let changed_at = if is_newer { self.clock.now() } else { before.changed_at };
        let joined =
            |mesh| if before.requested_meshes().contains(mesh) { before.joined_at(mesh) } else { self.clock.now() };
        Member {
            vpc: vpc.clone(),
            cidrs: read.map_or_else(|| before.cidrs.clone(), |vpc| vpc.cidrs.clone()),
            amazon_provided: read.map_or_else(|| before.amazon_provided.clone(), |vpc| vpc.amazon_provided.clone()),
            tags: read.map_or_else(|| before.tags.clone(), |vpc| tags::of_member(&vpc.tags)),
            left_meshes: &meshes - &requested,
            joined_at: requested.iter().map(|mesh| (mesh.clone(), joined(mesh))).collect(),
            meshes,
            changed_at,
            tag_version: tag_version_read.max(before.tag_version),
            version: before.version,
        }
    }

    fn new_member(&self, vpc: &VpcRef, read: Option<&Vpc>, tag_version: u64, meshes: BTreeSet<MeshName>) -> Member {
        let changed_at = self.clock.now();
        Member {
            vpc: vpc.clone(),
            cidrs: read.map(|vpc| vpc.cidrs.clone()).unwrap_or_default(),
            amazon_provided: read.map(|vpc| vpc.amazon_provided.clone()).unwrap_or_default(),
            tags: read.map(|vpc| tags::of_member(&vpc.tags)).unwrap_or_default(),
            joined_at: meshes.iter().map(|mesh| (mesh.clone(), changed_at)).collect(),
            meshes,
            left_meshes: BTreeSet::new(),
            changed_at,
            tag_version,
            version: 0,
        }
    }

    fn next_version(&self, before: Option<&Member>) -> u64 {
        before.map_or(0, |before| before.version + 1).max(self.clock.now())
    }

    /// Removes members from the index whose own tags were read and no longer request the mesh. A member that changed
    /// less than a minute ago and that no scan has recorded as left stays: the read may be older than its tag. If the
    /// read was current, a sweep removes the member later. Also removes the mesh if no VPC requests it and it is not
    /// declared. Call this only when the mesh has converged: until then, later runs need the index to find what to
    /// clean up.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    pub async fn prune_index(&self, desired: &DesiredState, observed: &ObservedState) -> Result<(), InfraError> {
        let mesh = &desired.mesh;
        let asks =
            |vpc: &VpcRef| observed.vpcs.get(vpc).is_some_and(|seen| MeshTag::of(&seen.tags).meshes.contains(mesh));
        let mut stayed = observed.vpcs.keys().any(asks);
        for member in desired.indexed.values().filter(|member| member.meshes.contains(mesh)) {
            let scope = &member.vpc.scope;
            if asks(&member.vpc) || !observed.was_read(scope) || observed.unreadable_groups.contains_key(scope) {
                stayed = true;
                continue;
            }
            if !member.left_meshes.contains(mesh) && self.clock.now() < member.changed_at + SETTLED_MS {
                stayed = true;
                continue;
            }
            let mut now = Member { version: self.next_version(Some(member)), ..member.clone() };
            now.meshes.remove(mesh);
            now.left_meshes.remove(mesh);
            now.joined_at.remove(mesh);
            // A VPC that was scanned after the reads of this run may have joined again.
            stayed |= !self.store.update_member(Some(member), &now).await?;
        }
        if !stayed && !desired.declared.contains_key(mesh) {
            self.store.remove_mesh(mesh).await?;
        }
        Ok(())
    }

    /// Writes to the index what an observation of every scope shows of its meshes, and updates the members of the observation.
    /// Requests a scan of each account of which a scope may be readable soon.
    ///
    /// # Errors
    /// When the store cannot be read or written, or the queue fails.
    pub(crate) async fn update_index(&self, observation: &mut Observation) -> Result<(), InfraError> {
        let Observation { observed, retryable, members, declared, accounts, .. } = observation;
        for account in retryable.iter().map(|scope| &scope.account).collect::<BTreeSet<_>>() {
            self.queue.send(&Message::new(1, Work::ScanAccount { account: account.clone() }), delay(1)).await?;
        }
        let is_scanned = |vpc: &VpcRef| observed.was_read(&vpc.scope) && !accounts.removed.contains(&vpc.scope.account);
        let requests_one = |vpc: &&Vpc| MeshTag::of(&vpc.tags).meshes.iter().any(|mesh| members.contains_key(mesh));
        let present = observed.vpcs.values().filter(requests_one).filter(|vpc| is_scanned(&vpc.vpc_ref));
        let mut indexed = by_vpc(members);
        indexed.retain(|vpc, _| is_scanned(vpc));
        for IndexUpdate { member, .. } in self.scan_vpcs(present, &indexed, declared).await? {
            for mesh in &member.meshes {
                members.entry(mesh.clone()).and_modify(|of| drop(of.insert(member.vpc.clone(), member.clone())));
            }
        }
        Ok(())
    }

    /// Scans VPCs that were read, and those that are only indexed. Returns the changes of the index.
    async fn scan_vpcs<'a>(
        &self,
        present: impl IntoIterator<Item = &'a Vpc>,
        indexed: &BTreeMap<VpcRef, Member>,
        declared: &BTreeMap<MeshName, Policy>,
    ) -> Result<Vec<IndexUpdate>, InfraError> {
        let mut vpcs: BTreeMap<&VpcRef, Option<&Vpc>> = indexed.keys().map(|vpc| (vpc, None)).collect();
        vpcs.extend(present.into_iter().map(|vpc| (&vpc.vpc_ref, Some(vpc))));
        let scans = vpcs.into_iter().map(|(vpc, read)| self.scan_vpc(vpc, read, None, declared, indexed.get(vpc)));
        let scans: Vec<IndexUpdate> = stream::iter(scans).buffer_unordered(CONCURRENCY).try_collect().await?;
        Ok(scans.into_iter().filter(|scan| scan.changed).collect())
    }

    /// Scans every VPC of an account, including those that exist only in the index. Returns the meshes whose membership
    /// changed, with the scopes, and an error if a retry may succeed soon. A denied Region is an unreadable scope until
    /// the next sweep, and not an error.
    ///
    /// # Errors
    /// When the index or the registered scopes cannot be read, or the index cannot be written.
    pub async fn scan_account(&self, account: &AccountId) -> Result<AccountScan, InfraError> {
        let observer = self.observer();
        let mut scan = AccountScan::default();
        let meshes = observer.recorded_meshes().await?;
        let indexed = by_vpc(&observer.members(&observe::meshes(meshes.policies.keys())).await?);
        let declared = meshes.declared();
        let scopes = observer.scopes().await?.into_iter().filter(|scope| scope.account == *account);
        let read = |scope: Scope| async move { (self.cloud.vpcs(&scope).await, scope) };
        let reads: Vec<_> = stream::iter(scopes).map(read).buffer_unordered(CONCURRENCY).collect().await;
        for (read, scope) in reads {
            match read {
                Ok(read) => {
                    let here = indexed.iter().filter(|(vpc, _)| vpc.scope == scope);
                    let here = here.map(|(vpc, member)| (vpc.clone(), member.clone())).collect();
                    let changes = self.scan_vpcs(&read, &here, &declared).await?;
                    for mesh in changes.into_iter().flat_map(|change| change.member.meshes) {
                        scan.changed.entry(mesh).or_default().insert(scope.clone());
                    }
                }
                Err(error) if observer.is_off(&scope, &error).await => {
                    tracing::debug!(%scope, "the Region is disabled in the account");
                }
                Err(error) => {
                    tracing::warn!(%scope, error = chain(&error), "unreadable scope: not scanned");
                    scan.transient = scan.transient.or(error.kind.is_transient().then_some(error.into()));
                }
            }
        }
        Ok(scan)
    }
}

/// The index items of all meshes, by VPC.
fn by_vpc(members: &BTreeMap<MeshName, BTreeMap<VpcRef, Member>>) -> BTreeMap<VpcRef, Member> {
    members.values().flatten().map(|(vpc, member)| (vpc.clone(), member.clone())).collect()
}

/// Why a scope was not scanned.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// The store failed.
    #[error("index not read or written")]
    Store(#[from] InfraError),
    /// The cloud returned an error.
    #[error("tags not read")]
    Cloud(#[from] CloudError),
}

impl ScanError {
    /// Whether a retry may succeed soon. A denied scope is unreadable until the next sweep.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Store(_) => true,
            Self::Cloud(error) => error.kind.is_transient(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn a_denied_scan_is_not_transient_and_other_failures_are() {
        let of = |kind| ScanError::from(CloudError::new(kind, "DescribeVpcs")).is_transient();
        assert!(of(ErrorKind::Throttled) && !of(ErrorKind::Denied));
        assert!(ScanError::from(InfraError::new("Query")).is_transient());
    }
}
