//! `peerd demo`: a mesh forms, heals and shrinks, in the simulated AWS of the test kit and in virtual time.

use peerd_core::operator::Operator;
use peerd_core::{Rendered, VpcRef, cidr};
use peerd_engine::{Clock, Run};
use peerd_testkit::user_actions::table;
use peerd_testkit::{MINUTE, World, account, mesh, scope};

const BEGINNING: &str = "\
This is a simulation: an AWS in memory, with its delays, in virtual time. It runs the engine of peerd, and changes
nothing real. Three accounts and two Regions are in it, and the mesh `prod` is declared.
";

const END: &str = "
That was a simulation. `make run` shows the same with the real Lambda functions, which call a local AWS over its API.
`peerd plan` shows the changes that peerd would make in your accounts, without making them. docs/deploy.md describes
the deployment.
";

/// Runs the demo and returns its text.
pub fn run() -> String {
    let mut scenario = Scenario { world: World::default(), text: BEGINNING.to_owned() };
    scenario.play();
    scenario.text + END
}

struct Scenario {
    world: World,
    text: String,
}

impl Scenario {
    fn play(&mut self) {
        let [web, data] = self.a_mesh_forms();
        self.a_user_deletes_a_route(&web);
        self.a_user_deletes_a_peering(&web, &data);
        self.a_block_overlaps();
        self.an_account_cannot_be_read(&data);
        self.a_vpc_leaves(&web);
    }

    fn a_mesh_forms(&mut self) -> [VpcRef; 2] {
        self.say("Three VPCs in three accounts and two Regions are tagged peerd:env=prod.");
        let web = self.world.vpc("web", scope(1, 0), "10.1.0.0/16", "prod");
        let data = self.world.vpc("data", scope(2, 1), "10.2.0.0/16 2600:1f18:2::/56", "prod");
        self.world.vpc("batch", scope(3, 0), "10.3.0.0/16", "prod");
        self.rest();
        let status = self.world.status(&web).unwrap_or_default();
        self.note(&format!("each has a peering with, and routes to, every other; its tag peerd:status is `{status}`"));
        [web, data]
    }

    fn a_user_deletes_a_route(&mut self, web: &VpcRef) {
        self.say("A user deletes a route.");
        let done = cidr::parse("10.2.0.0/16").ok().map(|cidr| self.world.delete_route(&table("web"), &cidr));
        self.check(done.is_some_and(|done| done.is_ok()));
        self.rest();
        let back = self.world.target("web", "10.2.0.0/16");
        self.note(&format!("the route of {} points to {} again", web.id, back.unwrap_or_default()));
    }

    fn a_user_deletes_a_peering(&mut self, web: &VpcRef, data: &VpcRef) {
        self.say("A user deletes a peering.");
        let peering = self.world.peering(web, data);
        let done = peering.map(|(id, _)| self.world.delete_peering(&web.scope, &id));
        self.check(done.is_some_and(|done| done.is_ok()));
        self.rest();
        let connected = self.world.connected(web, data);
        self.note(if connected { "they are connected again" } else { "they are not connected" });
    }

    fn a_block_overlaps(&mut self) {
        self.say("A VPC with overlapping addresses requests to join.");
        let twin = self.world.vpc("twin", scope(2, 0), "10.1.0.0/16", "prod");
        self.rest();
        let status = self.world.status(&twin).unwrap_or_default();
        self.note(&format!("the other members keep their routes; its tag peerd:status is `{status}`"));
        let done = self.world.untag(&twin);
        self.check(done.is_ok());
        self.rest();
    }

    fn an_account_cannot_be_read(&mut self, data: &VpcRef) {
        self.say("An account denies access to peerd, and a sweep runs.");
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
        self.say("A user removes the tag from a VPC.");
        let done = self.world.untag(web);
        self.check(done.is_ok());
        self.rest();
        let traces = self.world.traces(web);
        self.note(&format!("{} traces of the mesh are left on it", traces.len()));
    }

    fn say(&mut self, what: &str) {
        self.world.pass(10 * MINUTE);
        self.world.store.take_runs();
        self.line(&format!("\n{what}"));
    }

    /// Runs peerd until it is idle, and adds its changes and findings to the text.
    fn rest(&mut self) {
        let before = self.world.executor.now();
        self.world.rest();
        let seconds = self.world.executor.now().saturating_sub(before) / 1000;
        let runs = self.world.store.take_runs();
        for line in runs.iter().flat_map(Run::changes).map(ToString::to_string) {
            self.line(&format!("  {line}"));
        }
        for finding in self.world.store.kept(&mesh("prod")).findings {
            self.line(&format!("  {}", Rendered::new(&finding, &Operator::default())));
        }
        if runs.iter().any(|run| run.changed_the_network()) {
            self.line(&format!("  converged after {seconds} seconds of virtual time"));
        }
    }

    fn note(&mut self, what: &str) {
        self.line(&format!("  => {what}"));
    }

    fn check(&mut self, done: bool) {
        if !done {
            self.line("  (the simulated AWS refused that)");
        }
    }

    fn line(&mut self, line: &str) {
        self.text.extend([line, "\n"]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_demo_prints_every_step_and_that_it_is_a_simulation() {
        let text = run();
        for says in [
            "This is a simulation",
            "+ peering",
            "its tag peerd:status is `joined prod`",
            "the route of vpc-web points to pcx-",
            "they are connected again",
            "its tag peerd:status is `joined prod. refused prod",
            "! overlap",
            "! unreadable",
            "0 traces of the mesh are left on it",
            "That was a simulation",
        ] {
            assert!(text.contains(says), "{says} is not in:\n{text}");
        }
        assert!(!text.contains("refused that"), "{text}");
        assert_eq!(text, run(), "the demo is deterministic");
    }
}
