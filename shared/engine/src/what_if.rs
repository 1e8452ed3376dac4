//! What would follow from a decision of an operator, computed before it is made: the steps that runs would take, and what they
//! would hold back.

use std::collections::{BTreeMap, BTreeSet};

use peerd_core::{
    AccountId, DeleteApproval, DesiredState, Finding, FindingKind, MeshName, ObservedState, PeeringId, Policy,
};
use serde::{Deserialize, Serialize};

use crate::handover;
use crate::observe;
use crate::observer::Observer;
use crate::reconcile::ReconcileError;

/// How many steps of a mesh are listed; all of them are counted.
const MAX_LISTED: usize = 100;

/// A decision of an operator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// Declaring a mesh, or replacing its policy or mode.
    Declare {
        /// The mesh.
        mesh: MeshName,
        /// The new policy.
        policy: Box<Policy>,
    },
    /// Removing the policy of a mesh.
    Undeclare {
        /// The mesh.
        mesh: MeshName,
    },
    /// Adopting a peering.
    Adopt {
        /// The mesh.
        mesh: MeshName,
        /// The peering.
        peering: PeeringId,
    },
    /// Releasing a peering.
    Release {
        /// The mesh.
        mesh: MeshName,
        /// The peering.
        peering: PeeringId,
    },
    /// Approving deletes that exceed the limits of a mesh.
    Confirm {
        /// The mesh.
        mesh: MeshName,
        /// How many deletes.
        deletes: usize,
    },
    /// Blocking an account.
    Block {
        /// The account.
        account: AccountId,
    },
    /// Recording that an account no longer exists.
    Remove {
        /// The account.
        account: AccountId,
    },
}

/// What would follow for one mesh.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consequences {
    /// How many steps there are of each kind, such as `- peering` or `+ route`.
    pub counts: BTreeMap<String, usize>,
    /// The first steps: those of peerings before the others, each in order.
    pub steps: Vec<String>,
    /// What would be held back, and what could not be read.
    pub findings: BTreeSet<Finding>,
    /// Why the decision would have no effect.
    pub problems: Vec<String>,
}

impl Consequences {
    /// Whether anything is created, or deleted, apart from status tags.
    pub fn any(&self, sign: char) -> bool {
        self.counts.keys().any(|kind| kind.starts_with(sign) && !kind.ends_with(" vpc"))
    }
}

impl Observer<'_> {
    /// Computes what would follow from a decision, for each mesh that it concerns.
    ///
    /// # Errors
    /// As [`crate::Engine::reconcile`].
    pub async fn foresee(&self, decision: &Decision) -> Result<BTreeMap<MeshName, Consequences>, ReconcileError> {
        let meshes: BTreeSet<MeshName> = match decision {
            Decision::Declare { mesh, .. }
            | Decision::Undeclare { mesh }
            | Decision::Adopt { mesh, .. }
            | Decision::Release { mesh, .. }
            | Decision::Confirm { mesh, .. } => [mesh.clone()].into(),
            Decision::Block { .. } | Decision::Remove { .. } => self.declared().await?.into_keys().collect(),
        };
        let scopes = self.scopes().await?;
        let mut foreseen = BTreeMap::new();
        let observation = self.observe_all(&observe::meshes(&meshes), &scopes).await?;
        for mesh in meshes {
            let (mut desired, mut observed) = (observation.desired(&mesh, self.settings), observation.observed.clone());
            let problems = match decision {
                Decision::Adopt { mesh, peering } => handover::of_adoption(mesh, peering, &desired, &observed),
                Decision::Release { mesh, peering } => handover::of_release(mesh, peering, &desired, &observed),
                _ => Vec::new(),
            };
            self.suppose(decision, &mut desired, &mut observed);
            let consequences = self.follow(&desired, &mut observed).await?;
            let consequences = Consequences { problems, ..consequences };
            foreseen.insert(mesh, consequences);
        }
        Ok(foreseen)
    }

    /// Changes what was read as if the decision had been made.
    fn suppose(&self, decision: &Decision, desired: &mut DesiredState, observed: &mut ObservedState) {
        match decision {
            Decision::Declare { mesh, policy } => drop(desired.declared.insert(mesh.clone(), Policy::clone(policy))),
            Decision::Undeclare { mesh } if self.settings.meshes.contains(mesh) => {
                drop(desired.declared.insert(mesh.clone(), Policy::default()));
            }
            Decision::Undeclare { mesh } => drop(desired.declared.remove(mesh)),
            Decision::Adopt { mesh, peering } | Decision::Release { mesh, peering } => {
                let adopts = matches!(decision, Decision::Adopt { .. });
                let policy = desired.declared.entry(mesh.clone()).or_default();
                policy.set_adoption(peering.clone(), adopts);
            }
            Decision::Confirm { deletes, .. } => {
                desired.delete_approval = DeleteApproval::Confirmed { deletes: *deletes };
            }
            Decision::Block { account } => {
                desired.accounts.known.remove(account);
                desired.accounts.blocked.insert(account.clone());
                observed.empty_account(account);
            }
            Decision::Remove { account } => observed.empty_account(account),
        }
    }

    async fn follow(
        &self,
        desired: &DesiredState,
        observed: &mut ObservedState,
    ) -> Result<Consequences, ReconcileError> {
        let seen = self.forecast(desired, observed).await?;
        let mut consequences = Consequences::default();
        let mut steps: Vec<String> = seen.steps.iter().map(|step| step.action.to_string()).collect();
        for step in &steps {
            let kind: Vec<&str> = step.split(' ').take(2).collect();
            *consequences.counts.entry(kind.join(" ")).or_default() += 1;
        }
        steps.sort_by_key(|step| !step.contains(" peering ")); // peerings first: a list that is cut has no room for their routes
        steps.truncate(MAX_LISTED);
        consequences.steps = steps;
        let matters = |finding: &Finding| finding.holds_changes_back() || finding.kind() == FindingKind::Unreadable;
        consequences.findings = seen.report.findings.into_iter().filter(matters).collect();
        Ok(consequences)
    }
}
