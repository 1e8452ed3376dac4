//! What to do about a finding, with commands that run as printed.

use std::fmt;

use crate::finding::{Disagreement, Expected, Finding, MissingRole};
use crate::ids::{MeshName, Scope};
use crate::operator::Operator;
use crate::policy::Denial;
use crate::quotas::Quota;
use crate::tags;
use crate::time::Timestamp;

impl Finding {
    /// What to do, with commands that run as printed.
    pub fn remedy(&self, operator: &Operator) -> String {
        match self {
            Self::DeleteLimit { mesh, .. } => format!("if that is correct, {}", operator.confirm(mesh)),
            Self::UnreadablePolicy { mesh, .. } => {
                format!("to declare it again, {}; until then peerd changes nothing of it", operator.declare(mesh))
            }
            Self::UnreadableScope { role, .. } => {
                format!("make the role {role} of that account assumable and readable")
            }
            Self::InactiveAccount { scope, .. } => format!(
                "reinstate it; or, if it is closed for good, {}",
                operator.remove(&scope.account)
            ),
            Self::DisabledRegion { .. } => {
                "enable the Region again, and remove `peerd:env` from VPCs that are to leave before disabling it".to_owned()
            }
            Self::UnreadableSecurityGroups { .. } => {
                "deploy the current spoke.yaml there; until then peerd changes no rule there".to_owned()
            }
            Self::UnreadableDnsAttributes { role, .. } => {
                format!("allow ec2:DescribeVpcAttribute for the role {role} of its account")
            }
            Self::UnreadablePrefixList { role, .. } => {
                format!("allow ec2:GetManagedPrefixListEntries for the role {role}")
            }
            Self::UnprovenPeering { pair, .. } => {
                let account = &pair.accepter().scope.account;
                format!(
                    "make both accounts readable, and {} decides; or, if one is closed for good, {}",
                    operator.next(),
                    operator.remove(account)
                )
            }
            Self::UnreadableRoutes { .. } => {
                format!("make that account readable; {} deletes the peering", operator.next())
            }
            Self::ForeignPeering { peering, mesh, .. } => format!(
                "to adopt it, {}; or delete it, and peerd creates its own",
                operator.adopt(mesh, peering)
            ),
            Self::UnsealedPeering { peering, mesh, scopes, .. } => {
                let adopt = operator.adopt(mesh, peering);
                let commands: Vec<String> = scopes.iter().map(|scope| remove_mark(peering, scope)).collect();
                format!("check {} first; then, if it connects two members, {adopt}; else remove the tag, {}", operator.seal_key(), commands.join("; "))
            }
            Self::NoValidSeal { .. } => format!(
                "check {}: with another key, or beside another deployment of this name, peerd treats its own peerings as foreign; \
                 change no tag",
                operator.seal_key()
            ),
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
            Self::Contention { retry_at_ms, .. } => format!(
                "configure that tool to ignore it (docs/terraform.md), or exclude it from peerd: tag the route table \
                 `peerd:routes=ignore`, or release the peering; peerd tries again at {}",
                time_of_day(*retry_at_ms)
            ),
            Self::StatusContention { vpc, retry_at_ms, .. } => format!(
                "let only one deployment scan {}; until then peerd leaves the tag as it is, and tries again at {}",
                vpc.scope.account,
                time_of_day(*retry_at_ms)
            ),
            Self::UnknownAccount { account } => format!(
                "to let its VPCs join, {}; to refuse it for good, {}",
                operator.add(account),
                operator.block(account)
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
                format!("request a quota increase (Service Quotas), or make the mesh smaller; {} tries again", operator.next())
            }
            Self::NotAdmitted { denial: Denial::UnknownAccount(account), .. } => format!(
                "to let its VPCs join, {}; to remove what leads to it, {}",
                operator.add(account),
                operator.block(account)
            ),
            Self::NotAdmitted { denial: Denial::UnitNotListed { .. }, .. } => {
                let (units, next) = (operator.units(), operator.next());
                format!("add that unit, or one above it, to {units}; if it is there, {next} lists it, and existing resources stay until then")
            }
            Self::NotAdmitted { mesh, denial, .. } => admit(mesh, denial, operator),
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
            Self::UndeclaredMeshes { meshes, .. } => declare_again(meshes.iter().next(), operator),
            Self::DnsAttributesOff { .. } => {
                "enable both attributes of the VPC, or declare its meshes without `dns`".to_owned()
            }
            Self::PoliciesDisagree { meshes, about, .. } => {
                let agree = match about {
                    Disagreement::Adoption { peering } => {
                        format!("take {peering} out of `adopt` of the one or out of `release` of the other")
                    }
                    _ => "make their policies agree".to_owned(),
                };
                let edit = |mesh| format!("to change {mesh}, {}", operator.edit_policy(mesh));
                format!("{agree}: {}", meshes.iter().map(edit).collect::<Vec<_>>().join("; "))
            }
            Self::OverriddenRoute { .. } => {
                "if these addresses belong behind that gateway, limit `admit.cidrs` of the mesh to the ranges of its VPCs"
                    .to_owned()
            }
            Self::IncompleteMesh { mesh, lacks, .. } => match lacks {
                MissingRole::Peer => format!("tag another VPC {}={mesh}", tags::ENV),
                MissingRole::Hub => format!("name a member in `hubs` of its policy: {}", operator.see_policy(mesh)),
                MissingRole::Spoke => format!("tag a VPC {}={mesh} that `hubs` of its policy does not name", tags::ENV),
            },
            Self::Paused { paused, .. } => {
                let resume: Vec<String> = paused.iter().map(|mesh| operator.resume(mesh)).collect();
                format!("to make them, {}", resume.join(" and "))
            }
        }
    }
}

/// The time of day in UTC, rounded up to minutes.
fn time_of_day(at_ms: Timestamp) -> String {
    let minute = at_ms.div_ceil(60_000);
    format!("{:02}:{:02} UTC", minute / 60 % 24, minute % 60)
}

/// The command that removes an ownership tag from a resource.
fn remove_mark(resource: &impl fmt::Display, Scope { account, region }: &Scope) -> String {
    format!("in {account}: `aws ec2 delete-tags --region {region} --resources {resource} --tags Key=peerd:managed-by`")
}

/// How a mesh admits a VPC that it does not admit.
fn admit(mesh: &MeshName, denial: &Denial, operator: &Operator) -> String {
    let (field, entry) = match denial {
        Denial::NotDeclared => return format!("{}; or correct `peerd:env`", operator.declare(mesh)),
        Denial::Draining => return format!("to end that, {}", operator.resume(mesh)),
        Denial::Full { .. } => ("admit.members", "a larger number".to_owned()),
        Denial::Region(region) => ("admit.regions", region.to_string()),
        Denial::Vpc(vpc) => ("admit.vpcs", vpc.to_string()),
        Denial::Account(account) | Denial::UnknownAccount(account) => ("admit.accounts", account.to_string()),
        Denial::OutsideUnits(account) => ("admit.units", format!("a unit of {account}")),
        Denial::UnitNotListed { unit } => ("admit.units", unit.to_string()),
    };
    let policy = operator.see_policy(mesh);
    format!("if it may join, put {entry} into `{field}` of the policy: {policy}; else correct `peerd:env`")
}

fn declare_again(mesh: Option<&MeshName>, operator: &Operator) -> String {
    let declare = mesh.map(|mesh| operator.declare(mesh)).unwrap_or_default();
    format!("to declare it again, {declare}; or remove `peerd:env` from one of the VPCs")
}

impl Expected {
    fn remedy(self) -> &'static str {
        match self {
            Self::MeshNames | Self::HubOrSpoke => "correct the tag",
            Self::OwnCidrs => "correct the tag; until then peerd removes no route to the VPC",
            Self::Ports => "correct the tag; until then peerd ignores that word",
            Self::ManageOrIgnore => "correct the tag; until then peerd does not change the table",
        }
    }
}
