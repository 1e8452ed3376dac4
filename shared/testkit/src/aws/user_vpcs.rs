//! The VPCs that a command creates, tags and deletes as a user does.

use std::sync::atomic::Ordering;

use async_trait::async_trait;
use peerd_core::cidr::IpNet;
use peerd_core::{CidrSet, Scope, Tags, VpcRef};
use peerd_engine::{Clock, CloudError, ErrorKind, UserVpcs};

use super::cloud::SimCloud;
use crate::SECOND;
use crate::change_log::Actor;
use crate::user_actions::vpc_tag_event;

/// How long an event is on its way.
const LATENCY: u64 = SECOND;

impl SimCloud {
    /// Sets whether the events of VPCs that a command changes are lost.
    pub fn lose_events(&self, lose: bool) {
        self.events_lost.store(lose, Ordering::Relaxed);
    }
}

#[async_trait]
impl UserVpcs for SimCloud {
    async fn create_vpc(&self, scope: &Scope, cidr: &IpNet, tags: &Tags) -> Result<VpcRef, CloudError> {
        self.write("CreateVpc", scope, |aws, _| {
            let number = aws.executor.now();
            let [vpc, table] = ["vpc", "rtb"].map(|kind| format!("{kind}-live{number}"));
            let malformed = || CloudError::new(ErrorKind::Invalid, "a simulated id is malformed");
            let vpc = VpcRef::new(scope.clone(), vpc.parse().map_err(|_| malformed())?);
            aws.create_vpc(Actor::User, &vpc, &CidrSet::from_iter([*cidr]), tags);
            aws.create_table(Actor::User, &table.parse().map_err(|_| malformed())?, &vpc, false);
            Ok(vpc)
        })
        .await
    }

    async fn set_vpc_tag(&self, vpc: &VpcRef, key: &str, value: Option<&str>) -> Result<(), CloudError> {
        self.write("CreateTags", &vpc.scope, |aws, _| {
            aws.tag_vpc(Actor::User, vpc, key, value)?;
            let now = aws.executor.now();
            let tags = aws.vpc(vpc).map(|seen| seen.tags.clone()).unwrap_or_default();
            if !self.events_lost.load(Ordering::Relaxed) {
                self.events.post(now + LATENCY, vpc_tag_event(vpc, &tags, now).to_string());
            }
            Ok(())
        })
        .await
    }

    async fn delete_vpc(&self, vpc: &VpcRef) -> Result<(), CloudError> {
        self.write("DeleteVpc", &vpc.scope, |aws, _| aws.delete_vpc(Actor::User, vpc)).await
    }
}
