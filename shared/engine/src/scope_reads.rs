//! Reads the resources of scopes: peerings, route tables and ingress rules first, and the VPCs and security groups with their
//! tags later.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, stream};
use peerd_core::{
    IngressRule, ObservedState, PeeringView, RouteTable, Scope, Seals, SecurityGroup, SecurityGroupId, Vpc, tags,
};

use crate::error::{CloudError, ErrorKind, chain};
use crate::observer::Observer;

/// The number of paginated reads of an observation in each scope: peerings, route tables, security group rules, VPCs
/// and security groups.
pub const READS_PER_SCOPE: usize = 5;

/// The number of scopes that are read concurrently.
const CONCURRENCY: usize = 32;

/// The resources of one scope. Its ingress rules may fail separately: a role that may not read them yet, because the
/// account has an older spoke.yaml, may still do everything else.
pub(crate) struct ScopeResources {
    peerings: Vec<PeeringView>,
    tables: Vec<RouteTable>,
    rules: Result<Vec<IngressRule>, CloudError>,
}

/// Why a scope could not be read.
pub(crate) struct ReadFailure {
    error: CloudError,
    /// Whether the reason is that the Region is disabled in the account.
    off: bool,
}

/// The VPCs and security groups of one scope, with their tags.
pub(crate) struct ScopeTags {
    vpcs: Vec<Vpc>,
    groups: Result<Vec<SecurityGroup>, CloudError>,
}

/// What has been read of AWS so far.
#[derive(Default)]
pub(crate) struct Reads {
    /// The observed state.
    pub observed: ObservedState,
    /// The scopes of which a read failed with a transient error.
    pub retryable: BTreeSet<Scope>,
}

impl Observer<'_> {
    /// Reads the peerings, the route tables and the ingress rules of scopes.
    pub(crate) async fn read_resources(&self, scopes: Vec<Scope>) -> Vec<(Scope, Result<ScopeResources, ReadFailure>)> {
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

    /// Reads the VPCs and the security groups of scopes.
    pub(crate) async fn read_tags(&self, scopes: Vec<Scope>) -> Vec<(Scope, Result<ScopeTags, CloudError>)> {
        let read = |scope: Scope| async move {
            let (vpcs, groups) = futures::join!(self.cloud.vpcs(&scope), self.cloud.security_groups(&scope));
            (scope, vpcs.map(|vpcs| ScopeTags { vpcs, groups }))
        };
        stream::iter(scopes).map(read).buffer_unordered(CONCURRENCY).collect().await
    }

    /// Reads the rules with a seal of this deployment that lost their ownership tag: a group shows what it allows, with the
    /// descriptions, but not the ids of its rules.
    ///
    /// A concurrent run may have added a rule after the rules with the tag were read: what has the tag now is left out, because it is
    /// newer than what this run knows of the members.
    pub(crate) async fn read_unmarked_rules(&self, reads: &mut Reads) {
        let seals = &self.settings.seals;
        let mut groups: BTreeMap<Scope, BTreeSet<SecurityGroupId>> = BTreeMap::new();
        for group in reads.observed.ingress.groups_with_unmarked_rules(seals) {
            groups.entry(group.vpc.scope.clone()).or_default().insert(group.id.clone());
        }
        let read = |(scope, groups): (Scope, BTreeSet<SecurityGroupId>)| async move {
            let rules = self.cloud.ingress_rules_of(&scope, &groups).await;
            (scope, rules)
        };
        let answers: Vec<_> = stream::iter(groups).map(read).buffer_unordered(CONCURRENCY).collect().await;
        for (scope, rules) in answers {
            match rules {
                Ok(rules) => {
                    let unmarked = rules.into_iter().filter(|rule| !rule.tags.contains_key(tags::MANAGED_BY));
                    let sealed = unmarked.filter(|rule| rule.has_seal_of(seals));
                    sealed.for_each(|rule| reads.observed.ingress.add_rule(rule, seals));
                }
                Err(error) => reads.note_unreadable_groups(scope, &error),
            }
        }
    }
}

impl Reads {
    pub(crate) fn add_resources(
        &mut self,
        scope: Scope,
        resources: Result<ScopeResources, ReadFailure>,
        seals: &Seals,
    ) {
        match resources {
            Ok(ScopeResources { peerings, tables, rules }) => {
                for view in peerings {
                    self.observed.add_peering(&scope, view, seals);
                }
                self.observed.tables.extend(tables.into_iter().map(|table| (table.id.clone(), table)));
                self.observed.scopes.insert(scope.clone(), Ok(()));
                match rules {
                    Ok(rules) => rules.into_iter().for_each(|rule| self.observed.ingress.add_rule(rule, seals)),
                    Err(error) => self.note_unreadable_groups(scope, &error),
                }
            }
            Err(ReadFailure { error, off }) => {
                self.observed.disabled_regions.extend(off.then(|| scope.clone()));
                self.note_unreadable_scope(scope, &error);
            }
        }
    }

    pub(crate) fn add_tags(&mut self, scope: Scope, tags: Result<ScopeTags, CloudError>) {
        match tags {
            Ok(ScopeTags { vpcs, groups }) => {
                self.observed.vpcs.extend(vpcs.into_iter().map(|vpc| (vpc.vpc_ref.clone(), vpc)));
                match groups {
                    Ok(groups) => {
                        let groups = groups.into_iter().map(|group| (group.id.clone(), group));
                        self.observed.ingress.groups.extend(groups);
                    }
                    Err(error) => self.note_unreadable_groups(scope, &error),
                }
            }
            Err(error) => self.note_unreadable_scope(scope, &error),
        }
    }

    fn note_unreadable_groups(&mut self, scope: Scope, error: &CloudError) {
        self.observed.unreadable_groups.insert(scope.clone(), chain(error));
        self.retryable.extend(error.kind.is_transient().then_some(scope));
    }

    /// Records an unreadable scope; one that was only partly read counts as unreadable.
    fn note_unreadable_scope(&mut self, scope: Scope, error: &CloudError) {
        self.observed.scopes.insert(scope.clone(), Err(chain(error)));
        self.retryable.extend(error.kind.is_transient().then_some(scope));
    }
}
