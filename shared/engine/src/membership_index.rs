//! Reading tags and writing the membership index.
//!
//! A VPC that joins is remembered at once. One that leaves is forgotten only when the meshes that it left are as they
//! should be: should a worker die in between, the next one still finds where to clean up.

use std::collections::{BTreeMap, BTreeSet};

use peerd_core::tags::{self, MeshTag};
use peerd_core::{AccountId, DesiredState, Member, MeshName, ObservedState, Scope, Vpc, VpcRef};

use crate::engine::Engine;
use crate::error::{CloudError, InfraError, chain};

/// How far behind describes may be: minutes at worst
/// (<https://docs.aws.amazon.com/ec2/latest/devguide/eventual-consistency.html>), mostly less than a second.
const SETTLED_MS: u64 = 60_000;
/// Times to write what is remembered of a VPC while others write it too.
const MOST_TRIES: usize = 4;

/// What surveying one VPC brought to light.
#[derive(Debug, Clone)]
pub struct IndexUpdate {
    /// The meshes that it asks for or asked for.
    pub touched: BTreeSet<MeshName>,
    /// Whether the index did not know.
    pub changed: bool,
}

/// What surveying an account brought to light.
#[derive(Debug, Default)]
pub struct AccountScan {
    /// Meshes whose membership changed, and the scopes in which it did.
    pub changed: BTreeMap<MeshName, BTreeSet<Scope>>,
    /// Why a scope was not surveyed, if trying again soon can help.
    pub passing: Option<SurveyError>,
}

impl Engine<'_> {
    /// Compares what was read of a VPC (nothing, if it is gone) with the index and remembers what is new. What it left
    /// is remembered until [`Engine::prune_index`]. A read of which no event told, or one of an older tag change
    /// (`told`), may be older than a tag of a moment ago, and then nobody is taken to have left.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    pub async fn survey_vpc(
        &self,
        vpc: &VpcRef,
        read: Option<&Vpc>,
        told: Option<u64>,
    ) -> Result<IndexUpdate, InfraError> {
        for _ in 0..MOST_TRIES {
            let before = self.store.member(vpc).await?;
            let now = self.member_now(vpc, read, told, before.as_ref());
            let touched = now.meshes.clone();
            if touched.is_empty() || before.as_ref() == Some(&now) {
                return Ok(IndexUpdate { touched, changed: false });
            }
            let version = self.next_version(before.as_ref());
            if self.store.remember(before.as_ref(), &Member { version, ..now }).await? {
                return Ok(IndexUpdate { touched, changed: true });
            }
        }
        Err(InfraError::new(format!("others keep writing what is remembered of {vpc}")))
    }

    /// What is to be remembered of a VPC that was read so.
    fn member_now(&self, vpc: &VpcRef, read: Option<&Vpc>, told: Option<u64>, before: Option<&Member>) -> Member {
        let asked = read.map(|vpc| MeshTag::of(&vpc.tags).meshes).unwrap_or_default();
        let Some(before) = before else {
            let cidrs = read.map(|vpc| vpc.cidrs.clone()).unwrap_or_default();
            let tags = read.map(|vpc| tags::of_member(&vpc.tags)).unwrap_or_default();
            let (since, tag_version) = (self.clock.now(), told.filter(|_| read.is_some()).unwrap_or_default());
            let joined = asked.iter().map(|mesh| (mesh.clone(), since)).collect();
            return Member {
                vpc: vpc.clone(),
                cidrs,
                tags,
                meshes: asked,
                left: BTreeSet::new(),
                since,
                joined,
                tag_version,
                version: 0,
            };
        };
        let meshes = &before.meshes | &asked;
        let is_told = told.is_some_and(|version| version >= before.tag_version);
        let is_young = self.clock.now() < before.since + SETTLED_MS;
        if is_young && !is_told && !before.asked().is_subset(&asked) {
            // What it seems to ask for besides is looked at; what is remembered of it stays a state that it had.
            return Member { left: &before.left | &(&asked - &before.meshes), meshes, ..before.clone() };
        }
        // What an event tells of a tag that is newer than what is remembered is news, even if it was believed before.
        let is_news = told.is_some_and(|version| version > before.tag_version) || !asked.is_subset(&before.asked());
        let since = if is_news { self.clock.now() } else { before.since };
        let joined = |mesh| if before.asked().contains(mesh) { before.joined(mesh) } else { self.clock.now() };
        Member {
            vpc: vpc.clone(),
            cidrs: read.map_or_else(|| before.cidrs.clone(), |vpc| vpc.cidrs.clone()),
            tags: read.map_or_else(|| before.tags.clone(), |vpc| tags::of_member(&vpc.tags)),
            left: &meshes - &asked,
            joined: asked.iter().map(|mesh| (mesh.clone(), joined(mesh))).collect(),
            meshes,
            since,
            tag_version: told.filter(|_| read.is_some()).unwrap_or_default().max(before.tag_version),
            version: before.version,
        }
    }

    fn next_version(&self, before: Option<&Member>) -> u64 {
        before.map_or(0, |before| before.version + 1).max(self.clock.now())
    }

    /// Forgets those whose own tags were read and no longer ask for the mesh, unless they joined a moment ago and no
    /// survey saw them leave: then the read may be older than their tag, and a sweep forgets them if it was not. Forgets
    /// also the mesh itself if nobody asks for it and nobody declared it. To be called when the mesh is as it should be:
    /// until then whoever comes next must find where there is something to clean up.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    pub async fn prune_index(&self, desired: &DesiredState, observed: &ObservedState) -> Result<(), InfraError> {
        let mesh = &desired.mesh;
        let asks =
            |vpc: &VpcRef| observed.vpcs.get(vpc).is_some_and(|seen| MeshTag::of(&seen.tags).meshes.contains(mesh));
        let mut stayed = observed.vpcs.keys().any(asks);
        for member in desired.remembered.values().filter(|member| member.meshes.contains(mesh)) {
            let scope = &member.vpc.scope;
            if asks(&member.vpc) || !observed.answered(scope) || observed.ingress_gaps.contains_key(scope) {
                stayed = true;
                continue;
            }
            if !member.left.contains(mesh) && self.clock.now() < member.since + SETTLED_MS {
                stayed = true;
                continue;
            }
            let mut now = Member { version: self.next_version(Some(member)), ..member.clone() };
            now.meshes.remove(mesh);
            now.left.remove(mesh);
            now.joined.remove(mesh);
            // Whoever was surveyed since this run looked may have come back.
            stayed |= !self.store.remember(Some(member), &now).await?;
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
    pub async fn survey_account(&self, account: &AccountId) -> Result<AccountScan, InfraError> {
        let mut survey = AccountScan::default();
        for scope in self.observer().scopes().await?.into_iter().filter(|scope| scope.account == *account) {
            match self.survey_scope(&scope).await {
                Ok(meshes) => {
                    for mesh in meshes {
                        survey.changed.entry(mesh).or_default().insert(scope.clone());
                    }
                }
                Err(SurveyError::Cloud(error)) if self.observer().is_off(&scope, &error).await => {
                    tracing::debug!(%scope, "the account has the Region switched off");
                }
                Err(error) => {
                    tracing::warn!(%scope, error = chain(&error), "gap: scope not surveyed");
                    survey.passing = survey.passing.or(error.may_pass().then_some(error));
                }
            }
        }
        Ok(survey)
    }

    async fn survey_scope(&self, scope: &Scope) -> Result<BTreeSet<MeshName>, SurveyError> {
        let mut vpcs: BTreeMap<VpcRef, Option<Vpc>> = BTreeMap::new();
        for mesh in self.observer().meshes().await?.keys() {
            let members = self.store.members(mesh).await?.into_iter().filter(|member| member.vpc.scope == *scope);
            vpcs.extend(members.map(|member| (member.vpc, None)));
        }
        vpcs.extend(self.cloud.vpcs(scope).await?.into_iter().map(|vpc| (vpc.at.clone(), Some(vpc))));
        let mut changed = BTreeSet::new();
        for (vpc, read) in &vpcs {
            let surveyed = self.survey_vpc(vpc, read.as_ref(), None).await?;
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
    Store(#[from] InfraError),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn what_is_denied_is_not_tried_again_soon_and_everything_else_is() {
        let of = |kind| SurveyError::from(CloudError::new(kind, "DescribeVpcs")).may_pass();
        assert!(of(ErrorKind::Throttled) && !of(ErrorKind::Denied));
        assert!(SurveyError::from(InfraError::new("Query")).may_pass());
    }
}
