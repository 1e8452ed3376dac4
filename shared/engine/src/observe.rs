//! Observes a mesh: first the peerings, route tables and ingress rules of every relevant scope, then its VPCs and
//! security groups with their tags, then the index, and last the inputs that a plan requests.
//!
//! The order is a safety rule. A resource that was read first and found unwanted later was unwanted while it existed.
//! In the reverse order, a run would delete what a concurrent run has just created.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, TryStreamExt, stream};
use peerd_core::cidr::IpNet;
use peerd_core::observed::Peering;
use peerd_core::policy::{Mode, Policy};
use peerd_core::{
    DeleteApproval, DesiredState, DnsSupport, IngressRule, InputRequest, Invariant, MeshName, ObservedState,
    PeeringView, PrefixListId, Quotas, RouteTable, RunHistory, Scope, Seals, SecurityGroup, SecurityGroupId, Vpc,
    VpcRef, contention, tags,
};

use crate::error::{CloudError, ErrorKind, InfraError, chain};
use crate::observer::{KnownAccounts, Observer};

/// The number of paginated reads of an observation in each scope: peerings, route tables, security group rules, VPCs
/// and security groups.
pub const READS_PER_SCOPE: usize = 5;

/// The number of scopes that are read concurrently.
const CONCURRENCY: usize = 32;

/// What a run has read before it plans.
pub struct Snapshot {
    /// The desired state.
    pub desired: DesiredState,
    /// The observed state.
    pub observed: ObservedState,
    /// Whether a scope could not be read because of a transient error.
    pub has_transient_failure: bool,
    /// Whether the mesh is new: a parameter declares it, the store has no record of it, and it has no peerings.
    pub is_new: bool,
}

/// The resources of one scope. Its ingress rules may fail separately: a role that may not read them yet, because the
/// account has an older spoke.yaml, may still do everything else.
struct ScopeResources {
    peerings: Vec<PeeringView>,
    tables: Vec<RouteTable>,
    rules: Result<Vec<IngressRule>, CloudError>,
}

/// Why a scope could not be read.
struct ReadFailure {
    error: CloudError,
    /// Whether the reason is that the Region is disabled in the account.
    off: bool,
}

/// The VPCs and security groups of one scope, with their tags.
struct ScopeTags {
    vpcs: Vec<Vpc>,
    groups: Result<Vec<SecurityGroup>, CloudError>,
}

/// An input that a plan requested.
enum PlannerInput {
    Dns(Result<DnsSupport, CloudError>, VpcRef),
    List(Result<BTreeSet<IpNet>, CloudError>, PrefixListId),
    RunHistory(RunHistory),
    Quotas(Result<Quotas, CloudError>, Scope),
}

/// Converts a read into an input of a plan. Logs an error, and sets `transient` if it is transient.
fn to_input<T>(read: Result<T, CloudError>, transient: &mut bool) -> Result<T, String> {
    read.map_err(|error| {
        tracing::warn!(error = chain(&error), "input of the plan not read");
        *transient |= error.kind.is_transient();
        chain(&error)
    })
}

impl Observer<'_> {
    /// Observes a mesh: the scopes of its members, `scopes`, and the scopes of the remote ends of its peerings; every known scope
    /// if the store has no record of the mesh, to determine whether the mesh is new.
    ///
    /// # Errors
    /// When the store cannot be read. An unreadable scope is not an error, but part of the result.
    pub async fn observe(&self, mesh: &MeshName, scopes: &BTreeSet<Scope>) -> Result<Snapshot, InfraError> {
        let (mut snapshot, mut unrecorded) = self.observe_scopes(mesh, scopes).await?;
        if unrecorded.contains(mesh) {
            let all = scopes | &self.scopes().await?;
            if !all.iter().all(|scope| snapshot.observed.scopes.contains_key(scope)) {
                (snapshot, unrecorded) = self.observe_scopes(mesh, &all).await?;
            }
        }
        for lost in &unrecorded {
            freeze_if_lost(lost, &mut snapshot);
        }
        let is_frozen = snapshot.desired.declared.get(mesh).is_some_and(Policy::is_frozen);
        Ok(Snapshot { is_new: unrecorded.contains(mesh) && !is_frozen, ..snapshot })
    }

    async fn observe_scopes(
        &self,
        mesh: &MeshName,
        scopes: &BTreeSet<Scope>,
    ) -> Result<(Snapshot, BTreeSet<MeshName>), InfraError> {
        let mut observed = ObservedState::default();
        let mut has_transient_failure = false;
        let members = self.store.members(mesh).await?;
        let mut needed: BTreeSet<Scope> = members.into_iter().map(|member| member.vpc.scope).collect();
        needed.extend(scopes.iter().cloned());
        let mut known_accounts = self.known_accounts().await?;
        let early = match Invariant::PeeringsBeforeMembership.is_enforced() {
            true => None,
            false => Some(self.read_tags(needed.iter().cloned().collect()).await),
        };
        loop {
            has_transient_failure |= self.read_resources(mesh, &mut needed, &known_accounts, &mut observed).await?;
            // The removal of an account proves that its VPCs left. Like the membership, it must be read after the
            // peerings: an account that was registered again in the meantime is read.
            let removed = std::mem::replace(&mut known_accounts, self.known_accounts().await?).removed;
            let is_back =
                |scope: &&Scope| removed.contains(&scope.account) && !known_accounts.removed.contains(&scope.account);
            let back: Vec<Scope> = observed.scopes.keys().filter(is_back).cloned().collect();
            if back.is_empty() {
                break;
            }
            observed.scopes.retain(|scope, _| !back.contains(scope));
            needed.extend(back);
        }
        let there = |scope: &&Scope| observed.was_read(scope) && !known_accounts.removed.contains(&scope.account);
        let answering: Vec<Scope> = observed.scopes.keys().filter(there).cloned().collect();
        let tags = match early {
            None => self.read_tags(answering).await,
            Some(early) => early,
        };
        for (scope, tags) in tags {
            has_transient_failure |= add_tags(&mut observed, scope, tags);
        }
        has_transient_failure |= self.read_unmarked_rules(&mut observed).await;
        let (desired, unrecorded) = self.desired(mesh, &observed, known_accounts).await?;
        Ok((Snapshot { desired, observed, has_transient_failure, is_new: false }, unrecorded))
    }

    /// Reads the resources of these scopes and of the scopes of the remote ends of their peerings. Returns whether a
    /// read failed with a transient error.
    async fn read_resources(
        &self,
        mesh: &MeshName,
        needed: &mut BTreeSet<Scope>,
        known_accounts: &KnownAccounts,
        observed: &mut ObservedState,
    ) -> Result<bool, InfraError> {
        let mut transient = false;
        loop {
            let removed: Vec<Scope> =
                needed.extract_if(.., |scope| known_accounts.removed.contains(&scope.account)).collect();
            observed.scopes.extend(removed.into_iter().map(|scope| (scope, Ok(())))); // a removed account has no resources
            let unread: Vec<Scope> =
                needed.iter().filter(|scope| !observed.scopes.contains_key(*scope)).cloned().collect();
            if unread.is_empty() {
                return Ok(transient);
            }
            for (scope, resources) in self.read_all_resources(unread).await {
                if resources.is_err() && !Invariant::FailuresStayAlone.is_enforced() {
                    return Err(InfraError::new(format!("{scope} cannot be read")));
                }
                transient |= add_resources(observed, scope, resources, &self.settings.seals);
            }
            needed.extend(remote_scopes(observed, mesh, &known_accounts.scopes));
        }
    }

    async fn read_all_resources(&self, scopes: Vec<Scope>) -> Vec<(Scope, Result<ScopeResources, ReadFailure>)> {
        let read = |scope: Scope| async move {
            let (peerings, tables, rules) = futures::join!(
                self.cloud.peerings(&scope),
                self.cloud.route_tables(&scope),
                self.cloud.ingress_rules(&scope)
            );
            match peerings.and_then(|peerings| Ok(ScopeResources { peerings, tables: tables?, rules })) {
                Ok(network) => (scope, Ok(network)),
                Err(error) => {
                    let off = self.is_off(&scope, &error).await;
                    (scope, Err(ReadFailure { error, off }))
                }
            }
        };
        stream::iter(scopes).map(read).buffer_unordered(CONCURRENCY).collect().await
    }

    /// Whether a call was denied because the Region is disabled in the account.
    pub(crate) async fn is_off(&self, scope: &Scope, error: &CloudError) -> bool {
        error.kind == ErrorKind::Denied && self.cloud.is_region_off(scope).await.unwrap_or_default()
    }

    async fn read_tags(&self, scopes: Vec<Scope>) -> Vec<(Scope, Result<ScopeTags, CloudError>)> {
        let read = |scope: Scope| async move {
            let (vpcs, groups) = futures::join!(self.cloud.vpcs(&scope), self.cloud.security_groups(&scope));
            (scope, vpcs.map(|vpcs| ScopeTags { vpcs, groups }))
        };
        stream::iter(scopes).map(read).buffer_unordered(CONCURRENCY).collect().await
    }

    /// Reads the rules with a seal of this deployment that lost their ownership tag: a group shows what it allows, with the
    /// descriptions, but not the ids of its rules. Returns whether a read failed with a transient error.
    ///
    /// A concurrent run may have added a rule after the rules with the tag were read: what has the tag now is left out, because it is
    /// newer than what this run knows of the members.
    async fn read_unmarked_rules(&self, observed: &mut ObservedState) -> bool {
        let mut groups: BTreeMap<Scope, BTreeSet<SecurityGroupId>> = BTreeMap::new();
        for group in observed.ingress.groups_with_unmarked_rules(&self.settings.seals) {
            groups.entry(group.vpc.scope.clone()).or_default().insert(group.id.clone());
        }
        let read = |(scope, groups): (Scope, BTreeSet<SecurityGroupId>)| async move {
            let rules = self.cloud.ingress_rules_of(&scope, &groups).await;
            (scope, rules)
        };
        let answers: Vec<_> = stream::iter(groups).map(read).buffer_unordered(CONCURRENCY).collect().await;
        let mut transient = false;
        for (scope, rules) in answers {
            match rules {
                Ok(rules) => {
                    let unmarked = rules.into_iter().filter(|rule| !rule.tags.contains_key(tags::MANAGED_BY));
                    let sealed = unmarked.filter(|rule| rule.has_seal_of(&self.settings.seals));
                    sealed.for_each(|rule| observed.ingress.add_rule(rule, &self.settings.seals));
                }
                Err(error) => transient |= record_unreadable_groups(observed, scope, &error),
            }
        }
        transient
    }

    /// Reads the inputs that a plan for a mesh requested. Returns whether a read failed with a transient error.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(crate) async fn fetch_inputs(
        &self,
        mesh: &MeshName,
        questions: BTreeSet<InputRequest>,
        observed: &mut ObservedState,
    ) -> Result<bool, InfraError> {
        let read = |question: InputRequest| async move {
            Ok(match question {
                InputRequest::Dns(vpc) => PlannerInput::Dns(self.cloud.dns_support(&vpc).await, vpc),
                InputRequest::List(scope, list) => {
                    PlannerInput::List(self.cloud.prefix_list(&scope, &list).await, list)
                }
                InputRequest::RunHistory => PlannerInput::RunHistory(self.run_history(mesh).await?),
                InputRequest::Quotas(scope) => PlannerInput::Quotas(self.cloud.quotas(&scope).await, scope),
            })
        };
        let answers: Vec<PlannerInput> =
            stream::iter(questions).map(read).buffer_unordered(CONCURRENCY).try_collect().await?;
        let mut transient = false;
        for answer in answers {
            match answer {
                PlannerInput::Dns(read, vpc) => drop(observed.inputs.dns.insert(vpc, to_input(read, &mut transient))),
                PlannerInput::List(read, list) => {
                    drop(observed.inputs.prefix_lists.insert(list, to_input(read, &mut transient)))
                }
                PlannerInput::RunHistory(past) => observed.inputs.run_history = Some(past),
                PlannerInput::Quotas(read, scope) => {
                    drop(observed.inputs.quotas.insert(scope, to_input(read, &mut transient)))
                }
            }
        }
        Ok(transient)
    }

    async fn run_history(&self, mesh: &MeshName) -> Result<RunHistory, InfraError> {
        let now = self.clock.now();
        Ok(RunHistory { now, runs: self.store.run_history(mesh, now.saturating_sub(contention::WINDOW)).await? })
    }

    async fn desired(
        &self,
        mesh: &MeshName,
        observed: &ObservedState,
        known_accounts: KnownAccounts,
    ) -> Result<(DesiredState, BTreeSet<MeshName>), InfraError> {
        let mut indexed: BTreeMap<_, _> =
            self.store.members(mesh).await?.into_iter().map(|member| (member.vpc.clone(), member)).collect();
        for peering in observed.peerings.values().filter(|p| p.is_owned()) {
            for vpc in peering.ends() {
                if !observed.was_read(&vpc.scope) && !indexed.contains_key(vpc) {
                    let member = self.store.member(vpc).await?;
                    indexed.extend(member.map(|member| (vpc.clone(), member)));
                }
            }
        }
        let (deployment, seals, mesh) = (self.settings.deployment.clone(), self.settings.seals.clone(), mesh.clone());
        let meshes = self.recorded_meshes().await?;
        let unrecorded = meshes.unrecorded.clone();
        let desired = DesiredState {
            deployment,
            seals,
            role: self.settings.role.clone(),
            mesh,
            delete_approval: DeleteApproval::WithinLimits,
            declared: meshes.declared(),
            accounts: known_accounts.accounts,
            organization: known_accounts.organization,
            indexed,
        };
        Ok((desired, unrecorded))
    }
}

/// Freezes a mesh that the store has no record of but that has peerings: its policy was lost, and the default one could connect
/// what it had closed.
fn freeze_if_lost(mesh: &MeshName, Snapshot { desired, observed, .. }: &mut Snapshot) {
    let is_ours = |peering: &&Peering| peering.is_owned() && peering.status.is_live();
    if observed.peerings.values().filter(is_ours).any(|peering| peering.tagged_meshes().contains(mesh)) {
        let why = "the table has no record of this mesh, and peerings of it exist: its policy was lost";
        desired.declared.insert(mesh.clone(), Policy { mode: Mode::Unreadable(why.to_owned()), ..Policy::default() });
    }
}

/// The scopes of both ends of every peering that was created for the mesh: both sides may have routes to it. A peering
/// whose visible side has lost the seal may have it on the other side, so that is included if the deployment
/// knows its scope.
fn remote_scopes(observed: &ObservedState, mesh: &MeshName, known: &BTreeSet<Scope>) -> Vec<Scope> {
    let made_for_it = observed.peerings.values().filter(|peering| peering.tagged_meshes().contains(mesh));
    let ends = made_for_it.flat_map(|peering| {
        let ours = peering.is_owned();
        peering.ends().map(|vpc| &vpc.scope).into_iter().filter(move |scope| ours || known.contains(scope))
    });
    ends.cloned().collect()
}

fn add_resources(
    observed: &mut ObservedState,
    scope: Scope,
    resources: Result<ScopeResources, ReadFailure>,
    seals: &Seals,
) -> bool {
    match resources {
        Ok(ScopeResources { peerings, tables, rules }) => {
            for view in peerings {
                observed.add_peering(&scope, view, seals);
            }
            observed.tables.extend(tables.into_iter().map(|table| (table.id.clone(), table)));
            observed.scopes.insert(scope.clone(), Ok(()));
            match rules {
                Ok(rules) => {
                    rules.into_iter().for_each(|rule| observed.ingress.add_rule(rule, seals));
                    false
                }
                Err(error) => record_unreadable_groups(observed, scope, &error),
            }
        }
        Err(ReadFailure { error, off }) => {
            observed.disabled_regions.extend(off.then(|| scope.clone()));
            record_unreadable_scope(observed, scope, &error)
        }
    }
}

fn add_tags(observed: &mut ObservedState, scope: Scope, tags: Result<ScopeTags, CloudError>) -> bool {
    match tags {
        Ok(ScopeTags { vpcs, groups }) => {
            observed.vpcs.extend(vpcs.into_iter().map(|vpc| (vpc.vpc_ref.clone(), vpc)));
            match groups {
                Ok(groups) => {
                    observed.ingress.groups.extend(groups.into_iter().map(|group| (group.id.clone(), group)));
                    false
                }
                Err(error) => record_unreadable_groups(observed, scope, &error),
            }
        }
        Err(error) => record_unreadable_scope(observed, scope, &error),
    }
}

fn record_unreadable_groups(observed: &mut ObservedState, scope: Scope, error: &CloudError) -> bool {
    observed.unreadable_groups.insert(scope, chain(error));
    error.kind.is_transient()
}

/// Records an unreadable scope; one that was only partly read counts as unreadable. Returns whether the error is
/// transient.
fn record_unreadable_scope(observed: &mut ObservedState, scope: Scope, error: &CloudError) -> bool {
    observed.scopes.insert(scope, Err(chain(error)));
    error.kind.is_transient()
}
