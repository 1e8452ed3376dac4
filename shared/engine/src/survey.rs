//! Reading tags and writing the membership index.
//!
//! A VPC that joins is remembered at once. One that leaves is forgotten only when the meshes that it left have been
//! reconciled: should this worker die in between, the message comes again and still finds what to clean up.

use std::collections::{BTreeMap, BTreeSet};

use peerd_core::tags::MeshTag;
use peerd_core::{AccountId, Member, MeshName, Scope, Vpc, VpcRef};

use crate::engine::Engine;
use crate::ports::{CloudError, PortError};

/// An index entry that is to be written when the meshes that the VPC left are reconciled.
#[derive(Debug, Clone)]
pub struct Departure {
    before: Member,
    now: Member,
}

impl Departure {
    /// The meshes that were left.
    pub fn left(&self) -> BTreeSet<MeshName> {
        &self.before.meshes - &self.now.meshes
    }
}

/// What surveying one VPC brought to light.
#[derive(Debug, Clone)]
pub struct Surveyed {
    /// The meshes that it asks for or asked for.
    pub touched: BTreeSet<MeshName>,
    /// Whether the index did not know.
    pub changed: bool,
    /// What is to be written later.
    pub departure: Option<Departure>,
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
    /// Compares what was read of a VPC (nothing, if it is gone) with the index and remembers what is new.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    pub async fn survey_vpc(&self, vpc: &VpcRef, read: Option<&Vpc>) -> Result<Surveyed, PortError> {
        let before = self.store.member(vpc).await?;
        let now = member_of(vpc, read);
        let old = before.as_ref().map(|member| member.meshes.clone()).unwrap_or_default();
        let touched = &old | &now.meshes;
        if before.as_ref() == Some(&now) || (before.is_none() && now.meshes.is_empty()) {
            return Ok(Surveyed { touched, changed: false, departure: None });
        }
        let for_now = Member { meshes: touched.clone(), ..now.clone() };
        if before.as_ref() != Some(&for_now) {
            self.store.remember(before.as_ref(), &for_now).await?;
        }
        let departure = (for_now != now).then_some(Departure { before: for_now, now });
        Ok(Surveyed { touched, changed: true, departure })
    }

    /// Writes what a reconcile of the left meshes has made true.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn depart(&self, departure: &Departure) -> Result<(), PortError> {
        self.store.remember(Some(&departure.before), &departure.now).await
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

fn member_of(vpc: &VpcRef, read: Option<&Vpc>) -> Member {
    let meshes = read.map(|vpc| MeshTag::of(&vpc.tags).meshes).unwrap_or_default();
    let cidrs = read.map(|vpc| vpc.cidrs.clone()).unwrap_or_default();
    Member { vpc: vpc.clone(), cidrs, meshes }
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
