//! The engine's cloud port; every call goes through the transport.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use peerd_core::cidr::IpNet;
use peerd_core::{
    DnsSupport, IngressRule, Invariant, Pair, PeeringId, PeeringStatus, PeeringView, Permission, PrefixListId, Quotas,
    RouteTable, RouteTableId, RouteTarget, Scope, SecurityGroup, SecurityGroupId, SecurityGroupRuleId, Tags, Vpc,
    VpcId, VpcRef, tags,
};
use peerd_engine::{Clock, CloudError, CloudRead, CloudWrite, ErrorKind, Timestamp};

use super::state::{Aws, refuse};
use crate::change_log::Actor;
use crate::queue::SimQueue;
use crate::transport::Transport;

/// A simulated AWS as peerd's workers call it.
pub struct SimCloud {
    transport: Arc<Transport>,
    /// The queue for the events of VPCs that a command changes.
    pub(super) events: Arc<SimQueue>,
    pub(super) events_lost: AtomicBool,
    aws: Mutex<Aws>,
    answers: Mutex<BTreeMap<String, u64>>,
}

impl SimCloud {
    /// Creates a client of a simulated AWS.
    pub fn new(transport: Arc<Transport>, aws: Aws, events: Arc<SimQueue>) -> Self {
        Self { transport, events, events_lost: AtomicBool::new(false), aws: Mutex::new(aws), answers: Mutex::default() }
    }

    /// Returns the simulated AWS, with all due transitions applied.
    pub fn aws(&self) -> MutexGuard<'_, Aws> {
        let mut aws = self.aws.lock().unwrap_or_else(PoisonError::into_inner);
        aws.catch_up();
        aws
    }

    /// Returns how often AWS returned each error code.
    pub fn answers(&self) -> BTreeMap<String, u64> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn count(&self, error: CloudError) -> CloudError {
        *self.answers.lock().unwrap_or_else(PoisonError::into_inner).entry(error.code.clone()).or_default() += 1;
        error
    }

    pub(super) async fn read<T>(
        &self,
        name: &'static str,
        scope: &Scope,
        read: impl FnOnce(&Aws, Timestamp) -> T,
    ) -> Result<T, CloudError> {
        let behind = self.transport.staleness();
        let see = || {
            let aws = self.aws();
            aws.check_reachable(scope).map_err(|error| self.count(error))?;
            Ok(read(&aws, aws.executor.now() - behind))
        };
        self.transport.call(name, Some(scope), see).await
    }

    /// Calls AWS Organizations.
    pub(super) async fn list<T>(&self, name: &'static str, read: impl FnOnce(&mut Aws) -> T) -> Result<T, CloudError> {
        self.transport.call(name, None, || Ok(read(&mut self.aws()))).await
    }

    pub(super) async fn write<T>(
        &self,
        name: &'static str,
        scope: &Scope,
        change: impl FnOnce(&mut Aws, Actor) -> Result<T, CloudError>,
    ) -> Result<T, CloudError> {
        let by = Actor::Worker(self.transport.executor.acting());
        let act = || {
            let mut aws = self.aws();
            aws.check_reachable(scope)
                .and_then(|()| aws.take_token(scope, name))
                .and_then(|()| change(&mut aws, by))
                .map_err(|error| self.count(error))
        };
        self.transport.call(name, Some(scope), act).await
    }
}

impl Aws {
    fn check_reachable(&self, scope: &Scope) -> Result<(), CloudError> {
        if self.dark_accounts.contains(&scope.account) {
            let context = format!(
                "DescribeVpcs in {scope}: its role cannot be assumed (AccessDenied: User: arn:aws:iam::111111111111:user/operator is not \
                 authorized to perform: sts:AssumeRole on resource: arn:aws:iam::{}:role/peerd-spoke)",
                scope.account
            );
            return Err(CloudError { code: "AccessDenied".to_owned(), ..CloudError::new(ErrorKind::Denied, context) });
        }
        if self.dark_regions.contains(&scope.region) {
            return Err(CloudError::new(ErrorKind::Unavailable, format!("no answer from {}", scope.region)));
        }
        if self.off.contains(scope) {
            return Err(refuse("OptInRequired", format!("{scope} is not enabled")));
        }
        Ok(())
    }

    /// Takes a token from the bucket of an account, Region and API
    /// (<https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html>).
    ///
    /// # Errors
    /// `RequestLimitExceeded` if the bucket is empty.
    pub fn take_token(&mut self, scope: &Scope, api: &'static str) -> Result<(), CloudError> {
        let Some((size, refill)) = self.behavior.write_bucket else { return Ok(()) };
        let now = self.executor.now();
        let (tokens, since) = self.buckets.entry((scope.clone(), api)).or_insert((f64::from(size), now));
        #[expect(clippy::cast_precision_loss, reason = "milliseconds of one run are far below 2^52")]
        let gained = (now - *since) as f64 / 1000.0 * f64::from(refill);
        *tokens = (*tokens + gained).min(f64::from(size));
        *since = now;
        if *tokens < 1.0 {
            return Err(refuse("RequestLimitExceeded", format!("Request limit exceeded for {api}")));
        }
        *tokens -= 1.0;
        Ok(())
    }

    /// Returns a VPC as a describe call returns it that reads the state at `time`.
    pub fn seen_vpc(&self, vpc: &VpcRef, time: Timestamp) -> Option<Vpc> {
        match self.frozen.get(vpc) {
            Some(frozen) => frozen.clone(),
            None => self.vpcs.get(vpc)?.as_of(time)?.clone(),
        }
    }

    /// Returns a route table of a scope as a describe call returns it that reads the state at `time`.
    pub fn seen_table(&self, id: &RouteTableId, scope: &Scope, time: Timestamp) -> Option<RouteTable> {
        let table = self.tables.get(id)?.as_of(time)?.as_ref().filter(|table| table.vpc.scope == *scope)?;
        Some(self.described(table))
    }

    /// Returns a peering as a describe call in a scope returns it that reads the state at `time`.
    pub fn seen_peering(&self, id: &PeeringId, scope: &Scope, time: Timestamp) -> Option<PeeringView> {
        self.peerings.get(id)?.view(scope, time, self.executor.now())
    }
}

#[async_trait]
impl CloudRead for SimCloud {
    /// Reads only VPCs with a tag of peerd, as the filter of peerd's DescribeVpcs does.
    async fn vpcs(&self, scope: &Scope) -> Result<Vec<Vpc>, CloudError> {
        let here = |aws: &Aws, time| {
            let here = aws.vpcs.keys().filter(|vpc| vpc.scope == *scope);
            let has_tag = |vpc: &Vpc| [tags::ENV, tags::STATUS].iter().any(|key| vpc.tags.contains_key(*key));
            here.filter_map(|vpc| aws.seen_vpc(vpc, time)).filter(has_tag).collect()
        };
        self.read("DescribeVpcs", scope, here).await
    }

    async fn vpcs_by_id(&self, scope: &Scope, ids: &BTreeSet<VpcId>) -> Result<Vec<Vpc>, CloudError> {
        let named = |aws: &Aws, time| {
            let named = ids.iter().map(|id| VpcRef::new(scope.clone(), id.clone()));
            named.filter_map(|vpc| aws.seen_vpc(&vpc, time)).collect()
        };
        self.read("DescribeVpcs", scope, named).await
    }

    async fn peerings(&self, scope: &Scope) -> Result<Vec<PeeringView>, CloudError> {
        let here = |aws: &Aws, time| {
            let ids = aws.peerings.keys();
            ids.filter_map(|id| aws.seen_peering(id, scope, time)).collect()
        };
        self.read("DescribeVpcPeeringConnections", scope, here).await
    }

    async fn peering(&self, scope: &Scope, id: &PeeringId) -> Result<Option<PeeringView>, CloudError> {
        self.read("DescribeVpcPeeringConnections", scope, |aws, time| aws.seen_peering(id, scope, time)).await
    }

    async fn route_tables(&self, scope: &Scope) -> Result<Vec<RouteTable>, CloudError> {
        let here = |aws: &Aws, time| {
            let ids = aws.tables.keys();
            ids.filter_map(|id| aws.seen_table(id, scope, time)).collect()
        };
        self.read("DescribeRouteTables", scope, here).await
    }

    async fn route_table(&self, scope: &Scope, id: &RouteTableId) -> Result<Option<RouteTable>, CloudError> {
        self.read("DescribeRouteTables", scope, |aws, time| aws.seen_table(id, scope, time)).await
    }

    async fn ingress_rules(&self, scope: &Scope) -> Result<Vec<IngressRule>, CloudError> {
        self.read("DescribeSecurityGroupRules", scope, |aws, time| aws.marked_rules(scope, time)).await
    }

    async fn ingress_rules_of(
        &self,
        scope: &Scope,
        groups: &BTreeSet<SecurityGroupId>,
    ) -> Result<Vec<IngressRule>, CloudError> {
        self.read("DescribeSecurityGroupRules", scope, |aws, time| aws.rules_of(scope, groups, time)).await
    }

    async fn security_groups(&self, scope: &Scope) -> Result<Vec<SecurityGroup>, CloudError> {
        self.read("DescribeSecurityGroups", scope, |aws, time| aws.allowing_groups(scope, time)).await
    }

    async fn vpc_of_group(&self, scope: &Scope, id: &SecurityGroupId) -> Result<Option<VpcRef>, CloudError> {
        self.read("DescribeSecurityGroups", scope, |aws, time| aws.seen_owner(scope, id, time)).await
    }

    async fn prefix_list(&self, scope: &Scope, id: &PrefixListId) -> Result<BTreeSet<IpNet>, CloudError> {
        self.read("GetManagedPrefixListEntries", scope, |aws, _| aws.lists.get(id).cloned().unwrap_or_default()).await
    }

    async fn quotas(&self, scope: &Scope) -> Result<Quotas, CloudError> {
        let quotas = |aws: &Aws, _| match aws.behavior.tells_quotas {
            true => Ok(aws.behavior.quotas.clone()),
            false => Err(CloudError {
                code: "AccessDeniedException".to_owned(),
                ..CloudError::new(ErrorKind::Denied, "ListServiceQuotas")
            }),
        };
        self.read("ListServiceQuotas", scope, quotas).await?.map_err(|error| self.count(error))
    }

    async fn dns_support(&self, vpc: &VpcRef) -> Result<DnsSupport, CloudError> {
        let read = self.read("DescribeVpcAttribute", &vpc.scope, |aws, time| aws.dns_support(vpc, time));
        read.await?.map_err(|error| self.count(error))
    }

    /// Reads it in the account's first Region, which is always enabled.
    async fn is_region_off(&self, scope: &Scope) -> Result<bool, CloudError> {
        let home = crate::world::home(&scope.account);
        self.read("DescribeRegions", &home, |aws, _| aws.off.contains(scope)).await
    }
}

#[async_trait]
impl CloudWrite for SimCloud {
    async fn create_peering(&self, pair: &Pair, tags: &Tags) -> Result<PeeringView, CloudError> {
        let either_way = !Invariant::OneRequester.is_enforced() && self.aws().rng.chance_per_mille(500);
        let (requester, accepter) = match either_way {
            true => (pair.accepter(), pair.requester()),
            false => (pair.requester(), pair.accepter()),
        };
        let create = |aws: &mut Aws, by| aws.create_peering(by, requester, accepter, tags);
        self.write("CreateVpcPeeringConnection", &requester.scope, create).await
    }

    async fn accept_peering(&self, scope: &Scope, id: &PeeringId) -> Result<PeeringStatus, CloudError> {
        self.write("AcceptVpcPeeringConnection", scope, |aws, by| aws.accept_peering(by, scope, id)).await
    }

    async fn delete_peering(&self, scope: &Scope, id: &PeeringId) -> Result<(), CloudError> {
        self.write("DeleteVpcPeeringConnection", scope, |aws, by| aws.delete_peering(by, scope, id)).await
    }

    async fn tag_peering(&self, scope: &Scope, id: &PeeringId, tags: &Tags) -> Result<(), CloudError> {
        let tag = |aws: &mut Aws, by| aws.tag_peering(by, scope, id, |current| current.extend(tags.clone()));
        self.write("CreateTags", scope, tag).await
    }

    async fn untag_peering(&self, scope: &Scope, id: &PeeringId, keys: &[&str]) -> Result<(), CloudError> {
        let untag = |aws: &mut Aws, by| {
            aws.tag_peering(by, scope, id, |current| keys.iter().for_each(|key| drop(current.remove(*key))))
        };
        self.write("DeleteTags", scope, untag).await
    }

    async fn set_dns(&self, vpc: &VpcRef, id: &PeeringId, _: bool, on: bool) -> Result<(), CloudError> {
        let set = |aws: &mut Aws, by| aws.set_dns_option(by, &vpc.scope, id, vpc, on);
        self.write("ModifyVpcPeeringConnectionOptions", &vpc.scope, set).await
    }

    async fn create_route(
        &self,
        scope: &Scope,
        table: &RouteTableId,
        destination: &IpNet,
        peering: &PeeringId,
    ) -> Result<(), CloudError> {
        let target = RouteTarget::Peering(peering.clone());
        let create = |aws: &mut Aws, by| aws.create_route(by, scope, table, destination, &target);
        self.write("CreateRoute", scope, create).await
    }

    async fn replace_route(
        &self,
        scope: &Scope,
        table: &RouteTableId,
        destination: &IpNet,
        peering: &PeeringId,
    ) -> Result<(), CloudError> {
        let target = RouteTarget::Peering(peering.clone());
        let replace = |aws: &mut Aws, by| aws.replace_route(by, scope, table, destination, &target);
        self.write("ReplaceRoute", scope, replace).await
    }

    async fn delete_route(&self, scope: &Scope, table: &RouteTableId, destination: &IpNet) -> Result<(), CloudError> {
        self.write("DeleteRoute", scope, |aws, by| aws.delete_route(by, scope, table, destination)).await
    }

    async fn authorize_ingress(
        &self,
        scope: &Scope,
        group: &SecurityGroupId,
        permission: &Permission,
        description: &str,
        tags: &Tags,
    ) -> Result<SecurityGroupRuleId, CloudError> {
        let authorize = |aws: &mut Aws, by| aws.authorize(by, scope, group, permission, description, tags);
        self.write("AuthorizeSecurityGroupIngress", scope, authorize).await
    }

    async fn revoke_ingress(
        &self,
        scope: &Scope,
        group: &SecurityGroupId,
        rule: &SecurityGroupRuleId,
    ) -> Result<(), CloudError> {
        self.write("RevokeSecurityGroupIngress", scope, |aws, by| aws.revoke(by, scope, group, rule)).await
    }

    async fn set_rule_tag(
        &self,
        scope: &Scope,
        rule: &SecurityGroupRuleId,
        key: &str,
        value: Option<&str>,
    ) -> Result<(), CloudError> {
        let mark = |aws: &mut Aws, by| {
            aws.tag_rule(by, scope, rule, |current| match value {
                Some(value) => drop(current.insert(key.to_owned(), value.to_owned())),
                None => drop(current.remove(key)),
            })
        };
        self.write(if value.is_some() { "CreateTags" } else { "DeleteTags" }, scope, mark).await
    }

    async fn tag_vpc(&self, vpc: &VpcRef, key: &str, value: Option<&str>) -> Result<(), CloudError> {
        let api = if value.is_some() { "CreateTags" } else { "DeleteTags" };
        self.write(api, &vpc.scope, |aws, by| aws.tag_vpc(by, vpc, key, value)).await
    }
}
