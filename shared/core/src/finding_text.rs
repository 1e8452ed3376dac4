//! The text of findings: what is wrong, and what to do. No other code words a finding.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::finding::{Disagreement, Expected, Finding, FindingKind, Limit, Severity};
use crate::ids::{MeshName, Scope};
use crate::plural::counted;
use crate::policy::Denial;
use crate::quotas::Quota;
use crate::tags;

/// The default stack of the command line.
pub const DEFAULT_STACK: &str = "peerd";

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
    /// Renders a finding for the operator of a stack.
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

/// A command for a stack, as the operator types it.
pub(crate) fn command(stack: &str, line: &str) -> String {
    let flag = if stack == DEFAULT_STACK { String::new() } else { format!(" --stack {stack}") };
    format!("`peerd {line}{flag}`")
}

/// The command that removes an ownership tag from a resource.
fn remove_mark(resource: &impl fmt::Display, Scope { account, region }: &Scope) -> String {
    format!("in {account}: `aws ec2 delete-tags --region {region} --resources {resource} --tags Key=peerd:managed-by`")
}

impl Finding {
    /// What is wrong, without the subject.
    pub fn message(&self) -> String {
        match self {
            Self::DeleteLimit { deletes, live, limits, .. } => format!(
                "this run would delete {deletes} of {live} peerings; the policy allows {} or {} % without confirmation",
                limits.count, limits.percent
            ),
            Self::UnreadablePolicy { error, .. } | Self::UnreadableScope { error, .. } => error.clone(),
            Self::InactiveAccount { scope, state, error } => {
                format!("{} is {state} in its organization: {error}", scope.account)
            }
            Self::DisabledRegion { scope, error } => {
                format!("{} is disabled in {}, which has members there: {error}", scope.region, scope.account)
            }
            Self::UnreadableSecurityGroups { error, .. } => format!("its security groups cannot be read: {error}"),
            Self::UnreadableDnsAttributes { error, .. } => format!("its DNS attributes cannot be read: {error}"),
            Self::UnreadablePrefixList { list, cidr, target, error, .. } => {
                format!("whether {list} routes {cidr} to {target} cannot be read: {error}")
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
            Self::GroupOfNonMember { vpc, mesh, .. } => format!("allows {mesh}, and {vpc} is not a member of it"),
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
            Self::Paused { pending, .. } => format!("{} pending while it is paused", counted(*pending, "change")),
        }
    }

    /// What to do, with commands that run as printed for the operator of a stack.
    pub fn remedy(&self, stack: &str) -> String {
        let peerd = |line: String| command(stack, &line);
        match self {
            Self::DeleteLimit { mesh, .. } => {
                format!("if that is correct, run {}", peerd(format!("confirm {mesh}")))
            }
            Self::UnreadablePolicy { mesh, .. } => {
                let declare = peerd(format!("mesh declare {mesh} --policy {mesh}.json"));
                format!("declare it again with its policy, {declare}; until then peerd changes nothing of it")
            }
            Self::UnreadableScope { role, .. } => {
                format!("make the role {role} of that account assumable and readable; the next sweep continues")
            }
            Self::InactiveAccount { scope, .. } => format!(
                "reinstate it; or, if it is closed for good, run {}",
                peerd(format!("account remove {}", scope.account))
            ),
            Self::DisabledRegion { .. } => {
                "enable the Region again, and remove `peerd:env` from VPCs that are to leave before disabling it".to_owned()
            }
            Self::UnreadableSecurityGroups { .. } => {
                "deploy the current spoke.yaml there; until then peerd changes no rule there".to_owned()
            }
            Self::UnreadableDnsAttributes { role, .. } => {
                format!("allow ec2:DescribeVpcAttribute for the role {role} of its account; the next sweep continues")
            }
            Self::UnreadablePrefixList { role, .. } => {
                format!("allow ec2:GetManagedPrefixListEntries for the role {role}; the next sweep continues")
            }
            Self::UnprovenPeering { pair, .. } => {
                let account = &pair.accepter().scope.account;
                format!(
                    "make both accounts readable, and the next sweep decides; or, if one is closed for good, run {}",
                    peerd(format!("account remove {account}"))
                )
            }
            Self::UnreadableRoutes { .. } => "make that account readable; the next sweep deletes the peering".to_owned(),
            Self::ForeignPeering { peering, mesh, .. } => format!(
                "adopt it with {}, or delete it, and peerd creates its own",
                peerd(format!("adopt --mesh {mesh} {peering}"))
            ),
            Self::UnsealedPeering { peering, mesh, scopes, .. } => {
                let adopt = peerd(format!("adopt --mesh {mesh} {peering}"));
                let commands: Vec<String> = scopes.iter().map(|scope| remove_mark(peering, scope)).collect();
                format!("if it connects two members, adopt it with {adopt}; else remove the tag, {}", commands.join("; "))
            }
            Self::OtherOwnershipTag { peering, scope, .. } => format!("remove that tag, {}", remove_mark(peering, scope)),
            Self::UnsealedRule { scope, group, rule } => format!(
                "remove the tag, {}; or revoke the rule, and peerd adds its own if a mesh wants it: `aws ec2 \
                 revoke-security-group-ingress --region {} --group-id {group} --security-group-rule-ids {rule}`",
                remove_mark(rule, scope),
                scope.region
            ),
            Self::OtherRuleOwner { scope, rule, .. } => format!("remove that tag, {}", remove_mark(rule, scope)),
            Self::FailedPeering { .. } => {
                "fix the cause that AWS reports; peerd requests it again in 2 hours, when AWS no longer lists the failed request".to_owned()
            }
            Self::ForeignRoute { cidr, target, propagated: true, peering, .. } => {
                format!("stop {target} from propagating it to this table, and peerd routes {cidr} to {peering}")
            }
            Self::ForeignRoute { cidr, peering, .. } => {
                format!("delete that route, and peerd routes {cidr} to {peering}")
            }
            Self::PrefixListRoute { cidr, .. } => {
                format!("remove {cidr} from that list, or the list's route from the table")
            }
            Self::Contention { retry_at_ms, .. } => {
                let minute = retry_at_ms.div_ceil(60_000);
                let (hour, minute) = (minute / 60 % 24, minute % 60);
                format!(
                    "configure that tool to ignore it (docs/terraform.md), or exclude it from peerd: tag the route table \
                     `peerd:routes=ignore`, or release the peering; peerd tries again at {hour:02}:{minute:02} UTC"
                )
            }
            Self::UnknownAccount { account } => format!(
                "to let its VPCs join, run {}; to refuse it for good, run {}",
                peerd(format!("account add {account}")),
                peerd(format!("account block {account}"))
            ),
            Self::UnknownRequester { peering, .. } => {
                format!("reject {peering}, or accept it manually if you know the requester; peerd never accepts it")
            }
            Self::CidrOverlap { .. } => {
                "disassociate one of the two CIDR blocks, or remove one VPC from the mesh".to_owned()
            }
            Self::OverlapsOwnVpc { .. } => "disassociate one of the two CIDR blocks".to_owned(),
            Self::RouteOverlap { .. } => {
                "disassociate one of the two CIDR blocks, or remove one of the two VPCs from the mesh".to_owned()
            }
            Self::QuotaExceeded { quota, scope, .. } | Self::QuotaNearLimit { quota, scope, .. } => {
                let or_else = match quota {
                    Quota::Rules => "name fewer ports, or give the members contiguous CIDR blocks",
                    _ => "or make the mesh smaller; the earliest members keep their slots",
                };
                format!("request an increase of {} for {scope} (Service Quotas), {or_else}", quota.code())
            }
            Self::QuotaRefused { .. } => {
                "request a quota increase (Service Quotas), or make the mesh smaller; every sweep tries again".to_owned()
            }
            Self::NotAdmitted { denial: Denial::UnknownAccount(account), .. } => format!(
                "to let its VPCs join, run {}; to remove what leads to it, run {}",
                peerd(format!("account add {account}")),
                peerd(format!("account block {account}"))
            ),
            Self::NotAdmitted { denial: Denial::UnitNotListed { .. }, .. } => {
                "add that unit, or one above it, to the stack parameter OrganizationalUnits; if it is there, the next \
                 sweep lists it, and existing resources stay until then"
                    .to_owned()
            }
            Self::NotAdmitted { .. } => {
                "declare the mesh (stack parameter Meshes) or admit the VPC in its policy, or correct `peerd:env`"
                    .to_owned()
            }
            Self::CidrNotAdmitted { mesh, .. } => {
                format!(
                    "if it may be routed, list it in `admit.cidrs` of the policy of {mesh}, with `private` and \
                     `amazon-ipv6` if the list is empty now; else leave it out with `peerd:cidrs`"
                )
            }
            Self::NotAHub { mesh, .. } => {
                format!("name the VPC, its account or its unit in `hubs` of the policy of {mesh}, or remove the tag")
            }
            Self::InvalidTag { expected, .. } => expected.remedy().to_owned(),
            Self::GroupOfNonMember { .. } => {
                "let the VPC join that mesh, or remove the mesh from the group's tag".to_owned()
            }
            Self::SecurityGroupsOff { mesh, .. } => format!(
                "name the ports that the groups may allow in `security_groups` of the policy of {mesh}, or remove {mesh} \
                 from the group's tag"
            ),
            Self::PortsNotAdmitted { mesh, .. } => {
                format!("correct the tag, or `security_groups` in the policy of {mesh}; until then peerd allows the rest")
            }
            Self::UndeclaredMeshes { meshes, .. } => declare_again(meshes.iter().next(), peerd),
            Self::DnsAttributesOff { .. } => {
                "enable both attributes of the VPC, or declare its meshes without `dns`".to_owned()
            }
            Self::PoliciesDisagree { .. } => "make their policies agree".to_owned(),
            Self::OverriddenRoute { .. } => {
                "if these addresses belong behind that gateway, limit `admit.cidrs` of the mesh to the ranges of its VPCs"
                    .to_owned()
            }
            Self::Paused { paused, .. } => {
                let resume: Vec<String> = paused.iter().map(|mesh| peerd(format!("mesh resume {mesh}"))).collect();
                format!("to make them, run {}", resume.join(" and "))
            }
        }
    }
}

fn declare_again(mesh: Option<&MeshName>, peerd: impl Fn(String) -> String) -> String {
    let declare = mesh.map(|mesh| peerd(format!("mesh declare {mesh} --policy {mesh}.json"))).unwrap_or_default();
    format!("declare it again with its policy, {declare}, or remove `peerd:env` from one of the VPCs")
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

    fn remedy(self) -> &'static str {
        match self {
            Self::MeshNames | Self::HubOrSpoke | Self::OwnCidrs => "correct the tag",
            Self::Ports => "correct the tag; until then peerd ignores that word",
            Self::ManageOrIgnore => "correct the tag; until then peerd does not change the table",
        }
    }
}
