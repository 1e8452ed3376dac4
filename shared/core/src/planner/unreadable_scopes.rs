//! What to beware of: what could not be read, and who asks a member for a peering and is nobody that peerd knows. Such a
//! request is not accepted (<https://docs.aws.amazon.com/vpc/latest/peering/accept-vpc-peering-connection.html> warns of
//! them).

use super::PlanBuilder;
use super::context::PlanContext;
use crate::finding::Finding;
use crate::observed::PeeringStatus;

/// Reports the scopes that did not answer, unless that is because the account has the Region switched off and nobody is
/// remembered there.
pub fn report_gaps(context: &PlanContext<'_>, draft: &mut PlanBuilder) {
    let unread = context.observed.scopes.iter().filter_map(|(scope, reading)| Some((scope, reading.as_ref().err()?)));
    for (scope, why) in unread {
        let is_off = context.observed.off.contains(scope);
        let has_members = context.desired.remembered.keys().any(|vpc| vpc.scope == *scope);
        let (scope, error) = (scope.clone(), why.clone());
        draft.report.add_finding(match context.desired.organization.inactive(&scope.account) {
            _ if is_off && !has_members => continue,
            Some(state) => Finding::InactiveAccount { state: state.to_string(), scope, error },
            None if is_off => Finding::DisabledRegion { scope, error },
            None => Finding::UnreadableScope { scope, role: context.desired.role.clone(), error },
        });
    }
}

/// Reports requests from accounts that the deployment does not know to VPCs that ask for the mesh.
pub fn report_unknown_requesters(context: &PlanContext<'_>, draft: &mut PlanBuilder) {
    for peering in context.observed.peerings.values() {
        let pending = matches!(peering.status, PeeringStatus::InitiatingRequest | PeeringStatus::PendingAcceptance);
        let known = context.desired.accounts.contains(&peering.requester.scope.account);
        let asked = context.is_present(&peering.accepter)
            && context.meshes_of(&peering.accepter).contains(&context.desired.mesh);
        if pending && !known && asked {
            let (requester, accepter) = (peering.requester.clone(), peering.accepter.clone());
            draft.report.add_finding(Finding::UnknownRequester { peering: peering.id.clone(), requester, accepter });
        }
    }
}
