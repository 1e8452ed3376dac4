//! The VPCs of `peerd doctor --live`.

use async_trait::async_trait;
use aws_sdk_ec2::types::ResourceType;
use peerd_core::cidr::IpNet;
use peerd_core::{Scope, Tags, VpcRef};
use peerd_engine::{CloudError, UserVpcs};

use crate::cloud::{AwsCloud, malformed};
use crate::rate_limiter::Bucket;
use crate::{convert, errors};

#[async_trait]
impl UserVpcs for AwsCloud {
    async fn create_vpc(&self, scope: &Scope, cidr: &IpNet, tags: &Tags) -> Result<VpcRef, CloudError> {
        let call = format!("CreateVpc in {scope}");
        let ec2 = self.ec2(scope, Bucket::Write("CreateVpc")).await;
        let create = ec2.create_vpc().cidr_block(cidr.to_string());
        let create = create.tag_specifications(convert::tagged(ResourceType::Vpc, tags));
        let answer = create.send().await.map_err(|error| errors::cloud(&call, error))?;
        let id = convert::required(answer.vpc().and_then(|vpc| vpc.vpc_id()), "vpc.vpcId");
        let id = id.and_then(|id| Ok(id.parse()?)).map_err(|error| malformed(&call, error))?;
        Ok(VpcRef::new(scope.clone(), id))
    }

    async fn set_vpc_tag(&self, vpc: &VpcRef, key: &str, value: Option<&str>) -> Result<(), CloudError> {
        self.set_tag(&vpc.scope, vpc.id.as_str(), key, value).await
    }

    async fn delete_vpc(&self, vpc: &VpcRef) -> Result<(), CloudError> {
        let ec2 = self.ec2(&vpc.scope, Bucket::Write("DeleteVpc")).await;
        let answer = ec2.delete_vpc().vpc_id(vpc.id.as_str()).send().await;
        answer.map(drop).map_err(|error| errors::cloud(format!("DeleteVpc of {vpc}"), error))
    }
}
