//! Requests from accounts that the deployment does not know: for a peering, or for membership. peerd never accepts one
//! (<https://docs.aws.amazon.com/vpc/latest/peering/accept-vpc-peering-connection.html> warns of unknown requesters).

use super::context::PlanContext;
use super::decisions::Decisions;
use crate::finding::Finding;

/// Reports unknown accounts whose VPCs request a mesh, and pending requests from unknown accounts to VPCs that request
/// this run's mesh.
pub fn report(context: &PlanContext<'_>) -> Decisions {
    let mut decisions = Decisions::default();
    for account in &context.desired.accounts.unknown {
        decisions.report(Finding::UnknownAccount { account: account.clone() });
    }
    for peering in context.index.pending() {
        let is_known = context.desired.accounts.known.contains(&peering.requester.scope.account);
        let is_to_member = context.is_present(&peering.accepter)
            && context.meshes_of(&peering.accepter).contains(&context.desired.mesh);
        if !is_known && is_to_member {
            let (requester, accepter) = (peering.requester.clone(), peering.accepter.clone());
            decisions.report(Finding::UnknownRequester { peering: peering.id.clone(), requester, accepter });
        }
    }
    decisions
}
