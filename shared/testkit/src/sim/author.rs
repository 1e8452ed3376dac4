//! Making stories up by chance.

use super::story::{Happening, Scene};
use crate::aws::{MINUTE, SECOND};
use crate::chance::Chance;

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

const POLICIES: [&str; 15] = [
    "{}",
    "{}",
    r#"{"topology":"hub-and-spoke"}"#,
    r#"{"admit":{"accounts":["111111111111","222222222222"]}}"#,
    r#"{"admit":{"regions":["us-east-1"]}}"#,
    r#"{"admit":{"cidrs":["10.0.0.0/8"]},"tags":{"team":"red"}}"#,
    r#"{"routes":{"exclude":["100.64.0.0/10","10.3.64.0/18"]}}"#,
    r#"{"routes":{"tables":"main"},"tags":{"team":"blue"}}"#,
    r#"{"routes":{"tables":"tagged"}}"#,
    r#"{"dns":"on"}"#,
    r#"{"dns":"on","topology":"hub-and-spoke"}"#,
    r#"{"dns":"off"}"#,
    r#"{"mode":"draining"}"#,
    PAUSED,
    PAUSED,
];
const PAUSED: &str = r#"{"mode":"paused"}"#;

const MARKS: [(&str, Option<&str>); 6] = [
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

/// Policies of those whose accounts are in an organisation.
const BY_UNIT: [&str; 3] = [
    r#"{"admit":{"units":["ou-ab12-prod0000"]}}"#,
    r#"{"admit":{"units":["ou-ab12-prod0000"]},"dns":"on"}"#,
    r#"{"admit":{"units":["ou-ab12-dev00000","r-ab12"]}}"#,
];

/// Makes up what happens. A fair story has nothing in it of which no event tells, and that includes what one mesh gives up
/// and another waits for: its VPCs share addresses only where there is one mesh.
pub fn make_up(chance: &mut Chance, fair: bool, organized: bool) -> Vec<Scene> {
    let crowd = if chance.permille(60) { 7..=8 } else { 2..=5 };
    let members = chance.within(&crowd);
    let one_mesh = fair && chance.permille(500);
    let mut author = Author { chance, vpcs: 0, is_fair: fair, organized, one_mesh, overlaps: one_mesh || !fair };
    let mut scenes: Vec<Scene> = (0..members).map(|_| author.opening()).collect();
    let length = author.chance.scaled(&(2..=15));
    scenes.extend((0..length).map(|_| author.scene(fair)));
    scenes
}

struct Author<'a> {
    chance: &'a mut Chance,
    vpcs: u64,
    is_fair: bool,
    organized: bool,
    one_mesh: bool,
    overlaps: bool,
}

impl Author<'_> {
    fn opening(&mut self) -> Scene {
        let meshes = if self.chance.permille(700) { "prod" } else { self.meshes() };
        Scene { after: self.chance.scaled(&(1..=5 * SECOND)), happening: self.vpc(meshes) }
    }

    fn scene(&mut self, fair: bool) -> Scene {
        let after = self.chance.scaled(&(1..=20 * MINUTE));
        let happening = if self.organized && self.chance.permille(200) {
            self.governance()
        } else if fair || self.chance.permille(500) {
            self.everyday()
        } else {
            self.mischief()
        };
        Scene { after, happening }
    }

    fn meshes(&mut self) -> &'static str {
        if self.one_mesh {
            return "prod";
        }
        self.chance.pick(&MESHES).copied().unwrap_or("prod")
    }

    fn any(&mut self) -> u32 {
        u32::try_from(self.chance.within(&(0..=999))).unwrap_or_default()
    }

    /// Mostly blocks of its own; now and then one that overlaps another's.
    fn vpc(&mut self, meshes: &'static str) -> Happening {
        self.vpcs += 1;
        let number =
            if self.overlaps && self.chance.permille(80) { self.chance.within(&(1..=self.vpcs)) } else { self.vpcs };
        let mut blocks = format!("10.{number}.0.0/16");
        if self.chance.permille(200) {
            blocks.push_str(&format!(" 2600:1f18:{number}::/56"));
        }
        if self.chance.permille(100) {
            blocks.push_str(&format!(" 100.64.{number}.0/24"));
        }
        Happening::MakeVpc { scope: self.any(), blocks, meshes }
    }

    fn block(&mut self) -> String {
        if !self.overlaps {
            self.vpcs += 1;
            return format!("10.{}.0.0/16", self.vpcs);
        }
        let number = self.chance.within(&(1..=9));
        match self.chance.within(&(0..=3)) {
            0 => format!("10.{number}.128.0/17"),
            1 => format!("2600:1f18:{}::/56", 100 + number),
            _ => format!("172.16.{number}.0/24"),
        }
    }

    /// What people do every day, and an event tells of.
    fn everyday(&mut self) -> Happening {
        let vpc = self.any();
        match self.chance.within(&(0..=31)) {
            25..=27 => {
                let meshes = if self.chance.permille(700) { "prod" } else { "prod staging" };
                Happening::MakeGroup { vpc, meshes, ports: *self.chance.pick(&PORTS).unwrap_or(&None) }
            }
            28 | 29 => {
                let (key, value) = *self.chance.pick(&OPENINGS).unwrap_or(&OPENINGS[0]);
                Happening::MarkGroup { nth: vpc, key, value }
            }
            30 => Happening::OpenGroup { nth: self.any(), vpc },
            31 => Happening::RevokeRule { nth: vpc },
            16 | 17 => self.policy(),
            18 => {
                Happening::Role { vpc, role: *self.chance.pick(&[Some("hub"), Some("spoke"), None]).unwrap_or(&None) }
            }
            19 | 20 => {
                let parts = self.chance.permille(800).then(|| self.any());
                Happening::Advertise { vpc, parts }
            }
            21 => {
                let (key, value) = *self.chance.pick(&MARKS).unwrap_or(&MARKS[0]);
                Happening::MarkTable { table: vpc, key, value }
            }
            22 | 23 => {
                let (hostnames, support) = (self.chance.permille(700), self.chance.permille(900));
                Happening::Names { vpc, hostnames, support }
            }
            24 => {
                let (of_accepter, on) = (self.chance.permille(500), self.chance.permille(500));
                Happening::SwitchDns { nth: vpc, of_accepter, on }
            }
            0 | 1 => {
                let meshes = self.meshes();
                self.vpc(meshes)
            }
            2..=4 => Happening::Tag { vpc, meshes: self.meshes() },
            5..=7 => Happening::Untag { vpc },
            8 => Happening::DeleteVpc { vpc, peerings_first: self.chance.permille(600) },
            9 => Happening::Associate { vpc, block: self.block() },
            10 => Happening::Disassociate { vpc, nth: self.any() },
            11 => Happening::MakeTable { vpc, of_gateway: self.chance.permille(300) },
            12 | 13 => Happening::DeleteRoute { nth: self.any() },
            14 => Happening::ReplaceRoute { nth: self.any() },
            _ => Happening::DeletePeering { nth: self.any(), by_accepter: self.chance.permille(500) },
        }
    }

    /// A pause of one mesh keeps back what another wants of a pair, and no event tells when it ends: then there is one mesh.
    fn policy(&mut self) -> Happening {
        let mesh = if self.one_mesh || self.chance.permille(700) { "prod" } else { "staging" };
        let policy = *self.chance.pick(&POLICIES).unwrap_or(&"{}");
        let policy = if policy == PAUSED && self.is_fair && !self.one_mesh { "{}" } else { policy };
        Happening::Declare { mesh, policy }
    }

    /// What befalls accounts in an organisation.
    fn governance(&mut self) -> Happening {
        let account = self.any();
        match self.chance.within(&(0..=6)) {
            0..=2 => {
                Happening::MoveAccount { account, unit: self.chance.pick(&["prod", "prod", "dev"]).unwrap_or(&"prod") }
            }
            3 => Happening::LoseListing,
            4 => {
                Happening::Suspend { account, minutes: self.chance.scaled(&(1..=90)), gone: self.chance.permille(500) }
            }
            _ => {
                let mesh = if self.chance.permille(700) { "prod" } else { "staging" };
                Happening::Declare { mesh, policy: self.chance.pick(&BY_UNIT).unwrap_or(&"{}") }
            }
        }
    }

    /// What only a sweep can find, and what befalls AWS.
    fn mischief(&mut self) -> Happening {
        let (nth, of_accepter) = (self.any(), self.chance.permille(500));
        match self.chance.within(&(0..=27)) {
            27 => Happening::SwitchOff { scope: nth, minutes: self.chance.scaled(&(1..=90)) },
            26 => Happening::Contest { table: nth, times: 3 + self.any() % 6 },
            25 => Happening::PutListRoute { table: nth, vpc: self.any() },
            24 => Happening::RaiseQuotas,
            23 => Happening::StripRule { nth, mark: of_accepter },
            21 | 22 => {
                let mesh = if self.chance.permille(800) { "prod" } else { "staging" };
                Happening::HandOver { nth, mesh, adopt: self.chance.permille(700) }
            }
            0 => Happening::UntagAll,
            1 => Happening::PutRoute { table: nth, vpc: self.any() },
            2 => Happening::PutPeeringRoute { peering: nth, block: self.block() },
            3 => Happening::Propagate { table: nth, vpc: self.any() },
            4 | 5 => Happening::Terraform { table: nth },
            6 | 7 => Happening::RejectPeering { nth },
            8 | 9 => Happening::PeerByHand { from: nth, to: self.any(), accept: of_accepter },
            10 => Happening::Phish { vpc: nth },
            11 => Happening::StripTag { nth, of_accepter },
            12 => Happening::RetagPeering { nth, of_accepter },
            13..=15 => Happening::DarkAccount { account: nth, minutes: self.chance.scaled(&(1..=90)) },
            16 => Happening::DarkRegion { region: nth, minutes: self.chance.scaled(&(1..=90)) },
            17 => Happening::LoseIndex,
            18 => Happening::Sweep,
            19 => Happening::DropTable { nth },
            _ => Happening::Week,
        }
    }
}
