//! Permission checks: tries each call that peerd makes in a scope as a dry run on an existing resource.

use aws_sdk_ec2::config::http::HttpResponse;
use aws_sdk_ec2::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_ec2::types::{PeeringConnectionOptionsRequest, ResourceType, Tag, VpcAttributeName};
use peerd_core::tags::TableTag;
use peerd_core::{
    Deployment, IngressRule, PeeringView, Permission, RouteTable, Scope, SecurityGroup, Tags, Traffic, Vpc, VpcRef,
    tags,
};
use peerd_engine::CloudError;
use peerd_engine::error::chain;

use crate::cloud::AwsCloud;
use crate::rate_limiter::Bucket;
use crate::{convert, errors, ingress};

/// EC2's error code for a dry run that would have succeeded.
const WOULD_SUCCEED: &str = "DryRunOperation";
/// A CIDR block that no VPC uses: <https://www.rfc-editor.org/rfc/rfc5737>.
const NOWHERE: &str = "192.0.2.0/24";

/// The result of trying a call.
#[derive(Debug)]
pub enum Trial {
    /// The call is permitted.
    Permitted(&'static str),
    /// The call is denied, with AWS's reason.
    Refused(&'static str, String),
    /// AWS returned another error, so the permission is unknown.
    Unclear(&'static str, String),
    /// There is no resource to try the call on.
    Untried(&'static str),
}

impl Trial {
    /// Returns the name of the call.
    pub fn call(&self) -> &'static str {
        match self {
            Self::Permitted(call) | Self::Refused(call, _) | Self::Unclear(call, _) | Self::Untried(call) => call,
        }
    }

    /// Converts the result of a call that was made because it only reads.
    pub fn of_read<T>(call: &'static str, answer: &Result<T, CloudError>) -> Self {
        match answer {
            Ok(_) => Self::Permitted(call),
            Err(error) => Self::of_error(call, error),
        }
    }

    fn of_dry_run<T, E>(call: &'static str, answer: Result<T, SdkError<E, HttpResponse>>) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        match answer {
            Ok(_) => Self::Permitted(call),
            Err(error) if error.code() == Some(WOULD_SUCCEED) => Self::Permitted(call),
            Err(error) => Self::of_error(call, &errors::cloud(call, error)),
        }
    }

    fn of_error(call: &'static str, error: &CloudError) -> Self {
        let refused = error.kind == peerd_engine::ErrorKind::Denied;
        if refused { Self::Refused(call, chain(error)) } else { Self::Unclear(call, chain(error)) }
    }
}

/// The resources of a scope.
pub struct Ground {
    /// Its VPCs with a tag of peerd.
    pub vpcs: Vec<Vpc>,
    /// Its peerings.
    pub peerings: Vec<PeeringView>,
    /// Its route tables.
    pub tables: Vec<RouteTable>,
    /// Its security groups with the tag `peerd:allow`.
    pub groups: Vec<SecurityGroup>,
    /// Its ingress rules with an ownership tag.
    pub rules: Vec<IngressRule>,
}

impl AwsCloud {
    /// Tries every call of peerd that changes something, and the reads that need an existing resource.
    pub(crate) async fn writes(&self, scope: &Scope, deployment: &Deployment, ground: &Ground) -> Vec<Trial> {
        let mut trials = self.try_on_vpc(scope, deployment, ground).await;
        trials.extend(self.try_on_table(scope, ground).await);
        trials.extend(self.try_on_peering(scope, deployment, ground).await);
        trials.extend(self.try_on_group(scope, deployment, ground).await);
        trials
    }

    async fn try_on_vpc(&self, scope: &Scope, deployment: &Deployment, ground: &Ground) -> Vec<Trial> {
        let asking = |vpc: &&Vpc| vpc.tags.contains_key(tags::ENV);
        let Some(vpc) = ground.vpcs.iter().find(asking).map(|vpc| vpc.vpc_ref.id.as_str()) else {
            let calls = ["DescribeVpcAttribute", "CreateVpcPeeringConnection", "CreateTags", "DeleteTags"];
            return calls.map(Trial::Untried).into();
        };
        let peer = ground.vpcs.last().map_or(vpc, |vpc| vpc.vpc_ref.id.as_str());
        let status = Tag::builder().key(tags::STATUS).value("").build();
        let mark = marks(deployment);
        let reading = self.ec2(scope, Bucket::Read("DescribeVpcAttribute")).await;
        let peering = self.ec2(scope, Bucket::Write("CreateVpcPeeringConnection")).await;
        let tagging = self.ec2(scope, Bucket::Tag("CreateTags")).await;
        let untagging = self.ec2(scope, Bucket::Tag("DeleteTags")).await;
        let attribute = reading.describe_vpc_attribute().vpc_id(vpc).attribute(VpcAttributeName::EnableDnsSupport);
        let create = peering
            .create_vpc_peering_connection()
            .vpc_id(vpc)
            .peer_vpc_id(peer)
            .peer_owner_id(scope.account.as_str())
            .peer_region(scope.region.as_str())
            .tag_specifications(convert::tagged(ResourceType::VpcPeeringConnection, &mark));
        vec![
            Trial::of_dry_run("DescribeVpcAttribute", attribute.dry_run(true).send().await),
            Trial::of_dry_run("CreateVpcPeeringConnection", create.dry_run(true).send().await),
            Trial::of_dry_run(
                "CreateTags",
                tagging.create_tags().resources(vpc).tags(status.clone()).dry_run(true).send().await,
            ),
            Trial::of_dry_run(
                "DeleteTags",
                untagging.delete_tags().resources(vpc).tags(status).dry_run(true).send().await,
            ),
        ]
    }

    async fn try_on_table(&self, scope: &Scope, ground: &Ground) -> Vec<Trial> {
        // With RouteTables=tagged, the role may change no other tables.
        let is_tagged =
            |table: &&RouteTable| matches!(TableTag::of(&table.tags), Ok(TableTag::Manage | TableTag::Eligible));
        let table = ground.tables.iter().find(is_tagged).or(ground.tables.first());
        let peering = ground.peerings.iter().find(|peering| peering.status.is_live());
        let (Some(table), Some(peering)) = (table, peering) else {
            return ["CreateRoute", "ReplaceRoute", "DeleteRoute"].map(Trial::Untried).into();
        };
        let (table, peering) = (table.id.as_str(), peering.id.as_str());
        let create = self.ec2(scope, Bucket::Write("CreateRoute")).await;
        let create = create.create_route().route_table_id(table).vpc_peering_connection_id(peering);
        let replace = self.ec2(scope, Bucket::Write("ReplaceRoute")).await;
        let replace = replace.replace_route().route_table_id(table).vpc_peering_connection_id(peering);
        let delete = self.ec2(scope, Bucket::Write("DeleteRoute")).await;
        let delete = delete.delete_route().route_table_id(table);
        vec![
            Trial::of_dry_run("CreateRoute", create.destination_cidr_block(NOWHERE).dry_run(true).send().await),
            Trial::of_dry_run("ReplaceRoute", replace.destination_cidr_block(NOWHERE).dry_run(true).send().await),
            Trial::of_dry_run("DeleteRoute", delete.destination_cidr_block(NOWHERE).dry_run(true).send().await),
        ]
    }

    /// Uses live peerings that peerd owns, and for an acceptance those of a VPC that requests a mesh: the role may change no
    /// others.
    async fn try_on_peering(&self, scope: &Scope, deployment: &Deployment, ground: &Ground) -> Vec<Trial> {
        let ours =
            |peering: &&PeeringView| peering.status.is_live() && tags::has_ownership_tag(&peering.tags, deployment);
        let requests =
            |vpc: &VpcRef| ground.vpcs.iter().any(|known| known.vpc_ref == *vpc && known.tags.contains_key(tags::ENV));
        let mut ours = ground.peerings.iter().filter(ours);
        let requested = ours.clone().find(|peering| peering.requester.scope == *scope);
        let accepted = ours.find(|peering| peering.accepter.scope == *scope && requests(&peering.accepter));
        let mut trials = Vec::new();
        match requested.map(|peering| peering.id.as_str()) {
            None => {
                trials.extend(["DeleteVpcPeeringConnection", "ModifyVpcPeeringConnectionOptions"].map(Trial::Untried))
            }
            Some(id) => {
                let ec2 = self.ec2(scope, Bucket::Write("DeleteVpcPeeringConnection")).await;
                let delete =
                    ec2.delete_vpc_peering_connection().vpc_peering_connection_id(id).dry_run(true).send().await;
                trials.push(Trial::of_dry_run("DeleteVpcPeeringConnection", delete));
                let option =
                    PeeringConnectionOptionsRequest::builder().allow_dns_resolution_from_remote_vpc(false).build();
                let ec2 = self.ec2(scope, Bucket::Write("ModifyVpcPeeringConnectionOptions")).await;
                let modify = ec2.modify_vpc_peering_connection_options().vpc_peering_connection_id(id);
                let modify = modify.requester_peering_connection_options(option).dry_run(true).send().await;
                trials.push(Trial::of_dry_run("ModifyVpcPeeringConnectionOptions", modify));
            }
        }
        match accepted.map(|peering| peering.id.as_str()) {
            None => trials.push(Trial::Untried("AcceptVpcPeeringConnection")),
            Some(id) => {
                let ec2 = self.ec2(scope, Bucket::Write("AcceptVpcPeeringConnection")).await;
                let accept =
                    ec2.accept_vpc_peering_connection().vpc_peering_connection_id(id).dry_run(true).send().await;
                trials.push(Trial::of_dry_run("AcceptVpcPeeringConnection", accept));
            }
        }
        trials
    }

    async fn try_on_group(&self, scope: &Scope, deployment: &Deployment, ground: &Ground) -> Vec<Trial> {
        let mut trials = Vec::new();
        let permission = NOWHERE.parse().ok().map(|from| Permission { traffic: Traffic::All, from });
        match ground.groups.first().zip(permission) {
            None => trials.push(Trial::Untried("AuthorizeSecurityGroupIngress")),
            Some((group, permission)) => {
                let ec2 = self.ec2(scope, Bucket::Write("AuthorizeSecurityGroupIngress")).await;
                let authorize = ec2.authorize_security_group_ingress().group_id(group.id.as_str());
                let authorize = authorize
                    .ip_permissions(ingress::permission(&permission, "peerd doctor"))
                    .tag_specifications(convert::tagged(ResourceType::SecurityGroupRule, &marks(deployment)));
                let authorize = authorize.dry_run(true).send().await;
                trials.push(Trial::of_dry_run("AuthorizeSecurityGroupIngress", authorize));
            }
        }
        match ground.rules.iter().find(|rule| rule.is_marked(deployment)) {
            None => trials.push(Trial::Untried("RevokeSecurityGroupIngress")),
            Some(rule) => {
                let ec2 = self.ec2(scope, Bucket::Write("RevokeSecurityGroupIngress")).await;
                let revoke = ec2.revoke_security_group_ingress().group_id(rule.group.as_str());
                let revoke = revoke.security_group_rule_ids(rule.id.as_str()).dry_run(true).send().await;
                trials.push(Trial::of_dry_run("RevokeSecurityGroupIngress", revoke));
            }
        }
        trials
    }
}

fn marks(deployment: &Deployment) -> Tags {
    Tags::from([(tags::MANAGED_BY.to_owned(), deployment.to_string())])
}
