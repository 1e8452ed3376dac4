//! Generation of a scenario's random steps.

use super::scenario::{FloodTarget, Operation, Step};
use crate::aws::{MINUTE, SECOND};
use crate::rng::SimRng;

const MESHES: [&str; 12] = [
    "prod",
    "prod",
    "prod",
    "prod",
    "prod",
    "staging",
    "staging",
    "prod+staging",
    "prod staging",
    "staging,prod",
    "nosuch prod",
    "prod/$x",
];

/// A policy whose security groups may allow the ports that scenarios use, with more fields.
macro_rules! with_groups {
    ($rest:literal) => {
        concat!(r#"{"security_groups":{"ports":["icmp","tcp/443","tcp/8000-8100","udp/53"]}"#, $rest, "}")
    };
}

/// The default policy, except that security groups may allow ports.
const GROUPS: &str = with_groups!("");
const PAUSED: &str = with_groups!(r#","mode":"paused""#);
const POLICIES: [&str; 17] = [
    "{}",
    GROUPS,
    GROUPS,
    r#"{"security_groups":{"ports":["tcp/443"]}}"#,
    with_groups!(r#","topology":"hub-and-spoke","hubs":{"accounts":["111111111111"]}"#),
    with_groups!(r#","admit":{"accounts":["111111111111","222222222222"]}"#),
    with_groups!(r#","admit":{"regions":["us-east-1"]}"#),
    with_groups!(r#","admit":{"cidrs":["private","8.0.0.0/14"]},"tags":{"team":"red"}"#),
    with_groups!(r#","routes":{"exclude":["100.64.0.0/10","10.3.64.0/18"]}"#),
    with_groups!(r#","routes":{"tables":"main"},"tags":{"team":"blue"}"#),
    with_groups!(r#","routes":{"tables":"tagged"}"#),
    r#"{"dns":"on"}"#,
    r#"{"dns":"on","topology":"hub-and-spoke","hubs":{"accounts":["222222222222"],"vpcs":["vpc-1"]}}"#,
    r#"{"dns":"off"}"#,
    with_groups!(r#","mode":"draining""#),
    PAUSED,
    PAUSED,
];

const OWNERSHIP_KEYS: [(&str, Option<&str>); 6] = [
    ("peerd:routes", Some("manage")),
    ("peerd:routes", Some("ignore")),
    ("peerd:routes", Some("yes")),
    ("peerd:routes", None),
    ("peerd_eligible", Some("true")),
    ("peerd_eligible", None),
];

const PORTS: [Option<&str>; 5] = [None, None, Some("tcp/443"), Some("icmp tcp/443 tcp/8000-8100"), Some("tpc/443")];

const OPENINGS: [(&str, Option<&str>); 7] = [
    ("peerd:allow", Some("prod")),
    ("peerd:allow", Some("prod+staging")),
    ("peerd:allow", Some("staging nosuch")),
    ("peerd:allow", None),
    ("peerd:ports", Some("tcp/443")),
    ("peerd:ports", Some("udp/53 tcp/443")),
    ("peerd:ports", None),
];

/// Policies for accounts in an organization.
const BY_UNIT: [&str; 4] = [
    r#"{"topology":"hub-and-spoke","hubs":{"units":["ou-ab12-prod0000"]}}"#,
    with_groups!(r#","admit":{"units":["ou-ab12-prod0000"]}"#),
    r#"{"admit":{"units":["ou-ab12-prod0000"]},"dns":"on"}"#,
    r#"{"admit":{"units":["ou-ab12-dev00000","r-ab12"]}}"#,
];

/// Generates the steps. In a fair scenario, an event reports every change. No event reports addresses that one mesh
/// releases and another waits for, so its VPCs overlap only if there is one mesh.
pub fn generate(rng: &mut SimRng, fair: bool, organized: bool) -> Vec<Step> {
    let crowd = if rng.chance_per_mille(60) { 7..=8 } else { 2..=5 };
    let members = rng.within(&crowd);
    let one_mesh = fair && rng.chance_per_mille(500);
    let mut author = Actor { rng, vpcs: 0, is_fair: fair, organized, one_mesh, overlaps: one_mesh || !fair };
    let mut steps = author.policies_at_start();
    steps.extend((0..members).map(|_| author.opening()));
    let length = author.rng.log_uniform(&(2..=15));
    steps.extend((0..length).map(|_| author.step(fair)));
    steps
}

struct Actor<'a> {
    rng: &'a mut SimRng,
    vpcs: u64,
    is_fair: bool,
    organized: bool,
    one_mesh: bool,
    overlaps: bool,
}

impl Actor<'_> {
    fn opening(&mut self) -> Step {
        let meshes = if self.rng.chance_per_mille(700) { "prod" } else { self.meshes() };
        Step { after: self.rng.log_uniform(&(1..=5 * SECOND)), operation: self.vpc(meshes) }
    }

    /// Mostly lets the security groups of both meshes allow ports, as operators who use them do.
    fn policies_at_start(&mut self) -> Vec<Step> {
        if self.rng.chance_per_mille(400) {
            return Vec::new();
        }
        let declare = |mesh| Step { after: 1, operation: Operation::Declare { mesh, policy: GROUPS } };
        ["prod", "staging"].map(declare).into()
    }

    fn step(&mut self, fair: bool) -> Step {
        let after = self.rng.log_uniform(&(1..=20 * MINUTE));
        let operation = if self.organized && self.rng.chance_per_mille(200) {
            self.governance()
        } else if fair || self.rng.chance_per_mille(500) {
            self.everyday()
        } else {
            self.fault_operation()
        };
        Step { after, operation }
    }

    fn meshes(&mut self) -> &'static str {
        if self.one_mesh {
            return "prod";
        }
        self.rng.choose(&MESHES).copied().unwrap_or("prod")
    }

    fn any(&mut self) -> u32 {
        u32::try_from(self.rng.within(&(0..=999))).unwrap_or_default()
    }

    /// Generates a VPC, mostly with its own CIDR blocks, sometimes with one that overlaps another VPC's.
    fn vpc(&mut self, meshes: &'static str) -> Operation {
        self.vpcs += 1;
        let number =
            if self.overlaps && self.rng.chance_per_mille(80) { self.rng.within(&(1..=self.vpcs)) } else { self.vpcs };
        let mut cidrs = format!("10.{number}.0.0/16");
        if self.rng.chance_per_mille(200) {
            cidrs.push_str(&format!(" 2600:1f18:{number}::/56"));
        }
        if self.rng.chance_per_mille(100) {
            cidrs.push_str(&format!(" 100.64.{number}.0/24"));
        }
        if self.rng.chance_per_mille(60) {
            // Addresses of others: public ones, and IPv6 from a pool of the account's own.
            cidrs.push_str(&format!(" 8.{number}.0.0/16 2a05:d0{number}::/56"));
        }
        Operation::MakeVpc { scope: self.any(), cidrs, meshes }
    }

    fn cidr(&mut self) -> String {
        if !self.overlaps {
            self.vpcs += 1;
            return format!("10.{}.0.0/16", self.vpcs);
        }
        let number = self.rng.within(&(1..=9));
        match self.rng.within(&(0..=3)) {
            0 => format!("10.{number}.128.0/17"),
            1 => format!("2600:1f18:{}::/56", 100 + number),
            _ => format!("172.16.{number}.0/24"),
        }
    }

    /// Generates an everyday operation, which an event reports.
    fn everyday(&mut self) -> Operation {
        let vpc = self.any();
        match self.rng.within(&(0..=31)) {
            25..=27 => {
                let meshes = if self.rng.chance_per_mille(700) { "prod" } else { "prod staging" };
                Operation::MakeGroup { vpc, meshes, ports: *self.rng.choose(&PORTS).unwrap_or(&None) }
            }
            28 | 29 => {
                let (key, value) = *self.rng.choose(&OPENINGS).unwrap_or(&OPENINGS[0]);
                Operation::MarkGroup { nth: vpc, key, value }
            }
            30 => Operation::OpenGroup { nth: self.any(), vpc },
            31 => Operation::RevokeRule { nth: vpc },
            16 | 17 => self.policy(),
            18 => Operation::Role { vpc, role: *self.rng.choose(&[Some("hub"), Some("spoke"), None]).unwrap_or(&None) },
            19 | 20 => {
                let parts = self.rng.chance_per_mille(800).then(|| self.any());
                Operation::Advertise { vpc, parts }
            }
            21 => {
                let (key, value) = *self.rng.choose(&OWNERSHIP_KEYS).unwrap_or(&OWNERSHIP_KEYS[0]);
                Operation::MarkTable { table: vpc, key, value }
            }
            22 | 23 => {
                let (hostnames, support) = (self.rng.chance_per_mille(700), self.rng.chance_per_mille(900));
                Operation::Names { vpc, hostnames, support }
            }
            24 => {
                let (of_accepter, on) = (self.rng.chance_per_mille(500), self.rng.chance_per_mille(500));
                Operation::SwitchDns { nth: vpc, of_accepter, on }
            }
            0 | 1 => {
                let meshes = self.meshes();
                self.vpc(meshes)
            }
            2..=4 => Operation::Tag { vpc, meshes: self.meshes() },
            5..=7 => Operation::Untag { vpc },
            8 => Operation::DeleteVpc { vpc, peerings_first: self.rng.chance_per_mille(600) },
            9 => Operation::Associate { vpc, cidr: self.cidr() },
            10 => Operation::Disassociate { vpc, nth: self.any() },
            11 => Operation::MakeTable { vpc, is_edge_associated: self.rng.chance_per_mille(300) },
            12 | 13 => Operation::DeleteRoute { nth: self.any() },
            14 => Operation::ReplaceRoute { nth: self.any() },
            _ => Operation::DeletePeering { nth: self.any(), by_accepter: self.rng.chance_per_mille(500) },
        }
    }

    /// Generates a policy. A fair scenario has a pause only if there is one mesh: a pause suppresses what another mesh
    /// wants of a pair, and no event reports its end.
    fn policy(&mut self) -> Operation {
        let mesh = if self.one_mesh || self.rng.chance_per_mille(700) { "prod" } else { "staging" };
        let policy = *self.rng.choose(&POLICIES).unwrap_or(&"{}");
        let policy = if policy == PAUSED && self.is_fair && !self.one_mesh { GROUPS } else { policy };
        Operation::Declare { mesh, policy }
    }

    /// Generates an operation on an account in an organization.
    fn governance(&mut self) -> Operation {
        let account = self.any();
        match self.rng.within(&(0..=6)) {
            0..=2 => {
                Operation::MoveAccount { account, unit: self.rng.choose(&["prod", "prod", "dev"]).unwrap_or(&"prod") }
            }
            3 => Operation::LoseListing,
            4 => Operation::Suspend {
                account,
                minutes: self.rng.log_uniform(&(1..=90)),
                and_remove: self.rng.chance_per_mille(500),
            },
            _ => {
                let mesh = if self.rng.chance_per_mille(700) { "prod" } else { "staging" };
                Operation::Declare { mesh, policy: self.rng.choose(&BY_UNIT).unwrap_or(&"{}") }
            }
        }
    }

    /// Generates an operation that only a sweep can detect, or a failure in AWS.
    fn fault_operation(&mut self) -> Operation {
        let (nth, of_accepter) = (self.any(), self.rng.chance_per_mille(500));
        match self.rng.within(&(0..=30)) {
            27 => Operation::DisableRegion { scope: nth, minutes: self.rng.log_uniform(&(1..=90)) },
            26 => Operation::Contention { table: nth, times: 3 + self.any() % 6 },
            25 => Operation::PutListRoute { table: nth, vpc: self.any() },
            24 => Operation::RaiseQuotas,
            23 => Operation::StripRule { nth, mark: of_accepter },
            21 | 22 => {
                let mesh = if self.rng.chance_per_mille(800) { "prod" } else { "staging" };
                Operation::HandOver { nth, mesh, adopt: self.rng.chance_per_mille(700) }
            }
            0 => Operation::UntagAll,
            1 => Operation::PutRoute { table: nth, vpc: self.any() },
            2 => Operation::PutPeeringRoute { peering: nth, cidr: self.cidr() },
            3 => Operation::Propagate { table: nth, vpc: self.any() },
            4 | 5 => Operation::Terraform { table: nth },
            6 | 7 => Operation::RejectPeering { nth },
            8 | 9 => Operation::PeerByHand { from: nth, to: self.any(), accept: of_accepter },
            10 => Operation::Phish { vpc: nth },
            11 => {
                let key = if self.rng.chance_per_mille(500) { "peerd:managed-by" } else { "peerd:seal" };
                Operation::StripTag { nth, of_accepter, key }
            }
            29 => Operation::ForgeRule { nth },
            30 => {
                let targets = [FloodTarget::Vpc, FloodTarget::Peering, FloodTarget::Group];
                Operation::Flood { nth, target: *self.rng.choose(&targets).unwrap_or(&FloodTarget::Vpc) }
            }
            28 => Operation::Forge { nth, of_accepter, from: self.any() },
            12 => Operation::RetagPeering { nth, of_accepter },
            13..=15 => Operation::AccountOutage { account: nth, minutes: self.rng.log_uniform(&(1..=90)) },
            16 => Operation::RegionOutage { region: nth, minutes: self.rng.log_uniform(&(1..=90)) },
            17 => Operation::LoseIndex,
            18 => Operation::Sweep,
            19 => Operation::DropTable { nth },
            _ => Operation::Week,
        }
    }
}
