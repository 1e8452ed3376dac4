//! A batch of messages: what each is about, one reconcile per touched mesh, and what is left for later.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;
use peerd_core::{AccountId, Deployment, MeshName, Policy, Region, Scope, Vpc, VpcId, VpcRef};
use serde_json::Value;

use crate::apply::chain;
use crate::event;
use crate::focus::Focus;
use crate::message::{Message, Work};
use crate::outcome::{Outcome, Run};
use crate::ports::{Clock, Cloud, CloudError, PortError, Queue, Store, Timestamp};
use crate::survey::{Departure, SurveyError};

/// Follow-ups of one cause; then the sweep takes over. With the delays below they span about ten minutes.
const MOST_ATTEMPTS: u32 = 14;
/// Stale reads of one event before the read is believed, some 15 seconds: a later change may have overtaken the event.
const MOST_STALE_READS: u32 = 4;
/// The longest delay between follow-ups, in seconds.
const LONGEST_DELAY: u32 = 60;

/// What the deployment was given.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The value of `peerd:managed-by`.
    pub deployment: Deployment,
    /// Meshes declared with the default policy.
    pub meshes: BTreeSet<MeshName>,
    /// Accounts that are known from the start, in all of `regions`.
    pub accounts: BTreeSet<AccountId>,
    /// Regions of those accounts.
    pub regions: BTreeSet<Region>,
}

/// One message as the queue delivered it.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// The queue's id of it.
    pub id: String,
    /// Its body.
    pub body: String,
}

/// The loop with its ports.
pub struct Engine<'a> {
    /// The cloud.
    pub cloud: &'a dyn Cloud,
    /// The store.
    pub store: &'a dyn Store,
    /// The queue for follow-ups.
    pub queue: &'a dyn Queue,
    /// The time.
    pub clock: &'a dyn Clock,
    /// What the deployment was given.
    pub settings: &'a Settings,
}

/// What a batch asks of one mesh.
#[derive(Debug, Default)]
struct Ask {
    scopes: BTreeSet<Scope>,
    everywhere: bool,
    /// The least attempt among the messages: fresh news resets the patience.
    attempt: Option<u32>,
    /// Whether an event asked, whose reads may be stale: then one more look follows.
    verify: bool,
    departures: Vec<Departure>,
    deliveries: BTreeSet<usize>,
}

/// A message that asks for something, and the place of its delivery in the batch.
struct Letter {
    place: usize,
    attempt: u32,
    matter: Matter,
}

enum Matter {
    Event { focus: Focus, event: Value },
    Work(Work),
}

/// What a batch comes to while it is worked on.
#[derive(Default)]
struct Batch {
    asks: BTreeMap<MeshName, Ask>,
    retry: BTreeSet<usize>,
}

type Reads = BTreeMap<Scope, Result<BTreeMap<VpcRef, Vpc>, CloudError>>;

impl Engine<'_> {
    /// Handles a batch and returns the ids of the deliveries that the queue is to deliver again.
    ///
    /// Nothing new is begun after `deadline`; what is left goes into follow-up messages.
    pub async fn handle(&self, deliveries: &[Delivery], deadline: Timestamp) -> Vec<String> {
        let mut batch = Batch::default();
        let letters: Vec<Letter> =
            deliveries.iter().enumerate().filter_map(|(place, delivery)| open(place, delivery)).collect();
        let reads = self.read_vpcs(&letters).await;
        for letter in letters {
            let place = letter.place;
            if let Err(error) = self.take(letter, &reads, &mut batch).await {
                tracing::error!(delivery = deliveries[place].id, error = chain(&error), "message not handled");
                batch.retry.insert(place);
            }
        }
        let asks: Vec<(MeshName, Ask)> = std::mem::take(&mut batch.asks).into_iter().collect();
        let runs = join_all(asks.iter().map(|(mesh, ask)| self.answer(mesh, ask, deadline))).await;
        for ((_, ask), done) in asks.iter().zip(runs) {
            if !done {
                batch.retry.extend(&ask.deliveries);
            }
        }
        batch.retry.into_iter().map(|place| deliveries[place].id.clone()).collect()
    }

    /// Every VPC that the batch's events name, with one call per scope.
    async fn read_vpcs(&self, letters: &[Letter]) -> Reads {
        let mut wanted: BTreeMap<Scope, BTreeSet<VpcId>> = BTreeMap::new();
        for letter in letters {
            if let Matter::Event { focus, .. } = &letter.matter {
                for vpc in focus.vpcs.keys() {
                    wanted.entry(vpc.scope.clone()).or_default().insert(vpc.id.clone());
                }
            }
        }
        let reads = wanted.into_iter().map(|(scope, ids)| async move {
            let read = self.cloud.vpcs_by_id(&scope, &ids).await;
            let by_ref = read.map(|vpcs| vpcs.into_iter().map(|vpc| (vpc.at.clone(), vpc)).collect());
            (scope, by_ref)
        });
        join_all(reads).await.into_iter().collect()
    }

    async fn take(&self, letter: Letter, reads: &Reads, batch: &mut Batch) -> Result<(), SurveyError> {
        let Letter { place, attempt, matter } = letter;
        match matter {
            Matter::Event { focus, event } => self.take_event(place, attempt, focus, event, reads, batch).await,
            Matter::Work(Work::Sweep {}) => Ok(self.sweep().await?),
            Matter::Work(Work::Survey { account }) => self.survey_and_ask(&account).await,
            Matter::Work(Work::Reconcile { mesh, scopes, everywhere }) => {
                let ask = batch.ask(mesh, place, attempt);
                ask.scopes.extend(scopes);
                ask.everywhere |= everywhere;
                Ok(())
            }
            Matter::Work(Work::Event { .. }) => Ok(()), // opened as the event itself
        }
    }

    async fn take_event(
        &self,
        place: usize,
        attempt: u32,
        focus: Focus,
        event: Value,
        reads: &Reads,
        batch: &mut Batch,
    ) -> Result<(), SurveyError> {
        let Focus { vpcs, peerings, tables } = focus;
        let mut stale = false;
        for (vpc, expect) in vpcs {
            let read = match reads.get(&vpc.scope) {
                Some(Ok(read)) => read.get(&vpc),
                Some(Err(error)) if error.kind.is_passing() => {
                    stale = true;
                    continue;
                }
                Some(Err(error)) => {
                    tracing::warn!(%vpc, error = chain(error), "gap: the event's scope cannot be read");
                    continue;
                }
                None => continue,
            };
            if !expect.allows(read) && attempt < MOST_STALE_READS {
                tracing::info!(%vpc, attempt, "stale read: it contradicts the event");
                stale = true;
                continue;
            }
            self.register(&vpc.scope).await?;
            let surveyed = self.survey_vpc(&vpc, read).await?;
            for mesh in surveyed.touched {
                let ask = batch.ask_of_event(mesh.clone(), place, attempt, &vpc.scope);
                ask.departures.extend(surveyed.departure.clone().filter(|departure| departure.left().contains(&mesh)));
            }
        }
        for (scope, id) in peerings {
            match self.cloud.peering(&scope, &id).await {
                Ok(Some(view)) => {
                    let mut meshes = peerd_core::tags::MeshTag::of(&view.tags).meshes;
                    for end in [&view.requester, &view.accepter] {
                        meshes.extend(self.meshes_remembered_of(end).await?);
                    }
                    for mesh in meshes {
                        let ask = batch.ask_of_event(mesh, place, attempt, &view.requester.scope);
                        ask.scopes.insert(view.accepter.scope.clone());
                    }
                }
                Ok(None) => stale = true,
                Err(error) => stale |= passes(&scope, &error),
            }
        }
        for (scope, id) in tables {
            match self.cloud.route_table(&scope, &id).await {
                Ok(Some(table)) => {
                    for mesh in self.meshes_remembered_of(&table.vpc).await? {
                        batch.ask_of_event(mesh, place, attempt, &scope);
                    }
                }
                Ok(None) => {}
                Err(error) => stale |= passes(&scope, &error),
            }
        }
        if stale && attempt < MOST_STALE_READS {
            self.queue.send(&Message::new(attempt + 1, Work::Event { event }), delay(attempt + 1)).await?;
        }
        Ok(())
    }

    async fn meshes_remembered_of(&self, vpc: &VpcRef) -> Result<BTreeSet<MeshName>, PortError> {
        Ok(self.store.member(vpc).await?.map(|member| member.meshes).unwrap_or_default())
    }

    /// Reconciles one mesh and leaves a follow-up where one is due; false if the messages that asked must come again.
    async fn answer(&self, mesh: &MeshName, ask: &Ask, deadline: Timestamp) -> bool {
        match self.try_answer(mesh, ask, deadline).await {
            Ok(done) => done,
            Err(error) => {
                tracing::error!(%mesh, error = chain(error.as_ref()), "mesh not reconciled");
                false
            }
        }
    }

    async fn try_answer(
        &self,
        mesh: &MeshName,
        ask: &Ask,
        deadline: Timestamp,
    ) -> Result<bool, Box<dyn std::error::Error + Send + Sync>> {
        let mut scopes = ask.scopes.clone();
        if ask.everywhere {
            scopes.extend(self.scopes().await?);
        }
        let run = self.reconcile(mesh, &scopes, deadline).await?;
        tell(&run);
        if !matches!(run.outcome, Outcome::Unchanged) {
            self.store.record_run(&run, self.clock.now()).await?;
        }
        if run.outcome == Outcome::Partial {
            return Ok(false);
        }
        if let Some(attempt) = next_attempt(&run, ask) {
            if attempt > MOST_ATTEMPTS {
                tracing::warn!(%mesh, outcome = %run.outcome, "patience is spent; the next sweep goes on");
            } else {
                let work = Work::Reconcile { mesh: mesh.clone(), scopes, everywhere: ask.everywhere };
                self.queue.send(&Message::new(attempt, work), delay(attempt)).await?;
            }
        }
        for departure in &ask.departures {
            self.depart(departure).await?;
        }
        Ok(true)
    }

    /// Every registered scope: those of the deployment's parameters and those that were met since.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn scopes(&self) -> Result<BTreeSet<Scope>, PortError> {
        let given =
            self.settings.accounts.iter().flat_map(|account| {
                self.settings.regions.iter().map(|region| Scope::new(account.clone(), region.clone()))
            });
        let met =
            self.store.accounts().await?.into_iter().flat_map(|(account, regions)| {
                regions.into_iter().map(move |region| Scope::new(account.clone(), region))
            });
        Ok(given.chain(met).collect())
    }

    /// Registers a scope that has just answered.
    async fn register(&self, scope: &Scope) -> Result<(), PortError> {
        if self.scopes().await?.contains(scope) {
            return Ok(());
        }
        tracing::info!(%scope, "registered by its first event");
        self.store.register(scope).await
    }

    /// Every mesh that is declared or that a VPC ever asked for; with a policy where it is declared.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn meshes(&self) -> Result<BTreeMap<MeshName, Option<Policy>>, PortError> {
        let mut meshes = self.store.meshes().await?;
        for mesh in &self.settings.meshes {
            meshes.entry(mesh.clone()).or_default().get_or_insert_default();
        }
        Ok(meshes)
    }

    /// The declared meshes with their policies.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn declared(&self) -> Result<BTreeMap<MeshName, Policy>, PortError> {
        Ok(self.meshes().await?.into_iter().filter_map(|(mesh, policy)| Some((mesh, policy?))).collect())
    }
}

impl Batch {
    fn ask(&mut self, mesh: MeshName, place: usize, attempt: u32) -> &mut Ask {
        let ask = self.asks.entry(mesh).or_default();
        ask.deliveries.insert(place);
        ask.attempt = Some(ask.attempt.map_or(attempt, |least| least.min(attempt)));
        ask
    }

    fn ask_of_event(&mut self, mesh: MeshName, place: usize, attempt: u32, scope: &Scope) -> &mut Ask {
        let ask = self.ask(mesh, place, attempt);
        ask.verify = true;
        ask.scopes.insert(scope.clone());
        ask
    }
}

/// Reads a delivery; one that asks for nothing is told and dropped.
fn open(place: usize, delivery: &Delivery) -> Option<Letter> {
    let dropped = |why: &str| {
        tracing::info!(delivery = delivery.id, why, "ignored");
        None
    };
    let body: Value = match serde_json::from_str(&delivery.body) {
        Ok(body) => body,
        Err(error) => return dropped(&format!("not JSON: {error}")),
    };
    let (attempt, event) = if Message::claims(&body) {
        match Message::parse(body) {
            Ok(Message { attempt, work: Work::Event { event }, .. }) => (attempt, event),
            Ok(Message { attempt, work, .. }) => return Some(Letter { place, attempt, matter: Matter::Work(work) }),
            Err(why) => return dropped(&why),
        }
    } else {
        (0, body)
    };
    match event::focus_of(&event) {
        Ok(focus) => Some(Letter { place, attempt, matter: Matter::Event { focus, event } }),
        Err(ignored) => dropped(&ignored.0),
    }
}

/// Whether an unreadable scope is worth another try; one that is denied is a gap until the next sweep.
fn passes(scope: &Scope, error: &CloudError) -> bool {
    let passing = error.kind.is_passing();
    if !passing {
        tracing::warn!(%scope, error = chain(error), "gap: the event's scope cannot be read");
    }
    passing
}

/// The attempt of the follow-up that a run needs, if it needs one. What was applied is verified once more, and so is a
/// fresh event that seemed to ask for nothing: its reads may have been stale.
fn next_attempt(run: &Run, ask: &Ask) -> Option<u32> {
    let attempt = ask.attempt.unwrap_or_default();
    match run.outcome {
        Outcome::Waiting | Outcome::Busy if !run.applied.is_empty() => Some(1),
        Outcome::Waiting | Outcome::Busy | Outcome::Applied => Some(attempt + 1),
        Outcome::Unchanged => (ask.verify && attempt == 0).then_some(1),
        Outcome::Partial | Outcome::Blocked => None,
    }
}

/// 1, 2, 4, 8 ... seconds.
fn delay(attempt: u32) -> u32 {
    1u32.checked_shl(attempt.saturating_sub(1)).unwrap_or(LONGEST_DELAY).min(LONGEST_DELAY)
}

fn tell(run: &Run) {
    for finding in &run.report.findings {
        let (kind, subject, text, remedy) = (finding.kind, &finding.subject, &finding.text, &finding.remedy);
        tracing::warn!(mesh = %run.mesh, %kind, subject, text, remedy, "finding");
    }
    for wait in &run.report.waits {
        tracing::info!(mesh = %run.mesh, subject = wait.subject, text = wait.text, "waiting");
    }
    let (applied, failed) = (run.applied.len(), run.failed.len());
    tracing::info!(mesh = %run.mesh, outcome = %run.outcome, applied, failed, "reconciled");
}
