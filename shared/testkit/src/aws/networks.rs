//! VPCs with their CIDR blocks and tags.
//!
//! Sources: <https://docs.aws.amazon.com/vpc/latest/userguide/vpc-cidr-blocks.html> for associating and disassociating
//! CIDR blocks, <https://docs.aws.amazon.com/vpc/latest/peering/delete-vpc-peering-connection.html> for the effect of a
//! VPC's deletion on its peerings.

use peerd_core::cidr::{CidrSet, IpNet};
use peerd_core::{PeeringId, PeeringStatus, RouteTarget, Scope, Tags, Vpc, VpcRef};
use peerd_engine::{Clock, CloudError, Timestamp};

use super::history::History;
use super::state::{Aws, Turn, refuse};
use crate::change_log::{Actor, Change};

/// The maximum number of IPv4 CIDR blocks of a VPC, and of its IPv6 CIDR blocks.
const BLOCKS_PER_VPC: usize = 5;

impl Aws {
    /// CreateVpc. The first CIDR block is the primary one.
    pub fn create_vpc(&mut self, by: Actor, vpc: &VpcRef, cidrs: &CidrSet, tags: &Tags) {
        let now = self.executor.now();
        let seen = Vpc {
            vpc_ref: vpc.clone(),
            cidrs: cidrs.clone(),
            amazon_provided: amazon_provided(cidrs),
            cidrs_changing: false,
            tags: tags.clone(),
        };
        self.vpcs.insert(vpc.clone(), History::new(now, Some(seen)));
        self.enter(now, by, Change::Vpc { vpc: vpc.clone(), cidrs: cidrs.clone(), tags: tags.clone() });
    }

    fn change_vpc(
        &mut self,
        at: Timestamp,
        by: Actor,
        vpc: &VpcRef,
        change: impl FnOnce(&mut Vpc),
    ) -> Result<(), CloudError> {
        let memory = self.behavior.memory;
        let mut seen = self.vpc(vpc).cloned().ok_or_else(|| not_found(vpc))?;
        change(&mut seen);
        seen.amazon_provided = amazon_provided(&seen.cidrs);
        let (cidrs, tags) = (seen.cidrs.clone(), seen.tags.clone());
        if let Some(history) = self.vpcs.get_mut(vpc) {
            history.set(at, Some(seen), memory);
        }
        self.enter(at, by, Change::Vpc { vpc: vpc.clone(), cidrs, tags });
        Ok(())
    }

    /// CreateTags or DeleteTags on a VPC.
    ///
    /// # Errors
    /// `InvalidVpcID.NotFound`.
    pub fn tag_vpc(&mut self, by: Actor, vpc: &VpcRef, key: &str, value: Option<&str>) -> Result<(), CloudError> {
        self.change_vpc(self.executor.now(), by, vpc, |seen| match value {
            Some(value) => drop(seen.tags.insert(key.to_owned(), value.to_owned())),
            None => drop(seen.tags.remove(key)),
        })
    }

    /// AssociateVpcCidrBlock.
    ///
    /// # Errors
    /// `InvalidVpc.Range` for a CIDR block that overlaps one of the VPC or of a peer, that contains the destination of
    /// a route, or that is added while a request of the VPC is pending; `CidrBlockAssociationsLimitExceeded`.
    pub fn associate(&mut self, by: Actor, vpc: &VpcRef, cidr: &IpNet) -> Result<(), CloudError> {
        self.check_cidr(vpc, cidr)?;
        let (now, cidr) = (self.executor.now(), *cidr);
        match self.rng.within(&self.behavior.associating) {
            0 => self.change_vpc(now, by, vpc, |seen| seen.cidrs.insert(cidr)),
            time => {
                self.change_vpc(now, by, vpc, |seen| seen.cidrs_changing = true)?;
                self.joining.insert(vpc.clone(), cidr);
                self.later(now + time, Turn::Settle(vpc.clone()));
                Ok(())
            }
        }
    }

    fn check_cidr(&self, vpc: &VpcRef, cidr: &IpNet) -> Result<(), CloudError> {
        let own = &self.vpc(vpc).ok_or_else(|| not_found(vpc))?.cidrs;
        let overlaps = |cidrs: &CidrSet| cidrs.iter().any(|known| peerd_core::cidr::overlap(known, cidr));
        if overlaps(own) {
            return Err(refuse("InvalidVpc.Range", format!("{cidr} overlaps a block of {}", vpc.id)));
        }
        if own.iter().filter(|known| is_v4(known) == is_v4(cidr)).count() >= BLOCKS_PER_VPC {
            return Err(refuse("CidrBlockAssociationsLimitExceeded", format!("{} has enough blocks", vpc.id)));
        }
        for peering in self.peerings.values().filter(|peering| peering.ends().contains(&vpc)) {
            let requests = peering.requester == *vpc && *peering.status() == PeeringStatus::PendingAcceptance;
            let peer = peering.ends().into_iter().find(|end| *end != vpc).and_then(|peer| self.vpc(peer));
            let accepted = matches!(peering.status(), PeeringStatus::Active | PeeringStatus::Provisioning);
            let conflicts = accepted && peer.is_some_and(|peer| overlaps(&peer.cidrs));
            if requests || conflicts {
                return Err(refuse("InvalidVpc.Range", format!("{cidr} is not possible with {}", peering.id)));
            }
        }
        let mut routes = self.tables().filter(|table| table.vpc == *vpc).flat_map(|table| &table.routes);
        let routed = routes.find(|route| route.is_static && cidr.contains(&route.destination));
        if let Some(destination) = routed.map(|route| route.destination) {
            let text = format!("{cidr} is not narrower than the route to {destination}");
            return Err(refuse("InvalidVpc.Range", text));
        }
        Ok(())
    }

    /// Completes the association of a CIDR block; it fails if a peer has the same addresses by now.
    pub(super) fn settle(&mut self, at: Timestamp, vpc: &VpcRef) {
        let cidr = self.joining.remove(vpc).filter(|cidr| self.check_cidr(vpc, cidr).is_ok());
        // A VPC that was deleted in the meantime has no CIDR blocks to associate.
        drop(self.change_vpc(at, Actor::Aws, vpc, |seen| {
            seen.cidrs_changing = false;
            if let Some(cidr) = cidr {
                seen.cidrs.insert(cidr);
            }
        }));
    }

    /// DisassociateVpcCidrBlock of a CIDR block that is not the only one.
    ///
    /// # Errors
    /// `InvalidVpcID.NotFound`, `OperationNotPermitted` for the last CIDR block.
    pub fn disassociate(&mut self, by: Actor, vpc: &VpcRef, cidr: &IpNet) -> Result<(), CloudError> {
        let own = &self.vpc(vpc).ok_or_else(|| not_found(vpc))?.cidrs;
        let left: CidrSet = own.iter().copied().filter(|known| known != cidr).collect();
        if left.iter().next().is_none() {
            return Err(refuse("OperationNotPermitted", format!("{cidr} is the primary block of {}", vpc.id)));
        }
        self.change_vpc(self.executor.now(), by, vpc, |seen| seen.cidrs = left)
    }

    /// DeleteVpc, with its route tables and security groups. [`super::AwsBehavior::delete_takes_peerings`] determines
    /// the effect on its active peerings.
    ///
    /// # Errors
    /// `InvalidVpcID.NotFound`, `DependencyViolation` for a pending request of another account, and, depending on the
    /// behavior, for an active peering.
    pub fn delete_vpc(&mut self, by: Actor, vpc: &VpcRef) -> Result<(), CloudError> {
        self.vpc(vpc).ok_or_else(|| not_found(vpc))?;
        let (now, memory) = (self.executor.now(), self.behavior.memory);
        let theirs: Vec<(PeeringId, PeeringStatus, Scope)> = self
            .peerings
            .values()
            .filter(|peering| peering.ends().contains(&vpc) && peering.status().is_live())
            .map(|p| (p.id.clone(), p.status().clone(), p.requester.scope.clone()))
            .collect();
        for (id, status, requester) in &theirs {
            let pending = !matches!(status, PeeringStatus::Active | PeeringStatus::Provisioning);
            let in_the_way = match pending {
                true => requester.account != vpc.scope.account,
                false => !self.behavior.delete_takes_peerings,
            };
            if in_the_way {
                return Err(refuse("DependencyViolation", format!("{} has the dependency {id}", vpc.id)));
            }
        }
        for (id, ..) in theirs {
            self.tear_down(by, now, &vpc.scope, &id);
        }
        let tables: Vec<_> = self.tables().filter(|table| table.vpc == *vpc).map(|table| table.id.clone()).collect();
        for table in tables {
            self.drop_table(by, &table);
        }
        self.drop_groups_of(by, vpc);
        if let Some(history) = self.vpcs.get_mut(vpc) {
            history.set(now, None, memory);
        }
        self.enter(now, by, Change::VpcGone { vpc: vpc.clone() });
        Ok(())
    }

    /// Whether the peering of a route carries no traffic.
    pub(super) fn is_blackhole(&self, target: &RouteTarget) -> bool {
        match target {
            RouteTarget::Peering(id) => {
                self.peerings.get(id).is_none_or(|peering| *peering.status() != PeeringStatus::Active)
            }
            RouteTarget::Local | RouteTarget::Other(_) => false,
        }
    }
}

/// Returns those of the CIDR blocks that Amazon provided: all of 2600::/12, where its pools for VPCs are.
fn amazon_provided(cidrs: &CidrSet) -> CidrSet {
    let is_amazons = |cidr: &&IpNet| matches!(cidr, IpNet::V6(cidr) if cidr.network().segments()[0] >> 4 == 0x260);
    cidrs.iter().filter(is_amazons).copied().collect()
}

pub(super) fn is_v4(cidr: &IpNet) -> bool {
    matches!(cidr, IpNet::V4(_))
}

fn not_found(vpc: &VpcRef) -> CloudError {
    refuse("InvalidVpcID.NotFound", format!("the vpc ID '{}' does not exist", vpc.id))
}
