//! DNS: the attributes of VPCs, and the options of peerings.
//!
//! Sources: <https://docs.aws.amazon.com/vpc/latest/peering/vpc-peering-dns.html>,
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ModifyVpcPeeringConnectionOptions.html>.

use std::collections::BTreeMap;

use peerd_core::{DnsSupport, PeeringId, PeeringStatus, Scope, VpcRef};
use peerd_engine::{Clock, CloudError, Timestamp};

use super::history::History;
use super::peerings::Peering;
use super::state::{Aws, refuse};
use crate::change_log::{Actor, Change};

/// The DNS attributes of a new VPC.
const AT_FIRST: DnsSupport = DnsSupport { hostnames: false, support: true };

impl Peering {
    /// Whether the host names of an end resolve to private addresses for the other end.
    pub fn resolves(&self, vpc: &VpcRef) -> bool {
        self.dns.get(vpc).is_some_and(|option| *option.now())
    }

    /// Returns the DNS options of a scope's own ends, which AWS lists for active peerings only.
    pub(super) fn options(&self, scope: &Scope, status: &PeeringStatus, time: Timestamp) -> BTreeMap<VpcRef, bool> {
        let shown = self.dns.iter().filter(|(vpc, _)| *status == PeeringStatus::Active && vpc.scope == *scope);
        shown.map(|(vpc, option)| (vpc.clone(), option.as_of(time).copied().unwrap_or_default())).collect()
    }
}

impl Aws {
    /// Returns the DNS attributes of a VPC as a describe call returns them that reads the state at `time`.
    pub fn dns_support(&self, vpc: &VpcRef, time: Timestamp) -> Result<DnsSupport, CloudError> {
        match self.vpcs.get(vpc).and_then(|seen| seen.as_of(time)) {
            Some(Some(_)) => {
                let set = self.dns.get(vpc).and_then(|attributes| attributes.as_of(time));
                Ok(set.copied().unwrap_or(AT_FIRST))
            }
            _ => Err(refuse("InvalidVpcID.NotFound", format!("the vpc ID '{}' does not exist", vpc.id))),
        }
    }

    /// ModifyVpcAttribute.
    ///
    /// # Errors
    /// `InvalidVpcID.NotFound`.
    pub fn set_dns_support(&mut self, by: Actor, vpc: &VpcRef, has: DnsSupport) -> Result<(), CloudError> {
        let (now, memory) = (self.executor.now(), self.behavior.memory);
        let had = self.dns_support(vpc, now)?;
        if had != has {
            self.dns.entry(vpc.clone()).or_insert_with(|| History::new(0, AT_FIRST)).set(now, has, memory);
            self.enter(now, by, Change::Dns { vpc: vpc.clone(), has });
        }
        Ok(())
    }

    /// ModifyVpcPeeringConnectionOptions for one end.
    ///
    /// # Errors
    /// `InvalidVpcPeeringConnectionID.NotFound`, `OperationNotPermitted` for an end of another scope and for a peering
    /// that is not active or only just became active, and `InvalidVpcPeeringConnectionState.DnsHostnamesDisabled`.
    pub fn set_dns_option(
        &mut self,
        by: Actor,
        scope: &Scope,
        id: &PeeringId,
        vpc: &VpcRef,
        on: bool,
    ) -> Result<(), CloudError> {
        let (now, memory) = (self.executor.now(), self.behavior.memory);
        let peering = self.known(scope, id)?;
        if vpc.scope != *scope || !peering.ends().contains(&vpc) {
            let text = format!("User {} does not have permission to modify that side of {id}", scope.account);
            return Err(refuse("OperationNotPermitted", text));
        }
        if *peering.status() != PeeringStatus::Active || now < peering.open_from {
            let text = format!("Peering {id} is not active. Peering options can be added only to active peerings.");
            return Err(refuse("OperationNotPermitted", text));
        }
        let lacks = |vpc: &&VpcRef| !self.dns_support(vpc, now).is_ok_and(|has| has.hostnames);
        if let (true, Some(vpc)) = (on, peering.ends().into_iter().find(lacks)) {
            let code = "InvalidVpcPeeringConnectionState.DnsHostnamesDisabled";
            return Err(refuse(code, format!("DNS hostnames are disabled for {}", vpc.id)));
        }
        let option = self.peerings.get_mut(id).and_then(|peering| peering.dns.get_mut(vpc));
        if let Some(option) = option.filter(|option| *option.now() != on) {
            option.set(now, on, memory);
            self.enter(now, by, Change::Option { id: id.clone(), vpc: vpc.clone(), on });
        }
        Ok(())
    }
}
