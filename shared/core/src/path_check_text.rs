//! The words of checks: what was found, and what to do about it.

use std::collections::BTreeSet;

use crate::admission::Denial;
use crate::aws_error::brief;
use crate::finding_text::unreadable;
use crate::ids::{MeshName, VpcId};
use crate::network_acl::LAST_RULE;
use crate::operator::Operator;
use crate::path_check::PathCheck;
use crate::permission::Traffic;
use crate::plural::counted;
use crate::tags;

impl PathCheck {
    /// What was found.
    pub fn message(&self) -> String {
        let requests = |vpc: &VpcId, meshes: &BTreeSet<MeshName>| match meshes.is_empty() {
            true => format!("{vpc} requests no mesh"),
            false => format!("{vpc} requests {}", tags::join_meshes(meshes)),
        };
        match self {
            Self::SameVpc => "both arguments are the same VPC".to_owned(),
            Self::VpcRead { vpc } => format!("{vpc} can be read"),
            Self::VpcNotTagged { vpc, .. } => format!("{vpc} has no {} tag, or does not exist", tags::ENV),
            Self::UnreadableScope { scope, role, error } => {
                format!("{scope} cannot be read: {}", unreadable(scope, role, error))
            }
            Self::UnknownScope { scope } => format!("peerd does not know {scope}"),
            Self::CommonMeshes { meshes } => format!("both request {}", tags::join_meshes(meshes)),
            Self::InvalidMeshName { vpc, name, .. } => format!("`{name}` in {} of {vpc} is not a mesh name", tags::ENV),
            Self::NoCommonMesh { vpcs: [a, b], requested: [of_a, of_b], .. } => {
                format!("{}, and {}", requests(a, of_a), requests(b, of_b))
            }
            Self::ConnectedBy { meshes } => format!("{} connects them", tags::join_meshes(meshes)),
            Self::NotAdmitted { mesh, vpc, denial, .. } => format!("{mesh} does not admit {vpc}: {denial}"),
            Self::NoHub { mesh, .. } => format!("{mesh} is hub-and-spoke, and neither VPC is a hub"),
            Self::Paused { mesh } => format!("{mesh} is paused: peerd changes nothing of it"),
            Self::ActivePeering { peering } => format!("{peering} is active"),
            Self::InactivePeering { peering, state } => format!("{peering} is {state}"),
            Self::NoPeering { why: Some(why), .. } => format!("they have no peering: {}", why.message()),
            Self::NoPeering { .. } => "they have no peering".to_owned(),
            Self::UnwantedPeering { peering } => format!("{peering} is active, and no mesh connects the two VPCs"),
            Self::CidrOverlap { ours, theirs } => format!("{ours} overlaps {theirs}, so AWS does not peer them"),
            Self::ForeignPeering { peering, is_active: true, .. } => {
                format!("{peering} is active; peerd does not own it")
            }
            Self::ForeignPeering { peering, .. } => format!("{peering} connects them, and peerd does not own it"),
            Self::FailedPeering { peering, error } => format!("AWS failed {peering}: {error}"),
            Self::NothingAdvertised { peer } => format!("{peer} advertises no CIDR block to the mesh"),
            Self::CidrNotAdmitted { peer, cidr } => {
                format!("{cidr} of {peer} is not in the ranges that the mesh admits, so it is not routed")
            }
            Self::InterfaceFound { vpc, address, interface, subnet } => {
                format!("{interface} in {subnet} of {vpc} has {address}")
            }
            Self::NoInterface { vpc, address } => format!("no network interface of {vpc} has {address}"),
            Self::UnreadableSubnets { vpc, error } => format!("the subnets of {vpc} cannot be read: {}", brief(error)),
            Self::AddressNotAdvertised { peer, address } => format!("{peer} does not advertise {address} to the mesh"),
            Self::UnmanagedTable { table, vpc, .. } => format!("{table} of {vpc} gets no routes of the mesh"),
            Self::UnusedTable { table, vpc } => {
                format!("{table} of {vpc} does not have all routes, and applies to no subnet")
            }
            Self::UnreadablePrefixList { table, list, error } => {
                format!("the entries of {list}, to which {table} has a route, cannot be read: {}", brief(error))
            }
            Self::AddressRouted { table, vpc, address, destination, peering } => {
                format!("{table} of {vpc} routes {address} to {peering} ({destination})")
            }
            Self::NoRoute { table, vpc, cidr, why: Some(why), .. } => {
                format!("{table} of {vpc} has no route to {cidr}: {}", why.message())
            }
            Self::NoRoute { table, vpc, cidr, .. } | Self::NoRouteOverForeign { table, vpc, cidr, .. } => {
                format!("{table} of {vpc} has no route to {cidr}")
            }
            Self::PartRoutedElsewhere { table, vpc, part, cidr, target, .. } if part == cidr => {
                format!("{table} of {vpc} routes {part} to {target}")
            }
            Self::PartRoutedElsewhere { table, vpc, part, cidr, target, .. } => {
                format!("{table} of {vpc} routes {part}, a part of {cidr}, to {target}")
            }
            Self::RoutedElsewhere { table, vpc, cidr, target, .. } => {
                format!("{table} of {vpc} routes {cidr} to {target}")
            }
            Self::CompleteTables { vpc, peer, complete, tables } => {
                format!("{complete} of {tables} route tables of {vpc} have all routes to {peer}")
            }
            Self::UnreadableNetworkAcls { vpc, error } => {
                format!("the network ACLs of {vpc} cannot be read: {}", brief(error))
            }
            Self::NetworkAclDenies { acl, rule, subnets, vpc, peer, traffic, cidr, egress, all } => {
                let what = if *all { "denies" } else { "denies some of" };
                let rule = if *rule >= LAST_RULE { "*".to_owned() } else { rule.to_string() };
                let (subnets, way) = (counted(*subnets, "subnet"), direction(*egress));
                let traffic = words(traffic.as_ref());
                format!("rule {rule} of {acl} ({subnets} of {vpc}) {what} {traffic} {way} {cidr} of {peer}")
            }
            Self::UnreadableSecurityGroups { vpc, error } => {
                format!("the security groups of {vpc} cannot be read: {}", brief(error))
            }
            Self::SecurityGroupsAllow { vpc, peer, traffic, allowing: 0, .. } => {
                format!("no security group of {vpc} allows {} from {peer}", words(traffic.as_ref()))
            }
            Self::SecurityGroupsAllow { vpc, peer, traffic, allowing, groups, .. } => {
                format!("{allowing} of {groups} security groups of {vpc} allow {} from {peer}", words(traffic.as_ref()))
            }
            Self::InterfaceGroups { interface, traffic, peer, egress, by: Some(group), .. } => {
                format!("{group} of {interface} allows {} {} {peer}", words(traffic.as_ref()), direction(*egress))
            }
            Self::InterfaceGroups { interface, groups, traffic, peer, egress, by: None, .. } => {
                let groups = groups.iter().cloned().collect::<Vec<_>>().join(", ");
                let (traffic, way) = (words(traffic.as_ref()), direction(*egress));
                format!("no security group of {interface} ({groups}) allows {traffic} {way} {peer}")
            }
            Self::UnreadableGroupList { group } => format!("{group} names a prefix list that cannot be read"),
        }
    }

    /// What to do, with commands that run as printed; none if the condition is met.
    pub fn remedy(&self, operator: &Operator) -> Option<String> {
        let remedy = match self {
            Self::SameVpc => "pass two different VPCs".to_owned(),
            Self::VpcNotTagged { .. } => format!("tag both VPCs with the name of one mesh, {}", tags::ENV),
            Self::NoCommonMesh { requested: [of_a, of_b], .. } => match of_a.first().or(of_b.first()) {
                Some(mesh) => format!("tag both VPCs with one mesh, such as {}={mesh}", tags::ENV),
                None => format!("tag both VPCs with the name of one mesh, {}", tags::ENV),
            },
            Self::UnreadableScope { role, .. } => format!("allow peerd to assume the role {role} there"),
            Self::UnknownScope { scope } => format!("to register it, {}", operator.add(&scope.account)),
            Self::InvalidMeshName { .. } => {
                "correct the tag: a mesh name has 1 to 64 letters, digits, `-`, `_` or `.`".to_owned()
            }
            Self::NotAdmitted { mesh, denial: Denial::NotDeclared, .. } => {
                format!("to declare it, {}", operator.declare(mesh))
            }
            Self::NotAdmitted { denial: Denial::UnknownAccount(account), .. } => {
                format!("to register it, {}", operator.add(account))
            }
            Self::NotAdmitted { mesh, .. } => format!("to see the policy, {}", operator.see_policy(mesh)),
            Self::NoHub { mesh, .. } => format!("name one of them in `hubs` of the policy of {mesh}"),
            Self::Paused { mesh } => format!("to resume it, {}", operator.resume(mesh)),
            Self::InactivePeering { .. } => match operator {
                Operator::Stack(_) => "wait: the next runs continue".to_owned(),
                Operator::File(_) => format!("{} continues", operator.next()),
            },
            Self::NoPeering { why: Some(why), .. } => why.remedy(operator),
            Self::UnwantedPeering { .. } => {
                "correct what is named above to keep it: without a pause, peerd deletes it if it is for a declared mesh"
                    .to_owned()
            }
            Self::NoPeering { mesh, .. } => operator.wait("requests it", mesh),
            Self::CidrOverlap { .. } => {
                "disassociate one of the two CIDR blocks, or remove one VPC from the mesh".to_owned()
            }
            Self::ForeignPeering { peering, mesh: Some(mesh), is_active: false } => {
                format!("to take it over, {}; or delete it", operator.adopt(mesh, peering))
            }
            Self::ForeignPeering { is_active: false, .. } => "its owner knows why it is not active".to_owned(),
            Self::FailedPeering { .. } => {
                "fix the cause that AWS reports; peerd requests it again in 2 hours".to_owned()
            }
            Self::NothingAdvertised { .. } | Self::AddressNotAdvertised { .. } => {
                format!("check its tag {}, and `admit.cidrs` and `routes.exclude` of the mesh", tags::CIDRS)
            }
            Self::CidrNotAdmitted { .. } => "if it may be routed, list it in `admit.cidrs` of the policy".to_owned(),
            Self::NoInterface { .. } => "check the address: it receives nothing until an interface has it".to_owned(),
            Self::UnusedTable { .. } => "none is necessary until a subnet is associated with it".to_owned(),
            Self::UnreadablePrefixList { .. } | Self::UnreadableGroupList { .. } => {
                "grant your role ec2:GetManagedPrefixListEntries there".to_owned()
            }
            Self::UnreadableSubnets { .. } => "grant your role ec2:DescribeSubnets there".to_owned(),
            Self::UnmanagedTable { .. } => format!("tag it {}=manage, or change `routes.tables`", tags::ROUTES),
            Self::NoRoute { why: Some(why), .. } => why.remedy(operator),
            Self::NoRouteOverForeign { peering, .. } => {
                format!("add the route yourself: peerd adds no route over {peering}")
            }
            Self::PartRoutedElsewhere { part, .. } => {
                format!("delete the route to {part} if that traffic is for the peer; peerd does not change it")
            }
            Self::NoRoute { mesh, .. } => operator.wait("adds the route", mesh),
            Self::RoutedElsewhere { target, propagated: true, .. } => {
                format!("stop {target} from propagating that route to the table, and peerd adds its own")
            }
            Self::RoutedElsewhere { mesh, .. } => {
                format!("delete that route, and peerd adds its own; {}", operator.see_state(mesh))
            }
            Self::UnreadableNetworkAcls { .. } | Self::UnreadableSecurityGroups { .. } => {
                "grant your role ec2:DescribeNetworkAcls and ec2:DescribeSecurityGroups there".to_owned()
            }
            Self::NetworkAclDenies { .. } => {
                "network ACLs are stateless: allow the traffic in both directions".to_owned()
            }
            Self::InterfaceGroups { egress: true, by: None, .. } => "add an outbound rule to one of them".to_owned(),
            Self::InterfaceGroups { by: None, mesh: Some(mesh), .. }
            | Self::SecurityGroupsAllow { allowing: 0, mesh: Some(mesh), .. } => {
                format!(
                    "add a rule; or tag the right one {}={mesh}, if the policy of {mesh} has `security_groups`",
                    tags::ALLOW
                )
            }
            Self::InterfaceGroups { by: None, .. } | Self::SecurityGroupsAllow { allowing: 0, .. } => {
                "add an inbound rule to the right one".to_owned()
            }
            Self::VpcRead { .. }
            | Self::CommonMeshes { .. }
            | Self::ConnectedBy { .. }
            | Self::ActivePeering { .. }
            | Self::ForeignPeering { is_active: true, .. }
            | Self::InterfaceFound { .. }
            | Self::AddressRouted { .. }
            | Self::InterfaceGroups { .. }
            | Self::CompleteTables { .. }
            | Self::SecurityGroupsAllow { .. } => return None,
        };
        Some(remedy)
    }
}

fn direction(egress: bool) -> &'static str {
    if egress { "to" } else { "from" }
}

/// Traffic as a noun.
fn words(traffic: Option<&Traffic>) -> String {
    traffic.map_or_else(|| "traffic".to_owned(), ToString::to_string)
}
