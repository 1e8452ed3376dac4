//! The words of findings: what is wrong, and what to do. The only place that knows them.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::finding::{Disagreement, Expected, Finding, FindingKind, Limit, Severity};
use crate::ids::MeshName;
use crate::policy::Denial;
use crate::quotas::Quota;
use crate::tags;

/// The stack that commands take unless they are given another.
pub const DEFAULT_STACK: &str = "peerd";

/// A finding with its words, as people and other tools read it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Rendered {
    /// Its kind.
    pub kind: FindingKind,
    /// How much it matters.
    pub severity: Severity,
    /// What it is about.
    pub subject: String,
    /// What is wrong.
    pub text: String,
    /// What to do.
    pub remedy: String,
    /// The finding itself.
    pub data: Box<Finding>,
}

impl Rendered {
    /// Words a finding for the operator of a stack.
    pub fn new(finding: &Finding, stack: &str) -> Self {
        let (kind, severity, subject) = (finding.kind(), finding.severity(), finding.subject());
        Self {
            kind,
            severity,
            subject,
            text: finding.message(),
            remedy: finding.remedy(stack),
            data: Box::new(finding.clone()),
        }
    }
}

impl fmt::Display for Rendered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "! {} {}: {}; {}", self.kind, self.subject, self.text, self.remedy)
    }
}

impl fmt::Display for Finding {
    /// As [`Rendered`], without the remedy.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "! {} {}: {}", self.kind(), self.subject(), self.message())
    }
}

/// A command of the command line that works on a stack, as it is to be typed.
fn command(stack: &str, line: &str) -> String {
    let flag = if stack == DEFAULT_STACK { String::new() } else { format!(" --stack {stack}") };
    format!("`peerd {line}{flag}`")
}

impl Finding {
    /// What is wrong, without the subject.
    pub fn message(&self) -> String {
        match self {
            Self::DeleteLimit { deletes, live, limits, .. } => format!(
                "this run would delete {deletes} of {live} peerings; the policy lets {} or {} % go unasked",
                limits.count, limits.percent
            ),
            Self::UnreadablePolicy { error, .. } | Self::UnreadableScope { error, .. } => error.clone(),
            Self::InactiveAccount { scope, state, error } => {
                format!("{} is {state} in its organisation: {error}", scope.account)
            }
            Self::DisabledRegion { scope, error } => {
                format!("{} has switched {} off, where members are: {error}", scope.account, scope.region)
            }
            Self::UnreadableSecurityGroups { error, .. } => format!("its security groups cannot be read: {error}"),
            Self::UnreadableDnsAttributes { error, .. } => format!("its DNS attributes cannot be read: {error}"),
            Self::UnreadablePrefixList { list, cidr, target, error, .. } => {
                format!("whether {list} leads {cidr} to {target} cannot be read: {error}")
            }
            Self::UnprovenPeering { peering, .. } => {
                format!("{peering} looks unwanted, but neither VPC's tags prove it")
            }
            Self::UnreadableRoutes { peering, vpc, .. } => {
                format!("{peering} is unwanted, but routes of {vpc} may still lead to it")
            }
            Self::ForeignPeering { peering, deployment, .. } => {
                format!("{peering} already peers them and was not made by {deployment}")
            }
            Self::FailedPeering { peering, error, .. } => format!("AWS failed {peering}: {error}"),
            Self::ForeignRoute { cidr, target, .. } => format!("{cidr} leads to {target}, which peerd did not make"),
            Self::PrefixListRoute { list, cidr, target, .. } => {
                format!("{list} leads {cidr} to {target}, which peerd did not make")
            }
            Self::Contention { times, principal, .. } => {
                let by = principal.as_deref().unwrap_or("somebody of whom no event told");
                format!("put in place {times} times within two hours and undone, last by {by}")
            }
            Self::UnknownRequester { peering, requester, accepter } => {
                format!("{requester} asks {accepter} for a peering by {peering}")
            }
            Self::CidrOverlap { ours, theirs, .. } => format!("{ours} overlaps {theirs}, so AWS does not peer them"),
            Self::OverlapsOwnVpc { vpc, cidr, peer, .. } => format!("{cidr} of {peer} shares addresses with {vpc}"),
            Self::RouteOverlap { cidr, peer, routed_cidr, routed_peer, .. } => {
                format!("{cidr} of {peer} shares addresses with {routed_cidr}, which leads to {routed_peer}")
            }
            Self::QuotaExceeded { quota, limit, left_out, more, .. } => {
                let others = if *more == 0 { String::new() } else { format!(" and {more} others") };
                format!("no room for {}{others}: {}", left_out.join(", "), because(*quota, limit))
            }
            Self::QuotaNearLimit { quota, limit, .. } => format!("four fifths are taken: {}", because(*quota, limit)),
            Self::QuotaRefused { error, .. } => error.clone(),
            Self::NotAdmitted { mesh, denial, .. } => format!("asks for {mesh}: {denial}"),
            Self::CidrNotAdmitted { mesh, cidr, .. } => format!("{cidr} is outside the ranges that {mesh} admits"),
            Self::InvalidTag { key, word, expected, .. } => format!("`{word}` in {key} {}", expected.complaint()),
            Self::GroupOfNonMember { vpc, mesh, .. } => format!("lets {mesh} in, of which {vpc} is no member"),
            Self::UndeclaredMeshes { peering, meshes, .. } => {
                format!("{peering} stays: both VPCs ask for {}, which is not declared", tags::join_meshes(meshes))
            }
            Self::DnsAttributesOff { hostnames, support, .. } => {
                let off = match (hostnames, support) {
                    (false, true) => "enableDnsHostnames is off",
                    (true, false) => "enableDnsSupport is off",
                    _ => "enableDnsHostnames and enableDnsSupport are off",
                };
                format!("{off}, so names do not resolve to private addresses across its peerings")
            }
            Self::PoliciesDisagree { meshes, about, .. } => {
                let meshes = tags::join_meshes(meshes).replace('+', " and ");
                match about {
                    Disagreement::Tag { key, value } => {
                        format!("{meshes} disagree about the tag `{key}`; it is `{value}`")
                    }
                    Disagreement::Cidrs { vpc, cidrs } => {
                        format!("{meshes} route different blocks of {vpc}; all of them are routed: {cidrs}")
                    }
                    Disagreement::Dns => format!("{meshes} disagree about dns; it is on"),
                }
            }
            Self::Paused { pending, .. } => format!("{pending} changes are due that a pause withholds"),
        }
    }

    /// What to do, with commands that run as printed for the operator of a stack.
    pub fn remedy(&self, stack: &str) -> String {
        let peerd = |line: String| command(stack, &line);
        match self {
            Self::DeleteLimit { mesh, .. } => {
                format!("if that is right, {} has it done", peerd(format!("confirm {mesh}")))
            }
            Self::UnreadablePolicy { mesh, .. } => {
                let declare = peerd(format!("mesh declare {mesh} --policy {mesh}.json"));
                format!("declare it again with its policy, {declare}; until then nothing of it is changed")
            }
            Self::UnreadableScope { role, .. } => {
                format!("let the role {role} of that account be assumed and read there; the next sweep goes on")
            }
            Self::InactiveAccount { scope, .. } => format!(
                "have it reinstated; or, if it is gone for good, {}",
                peerd(format!("account remove {}", scope.account))
            ),
            Self::DisabledRegion { .. } => {
                "switch the Region on again, and take `peerd:env` off what is to leave first".to_owned()
            }
            Self::UnreadableSecurityGroups { .. } => {
                "deploy the current spoke.yaml there; until then its rules are left as they are".to_owned()
            }
            Self::UnreadableDnsAttributes { role, .. } => {
                format!("let the role {role} of its account call ec2:DescribeVpcAttribute; the next sweep goes on")
            }
            Self::UnreadablePrefixList { role, .. } => {
                format!("let the role {role} call ec2:GetManagedPrefixListEntries; the next sweep goes on")
            }
            Self::UnprovenPeering { pair, .. } => {
                let account = &pair.accepter().scope.account;
                format!(
                    "let both accounts be read, and the next sweep decides; or, if one is gone for good, {}",
                    peerd(format!("account remove {account}"))
                )
            }
            Self::UnreadableRoutes { .. } => "let that account be read; the next sweep deletes the peering".to_owned(),
            Self::ForeignPeering { peering, mesh, .. } => format!(
                "have peerd adopt it, {}, or delete it and peerd makes its own",
                peerd(format!("adopt --mesh {mesh} {peering}"))
            ),
            Self::FailedPeering { .. } => {
                "fix what AWS names; peerd asks again when AWS has forgotten the failed request, in 2 hours".to_owned()
            }
            Self::ForeignRoute { cidr, peering, .. } => {
                format!("delete that route and peerd routes {cidr} to {peering}")
            }
            Self::PrefixListRoute { cidr, .. } => {
                format!("take {cidr} out of that list, or its route out of the table")
            }
            Self::Contention { retry_at_ms, .. } => {
                let minute = retry_at_ms.div_ceil(60_000);
                let (hour, minute) = (minute / 60 % 24, minute % 60);
                format!(
                    "have that tool leave it (docs/terraform.md), or keep peerd out of it: tag the route table \
                     `peerd:routes=ignore`, or release the peering; peerd tries again from {hour:02}:{minute:02} UTC on"
                )
            }
            Self::UnknownRequester { peering, .. } => {
                format!("reject {peering}, or accept it by hand if you know who asks; peerd never does")
            }
            Self::CidrOverlap { .. } => {
                "disassociate one of the two blocks, or take one VPC out of the mesh".to_owned()
            }
            Self::OverlapsOwnVpc { .. } => "disassociate one of the two blocks".to_owned(),
            Self::RouteOverlap { .. } => {
                "disassociate one of the two blocks, or take one of the two VPCs out of the mesh".to_owned()
            }
            Self::QuotaExceeded { quota, scope, .. } | Self::QuotaNearLimit { quota, scope, .. } => {
                let or_else = match quota {
                    Quota::Rules => "name fewer ports, or let neighbouring members have neighbouring blocks",
                    _ => "or make the mesh smaller; who joined first stays",
                };
                format!("have {} raised for {scope} (Service Quotas), {or_else}", quota.code())
            }
            Self::QuotaRefused { .. } => {
                "have the quota raised (Service Quotas), or make the mesh smaller; every sweep tries again".to_owned()
            }
            Self::NotAdmitted { denial: Denial::UnitNotListed { .. }, .. } => {
                "name that unit, or one that it is in, in the stack parameter OrganizationalUnits; if it is named, \
                 the next sweep lists it, and what stands stays until then"
                    .to_owned()
            }
            Self::NotAdmitted { .. } => {
                "declare the mesh (stack parameter Meshes) or admit the VPC in its policy, or correct `peerd:env`"
                    .to_owned()
            }
            Self::CidrNotAdmitted { mesh, .. } => {
                format!("correct the VPC's tags, or `admit.cidrs` in the policy of {mesh}")
            }
            Self::InvalidTag { expected, .. } => expected.remedy().to_owned(),
            Self::GroupOfNonMember { .. } => {
                "have the VPC join that mesh, or take the mesh out of the group's tag".to_owned()
            }
            Self::UndeclaredMeshes { meshes, .. } => declare_again(meshes.iter().next(), peerd),
            Self::DnsAttributesOff { .. } => {
                "switch both attributes on for the VPC, or declare its meshes without dns".to_owned()
            }
            Self::PoliciesDisagree { .. } => "let their policies say the same".to_owned(),
            Self::Paused { paused, .. } => {
                let resume: Vec<String> = paused.iter().map(|mesh| peerd(format!("mesh resume {mesh}"))).collect();
                format!("{}, and they are made", resume.join(" and "))
            }
        }
    }
}

fn declare_again(mesh: Option<&MeshName>, peerd: impl Fn(String) -> String) -> String {
    let declare = mesh.map(|mesh| peerd(format!("mesh declare {mesh} --policy {mesh}.json"))).unwrap_or_default();
    format!("declare it again with its policy, {declare}, or take `peerd:env` off one of the VPCs")
}

/// Why no more fits.
fn because(quota: Quota, limit: &Limit) -> String {
    match limit {
        Limit::Applied(granted) => format!("AWS grants {granted} {quota}"),
        Limit::Default(granted) => format!("AWS grants {granted} {quota} at first, and its quotas cannot be read"),
        Limit::Refused(words) => words.clone(),
    }
}

impl Expected {
    fn complaint(self) -> &'static str {
        match self {
            Self::MeshNames => "is no mesh name",
            Self::Ports => "is nothing like tcp/443, udp/53, tcp/8000-8100 or icmp",
            Self::ManageOrIgnore => "is neither manage nor ignore",
            Self::HubOrSpoke => "is neither hub nor spoke",
            Self::OwnCidrs => "is no part of its own blocks",
        }
    }

    fn remedy(self) -> &'static str {
        match self {
            Self::MeshNames | Self::HubOrSpoke | Self::OwnCidrs => "correct the tag",
            Self::Ports => "correct the tag; until then that word lets nothing in",
            Self::ManageOrIgnore => "correct the tag; until then peerd leaves the table as it is",
        }
    }
}
