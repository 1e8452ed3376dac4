//! What happens to a world: made up by chance, told in words, and cut down when it shows a fault.

use std::fmt;

use crate::aws::{MINUTE, SECOND};
use crate::chance::Chance;

/// Something that somebody does, or that befalls AWS. Numbers pick among what there is when it comes to it, so that a
/// story from which a scene was cut still makes sense.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "each variant says what its numbers pick")]
pub enum Happening {
    /// Somebody makes a VPC and tags it in the same call.
    MakeVpc { scope: u32, blocks: String, meshes: &'static str },
    /// Somebody sets `peerd:env`.
    Tag { vpc: u32, meshes: &'static str },
    /// Somebody removes `peerd:env`.
    Untag { vpc: u32 },
    /// A tag policy goes wrong: every VPC loses `peerd:env`.
    UntagAll,
    /// Somebody deletes a VPC, after its peerings or at once.
    DeleteVpc { vpc: u32, peerings_first: bool },
    /// Somebody adds a block.
    Associate { vpc: u32, block: String },
    /// Somebody takes a block away.
    Disassociate { vpc: u32, nth: u32 },
    /// Somebody makes a route table, or a gateway's.
    MakeTable { vpc: u32, of_gateway: bool },
    /// Somebody deletes a route table.
    DropTable { nth: u32 },
    /// Somebody deletes a route.
    DeleteRoute { nth: u32 },
    /// Somebody points a route elsewhere.
    ReplaceRoute { nth: u32 },
    /// Somebody creates a route of his own to a member's block.
    PutRoute { table: u32, vpc: u32 },
    /// Somebody creates a route of his own to a prefix list that has a member's block.
    PutListRoute { table: u32, vpc: u32 },
    /// Somebody creates a route of his own over a peering.
    PutPeeringRoute { peering: u32, block: String },
    /// A virtual private gateway propagates a route to a member's block.
    Propagate { table: u32, vpc: u32 },
    /// A Terraform that knows nothing of peerd takes every peering route out of a table.
    Terraform { table: u32 },
    /// A tool takes every peering route out of a table, and again whenever they are back.
    Contest { table: u32, times: u32 },
    /// Somebody deletes a peering from one side.
    DeletePeering { nth: u32, by_accepter: bool },
    /// Somebody rejects a request.
    RejectPeering { nth: u32 },
    /// Somebody peers two VPCs by hand, and perhaps accepts it.
    PeerByHand { from: u32, to: u32, accept: bool },
    /// A stranger asks a VPC for a peering, and dresses his request as one of peerd's.
    Phish { vpc: u32 },
    /// Somebody takes `peerd:managed-by` off one side of a peering.
    StripTag { nth: u32, of_accepter: bool },
    /// Somebody writes another mesh on one side of a peering.
    RetagPeering { nth: u32, of_accepter: bool },
    /// The role of an account cannot be assumed for a while.
    DarkAccount { account: u32, minutes: u64 },
    /// A Region does not answer for a while.
    DarkRegion { region: u32, minutes: u64 },
    /// An operator declares a mesh with a policy.
    Declare { mesh: &'static str, policy: &'static str },
    /// An operator has a mesh adopt a peering, or release it.
    HandOver { nth: u32, mesh: &'static str, adopt: bool },
    /// Somebody sets or removes `peerd:role`.
    Role { vpc: u32, role: Option<&'static str> },
    /// Somebody sets `peerd:cidrs` to parts of the VPC's blocks, or removes it.
    Advertise { vpc: u32, parts: Option<u32> },
    /// Somebody sets the DNS attributes of a VPC.
    Names { vpc: u32, hostnames: bool, support: bool },
    /// Somebody switches the DNS option of one end of a peering.
    SwitchDns { nth: u32, of_accepter: bool, on: bool },
    /// Somebody makes a security group that lets meshes in.
    MakeGroup { vpc: u32, meshes: &'static str, ports: Option<&'static str> },
    /// Somebody sets or removes a tag of a security group.
    MarkGroup { nth: u32, key: &'static str, value: Option<&'static str> },
    /// Somebody lets the block of a VPC into a security group.
    OpenGroup { nth: u32, vpc: u32 },
    /// Somebody takes a rule out of a security group.
    RevokeRule { nth: u32 },
    /// Somebody takes a tag of peerd's off a rule of a security group.
    StripRule { nth: u32, mark: bool },
    /// Somebody sets or removes a tag of a route table.
    MarkTable { table: u32, key: &'static str, value: Option<&'static str> },
    /// AWS grants everybody what it grants at first, and not less.
    RaiseQuotas,
    /// The table is lost.
    LoseIndex,
    /// The schedule fires out of turn.
    Sweep,
    /// A week goes by.
    Week,
}

impl Happening {
    /// The names of all of them, for those who count.
    pub const NAMES: [&str; 41] = [
        "MakeVpc",
        "Tag",
        "Untag",
        "UntagAll",
        "DeleteVpc",
        "Associate",
        "Disassociate",
        "MakeTable",
        "DropTable",
        "DeleteRoute",
        "ReplaceRoute",
        "PutRoute",
        "PutListRoute",
        "PutPeeringRoute",
        "Propagate",
        "Terraform",
        "Contest",
        "DeletePeering",
        "RejectPeering",
        "PeerByHand",
        "Phish",
        "StripTag",
        "RetagPeering",
        "DarkAccount",
        "DarkRegion",
        "Declare",
        "HandOver",
        "Role",
        "Advertise",
        "Names",
        "SwitchDns",
        "MakeGroup",
        "MarkGroup",
        "OpenGroup",
        "RevokeRule",
        "StripRule",
        "MarkTable",
        "RaiseQuotas",
        "LoseIndex",
        "Sweep",
        "Week",
    ];

    /// Its name.
    pub fn name(&self) -> String {
        let told = format!("{self:?}");
        told.split(' ').next().unwrap_or_default().to_owned()
    }
}

/// One happening, and how long after the one before it.
#[derive(Debug, Clone)]
pub struct Scene {
    /// Milliseconds.
    pub after: u64,
    /// What happens.
    pub happening: Happening,
}

impl fmt::Display for Scene {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ms later: {:?}", self.after, self.happening)
    }
}

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

/// Makes up what happens. A fair story has nothing in it of which no event tells, and that includes what one mesh gives up
/// and another waits for: its VPCs share addresses only where there is one mesh.
pub fn make_up(chance: &mut Chance, fair: bool) -> Vec<Scene> {
    let crowd = if chance.permille(60) { 7..=8 } else { 2..=5 };
    let members = chance.within(&crowd);
    let one_mesh = fair && chance.permille(500);
    let mut author = Author { chance, vpcs: 0, is_fair: fair, one_mesh, overlaps: one_mesh || !fair };
    let mut scenes: Vec<Scene> = (0..members).map(|_| author.opening()).collect();
    let length = author.chance.scaled(&(2..=15));
    scenes.extend((0..length).map(|_| author.scene(fair)));
    scenes
}

struct Author<'a> {
    chance: &'a mut Chance,
    vpcs: u64,
    is_fair: bool,
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
        let happening = if fair || self.chance.permille(500) { self.everyday() } else { self.mischief() };
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

    /// What only a sweep can find, and what befalls AWS.
    fn mischief(&mut self) -> Happening {
        let (nth, of_accepter) = (self.any(), self.chance.permille(500));
        match self.chance.within(&(0..=26)) {
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
