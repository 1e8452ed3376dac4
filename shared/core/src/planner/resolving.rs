//! Names across active peerings: with its DNS option on, the public host names of a VPC resolve to private addresses for
//! its peer. Each side has an option of its own
//! (<https://docs.aws.amazon.com/vpc/latest/peering/vpc-peering-dns.html>).

use super::Draft;
use super::linking::{Link, State};
use super::view::View;
use crate::action::Action;
use crate::ids::VpcRef;
use crate::observed::{DnsSupport, PeeringStatus};
use crate::report::{FindingKind, Question};

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
            let role = &view.desired.role;
            let remedy =
                format!("let the role {role} of its account call ec2:DescribeVpcAttribute; the next sweep goes on");
            draft.report.find(FindingKind::Gap, vpc, text, remedy);
            return false;
        }
        None => {
            draft.report.questions.insert(Question::Dns(vpc.clone()));
            return false;
        }
    };
    let text = format!("{lacks}, so names do not resolve to private addresses across its peerings");
    let remedy = "switch both attributes on for the VPC, or declare its meshes without dns";
    draft.report.find(FindingKind::Dns, vpc, text, remedy);
    false
}
