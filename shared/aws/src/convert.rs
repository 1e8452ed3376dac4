//! Converts the SDK's types into the domain's, which check every id once.

use aws_sdk_ec2::types::{
    IpSource, PrefixListEntry, ResourceType, Route as SdkRoute, RouteOrigin, RouteState, RouteTable as SdkRouteTable,
    Tag, TagSpecification, Vpc as SdkVpc, VpcCidrBlockStateCode, VpcIpv6CidrBlockAssociation, VpcPeeringConnection,
    VpcPeeringConnectionVpcInfo,
};
use peerd_core::cidr::{self, CidrSet, IpNet};
use peerd_core::ids::IdError;
use peerd_core::{
    PeeringStatus, PeeringView, PrefixListRoute, Route, RouteTable, RouteTarget, Scope, Tags, Vpc, VpcRef,
};

/// A response with a missing or invalid field.
#[derive(Debug, thiserror::Error)]
pub enum Malformed {
    /// A field is missing.
    #[error("`{0}` is missing from AWS's answer")]
    Missing(&'static str),
    /// An id is invalid.
    #[error("AWS's answer has an invalid id")]
    Id(#[from] IdError),
    /// A CIDR block is invalid.
    #[error("AWS's answer has an invalid CIDR block")]
    Cidr(#[from] cidr::CidrError),
    /// An IP address is invalid.
    #[error("AWS's answer has an invalid IP address")]
    Address(#[from] std::net::AddrParseError),
}

/// Returns a field that AWS always provides.
pub fn required<'a>(field: Option<&'a str>, name: &'static str) -> Result<&'a str, Malformed> {
    field.ok_or(Malformed::Missing(name))
}

/// Converts the SDK's tags into a map.
pub fn tags(tags: &[Tag]) -> Tags {
    let pair = |tag: &Tag| Some((tag.key()?.to_owned(), tag.value().unwrap_or_default().to_owned()));
    tags.iter().filter_map(pair).collect()
}

/// Converts tags into the SDK's type.
pub fn sdk_tags(tags: &Tags) -> Vec<Tag> {
    tags.iter().map(|(key, value)| Tag::builder().key(key).value(value).build()).collect()
}

/// Returns the tags of a resource for the call that creates it.
pub fn tagged(kind: ResourceType, tags: &Tags) -> TagSpecification {
    TagSpecification::builder().resource_type(kind).set_tags(Some(sdk_tags(tags))).build()
}

/// Converts a VPC of the scope's own account. Returns none for a VPC that another account shares with it, because only
/// the owner may manage its peerings (<https://docs.aws.amazon.com/vpc/latest/peering/vpc-peering-basics.html>).
pub fn vpc(scope: &Scope, vpc: &SdkVpc) -> Result<Option<Vpc>, Malformed> {
    if vpc.owner_id().is_some_and(|owner| owner != scope.account.as_str()) {
        return Ok(None);
    }
    let (mut cidrs, mut amazon_provided) = (CidrSet::default(), CidrSet::default());
    let mut cidrs_changing = false;
    let v4 = vpc.cidr_block_association_set().iter().map(|a| (a.cidr_block(), a.cidr_block_state()));
    let v6 = vpc.ipv6_cidr_block_association_set().iter().map(|a| (a.ipv6_cidr_block(), a.ipv6_cidr_block_state()));
    for (cidr, state) in v4.chain(v6) {
        match state.and_then(|state| state.state()) {
            Some(VpcCidrBlockStateCode::Associated) => cidrs.insert(cidr::parse(required(cidr, "cidrBlock")?)?),
            Some(VpcCidrBlockStateCode::Associating | VpcCidrBlockStateCode::Disassociating) => cidrs_changing = true,
            _ => {}
        }
    }
    // Until a block is associated, AWS gives an empty text for it.
    let of_amazon = |block: &&VpcIpv6CidrBlockAssociation| is_associated(block) && is_amazon_provided(block);
    for block in vpc.ipv6_cidr_block_association_set().iter().filter(of_amazon) {
        amazon_provided.insert(cidr::parse(required(block.ipv6_cidr_block(), "ipv6CidrBlock")?)?);
    }
    let id = required(vpc.vpc_id(), "vpcId")?.parse()?;
    let (vpc_ref, tags) = (VpcRef::new(scope.clone(), id), tags(vpc.tags()));
    Ok(Some(Vpc { vpc_ref, cidrs, amazon_provided, cidrs_changing, tags }))
}

/// Whether Amazon provided an IPv6 CIDR block: from its own pool, or by IPAM from a pool with Amazon's addresses
/// (<https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_VpcIpv6CidrBlockAssociation.html>).
fn is_amazon_provided(block: &VpcIpv6CidrBlockAssociation) -> bool {
    block.ip_source() == Some(&IpSource::Amazon) || block.ipv6_pool() == Some("Amazon")
}

fn is_associated(block: &VpcIpv6CidrBlockAssociation) -> bool {
    block.ipv6_cidr_block_state().and_then(|state| state.state()) == Some(&VpcCidrBlockStateCode::Associated)
}

/// Converts a peering as read from the scope `seen_by`.
pub fn peering(seen_by: &Scope, peering: &VpcPeeringConnection) -> Result<PeeringView, Malformed> {
    let status = peering.status().ok_or(Malformed::Missing("status"))?;
    let code = status.code().ok_or(Malformed::Missing("status.code"))?;
    let infos = [peering.requester_vpc_info(), peering.accepter_vpc_info()];
    let (requester, accepter) = (end(infos[0], "requesterVpcInfo")?, end(infos[1], "accepterVpcInfo")?);
    let dns = [&requester, &accepter].into_iter().zip(infos).filter(|(vpc, _)| vpc.scope == *seen_by);
    Ok(PeeringView {
        id: required(peering.vpc_peering_connection_id(), "vpcPeeringConnectionId")?.parse()?,
        dns: dns.filter_map(|(vpc, info)| Some((vpc.clone(), dns_option(info?)?))).collect(),
        requester,
        accepter,
        status: PeeringStatus::parse(code.as_str()),
        message: status.message().unwrap_or_default().to_owned(),
        tags: tags(peering.tags()),
    })
}

fn dns_option(info: &VpcPeeringConnectionVpcInfo) -> Option<bool> {
    info.peering_options()?.allow_dns_resolution_from_remote_vpc()
}

fn end(info: Option<&VpcPeeringConnectionVpcInfo>, name: &'static str) -> Result<VpcRef, Malformed> {
    let info = info.ok_or(Malformed::Missing(name))?;
    let account = required(info.owner_id(), "ownerId")?.parse()?;
    let region = required(info.region(), "region")?.parse()?;
    Ok(VpcRef::new(Scope::new(account, region), required(info.vpc_id(), "vpcId")?.parse()?))
}

/// Converts a route table of the scope's own account. Returns none for a route table of a shared VPC.
pub fn route_table(scope: &Scope, table: &SdkRouteTable) -> Result<Option<RouteTable>, Malformed> {
    if table.owner_id().is_some_and(|owner| owner != scope.account.as_str()) {
        return Ok(None);
    }
    let vpc = VpcRef::new(scope.clone(), required(table.vpc_id(), "vpcId")?.parse()?);
    let is_edge_associated = table.associations().iter().any(|association| association.gateway_id().is_some());
    let routes = table.routes().iter().filter_map(|r| route(r).transpose()).collect::<Result<_, _>>()?;
    let prefix_list_routes =
        table.routes().iter().filter_map(|r| list_route(r).transpose()).collect::<Result<_, _>>()?;
    let main = table.associations().iter().any(|association| association.main() == Some(true));
    let subnets =
        table.associations().iter().filter_map(|association| association.subnet_id()).map(str::to_owned).collect();
    let (id, tags) = (required(table.route_table_id(), "routeTableId")?.parse()?, tags(table.tags()));
    Ok(Some(RouteTable { id, vpc, is_edge_associated, main, subnets, tags, routes, prefix_list_routes }))
}

/// Converts a route to a CIDR block. Returns none for a route to a prefix list.
fn route(route: &SdkRoute) -> Result<Option<Route>, Malformed> {
    let Some(cidr) = route.destination_cidr_block().or(route.destination_ipv6_cidr_block()) else { return Ok(None) };
    Ok(Some(Route {
        destination: cidr::parse(cidr)?,
        target: target(route)?,
        is_static: route.origin() == Some(&RouteOrigin::CreateRoute),
        blackhole: route.state() == Some(&RouteState::Blackhole),
    }))
}

/// Converts an entry of a prefix list.
pub fn entry(entry: &PrefixListEntry) -> Result<IpNet, Malformed> {
    Ok(cidr::parse(required(entry.cidr(), "cidr")?)?)
}

/// Converts a route to a prefix list. Returns none for another route.
fn list_route(route: &SdkRoute) -> Result<Option<PrefixListRoute>, Malformed> {
    let Some(list) = route.destination_prefix_list_id() else { return Ok(None) };
    Ok(Some(PrefixListRoute { list: list.parse()?, target: target(route)? }))
}

fn target(route: &SdkRoute) -> Result<RouteTarget, Malformed> {
    if let Some(peering) = route.vpc_peering_connection_id() {
        return Ok(RouteTarget::Peering(peering.parse()?));
    }
    let others = [
        route.gateway_id(),
        route.nat_gateway_id(),
        route.transit_gateway_id(),
        route.network_interface_id(),
        route.instance_id(),
        route.egress_only_internet_gateway_id(),
        route.carrier_gateway_id(),
        route.local_gateway_id(),
        route.core_network_arn(),
    ];
    Ok(match others.into_iter().flatten().next() {
        Some("local") => RouteTarget::Local,
        Some(id) => RouteTarget::Other(id.to_owned()),
        None => RouteTarget::Other("a target of a kind unknown to peerd".to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::types::VpcCidrBlockState;

    use super::*;

    fn scope() -> Scope {
        "111111111111/us-east-1".parse().unwrap()
    }

    #[test]
    fn a_vpc_and_a_table_of_another_owner_are_left_out() {
        let shared = SdkVpc::builder().vpc_id("vpc-1").owner_id("222222222222").build();
        assert_eq!(vpc(&scope(), &shared).unwrap(), None);
        let table = SdkRouteTable::builder().route_table_id("rtb-1").vpc_id("vpc-1").owner_id("222222222222").build();
        assert_eq!(route_table(&scope(), &table).unwrap(), None);
        assert!(vpc(&scope(), &SdkVpc::builder().vpc_id("vpc-1").owner_id("111111111111").build()).unwrap().is_some());
    }

    #[test]
    fn only_ipv6_cidrs_from_a_pool_of_amazon_count_as_provided_by_amazon() {
        let associated = VpcCidrBlockState::builder().state(VpcCidrBlockStateCode::Associated).build();
        let block = |cidr: &str, pool: &str, source: Option<IpSource>| {
            VpcIpv6CidrBlockAssociation::builder()
                .ipv6_cidr_block(cidr)
                .ipv6_pool(pool)
                .set_ip_source(source)
                .ipv6_cidr_block_state(associated.clone())
                .build()
        };
        let state = VpcCidrBlockState::builder().state(VpcCidrBlockStateCode::Associating).build();
        let associating = VpcIpv6CidrBlockAssociation::builder().ipv6_cidr_block("").ipv6_pool("Amazon");
        let associating = associating.ipv6_cidr_block_state(state).build();
        let built = SdkVpc::builder()
            .vpc_id("vpc-1")
            .ipv6_cidr_block_association_set(block("2600:1f18:1::/56", "Amazon", None))
            .ipv6_cidr_block_association_set(block("2600:1f18:2::/56", "IPAM Managed", Some(IpSource::Amazon)))
            .ipv6_cidr_block_association_set(block("2a05:d000::/56", "ipv6pool-ec2-0abc", Some(IpSource::Byoip)))
            .ipv6_cidr_block_association_set(block("3fff:1::/56", "IPAM Managed", Some(IpSource::None)))
            .ipv6_cidr_block_association_set(associating)
            .build();
        let read = vpc(&scope(), &built).unwrap().unwrap();
        assert_eq!((read.cidrs.iter().count(), read.cidrs_changing), (4, true));
        assert_eq!(read.amazon_provided.to_string(), "2600:1f18:1::/56 2600:1f18:2::/56");
    }
}
