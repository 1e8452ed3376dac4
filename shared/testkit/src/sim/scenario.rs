//! What happens to a world, told in words.

use std::fmt;

/// Something that somebody does, or that befalls AWS. Numbers pick among what there is when it comes to it, so that a
/// story from which a scene was cut still makes sense.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "each variant says what its numbers pick")]
pub enum Operation {
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
    Contention { table: u32, times: u32 },
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
    /// AWS suspends an account for a while, and an operator may say meanwhile that it is gone for good.
    Suspend { account: u32, minutes: u64, gone: bool },
    /// An account switches a Region off for a while.
    SwitchOff { scope: u32, minutes: u64 },
    /// An account is moved to another organisational unit.
    MoveAccount { account: u32, unit: &'static str },
    /// What was listed of the organisation is lost.
    LoseListing,
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

impl Operation {
    /// The names of all of them, for those who count.
    pub const NAMES: [&str; 45] = [
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
        "Suspend",
        "SwitchOff",
        "MoveAccount",
        "LoseListing",
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
pub struct Step {
    /// Milliseconds.
    pub after: u64,
    /// What happens.
    pub happening: Operation,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ms later: {:?}", self.after, self.happening)
    }
}
