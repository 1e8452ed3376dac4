//! Names across active peerings: with its DNS option on, the public host names of a VPC resolve to private addresses for
//! its peer. Each side has an option of its own
//! (<https://docs.aws.amazon.com/vpc/latest/peering/vpc-peering-dns.html>).

use std::collections::BTreeSet;

use super::Draft;
use super::linking::{self, Link, State};
use super::view::View;
use crate::action::Action;
use crate::desired::Desired;
use crate::ids::VpcRef;
use crate::observed::{DnsSupport, Observed, PeeringStatus};
use crate::policy::{Dns, Policy};
use crate::report::FindingKind;

/// The VPCs whose DNS attributes a plan would have to know, for [`Observed::dns`]; none where no mesh wants names resolved.
pub fn questions(desired: &Desired, observed: &Observed) -> BTreeSet<VpcRef> {
    if desired.declared.values().all(|policy: &Policy| policy.dns != Dns::On) {
        return BTreeSet::new();
    }
    let view = View::new(desired, observed);
    let links = linking::find(&view);
    let wanted = links.iter().filter(|link| view.resolves(&link.meshes) == Some(true));
    wanted.flat_map(|link| link.pair.ends()).filter(|vpc| view.is_present(vpc)).cloned().collect()
}

/// Switches both options of every active peering to what its meshes say, on only if both VPCs can have it.
pub fn resolve(links: &[Link<'_>], view: &View<'_>, draft: &mut Draft) {
    for link in links {
        let Some(on) = view.resolves(&link.meshes) else { continue };
        if !view.is_pair_proven(&link.pair) {
            continue; // the meshes of an end that cannot be read are only remembered
        }
        let ready = link.pair.ends().map(|vpc| !on || is_ready(vpc, view, draft));
        if ready == [true, true] {
            switch(link, on, view, draft);
        }
    }
}

fn switch(link: &Link<'_>, on: bool, view: &View<'_>, draft: &mut Draft) {
    let State::Live(peering) = link.state else { return };
    if peering.status != PeeringStatus::Active {
        return;
    }
    for vpc in peering.ends() {
        let is_on = peering.dns.get(vpc).copied().unwrap_or_default();
        if is_on != on && peering.is_marked_in(&vpc.scope, &view.desired.deployment) {
            let (peering, requester) = (peering.id.clone(), *vpc == peering.requester);
            draft.work.insert(Action::SetDns { peering, vpc: vpc.clone(), requester, on });
        }
    }
}

/// Whether a VPC is known to have what its names need; if not, that is told.
fn is_ready(vpc: &VpcRef, view: &View<'_>, draft: &mut Draft) -> bool {
    let lacks = match view.observed.dns.get(vpc) {
        Some(Ok(DnsSupport { hostnames: true, support: true })) => return true,
        Some(Ok(DnsSupport { hostnames: false, support: true })) => "enableDnsHostnames is off",
        Some(Ok(DnsSupport { hostnames: true, support: false })) => "enableDnsSupport is off",
        Some(Ok(DnsSupport { hostnames: false, support: false })) => "enableDnsHostnames and enableDnsSupport are off",
        Some(Err(why)) => {
            let text = format!("its DNS attributes cannot be read: {why}");
            let remedy =
                "let the role peerd-spoke of its account call ec2:DescribeVpcAttribute; the next sweep goes on";
            draft.report.find(FindingKind::Gap, vpc, text, remedy);
            return false;
        }
        None => return false, // it was not there when the question was asked
    };
    let text = format!("{lacks}, so names do not resolve to private addresses across its peerings");
    let remedy = "switch both attributes on for the VPC, or declare its meshes without dns";
    draft.report.find(FindingKind::Dns, vpc, text, remedy);
    false
}
