//! The text of findings: what is wrong. `finding_remedy.rs` has what to do about it; no other code words a finding.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::aws_error::brief;
use crate::finding::{Disagreement, Expected, Finding, FindingKind, Limit, MissingRole, Severity};
use crate::ids::Scope;
use crate::operator::Operator;
use crate::plural::counted;
use crate::quotas::Quota;
use crate::tags;

/// A finding with its text, as it is printed and serialized.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Rendered {
    /// Its kind.
    pub kind: FindingKind,
    /// Its severity.
    pub severity: Severity,
    /// The resource or pair that it concerns.
    pub subject: String,
    /// What is wrong.
    pub text: String,
    /// What to do.
    pub remedy: String,
    /// The finding itself.
    pub data: Box<Finding>,
}

impl Rendered {
    /// Renders a finding for an operator.
    pub fn new(finding: &Finding, operator: &Operator) -> Self {
        let (kind, severity, subject) = (finding.kind(), finding.severity(), finding.subject());
        Self {
            kind,
            severity,
            subject,
            text: finding.message(),
            remedy: finding.remedy(operator),
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

impl Finding {
    /// What is wrong, without the subject.
    pub fn message(&self) -> String {
        match self {
            Self::DeleteLimit { deletes, live, limits, .. } => format!(
                "this run would delete {deletes} of {live} peerings; more than {} and more than {} % need a confirmation",
                limits.count, limits.percent
            ),
            Self::UnreadablePolicy { error, .. } => error.clone(),
            Self::UnreadableScope { scope, role, error } => unreadable(scope, role, error),
            Self::InactiveAccount { scope, state, error } => {
                format!("{} is {state} in its organization: {}", scope.account, brief(error))
            }
            Self::DisabledRegion { scope, error } => {
                format!("{} is disabled in {}, which has members there: {}", scope.region, scope.account, brief(error))
            }
            Self::UnreadableSecurityGroups { error, .. } => {
                format!("its security groups cannot be read: {}", brief(error))
            }
            Self::UnreadableDnsAttributes { error, .. } => {
                format!("its DNS attributes cannot be read: {}", brief(error))
            }
            Self::UnreadablePrefixList { list, cidr, target, error, .. } => {
                format!("whether {list} routes {cidr} to {target} cannot be read: {}", brief(error))
            }
            Self::UnprovenPeering { peering, .. } => {
                format!("{peering} seems unwanted, but neither VPC's tags prove it")
            }
            Self::UnreadableRoutes { peering, vpc, .. } => {
                format!("{peering} is unwanted, but routes of {vpc} may still lead to it")
            }
            Self::ForeignPeering { peering, deployment, .. } => {
                format!("{peering} already connects them, and {deployment} does not own it")
            }
            Self::UnsealedPeering { peering, .. } => {
                format!("{peering} has peerd's tags but no valid seal, so peerd did not make it and does not change it")
            }
            Self::NoValidSeal { peerings, .. } => format!(
                "none of the {peerings} peerings with the ownership tag of this deployment has a seal of its key"
            ),
            Self::OtherOwnershipTag { peering, scope, deployment, .. } => {
                format!(
                    "{peering} has the tag peerd:managed-by={deployment} in {scope}, so peerd does not tag that side"
                )
            }
            Self::UnsealedRule { group, .. } => {
                format!(
                    "has peerd's tags in {group} but no valid seal, so peerd did not make it and does not revoke it"
                )
            }
            Self::OtherRuleOwner { group, deployment, .. } => {
                format!("has the tag peerd:managed-by={deployment} in {group}, so peerd does not tag it")
            }
            Self::FailedPeering { peering, error, .. } => format!("AWS failed {peering}: {error}"),
            Self::ForeignRoute { cidr, target, propagated: true, .. } => {
                format!("{target} propagates a route to {cidr}, which a route to the peering would override")
            }
            Self::ForeignRoute { cidr, target, .. } => {
                format!("{cidr} is routed to {target}, and peerd does not own that route")
            }
            Self::PrefixListRoute { list, cidr, target, .. } => {
                format!("{list} routes {cidr} to {target}, and peerd does not own that route")
            }
            Self::Contention { times, principal, .. } => {
                let by = principal.as_deref().unwrap_or("an unknown principal (no CloudTrail event)");
                format!("reverted {times} times within 2 hours, most recently by {by}")
            }
            Self::StatusContention { times, principal, .. } => {
                let by = principal.as_deref().unwrap_or("another principal");
                format!(
                    "{by} changed its tag `peerd:status` {times} times within 2 hours: is it also in another deployment, or in a peerd.toml?"
                )
            }
            Self::UnknownAccount { .. } => {
                "a VPC of this account requests a mesh, and the account is not registered".to_owned()
            }
            Self::UnknownRequester { requester, accepter, .. } => {
                format!("{requester} requests a peering with {accepter}, and its account is not known")
            }
            Self::CidrOverlap { ours, theirs, .. } => format!("{ours} overlaps {theirs}, so AWS does not peer them"),
            Self::OverlapsOwnVpc { vpc, cidr, peer, .. } => format!("{cidr} of {peer} overlaps {vpc}"),
            Self::RouteOverlap { cidr, peer, routed_cidr, routed_peer, .. } => {
                format!("{cidr} of {peer} overlaps {routed_cidr}, which is routed to {routed_peer}")
            }
            Self::QuotaExceeded { quota, limit, left_out, more, .. } => {
                let others = if *more == 0 { String::new() } else { format!(" and {}", counted(*more, "other")) };
                format!("no capacity for {}{others}: {}", left_out.join(", "), because(*quota, limit))
            }
            Self::OverriddenRoute { target, by, .. } => {
                format!("is routed to {target}, except {by}, which is routed to peerings")
            }
            Self::QuotaNearLimit { quota, limit, .. } => {
                format!("80 % used: {}", because(*quota, limit))
            }
            Self::QuotaRefused { error, .. } => error.clone(),
            Self::NotAdmitted { mesh, denial, .. } => format!("requests {mesh}: {denial}"),
            Self::CidrNotAdmitted { mesh, cidr, .. } => {
                format!("{cidr} is not in the ranges that {mesh} admits")
            }
            Self::NotAHub { mesh, .. } => {
                format!("peerd:role is hub, and the policy of {mesh} does not name it in `hubs`, so it is a spoke")
            }
            Self::InvalidTag { key, word, expected, .. } => format!("`{word}` in {key} {}", expected.complaint()),
            Self::GroupOfNonMember { mesh, .. } => format!("allows {mesh}, of which its VPC is no member"),
            Self::SecurityGroupsOff { mesh, .. } => {
                format!("allows {mesh}, whose policy allows no security group rules")
            }
            Self::PortsNotAdmitted { mesh, ports, .. } => {
                let ports: Vec<String> = ports.iter().map(ToString::to_string).collect();
                format!("{} in peerd:ports is more than the policy of {mesh} allows", ports.join(" "))
            }
            Self::UndeclaredMeshes { peering, meshes, .. } => {
                format!("{peering} stays: both VPCs request {}, which is not declared", tags::join_meshes(meshes))
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
                        format!("{meshes} route different CIDR blocks of {vpc}; all of them are routed: {cidrs}")
                    }
                    Disagreement::Dns => format!("{meshes} disagree about `dns`; it is on"),
                    Disagreement::Adoption { peering } => {
                        format!("{meshes} disagree about {peering}: one adopts it, another releases it; it is released")
                    }
                }
            }
            Self::IncompleteMesh { members, lacks, .. } => match lacks {
                MissingRole::Peer => "it has one member, and so no peering".to_owned(),
                MissingRole::Hub => format!("it is hub-and-spoke, and none of its {members} members is a hub"),
                MissingRole::Spoke => format!("it is hub-and-spoke, and all its {members} members are hubs"),
            },
            Self::Paused { pending, .. } => {
                format!("{} pending while it is paused, and others may follow from them", counted(*pending, "change"))
            }
        }
    }
}

/// Why a scope cannot be read: the role that cannot be assumed there, or the call that failed.
pub fn unreadable(scope: &Scope, role: &str, error: &str) -> String {
    let short = brief(error);
    match short.split_once(&format!("{scope}: its role ")) {
        Some((_, cause)) => format!("the role {role} {cause}"),
        None => format!("{short}, with the role {role}"),
    }
}

/// The limit, in words.
fn because(quota: Quota, limit: &Limit) -> String {
    match limit {
        Limit::Applied(value) => format!("the quota is {value} {quota}"),
        Limit::Default(value) => format!("the default quota is {value} {quota}; the applied value cannot be read"),
        Limit::Refused(words) => words.clone(),
    }
}

impl Expected {
    fn complaint(self) -> &'static str {
        match self {
            Self::MeshNames => "is not a mesh name",
            Self::Ports => "is invalid: expected tcp/443, udp/53, tcp/8000-8100 or icmp, for example",
            Self::ManageOrIgnore => "is neither manage nor ignore",
            Self::HubOrSpoke => "is neither hub nor spoke",
            Self::OwnCidrs => "is not within its own CIDR blocks",
        }
    }
}
