//! DNS resolution across active peerings: with its DNS option on, the public host names of a VPC resolve to private
//! addresses for its peer. Each side has an option of its own
//! (<https://docs.aws.amazon.com/vpc/latest/peering/vpc-peering-dns.html>).

use super::context::PlanContext;
use super::decisions::Decisions;
use super::wanted_pairs::{PairState, WantedPair};
use crate::action::Action;
use crate::finding::Finding;
use crate::ids::VpcRef;
use crate::observed::{DnsSupport, PeeringStatus};
use crate::report::InputRequest;

/// Sets both options of every active peering to what its meshes want; to on only if both VPCs have the DNS attributes.
pub fn resolve(pairs: &[WantedPair<'_>], context: &PlanContext<'_>) -> Decisions {
    let mut decisions = Decisions::default();
    // For a pair with an unreadable end, the index is the only source of its meshes: no reason for a change.
    for wanted in pairs.iter().filter(|wanted| context.is_pair_proven(&wanted.pair)) {
        let Some(on) = context.resolves(&wanted.meshes) else { continue };
        let ready = wanted.pair.ends().map(|vpc| !on || has_dns_attributes(vpc, context, &mut decisions));
        if ready == [true, true] {
            set_options(wanted, on, context, &mut decisions);
        }
    }
    decisions
}

fn set_options(wanted: &WantedPair<'_>, on: bool, context: &PlanContext<'_>, decisions: &mut Decisions) {
    let PairState::Usable(peering) = wanted.state else { return };
    if peering.status != PeeringStatus::Active {
        return;
    }
    for vpc in peering.ends() {
        let is_on = peering.dns.get(vpc).copied().unwrap_or_default();
        if is_on != on && peering.is_owned() && peering.is_marked_in(&vpc.scope, &context.desired.deployment) {
            let (peering, requester) = (peering.id.clone(), *vpc == peering.requester);
            decisions.act(Action::SetDns { peering, vpc: vpc.clone(), requester, on });
        }
    }
}

/// Whether a VPC has both DNS attributes; if not, or if that is unknown, a finding or a question.
fn has_dns_attributes(vpc: &VpcRef, context: &PlanContext<'_>, decisions: &mut Decisions) -> bool {
    match context.observed.inputs.dns.get(vpc) {
        Some(Ok(DnsSupport { hostnames: true, support: true })) => return true,
        Some(Ok(DnsSupport { hostnames, support })) => {
            let (hostnames, support) = (*hostnames, *support);
            decisions.report(Finding::DnsAttributesOff { vpc: vpc.clone(), hostnames, support });
        }
        Some(Err(error)) => {
            let (role, error) = (context.desired.role.clone(), error.clone());
            decisions.report(Finding::UnreadableDnsAttributes { vpc: vpc.clone(), role, error });
        }
        None => decisions.ask(InputRequest::Dns(vpc.clone())),
    }
    false
}
