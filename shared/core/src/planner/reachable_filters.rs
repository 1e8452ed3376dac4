//! Whether the network ACLs and security groups of one end of a path let the other through.

use std::collections::BTreeSet;

use super::path::Path;
use crate::cidr::CidrSet;
use crate::network_acl::{NetworkAcl, Verdict};
use crate::network_filters::{GroupRules, GroupVerdict, RemoteSide};
use crate::path_check::PathCheck;
use crate::path_query::{Host, NetworkInterface, PathEnd};
use crate::permission::Traffic;

/// Checks the filters of an end, towards its peer.
pub fn check(path: &Path<'_>, end: &PathEnd, peer: &PathEnd) -> Vec<PathCheck> {
    let cidrs = match &peer.host {
        Some(host) => [host.cidr()].into_iter().collect(),
        None => path.cidrs(peer),
    };
    let mut checks = check_network_acls(path, end, peer, &cidrs);
    let interface = end.host.as_ref().map(|host| host.interface.as_ref());
    checks.extend(match interface {
        Some(Some(interface)) => check_interface_groups(path, end, interface, peer, &cidrs),
        Some(None) => Vec::new(),
        None => check_vpc_groups(path, end, peer, &cidrs),
    });
    checks
}

/// The network ACL of the subnet of an address, or those of all subnets of a VPC.
fn check_network_acls(path: &Path<'_>, end: &PathEnd, peer: &PathEnd, cidrs: &CidrSet) -> Vec<PathCheck> {
    let filters = path.inputs.filters;
    let unreadable = |error| PathCheck::UnreadableNetworkAcls { vpc: end.vpc.id.clone(), error };
    let acls = match read(filters.acls.get(&end.vpc), unreadable) {
        Ok(acls) => acls,
        Err(checks) => return checks,
    };
    let subnet = filters.subnet_of(end);
    let applies = |acl: &&NetworkAcl| match subnet {
        Some(subnet) => acl.subnets.contains(subnet),
        None => !acl.subnets.is_empty(),
    };
    let used = acls.iter().filter(applies);
    used.flat_map(|acl| check_network_acl(path, acl, end, peer, cidrs)).collect()
}

/// Network ACLs are stateless, so both directions of the traffic are checked.
fn check_network_acl(
    path: &Path<'_>,
    acl: &NetworkAcl,
    end: &PathEnd,
    peer: &PathEnd,
    cidrs: &CidrSet,
) -> Vec<PathCheck> {
    let mut checks = Vec::new();
    for egress in [false, true] {
        let traffic = path.query.traffic_at(end, egress);
        for cidr in cidrs.iter() {
            let (rule, all) = match acl.verdict(cidr, &traffic, egress) {
                Verdict::Allowed => continue,
                Verdict::Partial(rule) => (rule, false),
                Verdict::Denied(rule) => (rule, true),
            };
            checks.push(PathCheck::NetworkAclDenies {
                acl: acl.id.clone(),
                rule,
                subnets: acl.subnets.len(),
                vpc: end.vpc.id.clone(),
                peer: peer.vpc.id.clone(),
                traffic: named(&traffic),
                cidr: *cidr,
                egress,
                all,
            });
        }
    }
    checks
}

/// What was read of a VPC; else the checks to report: none if it was not tried.
fn read<T>(
    answer: Option<&Result<Vec<T>, String>>,
    unreadable: impl FnOnce(String) -> PathCheck,
) -> Result<&[T], Vec<PathCheck>> {
    match answer {
        None => Err(Vec::new()),
        Some(Err(error)) => Err(vec![unreadable(error.clone())]),
        Some(Ok(read)) => Ok(read),
    }
}

fn groups_of<'a>(path: &Path<'a>, end: &PathEnd) -> Result<&'a [GroupRules], Vec<PathCheck>> {
    let unreadable = |error| PathCheck::UnreadableSecurityGroups { vpc: end.vpc.id.clone(), error };
    read(path.inputs.filters.groups.get(&end.vpc), unreadable)
}

/// How many security groups of a VPC allow connections from the peer.
fn check_vpc_groups(path: &Path<'_>, end: &PathEnd, peer: &PathEnd, cidrs: &CidrSet) -> Vec<PathCheck> {
    if !path.query.serves(end) {
        return Vec::new();
    }
    let groups = match groups_of(path, end) {
        Ok(groups) => groups,
        Err(checks) => return checks,
    };
    let traffic = path.query.traffic_at(end, false);
    let remote = RemoteSide { cidrs, groups: &groups_at(path, peer) };
    let allows = |group: &&GroupRules| group.verdict(false, &traffic, remote) == GroupVerdict::Allowed;
    vec![PathCheck::SecurityGroupsAllow {
        vpc: end.vpc.id.clone(),
        peer: peer.vpc.id.clone(),
        traffic: named(&traffic),
        allowing: groups.iter().filter(allows).count(),
        groups: groups.len(),
        mesh: path.mesh(),
    }]
}

/// Whether the security groups of a network interface allow connections from the peer, and to it. They are stateful, so
/// replies need no rule.
fn check_interface_groups(
    path: &Path<'_>,
    end: &PathEnd,
    interface: &NetworkInterface,
    peer: &PathEnd,
    cidrs: &CidrSet,
) -> Vec<PathCheck> {
    let groups = match groups_of(path, end) {
        Ok(groups) => groups,
        Err(checks) => return checks,
    };
    let remote = RemoteSide { cidrs, groups: &groups_at(path, peer) };
    let own: Vec<&GroupRules> = groups.iter().filter(|group| interface.groups.contains(&group.id)).collect();
    let directions = [(true, path.query.opens(end)), (false, path.query.serves(end))];
    let needed = directions.into_iter().filter(|(_, is_needed)| *is_needed);
    let check = |(egress, _)| {
        let traffic = path.query.traffic_at(end, egress);
        let with = |verdict| own.iter().find(|group| group.verdict(egress, &traffic, remote) == verdict);
        let by = with(GroupVerdict::Allowed).map(|group| group.id.clone());
        match with(GroupVerdict::Unknown) {
            Some(group) if by.is_none() => PathCheck::UnreadableGroupList { group: group.id.clone() },
            _ => PathCheck::InterfaceGroups {
                interface: interface.id.clone(),
                groups: interface.groups.clone(),
                traffic: named(&traffic),
                peer: address_of(peer),
                egress,
                by,
                mesh: path.mesh(),
            },
        }
    };
    needed.map(check).collect()
}

/// The security groups at an end: those of the network interface, or all of the VPC.
fn groups_at(path: &Path<'_>, end: &PathEnd) -> BTreeSet<String> {
    match &end.host {
        Some(host) => host.interface.iter().flat_map(|interface| interface.groups.clone()).collect(),
        None => match path.inputs.filters.groups.get(&end.vpc) {
            Some(Ok(groups)) => groups.iter().map(|group| group.id.clone()).collect(),
            _ => BTreeSet::new(),
        },
    }
}

fn address_of(end: &PathEnd) -> String {
    match &end.host {
        Some(Host { address, .. }) => address.to_string(),
        None => end.vpc.id.to_string(),
    }
}

/// The traffic, if it is not all.
fn named(traffic: &Traffic) -> Option<Traffic> {
    (*traffic != Traffic::All).then(|| traffic.clone())
}
