//! Observes a mesh: first the peerings, route tables and ingress rules of every relevant scope, then its VPCs and
//! security groups with their tags, then the index, and last the inputs that a plan requests.
//!
//! The order is a safety rule. A resource that was read first and found unwanted later was unwanted while it existed.
//! In the reverse order, a run would delete what a concurrent run has just created.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, TryStreamExt, stream};
use peerd_core::cidr::IpNet;
use peerd_core::{
    DeleteApproval, Deployment, DesiredState, DnsSupport, IngressRule, InputRequest, Invariant, MeshName,
    ObservedState, Past, PeeringView, PrefixListId, Quotas, RouteTable, Scope, SecurityGroup, Vpc, VpcRef, contention,
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
    pub passing_gaps: bool,
}

/// The resources of one scope. Its ingress rules may fail separately: a role that may not read them yet, because the
/// account has an older spoke.yaml, may still do everything else.
struct Network {
    peerings: Vec<PeeringView>,
    tables: Vec<RouteTable>,
    rules: Result<Vec<IngressRule>, CloudError>,
}

/// Why a scope could not be read.
struct Gap {
    error: CloudError,
    /// Whether the reason is that the Region is disabled in the account.
    off: bool,
}

/// The VPCs and security groups of one scope, with their tags.
struct Asked {
    vpcs: Vec<Vpc>,
    groups: Result<Vec<SecurityGroup>, CloudError>,
}

/// An input that a plan requested.
enum Answer {
    Dns(Result<DnsSupport, CloudError>, VpcRef),
    List(Result<BTreeSet<IpNet>, CloudError>, PrefixListId),
    Past(Past),
    Quotas(Result<Quotas, CloudError>, Scope),
}

/// Converts a read into an input of a plan. Logs an error, and sets `passing` if it is transient.
fn told<T>(read: Result<T, CloudError>, passing: &mut bool) -> Result<T, String> {
    read.map_err(|error| {
        tracing::warn!(error = chain(&error), "input of the plan not read");
        *passing |= error.kind.is_passing();
        chain(&error)
    })
}

impl Observer<'_> {
    /// Observes a mesh: the scopes of its members, `scopes`, and the scopes of the remote ends of its peerings.
    ///
    /// # Errors
    /// When the store cannot be read. An unreadable scope is not an error, but part of the result.
    pub async fn observe(&self, mesh: &MeshName, scopes: &BTreeSet<Scope>) -> Result<Snapshot, InfraError> {
        let mut observed = ObservedState::default();
        let mut passing_gaps = false;
        let members = self.store.members(mesh).await?;
        let mut needed: BTreeSet<Scope> = members.into_iter().map(|member| member.vpc.scope).collect();
        needed.extend(scopes.iter().cloned());
        let mut known_accounts = self.known_accounts().await?;
        let early = match Invariant::PeeringsBeforeMembership.is_enforced() {
            true => None,
            false => Some(self.asked_in(needed.iter().cloned().collect()).await),
        };
        loop {
            passing_gaps |= self.read_networks(mesh, &mut needed, &known_accounts, &mut observed).await?;
            // The removal of an account proves that its VPCs left. Like the membership, it must be read after the
            // peerings: an account that was registered again in the meantime is read.
            let removed = std::mem::replace(&mut known_accounts, self.known_accounts().await?).gone;
            let is_back =
                |scope: &&Scope| removed.contains(&scope.account) && !known_accounts.gone.contains(&scope.account);
            let back: Vec<Scope> = observed.scopes.keys().filter(is_back).cloned().collect();
            if back.is_empty() {
                break;
            }
            observed.scopes.retain(|scope, _| !back.contains(scope));
            needed.extend(back);
        }
        let there = |scope: &&Scope| observed.answered(scope) && !known_accounts.gone.contains(&scope.account);
        let answering: Vec<Scope> = observed.scopes.keys().filter(there).cloned().collect();
        let asked = match early {
            None => self.asked_in(answering).await,
            Some(early) => early,
        };
        for (scope, asked) in asked {
            passing_gaps |= add_asked(&mut observed, scope, asked);
        }
        let desired = self.desired(mesh, &observed, known_accounts).await?;
        Ok(Snapshot { desired, observed, passing_gaps })
    }

    /// Reads the resources of these scopes and of the scopes of the remote ends of their peerings. Returns whether a
    /// read failed with a transient error.
    async fn read_networks(
        &self,
        mesh: &MeshName,
        needed: &mut BTreeSet<Scope>,
        known_accounts: &KnownAccounts,
        observed: &mut ObservedState,
    ) -> Result<bool, InfraError> {
        let mut passing = false;
        loop {
            let gone: Vec<Scope> =
                needed.extract_if(.., |scope| known_accounts.gone.contains(&scope.account)).collect();
            observed.scopes.extend(gone.into_iter().map(|scope| (scope, Ok(())))); // a removed account has no resources
            let unread: Vec<Scope> =
                needed.iter().filter(|scope| !observed.scopes.contains_key(*scope)).cloned().collect();
            if unread.is_empty() {
                return Ok(passing);
            }
            for (scope, network) in self.networks(unread).await {
                if network.is_err() && !Invariant::FailuresStayAlone.is_enforced() {
                    return Err(InfraError::new(format!("{scope} cannot be read")));
                }
                passing |= add_network(observed, scope, network);
            }
            needed.extend(remote_scopes(observed, mesh, &self.settings.deployment, &known_accounts.scopes));
        }
    }

    async fn networks(&self, scopes: Vec<Scope>) -> Vec<(Scope, Result<Network, Gap>)> {
        let read = |scope: Scope| async move {
            let (peerings, tables, rules) = futures::join!(
                self.cloud.peerings(&scope),
                self.cloud.route_tables(&scope),
                self.cloud.ingress_rules(&scope)
            );
            match peerings.and_then(|peerings| Ok(Network { peerings, tables: tables?, rules })) {
                Ok(network) => (scope, Ok(network)),
                Err(error) => {
                    let off = self.is_off(&scope, &error).await;
                    (scope, Err(Gap { error, off }))
                }
            }
        };
        stream::iter(scopes).map(read).buffer_unordered(CONCURRENCY).collect().await
    }

    /// Whether a call was denied because the Region is disabled in the account.
    pub(crate) async fn is_off(&self, scope: &Scope, error: &CloudError) -> bool {
        error.kind == ErrorKind::Denied && self.cloud.is_region_off(scope).await.unwrap_or_default()
    }

    async fn asked_in(&self, scopes: Vec<Scope>) -> Vec<(Scope, Result<Asked, CloudError>)> {
        let read = |scope: Scope| async move {
            let (vpcs, groups) = futures::join!(self.cloud.vpcs(&scope), self.cloud.security_groups(&scope));
            (scope, vpcs.map(|vpcs| Asked { vpcs, groups }))
        };
        stream::iter(scopes).map(read).buffer_unordered(CONCURRENCY).collect().await
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
                InputRequest::Dns(vpc) => Answer::Dns(self.cloud.dns_support(&vpc).await, vpc),
                InputRequest::List(scope, list) => Answer::List(self.cloud.prefix_list(&scope, &list).await, list),
                InputRequest::Past => Answer::Past(self.past(mesh).await?),
                InputRequest::Quotas(scope) => Answer::Quotas(self.cloud.quotas(&scope).await, scope),
            })
        };
        let answers: Vec<Answer> =
            stream::iter(questions).map(read).buffer_unordered(CONCURRENCY).try_collect().await?;
        let mut passing = false;
        for answer in answers {
            match answer {
                Answer::Dns(read, vpc) => drop(observed.dns.insert(vpc, told(read, &mut passing))),
                Answer::List(read, list) => drop(observed.lists.insert(list, told(read, &mut passing))),
                Answer::Past(past) => observed.past = Some(past),
                Answer::Quotas(read, scope) => drop(observed.quotas.insert(scope, told(read, &mut passing))),
            }
        }
        Ok(passing)
    }

    async fn past(&self, mesh: &MeshName) -> Result<Past, InfraError> {
        let now = self.clock.now();
        Ok(Past { now, runs: self.store.past(mesh, now.saturating_sub(contention::WINDOW)).await? })
    }

    async fn desired(
        &self,
        mesh: &MeshName,
        observed: &ObservedState,
        known_accounts: KnownAccounts,
    ) -> Result<DesiredState, InfraError> {
        let mut remembered: BTreeMap<_, _> =
            self.store.members(mesh).await?.into_iter().map(|member| (member.vpc.clone(), member)).collect();
        for peering in observed.peerings.values().filter(|p| p.is_managed_by(&self.settings.deployment)) {
            for vpc in peering.ends() {
                if !observed.answered(&vpc.scope) && !remembered.contains_key(vpc) {
                    let member = self.store.member(vpc).await?;
                    remembered.extend(member.map(|member| (vpc.clone(), member)));
                }
            }
        }
        let (deployment, mesh) = (self.settings.deployment.clone(), mesh.clone());
        let accounts = known_accounts.accounts();
        let declared = self.declared().await?;
        Ok(DesiredState {
            deployment,
            role: self.settings.role.clone(),
            mesh,
            leave: DeleteApproval::ByPolicy,
            declared,
            accounts,
            organization: known_accounts.organization,
            remembered,
        })
    }
}

/// The scopes of both ends of every peering that was created for the mesh: both sides may have routes to it. A peering
/// whose visible side has lost the ownership tag may have it on the other side, so that is included if the deployment
/// knows its scope.
fn remote_scopes(
    observed: &ObservedState,
    mesh: &MeshName,
    deployment: &Deployment,
    known: &BTreeSet<Scope>,
) -> Vec<Scope> {
    let made_for_it = observed.peerings.values().filter(|peering| peering.tagged_meshes().contains(mesh));
    let ends = made_for_it.flat_map(|peering| {
        let ours = peering.is_managed_by(deployment);
        peering.ends().map(|vpc| &vpc.scope).into_iter().filter(move |scope| ours || known.contains(scope))
    });
    ends.cloned().collect()
}

fn add_network(observed: &mut ObservedState, scope: Scope, network: Result<Network, Gap>) -> bool {
    match network {
        Ok(Network { peerings, tables, rules }) => {
            for view in peerings {
                observed.add_peering(&scope, view);
            }
            observed.tables.extend(tables.into_iter().map(|table| (table.id.clone(), table)));
            observed.scopes.insert(scope.clone(), Ok(()));
            match rules {
                Ok(rules) => {
                    observed.ingress.rules.extend(rules.into_iter().map(|rule| (rule.id.clone(), rule)));
                    false
                }
                Err(error) => add_ingress_gap(observed, scope, &error),
            }
        }
        Err(Gap { error, off }) => {
            observed.off.extend(off.then(|| scope.clone()));
            add_gap(observed, scope, &error)
        }
    }
}

fn add_asked(observed: &mut ObservedState, scope: Scope, asked: Result<Asked, CloudError>) -> bool {
    match asked {
        Ok(Asked { vpcs, groups }) => {
            observed.vpcs.extend(vpcs.into_iter().map(|vpc| (vpc.at.clone(), vpc)));
            match groups {
                Ok(groups) => {
                    observed.ingress.groups.extend(groups.into_iter().map(|group| (group.id.clone(), group)));
                    false
                }
                Err(error) => add_ingress_gap(observed, scope, &error),
            }
        }
        Err(error) => add_gap(observed, scope, &error),
    }
}

fn add_ingress_gap(observed: &mut ObservedState, scope: Scope, error: &CloudError) -> bool {
    observed.ingress_gaps.insert(scope, chain(error));
    error.kind.is_passing()
}

/// Records an unreadable scope; one that was only partly read counts as unreadable. Returns whether the error is
/// transient.
fn add_gap(observed: &mut ObservedState, scope: Scope, error: &CloudError) -> bool {
    observed.scopes.insert(scope, Err(chain(error)));
    error.kind.is_passing()
}
