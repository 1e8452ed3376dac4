//! Names across active peerings: with its DNS option on, the public host names of a VPC resolve to private addresses for
//! its peer. Each side has an option of its own
//! (<https://docs.aws.amazon.com/vpc/latest/peering/vpc-peering-dns.html>).

use super::PlanBuilder;
use super::context::PlanContext;
use super::peerings::{PairState, WantedPair};
use crate::action::Action;
use crate::finding::Finding;
use crate::ids::VpcRef;
use crate::observed::{DnsSupport, PeeringStatus};
use crate::report::InputRequest;

/// Switches both options of every active peering to what its meshes say, on only if both VPCs can have it.
pub fn resolve(links: &[WantedPair<'_>], context: &PlanContext<'_>, draft: &mut PlanBuilder) {
    for link in links {
        let Some(on) = context.resolves(&link.meshes) else { continue };
        if !context.is_pair_proven(&link.pair) {
            continue; // the meshes of an end that cannot be read are only remembered
        }
        let ready = link.pair.ends().map(|vpc| !on || is_ready(vpc, context, draft));
        if ready == [true, true] {
            switch(link, on, context, draft);
        }
    }
}

fn switch(link: &WantedPair<'_>, on: bool, context: &PlanContext<'_>, draft: &mut PlanBuilder) {
    let PairState::Live(peering) = link.state else { return };
    if peering.status != PeeringStatus::Active {
        return;
    }
    for vpc in peering.ends() {
        let is_on = peering.dns.get(vpc).copied().unwrap_or_default();
        if is_on != on && peering.is_marked_in(&vpc.scope, &context.desired.deployment) {
            let (peering, requester) = (peering.id.clone(), *vpc == peering.requester);
            draft.work.insert(Action::SetDns { peering, vpc: vpc.clone(), requester, on });
        }
    }
}

/// Whether a VPC is known to have what its names need; if not, that is told.
fn is_ready(vpc: &VpcRef, context: &PlanContext<'_>, draft: &mut PlanBuilder) -> bool {
    let finding = match context.observed.dns.get(vpc) {
        Some(Ok(DnsSupport { hostnames: true, support: true })) => return true,
        Some(Ok(DnsSupport { hostnames, support })) => {
            Finding::DnsAttributesOff { vpc: vpc.clone(), hostnames: *hostnames, support: *support }
        }
        Some(Err(why)) => {
            let (role, error) = (context.desired.role.clone(), why.clone());
            Finding::UnreadableDnsAttributes { vpc: vpc.clone(), role, error }
        }
        None => {
            draft.report.questions.insert(InputRequest::Dns(vpc.clone()));
            return false;
        }
    };
    draft.report.add_finding(finding);
    false
}
