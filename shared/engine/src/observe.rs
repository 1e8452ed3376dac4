//! Seeing what there is: first the peerings, route tables and ingress rules of every scope that matters, then what its VPCs
//! and security groups ask for, then the index, and last what only some meshes need to know.
//!
//! The order is a safety rule. What was seen and then found unwanted was unwanted while it stood; the other way round a
//! run would delete what a parallel run has just made.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, stream};
use peerd_core::planner::dns_questions;
use peerd_core::{
    Deployment, Desired, IngressRule, MeshName, Observed, PeeringView, RouteTable, Rule, Scope, SecurityGroup, Vpc,
    VpcRef,
};

use crate::engine::Engine;
use crate::error::{CloudError, PortError, chain};

/// How many scopes are read at once.
const CONCURRENCY: usize = 32;

/// What a run knows before it plans.
pub struct Sight {
    /// What is wanted.
    pub desired: Desired,
    /// What was seen.
    pub observed: Observed,
    /// Whether some scope did not answer for a reason that may pass by itself.
    pub passing_gaps: bool,
}

/// What stands in one scope. Its security groups are apart: a role that may not read them yet, because the account runs an
/// older spoke.yaml, may still do all the rest.
struct Network {
    peerings: Vec<PeeringView>,
    tables: Vec<RouteTable>,
    rules: Result<Vec<IngressRule>, CloudError>,
}

/// What the owners of one scope ask for by their tags.
struct Asked {
    vpcs: Vec<Vpc>,
    groups: Result<Vec<SecurityGroup>, CloudError>,
}

impl Engine<'_> {
    /// Observes all that concerns a mesh: the scopes of its members, `scopes` besides, and the far ends of its peerings.
    ///
    /// # Errors
    /// When the store cannot be read. A scope that cannot be read is a gap in the answer.
    pub async fn observe(&self, mesh: &MeshName, scopes: &BTreeSet<Scope>) -> Result<Sight, PortError> {
        let mut observed = Observed::default();
        let mut passing_gaps = false;
        let members = self.store.members(mesh).await?;
        let mut needed: BTreeSet<Scope> = members.into_iter().map(|member| member.vpc.scope).collect();
        needed.extend(scopes.iter().cloned());
        let early = match Rule::PeeringsBeforeMembership.is_kept() {
            true => None,
            false => Some(self.asked_in(needed.iter().cloned().collect()).await),
        };
        loop {
            let unread: Vec<Scope> =
                needed.iter().filter(|scope| !observed.scopes.contains_key(*scope)).cloned().collect();
            if unread.is_empty() {
                break;
            }
            for (scope, network) in self.networks(unread).await {
                if network.is_err() && !Rule::FailuresStayAlone.is_kept() {
                    return Err(PortError::new(format!("{scope} cannot be read")));
                }
                passing_gaps |= add_network(&mut observed, scope, network);
            }
            needed.extend(far_scopes(&observed, mesh, &self.settings.deployment));
        }
        let answering: Vec<Scope> = observed.scopes.keys().filter(|scope| observed.answered(scope)).cloned().collect();
        let asked = match early {
            None => self.asked_in(answering).await,
            Some(early) => early,
        };
        for (scope, asked) in asked {
            passing_gaps |= add_asked(&mut observed, scope, asked);
        }
        let desired = self.desired(mesh, &observed).await?;
        let questions = dns_questions(&desired, &observed);
        passing_gaps |= self.ask_dns(questions, &mut observed).await;
        Ok(Sight { desired, observed, passing_gaps })
    }

    async fn networks(&self, scopes: Vec<Scope>) -> Vec<(Scope, Result<Network, CloudError>)> {
        let read = |scope: Scope| async move {
            let (peerings, tables, rules) = futures::join!(
                self.cloud.peerings(&scope),
                self.cloud.route_tables(&scope),
                self.cloud.ingress_rules(&scope)
            );
            let network = peerings.and_then(|peerings| Ok(Network { peerings, tables: tables?, rules }));
            (scope, network)
        };
        stream::iter(scopes).map(read).buffer_unordered(CONCURRENCY).collect().await
    }

    async fn asked_in(&self, scopes: Vec<Scope>) -> Vec<(Scope, Result<Asked, CloudError>)> {
        let read = |scope: Scope| async move {
            let (vpcs, groups) = futures::join!(self.cloud.vpcs(&scope), self.cloud.security_groups(&scope));
            (scope, vpcs.map(|vpcs| Asked { vpcs, groups }))
        };
        stream::iter(scopes).map(read).buffer_unordered(CONCURRENCY).collect().await
    }

    /// Reads DNS attributes; whether some could not be read for a reason that may pass by itself.
    async fn ask_dns(&self, questions: BTreeSet<VpcRef>, observed: &mut Observed) -> bool {
        let read = |vpc: VpcRef| async move {
            let support = self.cloud.dns_support(&vpc).await;
            (vpc, support)
        };
        let answers: Vec<_> = stream::iter(questions).map(read).buffer_unordered(CONCURRENCY).collect().await;
        let passing = answers.iter().any(|(_, answer)| answer.as_ref().is_err_and(|error| error.kind.is_passing()));
        observed.dns.extend(answers.into_iter().map(|(vpc, answer)| (vpc, answer.map_err(|error| chain(&error)))));
        passing
    }

    async fn desired(&self, mesh: &MeshName, observed: &Observed) -> Result<Desired, PortError> {
        let mut remembered: BTreeMap<_, _> =
            self.store.members(mesh).await?.into_iter().map(|member| (member.vpc.clone(), member)).collect();
        for peering in observed.peerings.values().filter(|p| p.is_managed_by(&self.settings.deployment)) {
            for vpc in peering.ends() {
                if !observed.answered(&vpc.scope) && !remembered.contains_key(vpc) {
                    let member = self.store.member(vpc).await?;
                    remembered.extend(member.map(|member| (vpc.clone(), member)));
                }
            }
        }
        let (deployment, mesh) = (self.settings.deployment.clone(), mesh.clone());
        let accounts = self.scopes().await?.into_iter().map(|scope| scope.account).collect();
        Ok(Desired { deployment, mesh, declared: self.declared().await?, accounts, remembered })
    }
}

/// The scopes of both ends of every peering that was made for the mesh: routes may lead to it on either side.
fn far_scopes(observed: &Observed, mesh: &MeshName, deployment: &Deployment) -> Vec<Scope> {
    let ours = observed.peerings.values().filter(|p| p.is_managed_by(deployment) && p.tagged_meshes().contains(mesh));
    ours.flat_map(|peering| peering.ends().map(|vpc| vpc.scope.clone())).collect()
}

fn add_network(observed: &mut Observed, scope: Scope, network: Result<Network, CloudError>) -> bool {
    match network {
        Ok(Network { peerings, tables, rules }) => {
            for view in peerings {
                observed.add_peering(&scope, view);
            }
            observed.tables.extend(tables.into_iter().map(|table| (table.id.clone(), table)));
            observed.scopes.insert(scope.clone(), Ok(()));
            match rules {
                Ok(rules) => {
                    observed.ingress.rules.extend(rules.into_iter().map(|rule| (rule.id.clone(), rule)));
                    false
                }
                Err(error) => add_ingress_gap(observed, scope, &error),
            }
        }
        Err(error) => add_gap(observed, scope, &error),
    }
}

fn add_asked(observed: &mut Observed, scope: Scope, asked: Result<Asked, CloudError>) -> bool {
    match asked {
        Ok(Asked { vpcs, groups }) => {
            observed.vpcs.extend(vpcs.into_iter().map(|vpc| (vpc.at.clone(), vpc)));
            match groups {
                Ok(groups) => {
                    observed.ingress.groups.extend(groups.into_iter().map(|group| (group.id.clone(), group)));
                    false
                }
                Err(error) => add_ingress_gap(observed, scope, &error),
            }
        }
        Err(error) => add_gap(observed, scope, &error),
    }
}

fn add_ingress_gap(observed: &mut Observed, scope: Scope, error: &CloudError) -> bool {
    observed.ingress_gaps.insert(scope, chain(error));
    error.kind.is_passing()
}

/// A scope that answered in part did not answer.
fn add_gap(observed: &mut Observed, scope: Scope, error: &CloudError) -> bool {
    observed.scopes.insert(scope, Err(chain(error)));
    error.kind.is_passing()
}
