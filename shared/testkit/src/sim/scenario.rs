//! The steps of a scenario, as data.

use std::fmt;

/// An operation of a user, an operator or AWS. Its numbers choose among the resources that exist at execution, so that
/// a scenario stays valid when steps are removed.
#[derive(Debug, Clone, PartialEq, Eq, strum::VariantNames)]
#[expect(missing_docs, reason = "the names of the fields say what their numbers choose")]
pub enum Operation {
    /// A user creates a VPC and tags it in the same call.
    MakeVpc { scope: u32, cidrs: String, meshes: &'static str },
    /// A user sets `peerd:env`.
    Tag { vpc: u32, meshes: &'static str },
    /// A user removes `peerd:env`.
    Untag { vpc: u32 },
    /// A wrong tag policy removes `peerd:env` from every VPC.
    UntagAll,
    /// A user deletes a VPC, after its peerings or immediately.
    DeleteVpc { vpc: u32, peerings_first: bool },
    /// A user associates a CIDR block.
    Associate { vpc: u32, cidr: String },
    /// A user disassociates a CIDR block.
    Disassociate { vpc: u32, nth: u32 },
    /// A user creates a route table, with or without an edge association.
    MakeTable { vpc: u32, is_edge_associated: bool },
    /// A user deletes a route table.
    DropTable { nth: u32 },
    /// A user deletes a route.
    DeleteRoute { nth: u32 },
    /// A user replaces the target of a route.
    ReplaceRoute { nth: u32 },
    /// A user creates a route to a CIDR block of a member.
    PutRoute { table: u32, vpc: u32 },
    /// A user creates a route to a prefix list that contains a CIDR block of a member.
    PutListRoute { table: u32, vpc: u32 },
    /// A user creates a route over a peering.
    PutPeeringRoute { peering: u32, cidr: String },
    /// A virtual private gateway propagates a route to a CIDR block of a member.
    Propagate { table: u32, vpc: u32 },
    /// Terraform, which does not know peerd, deletes every peering route of a table.
    Terraform { table: u32 },
    /// A tool deletes every peering route of a table, and does so again, a number of times.
    Contention { table: u32, times: u32 },
    /// A user deletes a peering from one side.
    DeletePeering { nth: u32, by_accepter: bool },
    /// A user rejects a request.
    RejectPeering { nth: u32 },
    /// A user requests a peering of two VPCs manually, and may accept it.
    PeerByHand { from: u32, to: u32, accept: bool },
    /// An unknown requester requests a peering with a VPC, with the tags of a request of peerd.
    Phish { vpc: u32 },
    /// A user removes a tag of peerd from one side of a peering.
    StripTag { nth: u32, of_accepter: bool, key: &'static str },
    /// A user copies the tags of one peering, with its seal, to one side of another.
    Forge { nth: u32, of_accepter: bool, from: u32 },
    /// A user writes another mesh into the tags of one side of a peering.
    RetagPeering { nth: u32, of_accepter: bool },
    /// The role of an account cannot be assumed for some minutes.
    AccountOutage { account: u32, minutes: u64 },
    /// A Region has an outage for some minutes.
    RegionOutage { region: u32, minutes: u64 },
    /// AWS suspends an account for some minutes, and an operator may remove it for good.
    Suspend { account: u32, minutes: u64, and_remove: bool },
    /// An account disables a Region for some minutes.
    DisableRegion { scope: u32, minutes: u64 },
    /// An account is moved to another organizational unit.
    MoveAccount { account: u32, unit: &'static str },
    /// The organization listing is lost.
    LoseListing,
    /// An operator declares a mesh with a policy.
    Declare { mesh: &'static str, policy: &'static str },
    /// An operator has a mesh adopt a peering, or release it.
    HandOver { nth: u32, mesh: &'static str, adopt: bool },
    /// A user sets or removes `peerd:role`.
    Role { vpc: u32, role: Option<&'static str> },
    /// A user sets `peerd:cidrs` to parts of the VPC's CIDR blocks, or removes it.
    Advertise { vpc: u32, parts: Option<u32> },
    /// A user sets the DNS attributes of a VPC.
    Names { vpc: u32, hostnames: bool, support: bool },
    /// A user sets the DNS option of one end of a peering.
    SwitchDns { nth: u32, of_accepter: bool, on: bool },
    /// A user creates a security group that allows meshes.
    MakeGroup { vpc: u32, meshes: &'static str, ports: Option<&'static str> },
    /// A user sets or removes a tag of a security group.
    MarkGroup { nth: u32, key: &'static str, value: Option<&'static str> },
    /// A user adds a rule for a CIDR block of a VPC to a security group.
    OpenGroup { nth: u32, vpc: u32 },
    /// A user revokes a rule of a security group.
    RevokeRule { nth: u32 },
    /// A user writes the names of many meshes into a tag.
    Flood { nth: u32, target: FloodTarget },
    /// A user writes the tags of peerd on a rule of a security group.
    ForgeRule { nth: u32 },
    /// A user removes a tag of peerd from a rule of a security group.
    StripRule { nth: u32, mark: bool },
    /// A user sets or removes a tag of a route table.
    MarkTable { table: u32, key: &'static str, value: Option<&'static str> },
    /// AWS raises every quota to its default value.
    RaiseQuotas,
    /// The table is lost.
    LoseIndex,
    /// An additional sweep runs.
    Sweep,
    /// A week passes without a sweep.
    Week,
}

/// The resource whose tag gets many names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FloodTarget {
    /// `peerd:env` of a VPC.
    Vpc,
    /// `peerd:env` of one side of a peering.
    Peering,
    /// `peerd:allow` of a security group.
    Group,
}

impl Operation {
    /// Returns its name.
    pub fn name(&self) -> String {
        let shown = format!("{self:?}");
        shown.split(' ').next().unwrap_or_default().to_owned()
    }
}

/// An operation, with its delay after the previous one.
#[derive(Debug, Clone)]
pub struct Step {
    /// The delay, in milliseconds.
    pub after: u64,
    /// The operation.
    pub operation: Operation,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ms later: {:?}", self.after, self.operation)
    }
}
