//! Reading tags and writing the membership index.
//!
//! A VPC that joins is remembered at once. One that leaves is forgotten only when the meshes that it left are as they
//! should be: should a worker die in between, the next one still finds where to clean up.

use std::collections::{BTreeMap, BTreeSet};

use peerd_core::tags::MeshTag;
use peerd_core::{AccountId, Desired, Member, MeshName, Observed, Scope, Vpc, VpcRef};

use crate::engine::Engine;
use crate::error::{CloudError, PortError};

/// What surveying one VPC brought to light.
#[derive(Debug, Clone)]
pub struct Surveyed {
    /// The meshes that it asks for or asked for.
    pub touched: BTreeSet<MeshName>,
    /// Whether the index did not know.
    pub changed: bool,
}

/// What surveying an account brought to light.
#[derive(Debug, Default)]
pub struct AccountSurvey {
    /// Meshes whose membership changed, and the scopes in which it did.
    pub changed: BTreeMap<MeshName, BTreeSet<Scope>>,
    /// Why a scope was not surveyed, if trying again soon can help.
    pub passing: Option<SurveyError>,
}

impl Engine<'_> {
    /// Compares what was read of a VPC (nothing, if it is gone) with the index and remembers what is new. What it left
    /// is remembered until [`Engine::forget_who_left`].
    ///
    /// # Errors
    /// When the store cannot be read or written.
    pub async fn survey_vpc(&self, vpc: &VpcRef, read: Option<&Vpc>) -> Result<Surveyed, PortError> {
        let before = self.store.member(vpc).await?;
        let asked = read.map(|vpc| MeshTag::of(&vpc.tags).meshes).unwrap_or_default();
        let old = before.as_ref().map(|member| member.meshes.clone()).unwrap_or_default();
        let touched = &old | &asked;
        let known = before.as_ref().map(|member| member.cidrs.clone());
        let cidrs = read.map(|vpc| vpc.cidrs.clone()).or(known).unwrap_or_default();
        let now = Member { vpc: vpc.clone(), cidrs, meshes: touched.clone() };
        let changed = before.as_ref() != Some(&now) && !touched.is_empty();
        if changed {
            self.store.remember(before.as_ref(), &now).await?;
        }
        Ok(Surveyed { touched, changed })
    }

    /// Forgets those whose own tags were read and no longer ask for the mesh, and the mesh itself if nobody asks for it
    /// and nobody declared it. To be called when the mesh is as it should be: until then whoever comes next must find
    /// where there is something to clean up.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    pub async fn forget_who_left(&self, desired: &Desired, observed: &Observed) -> Result<(), PortError> {
        let mesh = &desired.mesh;
        let asks =
            |vpc: &VpcRef| observed.vpcs.get(vpc).is_some_and(|seen| MeshTag::of(&seen.tags).meshes.contains(mesh));
        let mut stayed = observed.vpcs.keys().any(asks);
        for member in desired.remembered.values().filter(|member| member.meshes.contains(mesh)) {
            if asks(&member.vpc) || !observed.answered(&member.vpc.scope) {
                stayed = true;
                continue;
            }
            if let Some(before) = self.store.member(&member.vpc).await? {
                let mut now = before.clone();
                now.meshes.remove(mesh);
                self.store.remember(Some(&before), &now).await?;
            }
        }
        if !stayed && !desired.declared.contains_key(mesh) {
            self.store.forget_mesh(mesh).await?;
        }
        Ok(())
    }

    /// Surveys every VPC of an account, those that are only remembered too, and tells which meshes changed where, and
    /// what could not be surveyed. A Region that is denied is a gap until the next sweep and no error.
    ///
    /// # Errors
    /// When the registered scopes cannot be read.
    pub async fn survey_account(&self, account: &AccountId) -> Result<AccountSurvey, PortError> {
        let mut survey = AccountSurvey::default();
        for scope in self.scopes().await?.into_iter().filter(|scope| scope.account == *account) {
            match self.survey_scope(&scope).await {
                Ok(meshes) => {
                    for mesh in meshes {
                        survey.changed.entry(mesh).or_default().insert(scope.clone());
                    }
                }
                Err(error) => {
                    tracing::warn!(%scope, error = crate::apply::chain(&error), "gap: scope not surveyed");
                    survey.passing = survey.passing.or(error.may_pass().then_some(error));
                }
            }
        }
        Ok(survey)
    }

    async fn survey_scope(&self, scope: &Scope) -> Result<BTreeSet<MeshName>, SurveyError> {
        let mut vpcs: BTreeMap<VpcRef, Option<Vpc>> = BTreeMap::new();
        for mesh in self.meshes().await?.keys() {
            let members = self.store.members(mesh).await?.into_iter().filter(|member| member.vpc.scope == *scope);
            vpcs.extend(members.map(|member| (member.vpc, None)));
        }
        vpcs.extend(self.cloud.vpcs(scope).await?.into_iter().map(|vpc| (vpc.at.clone(), Some(vpc))));
        let mut changed = BTreeSet::new();
        for (vpc, read) in &vpcs {
            let surveyed = self.survey_vpc(vpc, read.as_ref()).await?;
            if surveyed.changed {
                changed.extend(surveyed.touched);
            }
        }
        Ok(changed)
    }
}

/// A scope that could not be surveyed.
#[derive(Debug, thiserror::Error)]
pub enum SurveyError {
    /// The store failed.
    #[error("index not read or written")]
    Store(#[from] PortError),
    /// The cloud did not answer.
    #[error("tags not read")]
    Cloud(#[from] CloudError),
}

impl SurveyError {
    /// Whether trying again soon can help. What is denied is a gap until the next sweep.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Store(_) => true,
            Self::Cloud(error) => error.kind.is_passing(),
        }
    }
}
