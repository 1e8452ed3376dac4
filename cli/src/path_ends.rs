//! The ends that `peerd explain` is given: VPC ids, names, addresses or network interfaces, and the VPCs that have them.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use anyhow::{Result, bail};
use futures::{StreamExt, stream};
use peerd_core::aws_error::brief;
use peerd_core::{Host, InterfaceAddress, PathEnd, Scope, Vpc, VpcId};
use peerd_engine::CloudError;
use peerd_engine::error::chain;

use crate::errors::NotRead;
use crate::shell::AccountsCloud;

/// How many scopes are searched concurrently.
const CONCURRENCY: usize = 32;

/// One end as the command line names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EndArgument {
    /// The id of a VPC.
    Vpc(VpcId),
    /// The id of a network interface.
    Interface(String),
    /// A private IPv4 address, or an IPv6 address.
    Address(IpAddr),
    /// The value of a VPC's tag `Name`.
    Name(String),
}

impl FromStr for EndArgument {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(address) = text.parse() {
            return Ok(Self::Address(address));
        }
        if text.starts_with("vpc-") {
            return text.parse().map(Self::Vpc).map_err(|error| format!("{error}"));
        }
        match text {
            "" => Err("expected the id, the name or an address of a VPC, or a network interface".to_owned()),
            id if id.starts_with("eni-") => Ok(Self::Interface(id.to_owned())),
            name => Ok(Self::Name(name.to_owned())),
        }
    }
}

impl fmt::Display for EndArgument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Vpc(id) => id.fmt(f),
            Self::Interface(id) => f.pad(id),
            Self::Address(address) => address.fmt(f),
            Self::Name(name) => write!(f, "a VPC with the name `{name}`"),
        }
    }
}

/// An end with its VPC.
#[derive(Debug, Clone)]
pub struct FoundEnd {
    /// The VPC.
    pub vpc: Vpc,
    /// The end of the path.
    pub end: PathEnd,
}

impl FoundEnd {
    fn new(vpc: Vpc, host: Option<Host>) -> Self {
        let end = PathEnd { vpc: vpc.vpc_ref.clone(), cidrs: vpc.cidrs.clone(), host };
        Self { vpc, end }
    }

    /// Whether it is more than a guess: the address of an interface, or a VPC.
    fn is_certain(&self) -> bool {
        self.end.host.as_ref().is_none_or(|host| host.interface.is_some())
    }
}

/// Finds an end in the scopes that peerd reads.
///
/// # Errors
/// When no VPC or several VPCs have it, or the only scopes that may have it cannot be read.
pub async fn find(cloud: &dyn AccountsCloud, scopes: &BTreeSet<Scope>, argument: &EndArgument) -> Result<FoundEnd> {
    let search = |scope: &Scope| {
        let scope = scope.clone();
        async move { (search(cloud, &scope, argument).await, scope) }
    };
    let answers: Vec<_> = stream::iter(scopes).map(search).buffered(CONCURRENCY).collect().await;
    let (mut found, mut unread) = (Vec::new(), Vec::new());
    for (answer, scope) in answers {
        match answer {
            Ok(ends) => found.extend(ends),
            Err(error) => unread.push(format!("{scope}: {}", brief(&chain(&error)))),
        }
    }
    choose(argument, found, &unread)
}

fn choose(argument: &EndArgument, mut found: Vec<FoundEnd>, unread: &[String]) -> Result<FoundEnd> {
    if found.iter().any(FoundEnd::is_certain) {
        found.retain(FoundEnd::is_certain);
    }
    match (found.pop(), found.as_slice()) {
        (Some(end), []) => Ok(end),
        (Some(last), others) => {
            let others: Vec<String> = others.iter().chain([&last]).map(|it| it.vpc.vpc_ref.to_string()).collect();
            bail!("several VPCs have {argument}; pass the id of a VPC or of a network interface: {}", others.join(", "))
        }
        (None, _) if unread.is_empty() => bail!(
            "{argument} is in none of the accounts and Regions that peerd reads: check it, or `peerd account add ACCOUNT` adds \
             one; an end is the id or name of a VPC, an IP address, or the id of a network interface"
        ),
        (None, _) => {
            let unread = unread.join("\n  ");
            Err(NotRead(format!("{argument} was not found; these scopes could not be read:\n  {unread}")).into())
        }
    }
}

async fn search(cloud: &dyn AccountsCloud, scope: &Scope, argument: &EndArgument) -> Result<Vec<FoundEnd>, CloudError> {
    match argument {
        EndArgument::Vpc(id) => {
            let vpcs = cloud.vpcs_by_id(scope, &[id.clone()].into()).await?;
            Ok(vpcs.into_iter().map(|vpc| FoundEnd::new(vpc, None)).collect())
        }
        EndArgument::Name(name) => {
            let vpcs = cloud.vpcs_named(scope, Some(name)).await?;
            Ok(vpcs.into_iter().map(|vpc| FoundEnd::new(vpc, None)).collect())
        }
        EndArgument::Interface(id) => {
            let Some(InterfaceAddress { vpc, address, interface }) = cloud.interface(scope, id).await? else {
                return Ok(Vec::new());
            };
            let host = Host { address, interface: Some(interface) };
            let vpcs = cloud.vpcs_by_id(scope, &[vpc].into()).await?;
            Ok(vpcs.into_iter().map(|vpc| FoundEnd::new(vpc, Some(host.clone()))).collect())
        }
        EndArgument::Address(address) => search_address(cloud, scope, *address).await,
    }
}

async fn search_address(
    cloud: &dyn AccountsCloud,
    scope: &Scope,
    address: IpAddr,
) -> Result<Vec<FoundEnd>, CloudError> {
    let mut found = Vec::new();
    for vpc in cloud.vpcs_named(scope, None).await? {
        if !vpc.cidrs.covers(&address.into()) {
            continue;
        }
        let interfaces = cloud.interfaces_with(&vpc.vpc_ref, address).await?;
        let interface = interfaces.into_iter().next().map(|it| it.interface);
        found.push(FoundEnd::new(vpc, Some(Host { address, interface })));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use peerd_core::{CidrSet, NetworkInterface, Tags, VpcRef};

    use super::*;

    fn end(id: &str, host: Option<bool>) -> FoundEnd {
        let interface = NetworkInterface { id: "eni-1".to_owned(), subnet: "subnet-1".to_owned(), groups: [].into() };
        let host = host.map(|has_interface| Host {
            address: "10.0.0.5".parse().unwrap(),
            interface: has_interface.then_some(interface),
        });
        let vpc = Vpc {
            vpc_ref: VpcRef::new("111111111111/us-east-1".parse().unwrap(), id.parse().unwrap()),
            cidrs: CidrSet::default(),
            amazon_provided: CidrSet::default(),
            cidrs_changing: false,
            tags: Tags::new(),
        };
        FoundEnd::new(vpc, host)
    }

    #[test]
    fn an_end_is_an_id_an_address_or_a_name() {
        let parse = |text: &str| text.parse::<EndArgument>().unwrap();
        assert_eq!(parse("vpc-1"), EndArgument::Vpc("vpc-1".parse().unwrap()));
        assert_eq!(parse("eni-1"), EndArgument::Interface("eni-1".to_owned()));
        assert_eq!(parse("10.0.0.5"), EndArgument::Address("10.0.0.5".parse().unwrap()));
        assert_eq!(parse("2600::5"), EndArgument::Address("2600::5".parse().unwrap()));
        assert_eq!(parse("billing"), EndArgument::Name("billing".to_owned()));
        assert!("vpc-!".parse::<EndArgument>().is_err() && "".parse::<EndArgument>().is_err());
    }

    #[test]
    fn the_only_vpc_whose_interface_has_an_address_is_the_one() {
        let argument: EndArgument = "10.0.0.5".parse().unwrap();
        let chosen = choose(&argument, vec![end("vpc-1", Some(false)), end("vpc-2", Some(true))], &[]).unwrap();
        assert_eq!(chosen.vpc.vpc_ref.id.as_str(), "vpc-2");
        let error = |found, unread: &[String]| choose(&argument, found, unread).unwrap_err().to_string();
        assert_eq!(
            error(vec![end("vpc-1", Some(true)), end("vpc-2", Some(true))], &[]),
            "several VPCs have 10.0.0.5; pass the id of a VPC or of a network interface: vpc-1 (111111111111/us-east-1), \
             vpc-2 (111111111111/us-east-1)"
        );
        assert!(error(vec![], &[]).contains("is in none of the accounts"));
        assert!(error(vec![], &["333333333333/eu-west-1: denied".to_owned()]).ends_with("eu-west-1: denied"));
    }
}
