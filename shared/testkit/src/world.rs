//! A simulated deployment in memory: AWS, the store, the queue, the bus, and workers that receive messages as Lambda
//! does.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use peerd_core::{
    AccountId, DeleteApproval, Deployment, MeshName, OrganizationalUnitId, Scope, SealKeys, Seals, VpcRef,
};
use peerd_engine::reconcile_request::ReconcileRequest;
use peerd_engine::{Clock, Engine, Message, Settings, Timestamp, Work};
use serde_json::Value;

use crate::aws::{Aws, AwsBehavior, MINUTE, SECOND, SimCloud};
use crate::bus::MemoryBus;
use crate::executor::{Turn, VirtualExecutor, Worker};
use crate::faults::FaultProfile;
use crate::queue::{SimMessage, SimQueue};
use crate::rng::SimRng;
use crate::store::MemoryStore;
use crate::transport::Transport;

const ACCOUNTS: [u8; 3] = [1, 2, 3];
const REGIONS: [&str; 2] = ["us-east-1", "eu-west-1"];
/// As in template.yaml: the timeout of the functions, the time after which they start nothing new, and the time after
/// which the queue delivers unhandled messages again.
const TIMEOUT: u64 = MINUTE;
const DEADLINE: u64 = 50 * SECOND;
const VISIBILITY_TIMEOUT: u64 = 361 * SECOND;
/// The hours after which a deployment that is not idle yet counts as never idle.
const MAX_HOURS_OF_WORK: u64 = 6;

/// Returns an account id: account 1 is 111111111111, and so on.
#[expect(clippy::expect_used, reason = "twelve times one digit")]
pub fn account(number: u8) -> AccountId {
    (number % 10).to_string().repeat(12).parse().expect("one digit")
}

/// Returns the scope of an account, by number, in Region 0 (us-east-1) or 1 (eu-west-1).
#[expect(clippy::expect_used, reason = "a test that misnames a Region should fail immediately")]
pub fn scope(number: u8, region: usize) -> Scope {
    Scope::new(account(number), REGIONS[region].parse().expect("a Region"))
}

/// Returns the scope of an account in the Region of the hub.
pub fn home(account: &AccountId) -> Scope {
    Scope { account: account.clone(), ..scope(1, 0) }
}

/// Returns the id of an organizational unit by name: the root, or a unit below it.
#[expect(clippy::expect_used, reason = "a test that misnames a unit should fail immediately")]
pub fn unit(name: &str) -> OrganizationalUnitId {
    let id = if name == "root" { "r-ab12".to_owned() } else { format!("ou-ab12-{name:0<8}") };
    id.parse().expect("a unit")
}

/// Returns a mesh name.
#[expect(clippy::expect_used, reason = "a test that misnames a mesh should fail immediately")]
pub fn mesh(name: &str) -> MeshName {
    name.parse().expect("a mesh name")
}

/// The configuration of a simulated deployment.
#[derive(Debug, Clone, Default)]
pub struct SimConfig {
    /// The seed of all random decisions.
    pub seed: u64,
    /// How AWS behaves.
    pub behavior: AwsBehavior,
    /// The faults to inject.
    pub faults: FaultProfile,
    /// The maximum number of concurrent workers; none for five, as in template.yaml.
    pub workers: Option<usize>,
    /// The maximum number of messages in a batch; none for a hundred.
    pub batch: Option<usize>,
    /// Whether the accounts are in an organization, in which the deployment finds the third account.
    pub organized: bool,
}

/// A simulated deployment of peerd: accounts 1 to 3 in two Regions, and the meshes `prod` and `staging`. In an
/// organization, the first two accounts are in the unit `prod` and the third is in the unit `dev`.
pub struct World {
    /// The simulated AWS.
    pub cloud: Arc<SimCloud>,
    /// The store of the deployment.
    pub store: Arc<MemoryStore>,
    /// The queue of the deployment.
    pub queue: Arc<SimQueue>,
    /// The event bus of the hub.
    pub bus: Arc<MemoryBus>,
    /// The transport of all calls.
    pub transport: Arc<Transport>,
    /// The virtual clock and its sleepers.
    pub executor: Arc<VirtualExecutor>,
    /// Whether all events are lost.
    pub events_lost: bool,
    pub(crate) settings: Arc<Settings>,
    pub(crate) rng: SimRng,
    most_workers: usize,
    batch: usize,
    workers: Vec<Busy>,
    hired: u32,
    begun: Vec<Timestamp>,
    delivery_faults: BTreeMap<&'static str, u64>,
    tag_versions: BTreeMap<VpcRef, u64>,
}

fn organize(aws: &mut Aws) {
    let [root, prod, dev] = ["root", "prod", "dev"].map(unit);
    aws.create_unit(&root, None);
    for (within, accounts) in [(&prod, &ACCOUNTS[..2]), (&dev, &ACCOUNTS[2..])] {
        aws.create_unit(within, Some(&root));
        accounts.iter().for_each(|number| aws.move_account(&account(*number), within));
    }
}

/// A running worker with the messages that it received.
struct Busy {
    worker: Worker<Vec<String>>,
    messages: Vec<SimMessage>,
    since: Timestamp,
}

impl Default for World {
    fn default() -> Self {
        Self::new(&SimConfig::default())
    }
}

impl World {
    /// Creates a deployment without any VPCs.
    #[expect(clippy::expect_used, reason = "the names are valid")]
    pub fn new(config: &SimConfig) -> Self {
        let mut rng = SimRng::new(config.seed);
        let deployment: Deployment = "peerd".parse().expect("a deployment");
        let keys = SealKeys::parse("the-key-of-the-simulated-deployment").expect("a key");
        let settings = Settings {
            seals: Seals::new(deployment.clone(), keys),
            deployment,
            meshes: ["prod", "staging"].map(mesh).into(),
            accounts: ACCOUNTS.map(account).into_iter().take(if config.organized { 2 } else { 3 }).collect(),
            units: config.organized.then(|| unit("root")).into_iter().collect(),
            regions: REGIONS.map(|region| region.parse().expect("a Region")).into(),
            role: "peerd-spoke".to_owned(),
            operator: peerd_core::Operator::default(),
        };
        let executor = Arc::new(VirtualExecutor::default());
        let transport = Arc::new(Transport::new(executor.clone(), config.faults.clone(), SimRng::new(rng.seed())));
        let store = MemoryStore::new(transport.clone());
        store.record_defaults(&settings.meshes);
        let mut aws = Aws::new(executor.clone(), config.behavior.clone(), SimRng::new(rng.seed()));
        if config.organized {
            organize(&mut aws);
        }
        let queue = Arc::new(SimQueue::new(transport.clone()));
        Self {
            cloud: Arc::new(SimCloud::new(transport.clone(), aws, queue.clone())),
            store: Arc::new(store),
            queue,
            bus: Arc::new(MemoryBus::new(transport.clone())),
            transport,
            executor,
            events_lost: false,
            settings: Arc::new(settings),
            rng,
            most_workers: config.workers.unwrap_or(5),
            batch: config.batch.unwrap_or(100),
            workers: Vec::new(),
            hired: 0,
            begun: Vec::new(),
            delivery_faults: BTreeMap::new(),
            tag_versions: BTreeMap::new(),
        }
    }

    /// Returns the meshes that the stack declares.
    pub fn declared(&self) -> &BTreeSet<MeshName> {
        &self.settings.meshes
    }

    /// Returns the accounts whose VPCs may join.
    pub fn accounts(&self) -> BTreeSet<AccountId> {
        ACCOUNTS.map(account).into()
    }

    /// Returns the number of scopes that runs read: those of the accounts, and the one of an unknown requester.
    pub fn scopes(&self) -> usize {
        ACCOUNTS.len() * REGIONS.len() + 1
    }

    /// Returns the time when a worker started.
    pub fn since(&self, worker: u32) -> Timestamp {
        let place = (worker as usize).checked_sub(1);
        place.and_then(|place| self.begun.get(place)).copied().unwrap_or_default()
    }

    /// Returns how often each delivery fault (lost, doubled, late) was injected.
    pub fn delivery_faults(&self) -> BTreeMap<&'static str, u64> {
        self.delivery_faults.clone()
    }

    /// Returns the version of the next tag change of a VPC.
    pub(crate) fn tag_version(&mut self, vpc: &VpcRef) -> u64 {
        let version = self.tag_versions.entry(vpc.clone()).or_default();
        *version += 1;
        *version
    }

    fn roll(&mut self, fault: &'static str, chance_per_mille: u32) -> bool {
        let happens = self.rng.chance_per_mille(chance_per_mille);
        if happens {
            *self.delivery_faults.entry(fault).or_default() += 1;
        }
        happens
    }

    /// Sends an event to the queue. The fault profile determines whether, when and how often it arrives.
    pub fn deliver_event(&mut self, event: &Value) {
        let faults = self.transport.faults();
        if self.events_lost || self.roll("lost", faults.lost) {
            return;
        }
        let times = if self.roll("doubled", faults.doubled) { 2 } else { 1 };
        for _ in 0..times {
            let late = self.roll("late", faults.late);
            let delay = if late { &(SECOND..=10 * MINUTE) } else { &faults.latency };
            let delay = self.rng.log_uniform(delay);
            self.queue.post(self.executor.now() + delay, event.to_string());
        }
    }

    /// Sends the message of the sweep schedule.
    pub fn sweep(&mut self) {
        let message = Message::new(0, Work::Sweep {});
        self.queue.post(self.executor.now(), serde_json::to_string(&message).unwrap_or_default());
    }

    /// Requests a reconcile of a mesh.
    pub fn ask(&mut self, mesh: &MeshName, scopes: BTreeSet<Scope>) {
        self.post(Work::reconcile(mesh.clone(), scopes, false));
    }

    /// Requests a reconcile of a mesh in every known scope.
    pub fn ask_everywhere(&mut self, mesh: &MeshName) {
        self.post(Work::reconcile(mesh.clone(), BTreeSet::new(), true));
    }

    /// Approves the deletes of a mesh that exceed its limits, as an operator does.
    pub fn confirm(&mut self, mesh: &MeshName, deletes: usize) {
        let delete_approval = DeleteApproval::Confirmed { deletes };
        let request = ReconcileRequest { everywhere: true, delete_approval, ..ReconcileRequest::default() };
        self.post(request.to_message(mesh).work);
    }

    fn post(&mut self, work: Work) {
        let message = Message::new(0, work);
        self.queue.post(self.executor.now(), serde_json::to_string(&message).unwrap_or_default());
    }

    fn spawn(&mut self) -> bool {
        let now = self.executor.now();
        if self.workers.len() >= self.most_workers {
            return false;
        }
        let messages = self.queue.receive(now, self.batch);
        if messages.is_empty() {
            return false;
        }
        self.hired += 1;
        self.begun.push(now);
        let (number, deadline) = (self.hired, now + DEADLINE);
        let batch: Vec<_> = messages.iter().map(SimMessage::delivery).collect();
        let Self { cloud, store, queue, bus, executor, settings, .. } = self;
        let (cloud, store, queue, bus) = (cloud.clone(), store.clone(), queue.clone(), bus.clone());
        let (executor, settings) = (executor.clone(), settings.clone());
        let work = async move {
            let (worker, queue, bus) = (format!("worker-{number}"), &*queue, &*bus);
            let (cloud, store, clock, settings) = (&*cloud, &*store, &*executor, &*settings);
            let organizations = cloud;
            Engine { cloud, organizations, store, queue, bus, clock, settings, worker: &worker }
                .handle(&batch, deadline)
                .await
        };
        self.workers.push(Busy { worker: Worker::new(number, work), messages, since: now });
        true
    }

    /// Executes one step that is due by `until`; returns false if there is none.
    pub fn step(&mut self, until: Timestamp) -> bool {
        let now = self.executor.now();
        if let Some(busy) = self.workers.iter().position(|busy| busy.since + TIMEOUT <= now) {
            let busy = self.workers.remove(busy);
            self.transport.trace(|| format!("the function of worker {} timed out", busy.worker.number()));
            self.finish(busy, None);
            return true;
        }
        if let Some(awake) = self.workers.iter().position(|busy| busy.worker.is_awake()) {
            match self.workers[awake].worker.act(&self.executor) {
                Turn::Waits => {}
                Turn::Done(again) => {
                    let busy = self.workers.remove(awake);
                    self.finish(busy, Some(&again));
                }
                Turn::Died => {
                    let busy = self.workers.remove(awake);
                    self.finish(busy, None);
                }
            }
            return true;
        }
        if self.spawn() {
            return true;
        }
        let arrival = if self.workers.len() < self.most_workers { self.queue.next_arrival() } else { None };
        let timeout = self.workers.iter().map(|busy| busy.since + TIMEOUT).min();
        match [self.executor.next_wake(), arrival, timeout].into_iter().flatten().min() {
            Some(next) if next <= until => {
                self.executor.advance(next);
                true
            }
            _ => false,
        }
    }

    /// Returns the messages that a worker did not handle to the queue: all of them if it crashed.
    fn finish(&mut self, busy: Busy, again: Option<&[String]>) {
        for message in busy.messages {
            if again.is_none_or(|again| again.contains(&message.id())) {
                self.queue.return_to_queue(message, busy.since + VISIBILITY_TIMEOUT);
            }
        }
    }

    /// Executes everything that is due by `time`, and advances the clock to it.
    pub fn run_until(&mut self, time: Timestamp) {
        while self.step(time) {}
        self.executor.advance(time);
    }

    /// Returns the virtual time.
    pub fn now(&self) -> Timestamp {
        self.executor.now()
    }

    /// Runs for a number of milliseconds.
    pub fn pass(&mut self, milliseconds: u64) {
        self.run_until(self.executor.now() + milliseconds);
    }

    /// Runs until no worker is running and no message is waiting.
    pub fn rest(&mut self) {
        let latest = self.executor.now() + MAX_HOURS_OF_WORK * 60 * MINUTE;
        while self.step(latest) {}
        assert!(self.is_at_rest(), "the deployment does not become idle");
    }

    /// Whether no worker is running and no message is waiting.
    pub fn is_at_rest(&self) -> bool {
        self.workers.is_empty() && self.queue.is_empty()
    }

    /// Delivers the messages that have arrived as one batch and waits for its worker. Returns how many messages went
    /// back to the queue.
    pub fn deliver(&mut self) -> usize {
        let before = self.queue.given_back();
        self.executor.advance(self.now() + SECOND); // the batching window
        self.spawn();
        while !self.workers.is_empty() && self.step(Timestamp::MAX) {}
        self.queue.given_back() - before
    }
}
