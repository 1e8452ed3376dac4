//! What to beware of: what could not be read, and who asks a member for a peering and is nobody that peerd knows. Such a
//! request is not accepted (<https://docs.aws.amazon.com/vpc/latest/peering/accept-vpc-peering-connection.html> warns of
//! them).

use super::Draft;
use super::view::View;
use crate::ids::Scope;
use crate::observed::PeeringStatus;
use crate::report::FindingKind;

/// Reports the scopes that did not answer, unless that is because the account has the Region switched off and nobody is
/// remembered there.
pub fn report_gaps(view: &View<'_>, draft: &mut Draft) {
    let unread = view.observed.scopes.iter().filter_map(|(scope, reading)| Some((scope, reading.as_ref().err()?)));
    for (scope, why) in unread {
        let is_off = view.observed.off.contains(scope);
        let has_members = || view.desired.remembered.keys().any(|vpc| vpc.scope == *scope);
        let Scope { account, region } = scope;
        match view.desired.organization.inactive(account) {
            _ if is_off && !has_members() => {}
            Some(state) => {
                let text = format!("{account} is {state} in its organisation: {why}");
                let remedy =
                    format!("have it reinstated; or, if it is gone for good, `peerd account remove {account}`");
                draft.report.find(FindingKind::Gap, scope, text, remedy);
            }
            None if is_off => {
                let text = format!("{account} has switched {region} off, where members are: {why}");
                let remedy = "switch the Region on again, and take `peerd:env` off what is to leave first";
                draft.report.find(FindingKind::Gap, scope, text, remedy);
            }
            None => {
                let role = &view.desired.role;
                let remedy =
                    format!("let the role {role} of that account be assumed and read there; the next sweep goes on");
                draft.report.find(FindingKind::Gap, scope, why, remedy);
            }
        }
    }
}

/// Reports requests from accounts that the deployment does not know to VPCs that ask for the mesh.
pub fn report_strangers(view: &View<'_>, draft: &mut Draft) {
    for peering in view.observed.peerings.values() {
        let pending = matches!(peering.status, PeeringStatus::InitiatingRequest | PeeringStatus::PendingAcceptance);
        let known = view.desired.accounts.contains(&peering.requester.scope.account);
        let asked =
            view.is_present(&peering.accepter) && view.meshes_of(&peering.accepter).contains(&view.desired.mesh);
        if pending && !known && asked {
            let text = format!("{} asks {} for a peering by {}", peering.requester, peering.accepter, peering.id);
            let remedy = format!("reject {}, or accept it by hand if you know who asks; peerd never does", peering.id);
            draft.report.find(FindingKind::Stranger, &peering.id, text, remedy);
        }
    }
}
