//! The way to AWS over the AWS SDK.

use std::sync::Arc;

use anyhow::Result;
use async_trait::async_trait;
use peerd_aws::{AwsCloud, CallerClient, OrganizationsApi, Sessions, Stack, configuration, seal_keys};
use peerd_core::SealKeys;
use peerd_engine::{Caller, RedriveQueue};

use crate::shell::{Accounts, Connect, Deployed};

/// The name of the program's sessions in CloudTrail's records of its calls.
const SESSION: &str = "peerd-cli";

/// AWS, with the Region, credentials and endpoints of the process.
#[derive(Debug, Clone, Copy)]
pub struct Aws;

#[async_trait]
impl Connect for Aws {
    async fn deployed(&self, stack: &str) -> Result<Deployed> {
        let of_stack = Stack::of_stack(&configuration().await, stack).await?;
        let Stack { stack, stack_arn, name, seal_secret, store, bus, queue, queues, hub, meshes, accounts, regions } =
            of_stack;
        Ok(Deployed {
            stack,
            stack_arn,
            name,
            seal_secret,
            store: Arc::new(store),
            bus: Arc::new(bus),
            queue: Arc::new(queue),
            queues: queues.into_iter().map(|queue| Arc::new(queue) as Arc<dyn RedriveQueue>).collect(),
            hub: Arc::new(hub),
            meshes,
            accounts,
            regions,
        })
    }

    async fn caller(&self) -> Result<Caller> {
        Ok(CallerClient::new(&configuration().await).identity().await?)
    }

    async fn seal_keys(&self, secret: &str) -> Result<SealKeys> {
        Ok(seal_keys(&configuration().await, secret).await?)
    }

    async fn accounts(&self, role: String, external_id: Option<String>) -> Result<Accounts> {
        let sessions = Sessions::load(role, external_id, SESSION.to_owned()).await;
        let organizations = Arc::new(OrganizationsApi::new(sessions.base()));
        Ok(Accounts { cloud: Arc::new(AwsCloud::new(sessions)), organizations })
    }
}
