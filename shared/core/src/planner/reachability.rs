//! Why two VPCs reach each other or do not, in the order in which one thing needs another.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::context::PlanContext;
use super::peerings::{self, PairState, WantedPair};
use crate::cidr::{CidrSet, IpNet};
use crate::desired::DesiredState;
use crate::ids::{MeshName, Pair, VpcRef};
use crate::network_acl::{NetworkAcl, Verdict};
use crate::observed::{ObservedState, Peering, PeeringStatus, RouteTable, RouteTarget};
use crate::policy::{Mode, Topology};
use crate::tags::{self, MeshTag};

/// Whether something that two VPCs need to reach each other is the case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CheckResult {
    /// It is.
    Yes,
    /// It is not, and that keeps them apart.
    No,
    /// It is in part, or it is on its way, or nobody can tell.
    Partly,
}

/// One thing that two VPCs need.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// Whether it is the case.
    pub holds: CheckResult,
    /// What is the case.
    pub text: String,
    /// What to do if it is not.
    pub remedy: Option<String>,
}

impl Check {
    /// It is the case.
    pub fn yes(text: impl Into<String>) -> Self {
        Self { holds: CheckResult::Yes, text: text.into(), remedy: None }
    }

    /// It is not.
    pub fn no(text: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { holds: CheckResult::No, text: text.into(), remedy: Some(remedy.into()) }
    }

    /// It is in part, or nobody can tell.
    pub fn partly(text: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { holds: CheckResult::Partly, text: text.into(), remedy: Some(remedy.into()) }
    }
}

/// What stands before the subnets and interfaces of VPCs, which peerd looks at only to explain.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NetworkFilters {
    /// The network ACLs of each VPC, or why they could not be read.
    pub acls: BTreeMap<VpcRef, Result<Vec<NetworkAcl>, String>>,
    /// The blocks from which the security groups of each VPC let anything in, by group, or why that could not be read.
    pub groups: BTreeMap<VpcRef, Result<BTreeMap<String, CidrSet>, String>>,
}

/// Explains a pair. Each check rests on those before it; the first that does not hold is the first thing to mend.
pub fn explain(
    desired: &DesiredState,
    observed: &ObservedState,
    doors: &NetworkFilters,
    [a, b]: [&VpcRef; 2],
) -> Vec<Check> {
    let context = PlanContext::new(desired, observed);
    let Some(pair) = Pair::of(a, b) else {
        let mut checks = Checks::default();
        checks.no("a VPC reaches itself without a peering", "name two VPCs");
        return checks.0;
    };
    let links = peerings::find_wanted_pairs(&context);
    explain_pair(&pair, links.iter().find(|link| link.pair == pair), &context, doors)
}

/// A pair that a mesh wants, told of.
pub struct ExplainedPair<'a> {
    /// Which.
    pub pair: Pair,
    /// The meshes that connect it.
    pub meshes: BTreeSet<MeshName>,
    /// The peering that peerd manages for it, if there is one.
    pub peering: Option<&'a Peering>,
    /// How far it is: the peering's state in AWS's word, or why there is none.
    pub state: String,
    /// What [`explain`] says of it, but for what stands before the subnets and interfaces.
    pub checks: Vec<Check>,
}

/// Explains every pair that this run's mesh wants, without its doors.
pub fn explain_all<'a>(context: &PlanContext<'a>) -> Vec<ExplainedPair<'a>> {
    let doors = NetworkFilters::default();
    let links = peerings::find_wanted_pairs(context);
    let told = |link: WantedPair<'a>| {
        let checks = explain_pair(&link.pair, Some(&link), context, &doors);
        let peering = if let PairState::Usable(peering) = link.state { Some(peering) } else { None };
        ExplainedPair { state: link.state.word(), pair: link.pair, meshes: link.meshes, peering, checks }
    };
    links.into_iter().map(told).collect()
}

fn explain_pair(
    pair: &Pair,
    link: Option<&WantedPair<'_>>,
    context: &PlanContext<'_>,
    doors: &NetworkFilters,
) -> Vec<Check> {
    let mut checks = Checks::default();
    for vpc in pair.ends() {
        see(vpc, context, &mut checks);
    }
    let common = if checks.all_hold() { meet(pair, context, &mut checks) } else { BTreeSet::new() };
    let linked = !common.is_empty() && admit(pair, &common, context, &mut checks);
    if let Some(link) = link.filter(|_| linked) {
        peer(link, context, &mut checks);
        for (vpc, peer) in pair.directions() {
            route(link, vpc, peer, context, &mut checks);
        }
        for (vpc, peer) in pair.directions() {
            open(vpc, &context.advertised_cidrs(peer, &link.meshes), peer, doors, &mut checks);
        }
    }
    checks.0
}

#[derive(Default)]
struct Checks(Vec<Check>);

impl Checks {
    fn yes(&mut self, text: impl Into<String>) {
        self.0.push(Check::yes(text));
    }

    fn no(&mut self, text: impl Into<String>, remedy: impl Into<String>) {
        self.0.push(Check::no(text, remedy));
    }

    fn partly(&mut self, text: impl Into<String>, remedy: impl Into<String>) {
        self.0.push(Check::partly(text, remedy));
    }

    /// What keeps them apart if nothing else connects them.
    fn not(&mut self, decides: bool, text: String, remedy: &str) {
        self.0.push(if decides { Check::no(text, remedy) } else { Check::partly(text, remedy) });
    }

    fn all_hold(&self) -> bool {
        self.0.iter().all(|check| check.holds == CheckResult::Yes)
    }
}

fn see(vpc: &VpcRef, context: &PlanContext<'_>, checks: &mut Checks) {
    match context.observed.scopes.get(&vpc.scope) {
        Some(Ok(())) if context.is_present(vpc) => checks.yes(format!("{vpc} can be read")),
        Some(Ok(())) => checks.no(format!("{vpc} wears no {}, or does not exist", tags::ENV), JOIN),
        Some(Err(why)) => checks.no(format!("{} cannot be read: {why}", vpc.scope), "let the role be assumed there"),
        None => {
            let remedy = format!("register it: `peerd account add {}`", vpc.scope.account);
            checks.no(format!("{} is not known", vpc.scope), remedy);
        }
    }
}

const JOIN: &str = "tag both VPCs peerd:env=<mesh>";
const RENAME: &str = "correct the tag: a mesh name has 1 to 64 letters, digits, `-`, `_` or `.`";

/// The meshes that both ask for.
fn meet(pair: &Pair, context: &PlanContext<'_>, checks: &mut Checks) -> BTreeSet<MeshName> {
    let tag = |vpc: &VpcRef| context.observed.vpcs.get(vpc).map(|seen| MeshTag::of(&seen.tags)).unwrap_or_default();
    let asked = |vpc: &VpcRef| {
        let meshes = tag(vpc).meshes;
        if meshes.is_empty() { "no mesh".to_owned() } else { tags::join_meshes(&meshes) }
    };
    let common: BTreeSet<MeshName> = &context.meshes_of(pair.requester()) & &context.meshes_of(pair.accepter());
    match common.is_empty() {
        false => checks.yes(format!("both ask for {}", tags::join_meshes(&common))),
        true => {
            let [one, other] = pair.ends();
            for vpc in [one, other] {
                for word in tag(vpc).malformed {
                    checks.no(format!("`{word}` in {} of {} is not a mesh name", tags::ENV, vpc.id), RENAME);
                }
            }
            checks.no(format!("{} asks for {}, and {} for {}", one.id, asked(one), other.id, asked(other)), JOIN);
        }
    }
    common
}

/// Whether some mesh connects them; if none does, why none of those that they ask for.
fn admit(pair: &Pair, common: &BTreeSet<MeshName>, context: &PlanContext<'_>, checks: &mut Checks) -> bool {
    let connecting_meshes = context.connecting_meshes(pair);
    if !connecting_meshes.is_empty() {
        checks.yes(format!("{} connects them", tags::join_meshes(&connecting_meshes)));
    }
    for mesh in common.difference(&connecting_meshes) {
        let denials = pair.ends().map(|vpc| (vpc, context.denial(vpc, mesh)));
        for (vpc, denial) in denials.iter().filter_map(|(vpc, denial)| Some((vpc, denial.as_ref()?))) {
            let text = format!("{mesh} does not take {}: {denial}", vpc.id);
            checks.not(connecting_meshes.is_empty(), text, &format!("see `peerd mesh show {mesh}`, or declare it"));
        }
        let star = context.desired.declared.get(mesh).is_some_and(|policy| policy.topology == Topology::HubAndSpoke);
        if star && denials.iter().all(|(_, denial)| denial.is_none()) {
            let text = format!("{mesh} is hub-and-spoke, and neither VPC is a hub");
            checks.not(connecting_meshes.is_empty(), text, &format!("tag one of them {}=hub", tags::ROLE));
        }
    }
    for mesh in &connecting_meshes {
        if context.desired.declared.get(mesh).is_some_and(|policy| policy.mode == Mode::Paused) {
            checks.partly(format!("{mesh} is paused: nothing of it is changed"), format!("`peerd mesh resume {mesh}`"));
        }
    }
    !connecting_meshes.is_empty()
}

/// A mesh that wants a pair, for commands that need one.
fn a_mesh<'a>(link: &'a WantedPair<'_>, context: &'a PlanContext<'_>) -> &'a MeshName {
    link.meshes.first().unwrap_or(&context.desired.mesh)
}

fn peer(link: &WantedPair<'_>, context: &PlanContext<'_>, checks: &mut Checks) {
    let mesh = a_mesh(link, context);
    match &link.state {
        PairState::Usable(peering) if peering.status == PeeringStatus::Active && context.manages(peering) => {
            checks.yes(format!("{} is active", peering.id));
        }
        PairState::Usable(peering) => {
            checks.no(format!("{} is {}", peering.id, peering.status), "wait: the next runs go on with it");
        }
        PairState::Missing { .. } => {
            let remedy = format!("wait: the next run requests it; see `peerd history {mesh}`");
            checks.no("they are not peered", remedy);
        }
        PairState::Overlapping(ours, theirs) => checks.no(
            format!("{ours} overlaps {theirs}, so AWS does not peer them"),
            "disassociate one of the two blocks, or take one VPC out of the mesh",
        ),
        PairState::Foreign(peering) => checks.no(
            format!("{} peers them, and peerd does not manage it", peering.id),
            format!("`peerd adopt --mesh {mesh} {}`, or delete it", peering.id),
        ),
        PairState::Failed(peering) => checks.no(
            format!("AWS failed {}: {}", peering.id, peering.message),
            "mend what AWS names; peerd asks again in 2 hours",
        ),
    }
}

/// The route tables of a VPC, towards a peer.
fn route(link: &WantedPair<'_>, vpc: &VpcRef, peer: &VpcRef, context: &PlanContext<'_>, checks: &mut Checks) {
    let PairState::Usable(peering) = link.state else { return };
    let blocks = context.advertised_cidrs(peer, &link.meshes);
    if blocks.is_empty() {
        let remedy = format!("see {} on it, and `admit.cidrs` and `routes.exclude` of the mesh", tags::CIDRS);
        checks.no(format!("{} brings no block into the mesh", peer.id), remedy);
        return;
    }
    let mut complete = 0;
    let tables: Vec<&RouteTable> = context.observed.tables_of(vpc).filter(|table| !table.of_gateway).collect();
    for table in &tables {
        if !context.is_managed_table(table, &link.meshes) {
            let text = format!("{} of {} takes no routes of the mesh", table.id, vpc.id);
            checks.partly(text, format!("tag it {}=manage, or change `routes.tables`", tags::ROUTES));
            continue;
        }
        let wrong = blocks.iter().filter_map(|block| misled(table, block, &RouteTarget::Peering(peering.id.clone())));
        let wrong: Vec<String> = wrong.collect();
        complete += usize::from(wrong.is_empty());
        for text in wrong {
            let remedy =
                format!("the next run adds it; if it does not, `peerd status {}` says why", a_mesh(link, context));
            checks.no(format!("{} of {} {text}", table.id, vpc.id), remedy);
        }
    }
    match (complete, tables.len()) {
        (0, _) => {}
        (some, all) => checks.yes(format!("{some} of {all} route tables of {} lead to {}", vpc.id, peer.id)),
    }
}

/// Where a table leads a block, if not where it should.
fn misled(table: &RouteTable, block: &IpNet, to: &RouteTarget) -> Option<String> {
    match table.created_route(block) {
        Some(route) if route.target == *to => None,
        Some(route) => Some(format!("leads {block} to {}", route.target)),
        None => Some(format!("has no route to {block}")),
    }
}

/// The network ACLs and security groups of a VPC, towards the blocks of a peer.
fn open(vpc: &VpcRef, blocks: &CidrSet, peer: &VpcRef, doors: &NetworkFilters, checks: &mut Checks) {
    match doors.acls.get(vpc) {
        None => {}
        Some(Err(why)) => checks.partly(format!("the network ACLs of {} cannot be read: {why}", vpc.id), MAY_READ),
        Some(Ok(acls)) => {
            acls.iter().filter(|acl| acl.subnets > 0).for_each(|acl| pass(acl, vpc, blocks, peer, checks))
        }
    }
    match doors.groups.get(vpc) {
        None => {}
        Some(Err(why)) => checks.partly(format!("the security groups of {} cannot be read: {why}", vpc.id), MAY_READ),
        Some(Ok(groups)) => {
            let lets_in = |open: &&CidrSet| open.first_overlap(blocks).is_some();
            match groups.values().filter(lets_in).count() {
                0 => checks.partly(
                    format!("no security group of {} lets {} in", vpc.id, peer.id),
                    format!("tag the right one {}=<mesh>, or open it", tags::ALLOW),
                ),
                some => {
                    checks.yes(format!("{some} of {} security groups of {} let {} in", groups.len(), vpc.id, peer.id))
                }
            }
        }
    }
}

const MAY_READ: &str = "let your role call ec2:DescribeNetworkAcls and ec2:DescribeSecurityGroups there";

fn pass(acl: &NetworkAcl, vpc: &VpcRef, blocks: &CidrSet, peer: &VpcRef, checks: &mut Checks) {
    for (egress, way) in [(false, "from"), (true, "to")] {
        for block in blocks.iter() {
            let text = |what: &str| {
                format!("{} before {} subnets of {} {what} {way} {block} of {}", acl.id, acl.subnets, vpc.id, peer.id)
            };
            let remedy = "change its rules: a network ACL knows no connections, so both ways must be open";
            match acl.passage(block, egress) {
                Verdict::Open => {}
                Verdict::Partial => checks.partly(text("lets only some traffic through"), remedy),
                Verdict::Closed => checks.no(text("lets nothing through"), remedy),
            }
        }
    }
}
