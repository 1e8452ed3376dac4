//! The state that tags and policies require, computed by simple means: addresses are numbers, and sets of addresses are
//! ranges. The only part of peerd that it uses is the type of a policy.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Deref;

use ipnet::{IpNet, Ipv4Subnets, Ipv6Subnets};
use peerd_core::policy::{Dns, Mode, Policy, Tables, Topology};
use peerd_core::{AccountId, OrganizationalUnitId, Tags, VpcRef};

use super::model::{Table, Vpc};

/// The policies of all declared meshes at one time, with the organization as it is known then.
#[derive(Debug, Clone)]
pub struct Policies {
    /// The policies by mesh.
    pub of_meshes: BTreeMap<String, Policy>,
    pub units: Units,
    /// Accounts that an operator removed for good.
    pub removed_accounts: BTreeSet<AccountId>,
}

impl Policies {
    fn is_in(&self, account: &AccountId, unit: &OrganizationalUnitId) -> bool {
        self.units.get(account).is_some_and(|units| units.contains(unit))
    }
}

/// The organizational units that contain each account.
pub type Units = BTreeMap<AccountId, BTreeSet<OrganizationalUnitId>>;

impl Deref for Policies {
    type Target = BTreeMap<String, Policy>;

    fn deref(&self) -> &Self::Target {
        &self.of_meshes
    }
}

/// A VPC in one of its states, or deleted.
#[derive(Clone, Copy)]
pub struct End<'a> {
    pub vpc_ref: &'a VpcRef,
    pub seen: Option<&'a Vpc>,
}

impl End<'_> {
    pub fn requested_meshes(&self) -> BTreeSet<String> {
        self.seen.map(Vpc::requested_meshes).unwrap_or_default()
    }

    fn tag(&self, key: &str) -> Option<&str> {
        self.seen?.tags.get(key).map(String::as_str)
    }

    fn is_hub(&self, policies: &Policies, mesh: &str) -> bool {
        let Some(policy) = policies.get(mesh) else { return false };
        let (account, hubs) = (&self.vpc_ref.scope.account, &policy.hubs);
        let is_named = hubs.accounts.contains(account)
            || hubs.vpcs.contains(&self.vpc_ref.id)
            || hubs.units.iter().any(|unit| policies.is_in(account, unit));
        is_named && self.tag("peerd:role").is_none_or(|role| role.trim() == "hub")
    }
}

/// Returns why a mesh does not admit a VPC; none if it does. The texts are those of `peerd:status`.
pub fn refusal(policies: &Policies, mesh: &str, vpc: &VpcRef) -> Option<String> {
    let Some(policy) = policies.get(mesh) else { return Some("mesh is not declared".to_owned()) };
    let Policy { mode, admit, .. } = policy;
    if *mode == Mode::Draining {
        return Some("mesh is draining".to_owned());
    }
    let (account, region, id) = (&vpc.scope.account, &vpc.scope.region, &vpc.id);
    if policies.removed_accounts.contains(account) {
        return Some("account is gone".to_owned());
    }
    if !admit.accounts.is_empty() && !admit.accounts.contains(account) {
        return Some(format!("account {account} is not admitted"));
    }
    if !admit.regions.is_empty() && !admit.regions.contains(region) {
        return Some(format!("Region {region} is not admitted"));
    }
    if !admit.vpcs.is_empty() && !admit.vpcs.contains(id) {
        return Some(format!("{id} is not admitted"));
    }
    (!admit.units.is_empty() && !admit.units.iter().any(|unit| policies.is_in(account, unit)))
        .then(|| format!("account {account} is in no admitted organizational unit"))
}

/// Whether a mesh admits no VPC of the account of this one.
pub fn excludes_account(policies: &Policies, mesh: &str, vpc: &VpcRef) -> bool {
    refusal(policies, mesh, vpc).is_some_and(|why| why.starts_with("account "))
}

/// Returns the meshes that connect two VPCs.
pub fn connecting(policies: &Policies, a: End<'_>, b: End<'_>) -> BTreeSet<String> {
    let connects = |mesh: &&String| {
        let taken = [a, b].iter().all(|end| refusal(policies, mesh, end.vpc_ref).is_none());
        taken && (policies[*mesh].topology == Topology::FullMesh || [a, b].iter().any(|end| end.is_hub(policies, mesh)))
    };
    (&a.requested_meshes() & &b.requested_meshes()).iter().filter(connects).cloned().collect()
}

/// Whether a mesh that both VPCs request is paused.
pub fn paused(policies: &Policies, a: End<'_>, b: End<'_>) -> bool {
    let both = &a.requested_meshes() & &b.requested_meshes();
    both.iter().any(|mesh| is_paused(policies, mesh))
}

/// Whether a mesh is paused.
pub fn is_paused(policies: &Policies, mesh: &str) -> bool {
    policies.get(mesh).is_some_and(|policy| policy.mode == Mode::Paused)
}

/// Whether host names are to resolve to private addresses between VPCs of these meshes; none if no mesh manages DNS.
pub fn resolves(policies: &Policies, meshes: &BTreeSet<String>) -> Option<bool> {
    let says = |dns: Dns| meshes.iter().any(|mesh| policies.get(mesh).is_some_and(|policy| policy.dns == dns));
    if says(Dns::On) { Some(true) } else { says(Dns::Off).then_some(false) }
}

/// Whether the family is IPv4, the first and the last address.
type Range = (bool, u128, u128);

pub fn range(cidr: &IpNet) -> Range {
    match cidr {
        IpNet::V4(cidr) => (true, u32::from(cidr.network()).into(), u32::from(cidr.broadcast()).into()),
        IpNet::V6(cidr) => (false, cidr.network().into(), cidr.broadcast().into()),
    }
}

fn is_within(inner: Range, outer: Range) -> bool {
    inner.0 == outer.0 && outer.1 <= inner.1 && inner.2 <= outer.2
}

/// Returns the parts of a range outside the others.
fn without(range: Range, taken: &[Range]) -> Vec<Range> {
    let mut left = vec![range];
    for (family, first, last) in taken {
        left = left
            .into_iter()
            .flat_map(|(f, a, b)| {
                if f != *family || *last < a || b < *first {
                    return vec![(f, a, b)];
                }
                let before = (a < *first).then(|| (f, a, first - 1));
                let after = (*last < b).then(|| (f, last + 1, b));
                before.into_iter().chain(after).collect()
            })
            .collect();
    }
    left
}

/// Whether every address of a CIDR block is in one of the others.
pub fn is_covered(cidr: &IpNet, by: &[IpNet]) -> bool {
    without(range(cidr), &by.iter().map(range).collect::<Vec<_>>()).is_empty()
}

#[expect(clippy::cast_possible_truncation, reason = "an IPv4 address")]
fn blocks_of((is_v4, first, last): Range) -> Vec<IpNet> {
    match is_v4 {
        true => Ipv4Subnets::new((first as u32).into(), (last as u32).into(), 0).map(IpNet::V4).collect(),
        false => Ipv6Subnets::new(first.into(), last.into(), 0).map(IpNet::V6).collect(),
    }
}

/// Returns the same addresses in as few CIDR blocks as possible.
pub fn fewest(cidrs: &[IpNet]) -> BTreeSet<IpNet> {
    let mut ranges: Vec<Range> = cidrs.iter().map(range).collect();
    ranges.sort_unstable();
    let mut joined: Vec<Range> = Vec::new();
    for (family, first, last) in ranges {
        match joined.last_mut() {
            Some((known, _, end)) if *known == family && first <= end.saturating_add(1) => *end = last.max(*end),
            _ => joined.push((family, first, last)),
        }
    }
    joined.into_iter().flat_map(blocks_of).collect()
}

/// Returns the addresses that a policy admits: without ranges of its own, private ones and those that Amazon provides.
fn admitted_ranges(policy: &Policy) -> Vec<Range> {
    let private = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7"];
    let admit = &policy.admit.cidrs;
    let is_default = !admit.private && !admit.amazon_ipv6 && admit.cidrs.iter().next().is_none();
    let mut words: Vec<&str> = Vec::new();
    if admit.private || is_default {
        words.extend(private);
    }
    if admit.amazon_ipv6 || is_default {
        words.push("2600::/12");
    }
    let words = words.into_iter().filter_map(|word| word.parse::<IpNet>().ok());
    words.chain(admit.cidrs.iter().copied()).map(|cidr| range(&cidr)).collect()
}

/// Returns the CIDR blocks of a VPC to which its peers in these meshes get routes.
pub fn advertised(policies: &Policies, meshes: &BTreeSet<String>, end: End<'_>) -> Vec<IpNet> {
    let own = own_cidrs(end);
    let parts = end.tag("peerd:cidrs").map(|words| parts(words, &own).into_iter().flatten().collect());
    accepted(policies, meshes, &parts.unwrap_or(own))
}

/// Returns the CIDR blocks of a VPC whose existing routes stay: if its tag has an invalid word, which may be a typo, all that its
/// meshes accept.
pub fn retained(policies: &Policies, meshes: &BTreeSet<String>, end: End<'_>) -> Vec<IpNet> {
    match has_invalid_part(end) {
        true => accepted(policies, meshes, &own_cidrs(end)),
        false => advertised(policies, meshes, end),
    }
}

/// Returns the CIDR blocks of a VPC that keep an existing route to this one: what is retained, unless the route leads to more than
/// that.
pub fn claims_on(cidr: &IpNet, policies: &Policies, meshes: &BTreeSet<String>, end: End<'_>) -> Vec<IpNet> {
    let retained = retained(policies, meshes, end);
    if is_covered(cidr, &retained) { retained } else { advertised(policies, meshes, end) }
}

/// Whether the tag of a VPC has an invalid word.
pub fn has_invalid_part(end: End<'_>) -> bool {
    end.tag("peerd:cidrs").is_some_and(|words| parts(words, &own_cidrs(end)).contains(&None))
}

fn own_cidrs(end: End<'_>) -> Vec<IpNet> {
    end.seen.map(|vpc| vpc.cidrs.clone()).unwrap_or_default()
}

/// Returns the words of `peerd:cidrs` as parts of the VPC's own CIDR blocks; none for an invalid word.
fn parts(words: &str, own: &[IpNet]) -> Vec<Option<IpNet>> {
    let words = words.split([' ', ',', '+', ';']).filter(|word| !word.is_empty());
    let part = |word: &str| {
        let cidr = word.parse::<IpNet>().ok()?.trunc();
        own.iter().any(|own| is_within(range(&cidr), range(own))).then_some(cidr)
    };
    words.map(part).collect()
}

/// Returns those of the CIDR blocks that the policies of the meshes accept.
fn accepted(policies: &Policies, meshes: &BTreeSet<String>, advertised: &[IpNet]) -> Vec<IpNet> {
    let mut brought: BTreeSet<IpNet> = BTreeSet::new();
    for policy in meshes.iter().filter_map(|mesh| policies.get(mesh)) {
        let excluded: Vec<Range> = policy.routes.exclude.iter().map(range).collect();
        let ranges = admitted_ranges(policy);
        let allowed = |cidr: &&IpNet| ranges.iter().any(|allowed| is_within(range(cidr), *allowed));
        for cidr in advertised.iter().filter(allowed) {
            brought.extend(without(range(cidr), &excluded).into_iter().flat_map(blocks_of));
        }
    }
    let inner = |cidr: &&IpNet| brought.iter().any(|outer| outer != *cidr && is_within(range(cidr), range(outer)));
    brought.iter().filter(|cidr| !inner(cidr)).copied().collect()
}

/// Whether the status of a VPC may report more than the joined meshes: invalid tags, or CIDR blocks that a mesh does
/// not admit.
pub fn has_other_entries(policies: &Policies, end: End<'_>) -> bool {
    let own = own_cidrs(end);
    let is_outside = |policy: &Policy| {
        let ranges = admitted_ranges(policy);
        own.iter().any(|cidr| !ranges.iter().any(|allowed| is_within(range(cidr), *allowed)))
    };
    let rejects = |mesh: &String| policies.get(mesh).is_some_and(is_outside);
    end.tag("peerd:role").is_some() || end.tag("peerd:cidrs").is_some() || end.requested_meshes().iter().any(rejects)
}

/// Whether the tags of a table exclude it from management.
pub fn is_ignored_table(tags: &Tags) -> bool {
    tags.get("peerd:routes").is_some_and(|value| value.trim() != "manage")
}

/// Whether a table gets the routes of these meshes.
pub fn takes(policies: &Policies, meshes: &BTreeSet<String>, table: &Table, tags: &Tags) -> bool {
    if table.is_edge_associated || is_ignored_table(tags) {
        return false;
    }
    let eligible = tags.get("peerd_eligible").is_some_and(|value| value.trim().eq_ignore_ascii_case("true"));
    let selects = |policy: &Policy| match policy.routes.tables {
        Tables::All => true,
        Tables::Main => table.main,
        Tables::Tagged => eligible,
    };
    tags.contains_key("peerd:routes") || meshes.iter().filter_map(|mesh| policies.get(mesh)).any(selects)
}
