//! What runs of a mesh would do, without doing any of it.

use std::collections::BTreeSet;

use peerd_core::policy::Mode;
use peerd_core::{MeshName, PlannedRun, Policy, Scope, forecast};

use crate::observe::Snapshot;
use crate::observer::Observer;
use crate::reconcile::ReconcileError;

/// Rounds of questions that a forecast asks at the most: each pass of a plan may have new ones.
const MOST_ROUNDS: usize = 20;

/// A look ahead.
#[derive(Debug)]
pub struct DryRun {
    /// Which mesh.
    pub mesh: MeshName,
    /// What is to be done. Of a paused mesh, what will be when it resumes.
    pub forecast: PlannedRun,
    /// Whether the mesh is paused, so that none of it is done for now.
    pub paused: bool,
    /// The scopes that were asked.
    pub asked: BTreeSet<Scope>,
}

impl Observer<'_> {
    /// Looks at all that concerns a mesh and works out what runs would do, to the end.
    ///
    /// # Errors
    /// As [`crate::Engine::reconcile`].
    pub async fn preview(&self, mesh: &MeshName, scopes: &BTreeSet<Scope>) -> Result<DryRun, ReconcileError> {
        let Snapshot { mut desired, mut observed, .. } = self.observe(mesh, scopes).await?;
        let policy = desired.declared.get_mut(mesh).filter(|policy| policy.mode == Mode::Paused);
        let paused = policy.is_some();
        policy.into_iter().for_each(|policy: &mut Policy| policy.mode = Mode::Active);
        let mut seen = forecast(&desired, &observed).map_err(ReconcileError::UnsoundPlan)?;
        for _ in 0..MOST_ROUNDS {
            let questions = std::mem::take(&mut seen.report.questions);
            if questions.is_empty() {
                break;
            }
            self.fetch_inputs(mesh, questions, &mut observed).await?;
            seen = forecast(&desired, &observed).map_err(ReconcileError::UnsoundPlan)?;
        }
        let asked = observed.scopes.into_keys().collect();
        Ok(DryRun { mesh: mesh.clone(), forecast: seen, paused, asked })
    }
}
