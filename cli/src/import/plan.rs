//! Converts the Python peerd's file and the observed state into policies, tags and adoptions, without I/O.

use std::collections::{BTreeMap, BTreeSet};

use peerd_core::admitted_ranges::{AdmittedRanges, is_private};
use peerd_core::cidr::IpNet;
use peerd_core::policy::{Mode, Routing, Tables};
use peerd_core::tags::{CIDRS, ENV, MeshTag, join_meshes};
use peerd_core::{CidrSet, MeshName, ObservedState, Policy, Scope, Tags, VpcRef, cidr};

use super::Note;
use super::adoption;
use super::cidr_overrides::{self, Shares};
use super::legacy_config::{Entry, OldFile};
use super::mesh::Mesh;
use super::peering_tags;

/// All IPv6 addresses: the Python peerd routes none.
const NO_IPV6: [&str; 2] = ["::/1", "8000::/1"];

/// The changes of an import.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Import {
    /// The policies, paused.
    pub meshes: BTreeMap<MeshName, Policy>,
    /// The missing tags of VPCs.
    pub tags: BTreeMap<VpcRef, Tags>,
    /// The scopes that peerd does not scan yet.
    pub register: BTreeSet<Scope>,
    /// What is not imported as it was, or could not be read.
    pub notes: Vec<Note>,
}

/// The existing state.
pub struct Known<'a> {
    /// The VPCs and peerings of the scopes that the file names.
    pub observed: &'a ObservedState,
    /// The policies that operators have declared.
    pub declared: &'a BTreeMap<MeshName, Policy>,
    /// The scopes that peerd scans.
    pub scopes: &'a BTreeSet<Scope>,
}

/// Plans the import of a file.
///
/// # Errors
/// All reasons why it cannot be imported as it is.
pub fn plan(file: &OldFile, renames: &BTreeMap<String, MeshName>, known: &Known<'_>) -> Result<Import, Vec<String>> {
    let (mut problems, mut import) = (Vec::new(), Import { notes: file.notes.clone(), ..Import::default() });
    let meshes = meshes(file, renames, known.observed, &mut import.notes, &mut problems);
    same_place(&meshes, &mut problems);
    let shares = shares_by_vpc(&meshes, known.observed, &mut import.notes, &mut problems);
    for (name, mesh) in &meshes {
        let mut policy = Policy {
            mode: Mode::Paused,
            routes: Routing { tables: Tables::Tagged, exclude: left_out(name, mesh, &shares, &mut problems) },
            tags: peering_tags::tags(file, name, mesh, &mut import.notes),
            adopt: adoption::find(name, mesh, known.observed, &mut import.notes),
            ..Policy::default()
        };
        policy.admit.vpcs = mesh.vpcs().into_iter().map(|vpc| vpc.id.clone()).collect();
        policy.admit.cidrs = admitted(mesh, &shares);
        check(name, &policy, &mut problems);
        match known.declared.get(name) {
            None => drop(import.meshes.insert(name.clone(), policy)),
            Some(present) if says_the_same(present, &policy) => {
                import.notes.push(Note::new(name, "is already declared as in the file, and stays as it is"));
            }
            Some(_) => problems.push(format!(
                "mesh {name} has a different policy; run `peerd mesh undeclare {name}` first, or use --rename"
            )),
        }
    }
    let unread = known.observed.scopes.iter().filter_map(|(scope, read)| Some((scope, read.as_ref().err()?)));
    let unread = unread.map(|(scope, why)| {
        Note::new(
            scope,
            format!("not read, so its CIDR blocks and peerings are unknown, and public ones are not admitted: {why}"),
        )
    });
    import.notes.extend(unread);
    import.tags = tags(&meshes, &shares, known.observed, &mut problems);
    let scopes = meshes.values().flat_map(Mesh::vpcs).map(|vpc| vpc.scope.clone());
    import.register = scopes.filter(|scope| !known.scopes.contains(scope)).collect();
    if problems.is_empty() { Ok(import) } else { Err(problems) }
}

fn meshes<'a>(
    file: &'a OldFile,
    renames: &BTreeMap<String, MeshName>,
    observed: &ObservedState,
    notes: &mut Vec<Note>,
    problems: &mut Vec<String>,
) -> BTreeMap<MeshName, Mesh<'a>> {
    for old in renames.keys().filter(|old| !file.environments.contains_key(*old)) {
        problems.push(format!("there is no environment `{old}` to rename"));
    }
    let mut meshes = BTreeMap::new();
    for (old, entries) in &file.environments {
        let name = match renames.get(old).cloned().map_or_else(|| old.parse(), Ok) {
            Ok(name) => name,
            Err(error) => {
                problems.push(format!("environment: {error}; name a mesh for it with --rename '{old}=NAME'"));
                continue;
            }
        };
        let is_missing = |vpc: &VpcRef| observed.was_read(&vpc.scope) && !observed.vpcs.contains_key(vpc);
        let (absent, present): (Vec<&Entry>, Vec<&Entry>) = entries.iter().partition(|entry| is_missing(&entry.vpc));
        let absent = absent.into_iter().map(|entry| Note::new(&entry.vpc, "left out: there is no such VPC"));
        notes.extend(absent);
        if present.is_empty() {
            notes.push(Note::new(&name, "left out: it has no VPCs"));
        } else if meshes.insert(name.clone(), Mesh { old, entries: present }).is_some() {
            problems.push(format!("two environments would be the mesh {name}"));
        }
    }
    meshes
}

fn same_place(meshes: &BTreeMap<MeshName, Mesh<'_>>, problems: &mut Vec<String>) {
    let mut places = BTreeMap::new();
    for vpc in meshes.values().flat_map(Mesh::vpcs) {
        let place = places.entry(&vpc.id).or_insert(vpc);
        if *place != vpc {
            problems.push(format!("{place} is listed in {} as well", vpc.scope));
        }
    }
}

fn shares_by_vpc<'a>(
    meshes: &BTreeMap<MeshName, Mesh<'a>>,
    observed: &ObservedState,
    notes: &mut Vec<Note>,
    problems: &mut Vec<String>,
) -> BTreeMap<&'a VpcRef, cidr_overrides::Shared> {
    let mut said: BTreeMap<&VpcRef, Shares> = BTreeMap::new();
    for (name, entry) in meshes.iter().flat_map(|(name, mesh)| mesh.entries.iter().map(move |entry| (name, entry))) {
        let share = match &entry.overrides {
            None => None,
            Some(overrides) => match cidr_overrides::within(overrides, own(&entry.vpc, observed).as_ref()) {
                Ok((share, words)) => {
                    notes.extend(words.into_iter().map(|word| Note::new(&entry.vpc, word)));
                    Some(share)
                }
                Err(why) => {
                    problems.push(format!("{}: {why}", entry.vpc));
                    continue;
                }
            },
        };
        match said.entry(&entry.vpc).or_default().entry(name.clone()) {
            std::collections::btree_map::Entry::Vacant(first) => drop(first.insert(share)),
            // A VPC that occurs twice in an environment advertises the union.
            std::collections::btree_map::Entry::Occupied(mut before) => {
                let union = |(a, b): (CidrSet, CidrSet)| a.iter().chain(b.iter()).copied().collect();
                let both = before.get().clone().zip(share).map(union);
                before.insert(both);
            }
        }
    }
    let mut shared = BTreeMap::new();
    for (vpc, shares) in said {
        match cidr_overrides::shared(&shares, own(vpc, observed).as_ref()) {
            Ok(one) => {
                if !one.left_out.is_empty() {
                    let word = "advertises different CIDR blocks in its environments; one that it gets later is \
                                routed in all of them";
                    notes.push(Note::new(vpc, word));
                }
                shared.insert(vpc, one);
            }
            Err(why) => problems.push(format!("{vpc}: {why}")),
        }
    }
    shared
}

/// The ranges that a mesh admits: none if its VPCs advertise private addresses only, which is the default. The Python peerd
/// routes every address. Adjacent blocks are one range, because the tag `peerd:cidrs` may have them as one.
fn admitted(mesh: &Mesh<'_>, shares: &BTreeMap<&VpcRef, cidr_overrides::Shared>) -> AdmittedRanges {
    let advertised = mesh.vpcs().into_iter().filter_map(|vpc| shares.get(vpc)).flat_map(|shared| shared.all.iter());
    let public: CidrSet = advertised.filter(|cidr| !is_private(cidr)).copied().collect();
    let names = !public.is_empty();
    AdmittedRanges { private: names, amazon_ipv6: names, cidrs: public.aggregated() }
}

/// The IPv4 CIDR blocks of a VPC, if it was observed.
fn own(vpc: &VpcRef, observed: &ObservedState) -> Option<CidrSet> {
    let seen = observed.vpcs.get(vpc)?;
    Some(seen.cidrs.iter().filter(|cidr| matches!(cidr, IpNet::V4(_))).copied().collect())
}

/// The addresses that a mesh does not route: IPv6, and what its members advertise in other environments only.
fn left_out(
    name: &MeshName,
    mesh: &Mesh<'_>,
    shares: &BTreeMap<&VpcRef, cidr_overrides::Shared>,
    problems: &mut Vec<String>,
) -> CidrSet {
    let mut all: CidrSet = NO_IPV6.iter().filter_map(|cidr| cidr::parse(cidr).ok()).collect();
    for vpc in mesh.vpcs() {
        let Some(rest) = shares.get(vpc).and_then(|shared| shared.left_out.get(name)) else { continue };
        let others = mesh.vpcs().into_iter().filter(|other| *other != vpc);
        for other in others {
            if let Some((cidr, _)) = shares.get(other).and_then(|shared| shared.all.first_overlap(rest)) {
                problems.push(format!(
                    "{vpc} advertises {rest} in other environments only, and {cidr} of {other} overlaps"
                ));
            }
        }
        rest.iter().for_each(|cidr| all.insert(*cidr));
    }
    all
}

/// The missing tags of VPCs. Meshes are added to an existing `peerd:env`; a different `peerd:cidrs` is an error.
fn tags(
    meshes: &BTreeMap<MeshName, Mesh<'_>>,
    shares: &BTreeMap<&VpcRef, cidr_overrides::Shared>,
    observed: &ObservedState,
    problems: &mut Vec<String>,
) -> BTreeMap<VpcRef, Tags> {
    let mut wanted: BTreeMap<VpcRef, Tags> = BTreeMap::new();
    for (vpc, shared) in shares {
        let none = Tags::new();
        let current = observed.vpcs.get(*vpc).map_or(&none, |seen| &seen.tags);
        let of = meshes.iter().filter(|(_, mesh)| mesh.vpcs().contains(vpc)).map(|(name, _)| name.clone());
        let asked = MeshTag::of(current).meshes;
        let asks: BTreeSet<MeshName> = asked.iter().cloned().chain(of).collect();
        let lacks = wanted.entry((*vpc).clone()).or_default();
        if asks != asked {
            lacks.insert(ENV.to_owned(), join_meshes(&asks));
        }
        match (&shared.tag, current.get(CIDRS)) {
            (Some(tag), None) => drop(lacks.insert(CIDRS.to_owned(), tag.clone())),
            (tag, Some(other)) if tag.as_ref() != Some(other) => {
                problems.push(format!("{vpc} already has {CIDRS}={other}, which differs from the file"));
            }
            _ => {}
        }
    }
    wanted.retain(|_, lacks| !lacks.is_empty());
    wanted
}

/// Whether a declared policy contains everything that an import would declare. It may be active, and may already have
/// adopted the peerings, which then have peerd's tags.
fn says_the_same(present: &Policy, policy: &Policy) -> bool {
    let alike = Policy { mode: policy.mode.clone(), adopt: policy.adopt.clone(), ..present.clone() };
    alike == *policy && policy.adopt.is_subset(&present.adopt)
}

/// Adds a problem if the policy is invalid.
fn check(name: &MeshName, policy: &Policy, problems: &mut Vec<String>) {
    let checked = serde_json::to_value(policy).map_err(|error| error.to_string());
    if let Err(why) = checked.and_then(|value| Policy::read(value).map_err(|error| error.to_string())) {
        problems.push(format!("mesh {name}: {why}"));
    }
}
