//! Pairs that the mesh wants and the peering that each has or needs: request, accept, tag.

use std::collections::{BTreeMap, BTreeSet};

use super::Draft;
use super::fitting::{self, Full, Room};
use super::view::View;
use crate::action::Action;
use crate::cidr::IpNet;
use crate::finding::Finding;
use crate::ids::{MeshName, Pair, PeeringId, VpcRef};
use crate::observed::{Peering, PeeringStatus};
use crate::rules::Rule;
use crate::status::Word;
use crate::tags;

/// A wanted pair: which meshes want it, and how far its peering is.
pub struct Link<'a> {
    /// The two VPCs.
    pub pair: Pair,
    /// The declared meshes that connect them.
    pub meshes: BTreeSet<MeshName>,
    /// What there is.
    pub state: State<'a>,
}

/// What stands between a wanted pair and traffic.
pub enum State<'a> {
    /// No peering that could be used, and nothing against one.
    Missing { dead: Vec<PeeringId> },
    /// Blocks of the two VPCs share addresses, so AWS does not peer them.
    Overlapping(IpNet, IpNet),
    /// A live peering that this deployment did not make: used for nothing.
    Foreign(&'a Peering),
    /// AWS refused an earlier request and still says so.
    Failed(&'a Peering),
    /// The managed peering to use; of several, the one furthest along, then with the least id.
    Live(&'a Peering),
}

impl State<'_> {
    /// AWS's word for the state of the peering to use, or why there is none.
    pub fn word(&self) -> String {
        match self {
            Self::Missing { .. } => "missing".to_owned(),
            Self::Overlapping(..) => "overlapping".to_owned(),
            Self::Foreign(_) => "foreign".to_owned(),
            Self::Failed(_) => "failed".to_owned(),
            Self::Live(peering) => peering.status.to_string(),
        }
    }
}

/// Counts the links by their states, for whoever asks how far the mesh is.
pub fn count(links: &[Link<'_>], draft: &mut Draft) {
    for link in links {
        *draft.report.pairs.entry(link.state.word()).or_default() += 1;
    }
}

/// The links that this run looks after: those that its mesh wants, and those whose peering is still tagged for it.
pub fn find<'a>(view: &View<'a>) -> Vec<Link<'a>> {
    let mut by_pair: BTreeMap<Pair, Vec<&Peering>> = BTreeMap::new();
    for peering in view.observed.peerings.values() {
        if let Some(pair) = peering.pair() {
            by_pair.entry(pair).or_default().push(peering);
        }
    }
    let mut pairs = BTreeSet::new();
    let members: Vec<_> = view.asking_for(&view.desired.mesh).collect();
    for (n, a) in members.iter().enumerate() {
        pairs.extend(members[n + 1..].iter().filter_map(|b| Pair::of(a, b)));
    }
    let tagged = |peerings: &Vec<&Peering>| {
        peerings.iter().any(|p| view.manages(p) && p.tagged_meshes().contains(&view.desired.mesh))
    };
    pairs.extend(by_pair.iter().filter(|(_, peerings)| tagged(peerings)).map(|(pair, _)| pair.clone()));

    let link = |pair: Pair| {
        let meshes = view.connecting(&pair);
        (!meshes.is_empty() || !Rule::OnlyWantedAccepted.is_kept()).then(|| {
            let peerings = by_pair.get(&pair).map_or(&[][..], Vec::as_slice);
            let state = state(&pair, peerings, view);
            Link { pair, meshes, state }
        })
    };
    pairs.into_iter().filter_map(link).collect()
}

fn state<'a>(pair: &Pair, peerings: &[&'a Peering], view: &View<'_>) -> State<'a> {
    let (managed, foreign): (Vec<&Peering>, Vec<&Peering>) =
        peerings.iter().copied().partition(|peering| view.manages(peering));
    let furthest = managed.iter().copied().filter(|peering| peering.status.is_live()).min_by_key(|peering| {
        let active = peering.status == PeeringStatus::Active;
        let provisioning = peering.status == PeeringStatus::Provisioning;
        (!active, !provisioning, peering.id.clone())
    });
    let overlap = match pair.ends().map(|vpc| view.cidrs_of(vpc)) {
        [Some(ours), Some(theirs)] => ours.first_overlap(theirs),
        _ => None,
    };
    let active = |peering: &&Peering| peering.status == PeeringStatus::Active;
    let taken = foreign.iter().copied().find(active).filter(|_| !furthest.as_ref().is_some_and(active));
    if let Some(adopted) = taken.filter(|peering| view.is_adopted(pair, peering)) {
        return State::Live(adopted);
    }
    match (furthest, overlap) {
        (Some(_), None) if let Some(foreign) = taken => State::Foreign(foreign), // AWS accepts no second one
        (Some(peering), None) => State::Live(peering),
        (Some(peering), Some(_)) if peering.status == PeeringStatus::Active => State::Live(peering),
        (_, Some((ours, theirs))) => State::Overlapping(ours, theirs),
        (None, None) => {
            if let Some(peering) = foreign.into_iter().find(|peering| peering.status.is_live()) {
                State::Foreign(peering)
            } else if let Some(peering) = managed.iter().find(|peering| peering.status == PeeringStatus::Failed) {
                State::Failed(peering)
            } else {
                State::Missing { dead: managed.iter().map(|peering| peering.id.clone()).collect() }
            }
        }
    }
}

/// The end of a pair that cannot be read.
fn unread<'a>(link: &'a Link<'_>, view: &View<'_>) -> Option<&'a VpcRef> {
    link.pair.ends().into_iter().find(|vpc| !view.is_proven(vpc))
}

/// Tells both VPCs if one cannot be read.
fn note_unread(link: &Link<'_>, view: &View<'_>, draft: &mut Draft) -> bool {
    let unread = unread(link, view);
    if let Some(vpc) = unread {
        draft.notes.of_link(link, Word::Waiting, &format!("{} cannot be read", vpc.scope));
    }
    unread.is_some()
}

/// Requests what is missing, and says what stands against the rest.
pub fn request(links: &[Link<'_>], view: &View<'_>, draft: &mut Draft) {
    let mut missing: Vec<(&Link<'_>, &[PeeringId])> = Vec::new();
    for link in links {
        if let Some(why) = view.observed.refused.get(&link.pair) {
            draft.report.add_finding(Finding::QuotaRefused { pair: link.pair.clone(), error: why.clone() });
            draft.notes.of_link(link, Word::Refused, "a quota of AWS is used up");
            continue;
        }
        match &link.state {
            State::Missing { dead } if !note_unread(link, view, draft) => missing.push((link, dead)),
            State::Missing { .. } | State::Live(_) => {}
            State::Overlapping(ours, theirs) => {
                let pair = link.pair.clone();
                draft.report.add_finding(Finding::CidrOverlap { pair, ours: *ours, theirs: *theirs });
                draft.notes.of_link(link, Word::Refused, &format!("{ours} overlaps {theirs}"));
            }
            State::Foreign(peering) if !peering.is_seen_by(&peering.requester.scope) => {
                // It may be ours: the create call tags the requester's side, and that is the one that was not seen.
                draft.report.wait(&link.pair, format!("{} is not seen by its requester yet", peering.id));
                if !note_unread(link, view, draft) {
                    draft.notes.of_link(link, Word::Waiting, "peering is pending");
                }
            }
            State::Foreign(peering) => {
                let (pair, mesh) = (link.pair.clone(), view.desired.mesh.clone());
                let deployment = view.desired.deployment.to_string();
                draft.report.add_finding(Finding::ForeignPeering {
                    pair,
                    peering: peering.id.clone(),
                    mesh,
                    deployment,
                });
                draft.notes.of_link(link, Word::Refused, &format!("foreign peering {}", peering.id));
            }
            State::Failed(peering) => {
                let (pair, error) = (link.pair.clone(), peering.message.clone());
                draft.report.add_finding(Finding::FailedPeering { pair, peering: peering.id.clone(), error });
                draft.notes.of_link(link, Word::Refused, &format!("AWS failed {}", peering.id));
            }
        }
    }
    missing.sort_by_cached_key(|(link, _)| (fitting::since(link, view), link.pair.clone()));
    let mut room = Room::new(view);
    for (link, dead) in missing {
        match room.take(link, view, draft) {
            Ok(()) => request_one(link, dead, view, draft),
            Err(Full::Peerings(vpc)) => {
                draft.unfit.pairs.insert(link.pair.clone());
                draft.notes.of_link(link, Word::Refused, &format!("{} has no room for more peerings", vpc.id));
            }
            Err(Full::Requests) => {
                draft.report.wait(&link.pair, "as many requests are pending as AWS allows");
                draft.notes.of_link(link, Word::Waiting, "too many requests are pending");
            }
        }
    }
    room.tell(view, draft);
}

fn request_one(link: &Link<'_>, dead: &[PeeringId], view: &View<'_>, draft: &mut Draft) {
    draft.notes.of_link(link, Word::Waiting, "peering is requested");
    draft.work.insert(Action::CreatePeering {
        pair: link.pair.clone(),
        tags: view.peering_tags(&link.pair, &link.meshes),
        dead: dead.to_vec(),
    });
}

/// Takes the mark off what is to be released.
pub fn release(view: &View<'_>, draft: &mut Draft) {
    for peering in view.observed.peerings.values().filter(|peering| view.is_released(peering)) {
        for scope in peering.tags.keys() {
            let ours = peering.is_marked_in(scope, &view.desired.deployment);
            if ours && peering.status.is_live() && view.observed.answered(scope) {
                let (peering, scope) = (peering.id.clone(), scope.clone());
                draft.work.insert(Action::ReleasePeering { peering, scope });
            }
        }
    }
}

/// Accepts what is pending. Only a link is accepted: both VPCs are members, by their own tags, and the peering is
/// managed. What the index remembers of a VPC that cannot be read opens nothing.
pub fn accept(links: &[Link<'_>], view: &View<'_>, draft: &mut Draft) {
    for link in links {
        let State::Live(peering) = link.state else { continue };
        if view.observed.refused.contains_key(&link.pair) {
            continue;
        }
        match &peering.status {
            PeeringStatus::Active => {}
            PeeringStatus::PendingAcceptance | PeeringStatus::InitiatingRequest => {
                draft.notes.of_link(link, Word::Waiting, "peering is pending");
                match unread(link, view) {
                    None => {
                        let scope = peering.accepter.scope.clone();
                        draft.work.insert(Action::AcceptPeering { peering: peering.id.clone(), scope });
                    }
                    Some(vpc) => {
                        let text = format!("{} is pending and {} cannot be read", peering.id, vpc.scope);
                        draft.report.wait(&link.pair, text);
                    }
                }
            }
            other => {
                draft.report.wait(&link.pair, format!("{} is {other}", peering.id));
                draft.notes.of_link(link, Word::Waiting, &format!("peering is {other}"));
            }
        }
    }
}

/// Keeps the tags of both sides as they should be; a mesh that joins or lets go changes them in place.
///
/// The accepter's side is tagged from its acceptance on: earlier the peering may not be visible there.
pub fn tag(links: &[Link<'_>], view: &View<'_>, draft: &mut Draft) {
    for link in links {
        let State::Live(peering) = link.state else { continue };
        if !view.is_pair_proven(&link.pair) {
            continue; // the meshes of an end that cannot be read are only remembered
        }
        let (worn, mut holding) = (peering.tagged_meshes(), view.holding(&link.pair, peering));
        holding.retain(|mesh| link.meshes.contains(mesh) || worn.contains(mesh));
        let wanted = view.peering_tags(&link.pair, &holding);
        let accepted = matches!(peering.status, PeeringStatus::Active | PeeringStatus::Provisioning);
        for (scope, worn) in &peering.tags {
            let missing = tags::missing(&wanted, worn);
            if view.observed.answered(scope) && !missing.is_empty() && (accepted || *scope == peering.requester.scope) {
                let (peering, scope) = (peering.id.clone(), scope.clone());
                draft.work.insert(Action::TagPeering { peering, scope, tags: missing });
            }
        }
    }
}
