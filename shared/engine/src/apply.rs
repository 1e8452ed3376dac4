//! Carrying out actions: each is tried once, none stops another, and every result is told.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, stream};
use peerd_core::observed::RouteTarget;
use peerd_core::tags;
use peerd_core::{Action, Effect, PeeringId, RouteTable, RouteTableId, Scope};

use crate::ensure;
use crate::error::{CloudError, ErrorKind, InfraError, chain};
use crate::ports::{Claim, Clock, Cloud, Store, Timestamp};

/// How many calls are under way at once; the cloud keeps each scope below EC2's rate limits by itself.
const CONCURRENCY: usize = 32;
/// How long a claim holds: longer than a create takes to be seen by others, short enough that a crash costs little.
const CLAIM_MS: Timestamp = 60_000;

/// What came of one action.
#[derive(Debug)]
pub enum Applied {
    /// It holds now.
    Done(Effect),
    /// Another run has claimed the pair.
    Busy,
    /// The route was changed by somebody since it was read; it is not ours to touch any more.
    Overtaken,
    /// No time was left in this run.
    Postponed,
    /// It failed and may pass by itself.
    Passing(String),
    /// It failed and will not pass by itself.
    Failed(String),
}

/// Who applies, and until when.
pub struct Applier<'a> {
    /// The cloud.
    pub cloud: &'a dyn Cloud,
    /// The store, for claims.
    pub store: &'a dyn Store,
    /// The time.
    pub clock: &'a dyn Clock,
    /// The name of this run in claims.
    pub owner: &'a str,
    /// After this time nothing new is begun.
    pub deadline: Timestamp,
}

impl Applier<'_> {
    /// Carries out actions that do not depend on each other, and pairs each with what came of it.
    ///
    /// Each time they begin with another one: calls that fail every time and use up the account's rate all the same would
    /// else always come before the others.
    pub async fn apply(&self, mut actions: Vec<Action>) -> Vec<(Action, Applied)> {
        let count = Timestamp::try_from(actions.len().max(1)).unwrap_or(1);
        actions.rotate_left(usize::try_from(self.clock.now() % count).unwrap_or_default());
        let tables = self.reread(&actions).await;
        let tables = &tables;
        let mut results: Vec<(Action, Applied)> = stream::iter(actions)
            .map(|action| async move {
                let applied = self.one(&action, tables).await;
                (action, applied)
            })
            .buffer_unordered(CONCURRENCY)
            .collect()
            .await;
        results.sort_by(|a, b| a.0.cmp(&b.0));
        results
    }

    async fn one(&self, action: &Action, tables: &Revalidation) -> Applied {
        if self.clock.now() >= self.deadline {
            return Applied::Postponed;
        }
        match tables.stands(action) {
            Ok(true) => {}
            Ok(false) => return Applied::Overtaken,
            Err(error) => return failed(error),
        }
        match self.perform(action).await {
            Ok(Some(effect)) => Applied::Done(effect),
            Ok(None) => Applied::Busy,
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
            Action::ReleasePeering { peering, scope } => cloud.untag_peering(scope, peering, &tags::MARKS).await,
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
            Action::AuthorizeIngress { scope, group, permission, tags } => {
                let rule = ensure::authorized(cloud, scope, group, permission, tags).await;
                return rule.map(|id| Some(id.map_or(Effect::Done, Effect::Rule))).map_err(|error| failed(&error));
            }
            Action::MarkIngress { scope, rule, mesh, on } => {
                cloud.mark_rule(scope, rule, &tags::for_mesh(mesh), *on).await
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
        let passing = |error: InfraError| Applied::Passing(chain(&error));
        if !self.store.claim(&claim).await.map_err(passing)? {
            return Ok(None);
        }
        let view = match self.cloud.create_peering(pair, tags).await {
            Ok(view) => view,
            Err(error) => {
                // Whether or not it took effect: AWS answers a repeated request with the peering that stands.
                if let Err(error) = self.store.release_claim(&claim).await {
                    tracing::warn!(%pair, error = chain(&error), "claim not released");
                }
                return Err(failed(&error));
            }
        };
        // The claim lapses by itself if this write is lost; the peering carries its tags already.
        if let Err(error) = self.store.record_peering(&claim, &view.id).await {
            tracing::warn!(peering = %view.id, error = chain(&error), "claim not settled");
        }
        Ok(Some(Effect::Peering(Box::new(view))))
    }

    /// Reads once more the tables from which something is taken: EC2 has no compare-and-set, and a route that somebody
    /// has just pointed elsewhere must not be taken from them.
    async fn reread(&self, actions: &[Action]) -> Revalidation {
        let tables: BTreeSet<(&Scope, &RouteTableId)> = actions.iter().filter_map(Revalidation::table_of).collect();
        let reads = stream::iter(tables)
            .map(|(scope, table)| async move { (table.clone(), self.cloud.route_table(scope, table).await) })
            .buffer_unordered(CONCURRENCY);
        Revalidation(reads.collect().await)
    }
}

/// Tables as they are immediately before something is taken from them.
struct Revalidation(BTreeMap<RouteTableId, Result<Option<RouteTable>, CloudError>>);

impl Revalidation {
    fn table_of(action: &Action) -> Option<(&Scope, &RouteTableId)> {
        match action {
            Action::ReplaceRoute { scope, table, .. } | Action::RemoveRoute { scope, table, .. } => {
                Some((scope, table))
            }
            _ => None,
        }
    }

    /// Whether what the action takes away is still what was planned for.
    fn stands(&self, action: &Action) -> Result<bool, &CloudError> {
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
        kind if kind.is_passing() => Applied::Passing(chain(error)),
        _ => Applied::Failed(chain(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_is_an_effect_what_may_pass_is_tried_again_and_the_rest_has_failed() {
        let of = |kind| failed(&CloudError::new(kind, "CreateRoute"));
        assert!(matches!(of(ErrorKind::Limit), Applied::Done(Effect::Refused(_))));
        for kind in [ErrorKind::Throttled, ErrorKind::NotReady, ErrorKind::Unavailable] {
            assert!(matches!(of(kind), Applied::Passing(_)));
        }
        for kind in [ErrorKind::Denied, ErrorKind::Conflict, ErrorKind::Invalid] {
            assert!(matches!(of(kind), Applied::Failed(_)));
        }
    }
}
