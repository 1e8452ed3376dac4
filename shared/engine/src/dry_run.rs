//! What runs of a mesh would do, computed without changing anything.

use std::collections::{BTreeMap, BTreeSet};

use peerd_core::policy::Mode;
use peerd_core::{
    DesiredState, Map, MeshName, ObservedState, Peering, PlannedRun, Policy, Scope, VpcRef, forecast, plan,
};

use crate::observe::{Observation, Snapshot};
use crate::observer::Observer;
use crate::reconcile::ReconcileError;

/// The maximum number of rounds of questions of a forecast: each pass of a plan may have new ones.
const MAX_ROUNDS: usize = 20;

/// The forecast of a mesh.
#[derive(Debug)]
pub struct DryRun {
    /// The mesh.
    pub mesh: MeshName,
    /// The steps until the mesh has converged; for a paused mesh, after it is resumed.
    pub forecast: PlannedRun,
    /// Whether the mesh is paused, so that runs make none of the changes for now.
    pub paused: bool,
    /// The scopes that were read, with or without success.
    pub read_scopes: BTreeSet<Scope>,
    /// The values of the tags `Name` of the VPCs.
    pub names: BTreeMap<VpcRef, String>,
    /// The meshes of this deployment's peerings that are not declared.
    pub undeclared: BTreeSet<MeshName>,
}

impl Observer<'_> {
    /// Computes what runs of an observed mesh would do until it has converged.
    ///
    /// # Errors
    /// As [`crate::Engine::reconcile`].
    pub async fn preview(&self, mesh: &MeshName, observation: &mut Observation) -> Result<DryRun, ReconcileError> {
        let mut desired = observation.desired(mesh, self.settings);
        let observed = &mut observation.observed;
        let policy = desired.declared.get_mut(mesh).filter(|policy| policy.mode == Mode::Paused);
        let paused = policy.is_some();
        policy.into_iter().for_each(|policy: &mut Policy| policy.mode = Mode::Active);
        let forecast = self.forecast(&desired, observed).await?;
        let live = observed.peerings.values().filter(|peering| peering.is_owned() && peering.status.is_live());
        let is_undeclared = |mesh: &MeshName| !desired.declared.contains_key(mesh);
        let undeclared = live.flat_map(Peering::tagged_meshes).filter(is_undeclared).collect();
        let names = observed.names();
        let read_scopes = observed.scopes.keys().cloned().collect();
        Ok(DryRun { mesh: mesh.clone(), forecast, paused, read_scopes, names, undeclared })
    }

    /// Maps the observed meshes as their plans leave them, with the changes.
    ///
    /// # Errors
    /// As [`crate::Engine::reconcile`].
    pub async fn planned_map(
        &self,
        meshes: &BTreeSet<MeshName>,
        observation: &mut Observation,
    ) -> Result<Map, ReconcileError> {
        let desired: Vec<DesiredState> = meshes.iter().map(|mesh| observation.desired(mesh, self.settings)).collect();
        let (observed, operator) = (&mut observation.observed, &self.settings.operator);
        let (mut map, mut questions) =
            Map::planned(&desired, observed, operator).map_err(ReconcileError::UnsoundPlan)?;
        for _ in 0..MAX_ROUNDS {
            if questions.is_empty() {
                break;
            }
            self.fetch_inputs(questions, observed).await?;
            (map, questions) = Map::planned(&desired, observed, operator).map_err(ReconcileError::UnsoundPlan)?;
        }
        Ok(map)
    }

    /// Observes a mesh, and reads what its first plan asks for.
    ///
    /// # Errors
    /// As [`crate::Engine::reconcile`].
    pub async fn observe_with_inputs(
        &self,
        mesh: &MeshName,
        scopes: &BTreeSet<Scope>,
    ) -> Result<Snapshot, ReconcileError> {
        let mut snapshot = self.observe(mesh, scopes).await?;
        for _ in 0..MAX_ROUNDS {
            let questions = plan(&snapshot.desired, &snapshot.observed).1.questions;
            if questions.is_empty() {
                break;
            }
            self.fetch_inputs(questions, &mut snapshot.observed).await?;
        }
        Ok(snapshot)
    }

    /// Computes the steps until a mesh has converged, and reads what the plans ask for.
    pub(crate) async fn forecast(
        &self,
        desired: &DesiredState,
        observed: &mut ObservedState,
    ) -> Result<PlannedRun, ReconcileError> {
        let mut seen = forecast(desired, observed).map_err(ReconcileError::UnsoundPlan)?;
        for _ in 0..MAX_ROUNDS {
            let questions = std::mem::take(&mut seen.report.questions);
            if questions.is_empty() {
                break;
            }
            self.fetch_inputs(questions, observed).await?;
            seen = forecast(desired, observed).map_err(ReconcileError::UnsoundPlan)?;
        }
        Ok(seen)
    }
}
