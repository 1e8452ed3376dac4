//! Who asks a member for a peering and is nobody that peerd knows: it is not accepted, and it is told
//! (<https://docs.aws.amazon.com/vpc/latest/peering/accept-vpc-peering-connection.html> warns of such requests).

use super::Draft;
use super::view::View;
use crate::observed::PeeringStatus;
use crate::report::FindingKind;

/// Reports requests from accounts that the deployment does not know to VPCs that ask for the mesh.
pub fn report(view: &View<'_>, draft: &mut Draft) {
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
