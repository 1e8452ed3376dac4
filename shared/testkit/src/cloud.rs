//! AWS in memory: two-sided peerings with tags per side, route tables, and the answers that AWS gives when a call comes
//! too early, twice, or from the wrong side. Sources stand in the facts that the functions' docs name.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use async_trait::async_trait;
use peerd_core::cidr::IpNet;
use peerd_core::{
    AccountId, Pair, PeeringId, PeeringStatus, PeeringView, Route, RouteTable, RouteTableId, RouteTarget, Scope, Tags,
    Vpc, VpcId, VpcRef,
};
use peerd_engine::{CloudError, CloudRead, CloudWrite, ErrorKind};

/// A peering as AWS keeps it.
#[derive(Debug, Clone)]
pub(crate) struct SimPeering {
    pub view: PeeringView,
    pub tags: BTreeMap<Scope, Tags>,
}

/// One call that was made, for tests that count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The API's name.
    pub name: &'static str,
    /// Where it was made.
    pub scope: Scope,
}

#[derive(Default)]
pub(crate) struct State {
    pub vpcs: BTreeMap<VpcRef, Vpc>,
    pub tables: BTreeMap<RouteTableId, RouteTable>,
    pub peerings: BTreeMap<PeeringId, SimPeering>,
    /// Accounts whose role cannot be assumed.
    pub denied: BTreeSet<AccountId>,
    /// Faults to come, each for the next call of that name.
    pub faults: Vec<(&'static str, ErrorKind)>,
    /// VPCs that describes still show as they were before their last change.
    pub stale: BTreeMap<VpcRef, Option<Vpc>>,
    /// Whether an accepted peering stays provisioning until [`SimCloud::provision`].
    pub slow: bool,
    pub calls: Vec<Call>,
    made: u32,
}

/// An AWS in memory.
#[derive(Default)]
pub struct SimCloud {
    state: Mutex<State>,
}

impl SimCloud {
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes accepted peerings active.
    pub fn provision(&self) {
        for peering in self.state().peerings.values_mut() {
            if peering.view.status == PeeringStatus::Provisioning {
                peering.view.status = PeeringStatus::Active;
            }
        }
    }

    /// Every call since the last time this was asked.
    pub fn take_calls(&self) -> Vec<Call> {
        std::mem::take(&mut self.state().calls)
    }

    fn call(&self, name: &'static str, scope: &Scope) -> Result<MutexGuard<'_, State>, CloudError> {
        let mut state = self.state();
        state.calls.push(Call { name, scope: scope.clone() });
        if state.denied.contains(&scope.account) {
            return Err(CloudError::new(ErrorKind::Denied, format!("{name} in {scope}: AssumeRole")));
        }
        if let Some(next) = state.faults.iter().position(|(faulty, _)| *faulty == name) {
            let (_, kind) = state.faults.remove(next);
            return Err(CloudError::new(kind, format!("{name} in {scope}")));
        }
        Ok(state)
    }
}

impl State {
    fn seen_vpc(&self, vpc: &VpcRef) -> Option<Vpc> {
        self.stale.get(vpc).cloned().unwrap_or_else(|| self.vpcs.get(vpc).cloned())
    }

    fn view(&self, scope: &Scope, peering: &SimPeering) -> Option<PeeringView> {
        let sides = [&peering.view.requester, &peering.view.accepter];
        sides.into_iter().any(|vpc| vpc.scope == *scope).then(|| {
            let tags = peering.tags.get(scope).cloned().unwrap_or_default();
            PeeringView { tags, ..peering.view.clone() }
        })
    }

    /// Routes whose peering is not active are blackholes.
    fn seen_table(&self, table: &RouteTable) -> RouteTable {
        let mut seen = table.clone();
        for route in &mut seen.routes {
            if let RouteTarget::Peering(id) = &route.target {
                let active = self.peerings.get(id).is_some_and(|peering| peering.view.status == PeeringStatus::Active);
                route.blackhole = !active;
            }
        }
        seen
    }

    fn peering(&mut self, id: &PeeringId) -> Result<&mut SimPeering, CloudError> {
        self.peerings.get_mut(id).ok_or_else(|| {
            CloudError::new(ErrorKind::NotReady, format!("InvalidVpcPeeringConnectionID.NotFound: {id}"))
        })
    }

    fn fails(&self, pair: &Pair) -> bool {
        match pair.ends().map(|vpc| self.vpcs.get(vpc)) {
            [Some(ours), Some(theirs)] => ours.cidrs.first_overlap(&theirs.cidrs).is_some(),
            _ => true,
        }
    }
}

/// Lets other workers take their turn: every call does, so that what runs at once is interleaved.
async fn turn() {
    let mut waited = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut waited, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

#[async_trait]
impl CloudRead for SimCloud {
    async fn vpcs(&self, scope: &Scope) -> Result<Vec<Vpc>, CloudError> {
        turn().await;
        let state = self.call("DescribeVpcs", scope)?;
        let known: BTreeSet<&VpcRef> = state.vpcs.keys().chain(state.stale.keys()).collect();
        Ok(known.into_iter().filter(|vpc| vpc.scope == *scope).filter_map(|vpc| state.seen_vpc(vpc)).collect())
    }

    async fn vpcs_by_id(&self, scope: &Scope, ids: &BTreeSet<VpcId>) -> Result<Vec<Vpc>, CloudError> {
        turn().await;
        let state = self.call("DescribeVpcs", scope)?;
        Ok(ids.iter().filter_map(|id| state.seen_vpc(&VpcRef::new(scope.clone(), id.clone()))).collect())
    }

    async fn peerings(&self, scope: &Scope) -> Result<Vec<PeeringView>, CloudError> {
        turn().await;
        let state = self.call("DescribeVpcPeeringConnections", scope)?;
        Ok(state.peerings.values().filter_map(|peering| state.view(scope, peering)).collect())
    }

    async fn peering(&self, scope: &Scope, id: &PeeringId) -> Result<Option<PeeringView>, CloudError> {
        turn().await;
        let state = self.call("DescribeVpcPeeringConnections", scope)?;
        Ok(state.peerings.get(id).and_then(|peering| state.view(scope, peering)))
    }

    async fn route_tables(&self, scope: &Scope) -> Result<Vec<RouteTable>, CloudError> {
        turn().await;
        let state = self.call("DescribeRouteTables", scope)?;
        let here = state.tables.values().filter(|table| table.vpc.scope == *scope);
        Ok(here.map(|table| state.seen_table(table)).collect())
    }

    async fn route_table(&self, scope: &Scope, id: &RouteTableId) -> Result<Option<RouteTable>, CloudError> {
        turn().await;
        let state = self.call("DescribeRouteTables", scope)?;
        Ok(state.tables.get(id).filter(|table| table.vpc.scope == *scope).map(|table| state.seen_table(table)))
    }
}

#[async_trait]
impl CloudWrite for SimCloud {
    /// The same direction again answers with the peering that stands
    /// (<https://github.com/hashicorp/terraform-provider-aws/issues/27750>).
    async fn create_peering(&self, pair: &Pair, tags: &Tags) -> Result<PeeringView, CloudError> {
        turn().await;
        let scope = &pair.requester().scope;
        let mut state = self.call("CreateVpcPeeringConnection", scope)?;
        let standing = state.peerings.values().find(|peering| {
            let view = &peering.view;
            view.status.is_live() && [&view.requester, &view.accepter] == pair.ends()
        });
        if let Some(view) = standing.and_then(|peering| state.view(scope, peering)) {
            return Ok(view);
        }
        state.made += 1;
        let failed = state.fails(pair);
        let view = PeeringView {
            id: format!("pcx-{:04}", state.made)
                .parse()
                .map_err(|_| CloudError::new(ErrorKind::Invalid, "the simulator's own id is malformed"))?,
            requester: pair.requester().clone(),
            accepter: pair.accepter().clone(),
            status: if failed { PeeringStatus::Failed } else { PeeringStatus::PendingAcceptance },
            message: String::new(),
            tags: tags.clone(),
        };
        let tags = BTreeMap::from([(scope.clone(), tags.clone())]);
        state.peerings.insert(view.id.clone(), SimPeering { view: view.clone(), tags });
        Ok(PeeringView { status: PeeringStatus::InitiatingRequest, ..view })
    }

    async fn accept_peering(&self, scope: &Scope, id: &PeeringId) -> Result<PeeringStatus, CloudError> {
        turn().await;
        let mut state = self.call("AcceptVpcPeeringConnection", scope)?;
        let status = if state.slow { PeeringStatus::Provisioning } else { PeeringStatus::Active };
        let peering = state.peering(id)?;
        if peering.view.accepter.scope != *scope {
            return Err(CloudError::new(ErrorKind::Invalid, format!("OperationNotPermitted: {id} in {scope}")));
        }
        if peering.view.status == PeeringStatus::PendingAcceptance {
            peering.view.status = status;
        }
        Ok(peering.view.status.clone())
    }

    async fn delete_peering(&self, scope: &Scope, id: &PeeringId) -> Result<(), CloudError> {
        turn().await;
        let mut state = self.call("DeleteVpcPeeringConnection", scope)?;
        state.peering(id)?.view.status = PeeringStatus::Deleted;
        Ok(())
    }

    async fn tag_peering(&self, scope: &Scope, id: &PeeringId, tags: &Tags) -> Result<(), CloudError> {
        turn().await;
        let mut state = self.call("CreateTags", scope)?;
        state.peering(id)?.tags.entry(scope.clone()).or_default().extend(tags.clone());
        Ok(())
    }

    async fn create_route(
        &self,
        scope: &Scope,
        table: &RouteTableId,
        destination: &IpNet,
        peering: &PeeringId,
    ) -> Result<(), CloudError> {
        turn().await;
        let mut state = self.call("CreateRoute", scope)?;
        let found = state.tables.get_mut(table);
        let table = found.ok_or_else(|| CloudError::new(ErrorKind::NotReady, "InvalidRouteTableID.NotFound"))?;
        let target = RouteTarget::Peering(peering.clone());
        match table.created_route(destination) {
            Some(route) if route.target == target => Ok(()),
            Some(_) => Err(CloudError::new(ErrorKind::Conflict, format!("RouteAlreadyExists: {destination}"))),
            None => {
                table.routes.push(Route { destination: *destination, target, created: true, blackhole: false });
                Ok(())
            }
        }
    }

    async fn replace_route(
        &self,
        scope: &Scope,
        table: &RouteTableId,
        destination: &IpNet,
        peering: &PeeringId,
    ) -> Result<(), CloudError> {
        turn().await;
        let mut state = self.call("ReplaceRoute", scope)?;
        let mut routes = state.tables.get_mut(table).into_iter().flat_map(|table| &mut table.routes);
        match routes.find(|route| route.created && route.destination == *destination) {
            Some(route) => {
                route.target = RouteTarget::Peering(peering.clone());
                Ok(())
            }
            None => Err(CloudError::new(ErrorKind::Invalid, format!("no route for {destination}"))),
        }
    }

    async fn delete_route(&self, scope: &Scope, table: &RouteTableId, destination: &IpNet) -> Result<(), CloudError> {
        turn().await;
        let mut state = self.call("DeleteRoute", scope)?;
        if let Some(table) = state.tables.get_mut(table) {
            table.routes.retain(|route| !(route.created && route.destination == *destination));
        }
        Ok(())
    }

    async fn tag_vpc(&self, vpc: &VpcRef, key: &str, value: Option<&str>) -> Result<(), CloudError> {
        turn().await;
        let mut state = self.call("TagVpc", &vpc.scope)?;
        if let Some(vpc) = state.vpcs.get_mut(vpc) {
            match value {
                Some(value) => drop(vpc.tags.insert(key.to_owned(), value.to_owned())),
                None => drop(vpc.tags.remove(key)),
            }
        }
        Ok(())
    }
}
