//! How peerd interprets the errors of repeated calls: each case has the error that EC2 returns and the state that the
//! next read returns.
#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use std::collections::BTreeSet;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use async_trait::async_trait;
use peerd_core::cidr::IpNet;
use peerd_core::{
    DnsSupport, IngressRule, Pair, PeeringId, PeeringStatus, PeeringView, Permission, PrefixListId, Quotas, Route,
    RouteTable, RouteTableId, RouteTarget, Scope, SecurityGroup, SecurityGroupId, SecurityGroupRuleId, Tags, Traffic,
    Vpc, VpcId, VpcRef, tags,
};
use peerd_engine::{CloudError, CloudRead, CloudWrite, ErrorKind, ensure};

/// A cloud that fails every write with one error code, or with none, and returns the given state for every read.
#[derive(Default)]
struct Canned {
    code: &'static str,
    status: Option<PeeringStatus>,
    route: Option<RouteTarget>,
}

impl Canned {
    fn answer(&self) -> Result<(), CloudError> {
        match self.code {
            "" => Ok(()),
            code => {
                Err(CloudError { code: code.to_owned(), ..CloudError::new(ErrorKind::of(code, "", 400), "the call") })
            }
        }
    }
}

fn scope() -> Scope {
    "111111111111/us-east-1".parse().unwrap()
}

fn vpc() -> VpcRef {
    VpcRef::new(scope(), "vpc-1".parse().unwrap())
}

fn id() -> PeeringId {
    "pcx-1".parse().unwrap()
}

fn group() -> SecurityGroupId {
    "sg-1".parse().unwrap()
}

fn rule() -> SecurityGroupRuleId {
    "sgr-1".parse().unwrap()
}

fn table() -> RouteTableId {
    "rtb-1".parse().unwrap()
}

fn cidr() -> IpNet {
    "10.1.0.0/16".parse().unwrap()
}

#[async_trait]
impl CloudRead for Canned {
    async fn vpcs(&self, _: &Scope) -> Result<Vec<Vpc>, CloudError> {
        Ok(Vec::new())
    }
    async fn vpcs_by_id(&self, _: &Scope, _: &BTreeSet<VpcId>) -> Result<Vec<Vpc>, CloudError> {
        Ok(Vec::new())
    }
    async fn peerings(&self, _: &Scope) -> Result<Vec<PeeringView>, CloudError> {
        Ok(Vec::new())
    }
    async fn peering(&self, _: &Scope, id: &PeeringId) -> Result<Option<PeeringView>, CloudError> {
        let view = |status| PeeringView::new(id.clone(), [&vpc(), &vpc()], status, Tags::new());
        Ok(self.status.clone().map(view))
    }
    async fn route_tables(&self, _: &Scope) -> Result<Vec<RouteTable>, CloudError> {
        Ok(Vec::new())
    }
    async fn route_table(&self, _: &Scope, id: &RouteTableId) -> Result<Option<RouteTable>, CloudError> {
        let route = |target: RouteTarget| Route { destination: cidr(), target, is_static: true, blackhole: false };
        let routes = self.route.clone().map(route).into_iter().collect();
        let (is_edge_associated, main, tags) = (false, true, Tags::new());
        Ok(Some(RouteTable {
            id: id.clone(),
            vpc: vpc(),
            is_edge_associated,
            main,
            subnets: BTreeSet::new(),
            tags,
            routes,
            prefix_list_routes: Vec::new(),
        }))
    }
    async fn ingress_rules(&self, _: &Scope) -> Result<Vec<IngressRule>, CloudError> {
        Ok(Vec::new())
    }
    async fn ingress_rules_of(&self, _: &Scope, _: &BTreeSet<SecurityGroupId>) -> Result<Vec<IngressRule>, CloudError> {
        Ok(Vec::new())
    }
    async fn security_groups(&self, _: &Scope) -> Result<Vec<SecurityGroup>, CloudError> {
        Ok(Vec::new())
    }
    async fn vpc_of_group(&self, _: &Scope, _: &SecurityGroupId) -> Result<Option<VpcRef>, CloudError> {
        Ok(None)
    }
    async fn prefix_list(&self, _: &Scope, _: &PrefixListId) -> Result<BTreeSet<IpNet>, CloudError> {
        Ok(BTreeSet::new())
    }
    async fn quotas(&self, _: &Scope) -> Result<Quotas, CloudError> {
        Ok(Quotas::default())
    }
    async fn dns_support(&self, _: &VpcRef) -> Result<DnsSupport, CloudError> {
        Err(CloudError::new(ErrorKind::Invalid, "not canned"))
    }
    async fn is_region_off(&self, _: &Scope) -> Result<bool, CloudError> {
        Ok(false)
    }
}

#[async_trait]
impl CloudWrite for Canned {
    async fn create_peering(&self, _: &Pair, _: &Tags) -> Result<PeeringView, CloudError> {
        Err(CloudError::new(ErrorKind::Invalid, "not canned"))
    }
    async fn accept_peering(&self, _: &Scope, _: &PeeringId) -> Result<PeeringStatus, CloudError> {
        self.answer().map(|()| PeeringStatus::Provisioning)
    }
    async fn delete_peering(&self, _: &Scope, _: &PeeringId) -> Result<(), CloudError> {
        self.answer()
    }
    async fn tag_peering(&self, _: &Scope, _: &PeeringId, _: &Tags) -> Result<(), CloudError> {
        self.answer()
    }
    async fn untag_peering(&self, _: &Scope, _: &PeeringId, _: &[&str]) -> Result<(), CloudError> {
        self.answer()
    }
    async fn set_dns(&self, _: &VpcRef, _: &PeeringId, _: bool, _: bool) -> Result<(), CloudError> {
        self.answer()
    }
    async fn create_route(&self, _: &Scope, _: &RouteTableId, _: &IpNet, _: &PeeringId) -> Result<(), CloudError> {
        self.answer()
    }
    async fn replace_route(&self, _: &Scope, _: &RouteTableId, _: &IpNet, _: &PeeringId) -> Result<(), CloudError> {
        self.answer()
    }
    async fn delete_route(&self, _: &Scope, _: &RouteTableId, _: &IpNet) -> Result<(), CloudError> {
        self.answer()
    }
    async fn authorize_ingress(
        &self,
        _: &Scope,
        _: &SecurityGroupId,
        _: &Permission,
        _: &str,
        _: &Tags,
    ) -> Result<SecurityGroupRuleId, CloudError> {
        self.answer().map(|()| rule())
    }
    async fn revoke_ingress(&self, _: &Scope, _: &SecurityGroupId, _: &SecurityGroupRuleId) -> Result<(), CloudError> {
        self.answer()
    }
    async fn set_rule_tag(
        &self,
        _: &Scope,
        _: &SecurityGroupRuleId,
        _: &str,
        _: Option<&str>,
    ) -> Result<(), CloudError> {
        self.answer()
    }
    async fn tag_vpc(&self, _: &VpcRef, _: &str, _: Option<&str>) -> Result<(), CloudError> {
        self.answer()
    }
}

/// Returns the result of a call as text. The cloud responds immediately, so one poll is enough.
fn outcome<T: std::fmt::Debug>(call: impl Future<Output = Result<T, CloudError>>) -> String {
    match pin!(call).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok(done)) => format!("{done:?}"),
        Poll::Ready(Err(error)) => format!("{}: {}", error.code, error.kind),
        Poll::Pending => "pending".to_owned(),
    }
}

#[test]
fn accepting_an_accepted_request_succeeds() {
    let accepted = |code, status| outcome(ensure::accepted(&Canned { code, status, route: None }, &scope(), &id()));
    let late = "InvalidStateTransition";
    assert_eq!(accepted("", None), "Provisioning");
    assert_eq!(accepted(late, Some(PeeringStatus::Active)), "Active");
    assert_eq!(accepted(late, Some(PeeringStatus::Provisioning)), "Provisioning");
    for status in [Some(PeeringStatus::Deleted), Some(PeeringStatus::PendingAcceptance), None] {
        assert_eq!(accepted(late, status), "InvalidStateTransition: not ready");
    }
    assert_eq!(accepted("UnauthorizedOperation", Some(PeeringStatus::Active)), "UnauthorizedOperation: denied");
}

#[test]
fn deleting_a_deleted_peering_succeeds() {
    let deleted = |code, status| outcome(ensure::deleted(&Canned { code, status, route: None }, &scope(), &id()));
    let late = "InvalidStateTransition";
    assert_eq!(deleted("", Some(PeeringStatus::Active)), "()");
    assert_eq!(deleted("InvalidVpcPeeringConnectionID.NotFound", None), "()");
    assert_eq!(deleted(late, Some(PeeringStatus::Deleted)), "()");
    assert_eq!(deleted(late, None), "()");
    assert_eq!(deleted(late, Some(PeeringStatus::Provisioning)), "InvalidStateTransition: not ready");
    assert_eq!(deleted("UnauthorizedOperation", Some(PeeringStatus::Deleted)), "UnauthorizedOperation: denied");
}

#[test]
fn creating_an_existing_route_succeeds_only_if_it_targets_the_peering() {
    let routed = |code, route| {
        let cloud = Canned { code, status: None, route };
        outcome(ensure::routed(&cloud, &scope(), &table(), &cidr(), &id()))
    };
    let exists = "RouteAlreadyExists";
    assert_eq!(routed("", None), "()");
    assert_eq!(routed(exists, Some(RouteTarget::Peering(id()))), "()");
    assert_eq!(routed(exists, Some(RouteTarget::Peering("pcx-2".parse().unwrap()))), "RouteAlreadyExists: conflict");
    assert_eq!(routed(exists, Some(RouteTarget::Other("tgw-1".to_owned()))), "RouteAlreadyExists: conflict");
    assert_eq!(routed(exists, None), "RouteAlreadyExists: not ready", "it exists and is not described yet");
    assert_eq!(routed("RouteLimitExceeded", Some(RouteTarget::Peering(id()))), "RouteLimitExceeded: limit");
}

#[test]
fn removing_a_missing_route_or_the_tag_of_a_missing_vpc_succeeds() {
    let unrouted = |code| outcome(ensure::unrouted(&Canned { code, ..Canned::default() }, &scope(), &table(), &cidr()));
    assert_eq!(unrouted("InvalidRoute.NotFound"), "()");
    assert_eq!(unrouted("InvalidRouteTableID.NotFound"), "()");
    assert_eq!(unrouted("UnauthorizedOperation"), "UnauthorizedOperation: denied");
    let tagged =
        |code, value| outcome(ensure::tagged(&Canned { code, ..Canned::default() }, &vpc(), tags::STATUS, value));
    assert_eq!(tagged("InvalidVpcID.NotFound", None), "()");
    assert_eq!(tagged("InvalidVpcID.NotFound", Some("joined prod")), "InvalidVpcID.NotFound: not ready");
    assert_eq!(tagged("UnauthorizedOperation", None), "UnauthorizedOperation: denied");
    assert_eq!(tagged("", Some("joined prod")), "()");
}

#[test]
fn authorizing_an_existing_rule_and_revoking_a_missing_one_succeed() {
    let cloud = |code| Canned { code, ..Canned::default() };
    let permission = Permission { traffic: Traffic::All, from: cidr() };
    let authorized = |code| {
        outcome(ensure::authorized(&cloud(code), &scope(), &group(), &permission, "text", &Tags::new()))
            .replace('"', "")
    };
    assert_eq!(authorized(""), "Some(SecurityGroupRuleId(sgr-1))");
    assert_eq!(authorized("InvalidPermission.Duplicate"), "None");
    assert_eq!(authorized("RulesPerSecurityGroupLimitExceeded"), "RulesPerSecurityGroupLimitExceeded: limit");
    assert_eq!(authorized("InvalidGroup.NotFound"), "InvalidGroup.NotFound: not ready");
    let revoked = |code| outcome(ensure::revoked(&cloud(code), &scope(), &group(), &rule()));
    for code in ["", "InvalidSecurityGroupRuleId.NotFound", "InvalidGroup.NotFound"] {
        assert_eq!(revoked(code), "()");
    }
    assert_eq!(revoked("UnauthorizedOperation"), "UnauthorizedOperation: denied");
}
