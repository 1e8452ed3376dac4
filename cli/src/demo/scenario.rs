//! The scenario of the demo: what users do in a simulated AWS, and what peerd does about it.

use peerd_core::operator::Operator;
use peerd_core::{Rendered, Timestamp, VpcRef, cidr};
use peerd_engine::Clock;
use peerd_testkit::change_log::{Actor, Entry};
use peerd_testkit::faults::FaultProfile;
use peerd_testkit::user_actions::table;
use peerd_testkit::{AwsBehavior, MINUTE, SimConfig, World, account, mesh, scope};

use super::scene::Scene;

const BEGINNING: &str = "\
This is a simulation: an AWS in memory, with its delays, in virtual time. It runs the engine of
peerd, and changes nothing real. It has three accounts and two Regions, and the mesh `prod` is
declared.";

const END: &str = "
That was a simulation. `make run` shows the same with the real Lambda functions, which call a local
AWS over its API. `peerd plan` shows the changes that peerd would make in your accounts, without
making them. docs/deploy.md describes the deployment.";

/// The column of the times.
const TIME: usize = 74;

/// A part of the scenario.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cue {
    /// What kind of line it is.
    pub kind: Kind,
    /// The virtual time since the cue before, in milliseconds.
    pub after: Timestamp,
    /// The line, or several.
    pub text: String,
    /// The VPCs after it, as a table.
    pub scene: String,
}

/// The kinds of lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The beginning and the end.
    Frame,
    /// What a user does.
    Chapter,
    /// A change in AWS, or a finding.
    Change,
    /// What follows.
    Note,
}

/// The simulated AWS: calls and state changes take about as long as those of AWS usually do.
fn world() -> World {
    let behavior = AwsBehavior {
        initiating: 200..=600,
        crossing: 100..=400,
        provisioning: 800..=2_500,
        deleting: 300..=900,
        ..AwsBehavior::default()
    };
    let faults = FaultProfile { latency: 25..=150, ..FaultProfile::default() };
    World::new(&SimConfig { behavior, faults, ..SimConfig::default() })
}

/// Plays the scenario in virtual time, and returns it.
pub fn play() -> Vec<Cue> {
    let (world, scene, now) = (world(), Scene::default(), 0);
    let mut scenario = Scenario { world, scene, cues: Vec::new(), now };
    scenario.add(Kind::Frame, BEGINNING);
    let [web, data] = scenario.a_mesh_forms();
    scenario.a_user_deletes_a_route(&web);
    scenario.a_user_deletes_a_peering(&web, &data);
    scenario.a_block_overlaps();
    scenario.an_account_cannot_be_read(&data);
    scenario.a_vpc_leaves(&web);
    scenario.add(Kind::Frame, END);
    scenario.cues
}

struct Scenario {
    world: World,
    scene: Scene,
    cues: Vec<Cue>,
    /// The virtual time of the last cue.
    now: Timestamp,
}

impl Scenario {
    fn a_mesh_forms(&mut self) -> [VpcRef; 2] {
        self.begin("Three VPCs in three accounts and two Regions are tagged peerd:env=prod.");
        let web = self.world.vpc("web", scope(1, 0), "10.1.0.0/16", "prod");
        let data = self.world.vpc("data", scope(2, 1), "10.2.0.0/16 2600:1f18:2::/56", "prod");
        self.world.vpc("batch", scope(3, 0), "10.3.0.0/16", "prod");
        self.rest();
        let status = self.world.status(&web).unwrap_or_default();
        self.note(&format!("each has a peering with, and routes to, every other; its tag peerd:status is `{status}`"));
        [web, data]
    }

    fn a_user_deletes_a_route(&mut self, web: &VpcRef) {
        self.begin("A user deletes a route.");
        let done = cidr::parse("10.2.0.0/16").ok().map(|cidr| self.world.delete_route(&table("web"), &cidr));
        self.check(done.is_some_and(|done| done.is_ok()));
        self.rest();
        let back = self.world.target("web", "10.2.0.0/16");
        self.note(&format!("the route of {} points to {} again", web.id, back.unwrap_or_default()));
    }

    fn a_user_deletes_a_peering(&mut self, web: &VpcRef, data: &VpcRef) {
        self.begin("A user deletes a peering.");
        let peering = self.world.peering(web, data);
        let done = peering.map(|(id, _)| self.world.delete_peering(&web.scope, &id));
        self.check(done.is_some_and(|done| done.is_ok()));
        self.rest();
        let connected = self.world.connected(web, data);
        self.note(if connected { "they are connected again" } else { "they are not connected" });
    }

    fn a_block_overlaps(&mut self) {
        self.begin("A VPC with overlapping addresses requests to join.");
        let twin = self.world.vpc("twin", scope(2, 0), "10.1.0.0/16", "prod");
        self.rest();
        let status = self.world.status(&twin).unwrap_or_default();
        self.note(&format!("the other members keep their routes; its tag peerd:status is `{status}`"));
        self.begin("Its tag is removed.");
        let done = self.world.untag(&twin);
        self.check(done.is_ok());
        self.rest();
    }

    fn an_account_cannot_be_read(&mut self, data: &VpcRef) {
        self.begin("An account denies access to peerd, and a sweep runs.");
        self.world.set_denied(&account(2), true);
        self.world.sweep();
        self.rest();
        let traces = self.world.traces(data).len();
        self.note(&format!("an unreadable scope proves nothing: all {traces} traces of the mesh in it stay"));
        self.world.set_denied(&account(2), false);
        self.world.sweep();
        self.rest();
    }

    fn a_vpc_leaves(&mut self, web: &VpcRef) {
        self.begin("A user removes the tag from a VPC.");
        let done = self.world.untag(web);
        self.check(done.is_ok());
        self.rest();
        let traces = self.world.traces(web);
        self.note(&format!("{} traces of the mesh are left on it", traces.len()));
    }

    /// Begins a chapter, after a while.
    fn begin(&mut self, what: &str) {
        self.world.pass(10 * MINUTE);
        self.now = self.world.executor.now();
        self.add(Kind::Chapter, &format!("\n{what}"));
    }

    /// Runs peerd until it is idle, and adds what changed in AWS, with its time since the action, and the open findings.
    fn rest(&mut self) {
        let begun = self.world.executor.now();
        self.world.rest();
        let mut last = begun;
        let changes = self.world.cloud.aws().take_changes();
        for Entry { at, by, change } in changes {
            let line = self.scene.line(&change);
            self.scene.apply(&change);
            let Some(line) = line else { continue };
            let line = match by {
                Actor::User => format!("  {line}, by a user"),
                Actor::Aws | Actor::Worker(_) => {
                    last = last.max(at);
                    format!("  {line:TIME$} {:4.1} s", seconds(at - begun))
                }
            };
            self.add_at(at, Kind::Change, &line);
        }
        for finding in self.world.store.kept(&mesh("prod")).findings {
            self.add(Kind::Change, &format!("  {}", Rendered::new(&finding, &Operator::default())));
        }
        if last > begun {
            self.add(Kind::Note, &format!("  converged after {:.1} s of virtual time", seconds(last - begun)));
        }
    }

    fn note(&mut self, what: &str) {
        self.add(Kind::Note, &format!("  => {what}"));
    }

    fn check(&mut self, done: bool) {
        if !done {
            self.note("the simulated AWS refused that");
        }
    }

    fn add(&mut self, kind: Kind, text: &str) {
        self.add_at(self.now, kind, text);
    }

    fn add_at(&mut self, at: Timestamp, kind: Kind, text: &str) {
        let after = at.saturating_sub(self.now);
        self.now = self.now.max(at);
        self.cues.push(Cue { kind, after, text: text.to_owned(), scene: self.scene.table() });
    }
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds of one chapter are far below 2^52")]
fn seconds(ms: Timestamp) -> f64 {
    ms as f64 / 1000.0
}
