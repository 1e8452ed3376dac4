//! Applies actions: each is tried once, no failure stops the others, and every result is returned.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, stream};
use peerd_core::observed::RouteTarget;
use peerd_core::tags;
use peerd_core::{Action, Effect, PeeringId, RouteTable, RouteTableId, Scope, Timestamp};

use crate::ensure;
use crate::error::{CloudError, ErrorKind, InfraError, chain};
use crate::lease::Leases;
use crate::ports::{Claim, ClaimStore, Clock, Cloud};

/// The number of concurrent calls of a group; the cloud itself keeps each scope below EC2's rate limits.
const CONCURRENCY: usize = 8;
/// The duration of a claim, in milliseconds: longer than a new peering takes to become visible to other runs, short
/// enough that a crash delays the pair only a little.
const CLAIM_MS: Timestamp = 60_000;

/// The result of one action.
#[derive(Debug, Clone)]
pub(crate) enum Applied {
    /// The action took effect.
    Done(Effect),
    /// Another run has claimed the pair.
    ClaimedElsewhere,
    /// Another principal changed the route after it was read, so peerd may no longer change it.
    Stale,
    /// The run had no time left.
    Deferred,
    /// It failed with a transient error.
    Transient(String),
    /// It failed with a permanent error.
    Failed(String),
}

/// Applies actions for one run.
pub(crate) struct Applier<'a> {
    /// The cloud.
    pub cloud: &'a dyn Cloud,
    /// The store, for claims.
    pub store: &'a dyn ClaimStore,
    /// The clock.
    pub clock: &'a dyn Clock,
    /// The name of this run in claims.
    pub owner: &'a str,
    /// No new action starts after this time.
    pub deadline: Timestamp,
    /// The leases to renew in the meantime.
    pub leases: &'a Leases<'a>,
}

impl Applier<'_> {
    /// Applies actions that do not depend on each other, and returns each with its result.
    pub async fn apply(&self, actions: Vec<Action>) -> Vec<(Action, Applied)> {
        let tables = self.revalidate(&actions).await;
        let tables = &tables;
        stream::iter(actions)
            .map(|action| async move {
                let applied = self.one(&action, tables).await;
                self.leases.keep_alive().await;
                (action, applied)
            })
            .buffer_unordered(CONCURRENCY)
            .collect()
            .await
    }

    async fn one(&self, action: &Action, tables: &Revalidation) -> Applied {
        if self.clock.now() >= self.deadline {
            return Applied::Deferred;
        }
        match tables.is_current(action) {
            Ok(true) => {}
            Ok(false) => return Applied::Stale,
            Err(error) => return failed(error),
        }
        match self.perform(action).await {
            Ok(Some(effect)) => Applied::Done(effect),
            Ok(None) => Applied::ClaimedElsewhere,
            Err(failure) => failure,
        }
    }

    async fn perform(&self, action: &Action) -> Result<Option<Effect>, Applied> {
        let cloud = self.cloud;
        let done = match action {
            Action::CreatePeering { pair, tags, dead } => {
                return self.request(pair, tags, dead).await;
            }
            Action::AcceptPeering { peering, scope } => {
                let accepted = ensure::accepted(cloud, scope, peering).await;
                return accepted.map(|status| Some(Effect::Status(status))).map_err(|error| failed(&error));
            }
            Action::TagPeering { peering, scope, tags } => cloud.tag_peering(scope, peering, tags).await,
            Action::ReleasePeering { peering, scope } => {
                cloud.untag_peering(scope, peering, &tags::OWNERSHIP_KEYS).await
            }
            Action::SetDns { peering, vpc, requester, on } => cloud.set_dns(vpc, peering, *requester, *on).await,
            Action::AddRoute { scope, table, destination, peering } => {
                ensure::routed(cloud, scope, table, destination, peering).await
            }
            Action::ReplaceRoute { scope, table, destination, from: _, peering } => {
                cloud.replace_route(scope, table, destination, peering).await
            }
            Action::RemoveRoute { scope, table, destination, peering: _ } => {
                ensure::unrouted(cloud, scope, table, destination).await
            }
            Action::DeletePeering { peering, scope, pair: _ } => ensure::deleted(cloud, scope, peering).await,
            Action::AuthorizeIngress { scope, group, permission, description, tags } => {
                let rule = ensure::authorized(cloud, scope, group, permission, description, tags).await;
                return rule.map(|id| Some(id.map_or(Effect::Done, Effect::Rule))).map_err(|error| failed(&error));
            }
            Action::TagIngress { scope, rule, change } => {
                cloud.set_rule_tag(scope, rule, &change.key(), change.value()).await
            }
            Action::RevokeIngress { scope, group, rule, permission: _ } => {
                ensure::revoked(cloud, scope, group, rule).await
            }
            Action::SetStatus { vpc, line } => ensure::tagged(cloud, vpc, tags::STATUS, line.as_deref()).await,
        };
        done.map(|()| Some(Effect::Done)).map_err(|error| failed(&error))
    }

    async fn request(
        &self,
        pair: &peerd_core::Pair,
        tags: &peerd_core::Tags,
        dead: &[PeeringId],
    ) -> Result<Option<Effect>, Applied> {
        let now = self.clock.now();
        let (owner, until) = (self.owner.to_owned(), now + CLAIM_MS);
        let claim = Claim { pair: pair.clone(), owner, now, until, dead: dead.to_vec() };
        let transient = |error: InfraError| Applied::Transient(chain(&error));
        if !self.store.claim(&claim).await.map_err(transient)? {
            return Ok(None);
        }
        let view = match self.cloud.create_peering(pair, tags).await {
            Ok(view) => view,
            Err(error) => {
                // The request may have taken effect: AWS answers a repeated request with the existing peering.
                if let Err(error) = self.store.release_claim(&claim).await {
                    tracing::warn!(%pair, error = chain(&error), "claim not released");
                }
                return Err(failed(&error));
            }
        };
        // If this write is lost, the claim expires by itself; the peering already has its tags.
        if let Err(error) = self.store.record_peering(&claim, &view.id).await {
            tracing::warn!(peering = %view.id, error = chain(&error), "peering not recorded in the claim");
        }
        Ok(Some(Effect::Peering(Box::new(view))))
    }

    /// Reads again the tables in which routes are replaced or removed: EC2 has no compare-and-set, and a route that
    /// another principal has just retargeted must stay.
    async fn revalidate(&self, actions: &[Action]) -> Revalidation {
        let tables =
            actions.iter().filter_map(|action| Some((action.scope().clone(), action.table_to_read()?.clone())));
        let tables: BTreeSet<(Scope, RouteTableId)> = tables.collect();
        let read = |(scope, table): (Scope, RouteTableId)| async move {
            let read = self.cloud.route_table(&scope, &table).await;
            (table, read)
        };
        let reads = stream::iter(tables).map(read).buffer_unordered(CONCURRENCY);
        Revalidation(reads.collect().await)
    }
}

/// The route tables immediately before routes in them are replaced or removed.
struct Revalidation(BTreeMap<RouteTableId, Result<Option<RouteTable>, CloudError>>);

impl Revalidation {
    /// Whether the route that the action replaces or removes still has the planned target.
    fn is_current(&self, action: &Action) -> Result<bool, &CloudError> {
        let (table, destination, target) = match action {
            Action::ReplaceRoute { table, destination, from, .. } => (table, destination, from),
            Action::RemoveRoute { table, destination, peering, .. } => (table, destination, peering),
            _ => return Ok(true),
        };
        match self.0.get(table) {
            Some(Ok(Some(read))) => Ok(read
                .created_route(destination)
                .is_some_and(|route| matches!(&route.target, RouteTarget::Peering(id) if id == target))),
            Some(Ok(None)) | None => Ok(false),
            Some(Err(error)) => Err(error),
        }
    }
}

fn failed(error: &CloudError) -> Applied {
    match error.kind {
        ErrorKind::Limit => Applied::Done(Effect::Refused(error.context.clone())),
        kind if kind.is_transient() => Applied::Transient(chain(error)),
        _ => Applied::Failed(chain(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_refusal_is_an_effect_and_only_transient_errors_are_retried() {
        let of = |kind| failed(&CloudError::new(kind, "CreateRoute"));
        assert!(matches!(of(ErrorKind::Limit), Applied::Done(Effect::Refused(_))));
        for kind in [ErrorKind::Throttled, ErrorKind::NotReady, ErrorKind::Unavailable] {
            assert!(matches!(of(kind), Applied::Transient(_)));
        }
        for kind in [ErrorKind::Denied, ErrorKind::Conflict, ErrorKind::Invalid] {
            assert!(matches!(of(kind), Applied::Failed(_)));
        }
    }
}
