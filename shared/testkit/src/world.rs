//! A whole deployment in memory, and the people around it who tag, delete and meddle.
//!
//! The people's methods panic on names that the world does not have: a test that names one is wrong.
#![expect(clippy::expect_used, clippy::panic, reason = "a test that misnames something should fail at once")]

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use peerd_core::cidr::{self, CidrSet};
use peerd_core::tags::{self, MeshTag, Tags};
use peerd_core::{
    AccountId, MeshName, Pair, PeeringStatus, PeeringView, Route, RouteTable, RouteTarget, Scope, Vpc, VpcRef,
};
use peerd_engine::{Clock, Delivery, Engine, ErrorKind, Message, PortError, Queue, Settings, Timestamp, Work};
use serde_json::{Value, json};

use crate::cloud::{SimCloud, SimPeering};
use crate::store::MemoryStore;

const REGIONS: [&str; 2] = ["us-east-1", "eu-west-1"];
/// When a queue delivers a message again that was not handled.
const VISIBILITY_TIMEOUT_MS: Timestamp = 360_000;
/// Rounds of deliveries in which a world must come to rest.
const MOST_ROUNDS: usize = 60;

/// Account 1 is 111111111111, and so on.
pub fn account(number: u8) -> AccountId {
    number.to_string().repeat(12).parse().expect("one digit")
}

/// Account by number, and Region 0 (us-east-1) or 1 (eu-west-1).
pub fn scope(number: u8, region: usize) -> Scope {
    Scope::new(account(number), REGIONS[region].parse().expect("a Region"))
}

/// A mesh by name.
pub fn mesh(name: &str) -> MeshName {
    name.parse().expect("a mesh name")
}

#[derive(Default)]
struct Time(AtomicU64);

impl Clock for Time {
    fn now(&self) -> Timestamp {
        self.0.load(Ordering::SeqCst)
    }
}

/// Messages with the time at which they arrive.
#[derive(Default)]
struct Mail {
    waiting: Mutex<Vec<(Timestamp, String)>>,
    time: Time,
}

impl Mail {
    fn post(&self, at: Timestamp, body: String) {
        self.waiting.lock().expect("no test thread died").push((at, body));
    }
}

#[async_trait]
impl Queue for Mail {
    async fn send(&self, message: &Message, delay: u32) -> Result<(), PortError> {
        let body = serde_json::to_string(message).map_err(|error| PortError::new(error.to_string()))?;
        self.post(self.time.now() + u64::from(delay) * 1000, body);
        Ok(())
    }
}

/// Accounts 1 to 3 in two Regions, meshes `prod` and `staging`, and one deployment of peerd.
pub struct World {
    /// The AWS of this world.
    pub cloud: SimCloud,
    /// The deployment's index.
    pub store: MemoryStore,
    mail: Mail,
    settings: Settings,
    /// Whether events reach nobody.
    pub events_lost: bool,
}

impl Default for World {
    fn default() -> Self {
        let settings = Settings {
            deployment: "peerd".parse().expect("a deployment"),
            meshes: ["prod", "staging"].map(mesh).into(),
            accounts: [1, 2, 3].map(account).into(),
            regions: REGIONS.map(|region| region.parse().expect("a Region")).into(),
        };
        let (cloud, store, mail) = Default::default();
        Self { cloud, store, mail, settings, events_lost: false }
    }
}

impl World {
    /// The deployment's engine in one worker.
    pub fn engine<'w>(&'w self, worker: &'w str) -> Engine<'w> {
        let Self { cloud, store, mail, settings, .. } = self;
        Engine { cloud, store, queue: mail, clock: &mail.time, settings, worker }
    }

    /// Somebody makes a VPC with a main route table of the same name, and tags it if `meshes` is not blank.
    pub fn vpc(&self, name: &str, at: Scope, blocks: &str, meshes: &str) -> VpcRef {
        let vpc = VpcRef::new(at, format!("vpc-{name}").parse().expect("a VPC name"));
        let tags = Tags::new();
        let seen = Vpc { at: vpc.clone(), cidrs: blocks_of(blocks), settling: false, tags };
        self.cloud.state().vpcs.insert(vpc.clone(), seen);
        self.table(name, &vpc);
        if !meshes.is_empty() {
            self.tag(&vpc, meshes);
        }
        vpc
    }

    /// Somebody makes a route table.
    pub fn table(&self, name: &str, vpc: &VpcRef) {
        let id: peerd_core::RouteTableId = format!("rtb-{name}").parse().expect("a table name");
        let table = RouteTable { id: id.clone(), vpc: vpc.clone(), of_gateway: false, routes: Vec::new() };
        self.cloud.state().tables.insert(id, table);
        self.event(vpc, "CreateRouteTable", json!({"vpcId": vpc.id}));
    }

    /// Somebody sets `peerd:env`.
    pub fn tag(&self, vpc: &VpcRef, meshes: &str) {
        self.retag(vpc, |tags| drop(tags.insert(tags::ENV.to_owned(), meshes.to_owned())));
    }

    /// Somebody removes `peerd:env`.
    pub fn untag(&self, vpc: &VpcRef) {
        self.retag(vpc, |tags| drop(tags.remove(tags::ENV)));
    }

    fn retag(&self, vpc: &VpcRef, change: impl FnOnce(&mut Tags)) {
        let tags = {
            let mut state = self.cloud.state();
            let seen = state.vpcs.get_mut(vpc).unwrap_or_else(|| panic!("there is no {vpc}"));
            change(&mut seen.tags);
            seen.tags.clone()
        };
        let Scope { account, region } = &vpc.scope;
        let arn = format!("arn:aws:ec2:{region}:{account}:vpc/{}", vpc.id);
        self.deliver_event(json!({
            "detail-type": "Tag Change on Resource", "source": "aws.tag", "account": account, "region": region,
            "resources": [arn],
            "detail": {"changed-tag-keys": [tags::ENV], "service": "ec2", "resource-type": "vpc", "version": 1.0, "tags": tags}
        }));
    }

    /// Somebody deletes a VPC, and with it its tables and peerings.
    pub fn delete_vpc(&self, vpc: &VpcRef) {
        {
            let mut state = self.cloud.state();
            state.vpcs.remove(vpc);
            state.tables.retain(|_, table| table.vpc != *vpc);
            let theirs = state.peerings.values_mut().filter(|p| [&p.view.requester, &p.view.accepter].contains(&vpc));
            theirs.for_each(|peering| peering.view.status = PeeringStatus::Deleted);
        }
        self.event(vpc, "DeleteVpc", json!({"vpcId": vpc.id}));
    }

    /// Somebody changes a VPC's blocks.
    pub fn set_blocks(&self, vpc: &VpcRef, blocks: &str) {
        self.cloud.state().vpcs.get_mut(vpc).expect("a VPC of this world").cidrs = blocks_of(blocks);
        self.event(vpc, "AssociateVpcCidrBlock", json!({"AssociateVpcCidrBlockRequest": {"VpcId": vpc.id}}));
    }

    /// Somebody puts a route, or takes it out, whatever stood there.
    pub fn set_route(&self, table: &str, block: &str, target: Option<RouteTarget>) {
        let (vpc, name) = {
            let mut state = self.cloud.state();
            let table = state.tables.get_mut(&table.parse().expect("a table id")).expect("a table of this world");
            let destination = cidr::parse(block).expect("a block");
            table.routes.retain(|route| route.destination != destination);
            let name = if target.is_some() { "ReplaceRoute" } else { "DeleteRoute" };
            table.routes.extend(target.map(|target| Route { destination, target, created: true, blackhole: false }));
            (table.vpc.clone(), name)
        };
        self.event(&vpc, name, json!({"routeTableId": table, "destinationCidrBlock": block}));
    }

    /// Somebody brings a peering into another state.
    pub fn set_peering(&self, a: &VpcRef, b: &VpcRef, status: PeeringStatus) {
        let (requester, id) = {
            let mut state = self.cloud.state();
            let mut theirs =
                state.peerings.values_mut().filter(|p| is_between(&p.view, a, b) && p.view.status.is_live());
            let peering = theirs.next().unwrap_or_else(|| panic!("{a} and {b} have no live peering"));
            peering.view.status = status;
            (peering.view.requester.clone(), peering.view.id.clone())
        };
        let parameters = json!({"vpcPeeringConnectionId": id});
        self.event(&requester, "DeleteVpcPeeringConnection", parameters);
    }

    /// Somebody peers two VPCs by hand.
    pub fn peer_by_hand(&self, id: &str, a: &VpcRef, b: &VpcRef) {
        let view = PeeringView {
            id: id.parse().expect("a peering id"),
            requester: a.clone(),
            accepter: b.clone(),
            status: PeeringStatus::Active,
            message: String::new(),
            tags: Tags::new(),
        };
        self.cloud.state().peerings.insert(view.id.clone(), SimPeering { view, tags: Default::default() });
        self.event(a, "CreateVpcPeeringConnection", json!({"vpcPeeringConnectionId": id}));
    }

    /// The role of an account can no longer, or again, be assumed.
    pub fn set_denied(&self, number: u8, denied: bool) {
        let mut state = self.cloud.state();
        if denied {
            state.denied.insert(account(number));
        } else {
            state.denied.remove(&account(number));
        }
    }

    /// The next call of this API fails.
    pub fn fail_next(&self, call: &'static str, kind: ErrorKind) {
        self.cloud.state().faults.push((call, kind));
    }

    /// The next write to the index takes effect and its answer is lost.
    pub fn lose_next_answer_of_the_index(&self) {
        self.store.tables().lost_answers += 1;
    }

    /// Describes show this VPC as it is now until [`World::catch_up`].
    pub fn freeze(&self, vpc: &VpcRef) {
        let mut state = self.cloud.state();
        let now = state.vpcs.get(vpc).cloned();
        state.stale.insert(vpc.clone(), now);
    }

    /// Describes show everything as it is.
    pub fn catch_up(&self) {
        self.cloud.state().stale.clear();
    }

    /// Accepted peerings stay provisioning until [`SimCloud::provision`].
    pub fn set_slow(&self, slow: bool) {
        self.cloud.state().slow = slow;
    }

    fn event(&self, vpc: &VpcRef, name: &str, request: Value) {
        let Scope { account, region } = &vpc.scope;
        self.deliver_event(json!({
            "detail-type": "AWS API Call via CloudTrail", "source": "aws.ec2", "account": account, "region": region,
            "detail": {
                "eventName": name, "awsRegion": region, "recipientAccountId": account,
                "requestParameters": request, "responseElements": {"_return": true}
            }
        }));
    }

    /// An event reaches the queue, unless events are lost.
    pub fn deliver_event(&self, event: Value) {
        if !self.events_lost {
            self.mail.post(self.mail.time.now(), event.to_string());
        }
    }

    /// The schedule fires.
    pub fn sweep(&self) {
        let message = serde_json::to_string(&Message::new(0, Work::Sweep {})).expect("a message");
        self.mail.post(self.mail.time.now(), message);
    }

    /// Delivers everything that has arrived by now as one batch. How many messages the engine asked to have again: the
    /// queue delivers them when their visibility timeout is over.
    pub async fn deliver(&self) -> usize {
        let now = self.mail.time.now();
        let bodies: Vec<String> = {
            let mut waiting = self.mail.waiting.lock().expect("no test thread died");
            let (due, later): (Vec<_>, Vec<_>) =
                std::mem::take(&mut *waiting).into_iter().partition(|(at, _)| *at <= now);
            *waiting = later;
            due.into_iter().map(|(_, body)| body).collect()
        };
        let delivery = |(n, body): (usize, &String)| Delivery { id: n.to_string(), body: body.clone() };
        let batch: Vec<Delivery> = bodies.iter().enumerate().map(delivery).collect();
        let again = self.engine("worker").handle(&batch, now + 50_000).await;
        for delivery in batch.into_iter().filter(|delivery| again.contains(&delivery.id)) {
            self.mail.post(now + VISIBILITY_TIMEOUT_MS, delivery.body);
        }
        again.len()
    }

    /// Lets time pass until no message is left.
    pub async fn rest(&self) {
        for _ in 0..MOST_ROUNDS {
            let next = self.mail.waiting.lock().expect("no test thread died").iter().map(|(at, _)| *at).min();
            let Some(next) = next else { return };
            self.mail.time.0.fetch_max(next, Ordering::SeqCst);
            self.deliver().await;
        }
        panic!("the world does not come to rest");
    }

    /// Time passes.
    pub fn pass(&self, seconds: u64) {
        self.mail.time.0.fetch_add(seconds * 1000, Ordering::SeqCst);
    }

    /// How many messages are waiting.
    pub fn messages(&self) -> usize {
        self.mail.waiting.lock().expect("no test thread died").len()
    }

    /// Whether two VPCs have exactly one live managed peering, it is active, and every table leads to every block.
    pub fn connected(&self, a: &VpcRef, b: &VpcRef) -> bool {
        let state = self.cloud.state();
        let mut live = state.peerings.values().filter(|p| is_between(&p.view, a, b) && p.view.status.is_live());
        let (Some(peering), None) = (live.next(), live.next()) else { return false };
        let sides_tagged = [a, b]
            .into_iter()
            .all(|vpc| peering.tags.get(&vpc.scope).is_some_and(|tags| tags.contains_key(tags::MANAGED_BY)));
        let routed = |from: &VpcRef, to: &VpcRef| {
            let blocks = &state.vpcs[to].cidrs;
            let target = RouteTarget::Peering(peering.view.id.clone());
            let mut tables = state.tables.values().filter(|table| table.vpc == *from && !table.of_gateway);
            tables
                .all(|table| blocks.iter().all(|block| table.created_route(block).is_some_and(|r| r.target == target)))
        };
        peering.view.status == PeeringStatus::Active && sides_tagged && routed(a, b) && routed(b, a)
    }

    /// What of peerd's work is left: live managed peerings, and routes to any peering.
    pub fn traces(&self, vpc: &VpcRef) -> Vec<String> {
        let state = self.cloud.state();
        let live = state.peerings.values().filter(|p| p.view.status.is_live() && !p.tags.is_empty());
        let live = live.filter(|p| [&p.view.requester, &p.view.accepter].contains(&vpc)).map(|p| p.view.id.to_string());
        let theirs: BTreeSet<_> = state
            .peerings
            .values()
            .filter(|p| [&p.view.requester, &p.view.accepter].contains(&vpc))
            .map(|p| RouteTarget::Peering(p.view.id.clone()))
            .collect();
        let routes = state.tables.values().flat_map(|table| table.routes.iter().map(move |route| (table, route)));
        let left = routes.filter(|(_, route)| theirs.contains(&route.target));
        let left = left.map(|(table, route)| format!("{} {} {}", table.id, route.destination, route.target));
        let status = state.vpcs.get(vpc).and_then(|seen| seen.tags.get(tags::STATUS).cloned());
        live.chain(left).chain(status).collect()
    }

    /// The value of `peerd:status`.
    pub fn status(&self, vpc: &VpcRef) -> Option<String> {
        self.cloud.state().vpcs.get(vpc).and_then(|seen| seen.tags.get(tags::STATUS).cloned())
    }

    /// The meshes that the live peering of two VPCs is tagged for, and its id.
    pub fn peering(&self, a: &VpcRef, b: &VpcRef) -> Option<(String, String)> {
        let state = self.cloud.state();
        let peering = state.peerings.values().find(|p| is_between(&p.view, a, b) && p.view.status.is_live())?;
        let meshes = peering.tags.values().map(MeshTag::of).next().unwrap_or_default().meshes;
        Some((peering.view.id.to_string(), tags::join_meshes(&meshes)))
    }

    /// Where a table leads a block.
    pub fn target(&self, table: &str, block: &str) -> Option<String> {
        let state = self.cloud.state();
        let table = state.tables.get(&table.parse().expect("a table id"))?;
        table.created_route(&cidr::parse(block).expect("a block")).map(|route| route.target.to_string())
    }
}

fn blocks_of(blocks: &str) -> CidrSet {
    blocks.split_whitespace().map(|block| cidr::parse(block).expect("a block")).collect()
}

fn is_between(view: &PeeringView, a: &VpcRef, b: &VpcRef) -> bool {
    Pair::of(&view.requester, &view.accepter) == Pair::of(a, b)
}
