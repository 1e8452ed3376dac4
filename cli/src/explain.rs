//! `peerd explain`: why two VPCs can or cannot reach each other.

use std::collections::BTreeSet;

use anyhow::{Result, bail};
use clap::Args;
use peerd_core::operator::Operator;
use peerd_core::tags::MeshTag;
use peerd_core::{
    CheckResult, MeshName, NetworkFilters, ObservedState, PathCheck, PathQuery, Traffic, Vpc, VpcRef,
    explain as checks_of,
};
use peerd_engine::error::chain;
use peerd_engine::observe::Snapshot;
use peerd_engine::{CloudError, Observer};
use serde_json::json;

use crate::errors::NOT_READ;
use crate::names::with_names;
use crate::path_ends::{self, EndArgument};
use crate::plan::{Backend, Source};
use crate::shell::{AccountsCloud, Shell};
use crate::{Answer, checks};

/// The arguments of `peerd explain`.
#[derive(Args)]
pub struct Arguments {
    /// One end: the id or name of a VPC, an IP address in it, or the id of a network interface
    one: EndArgument,
    /// The other end
    other: EndArgument,
    /// Only this traffic, from the first end to the second: tcp/443, udp/53 or icmp, for example [default: all traffic, in
    /// both directions]
    #[arg(long, value_name = "PROTOCOL/PORT")]
    port: Option<Traffic>,
    #[command(flatten)]
    source: Source,
    /// Exit with 8 if they cannot reach each other, and with 5 if that is unknown
    #[arg(long)]
    exit_code: bool,
}

/// `peerd explain`.
pub async fn run(arguments: Arguments, shell: &Shell<'_>) -> Result<Answer> {
    let Arguments { one, other, port, source, exit_code } = arguments;
    let site = Backend::open(source, shell).await?;
    let observer = site.observer();
    let scopes = observer.scopes().await?;
    let (one, other) = futures::try_join!(
        path_ends::find(site.cloud(), &scopes, &one),
        path_ends::find(site.cloud(), &scopes, &other)
    )?;
    if one.end.vpc == other.end.vpc {
        bail!(
            "both ends are in {}: its own local route carries that traffic, and peerd has no part in it",
            one.end.vpc
        );
    }
    let mesh = mesh(&observer, [&one.vpc, &other.vpc]).await?;
    let query = PathQuery { ends: [one.end, other.end], traffic: port };
    let scopes = query.vpcs().map(|vpc| vpc.scope.clone()).into();
    let Snapshot { desired, mut observed, .. } = observer.observe_with_inputs(&mesh, &scopes).await?;
    read_prefix_lists(site.cloud(), &mut observed, query.vpcs()).await;
    let checks = checks_of(&desired, &observed, &network_filters(site.cloud(), query.vpcs()).await, &query);
    let text = match shell.json {
        true => as_json(&query, &checks, site.operator()),
        false => with_names(&render(&query, &checks, site.operator()), &observed.names()),
    };
    let code = match Reachable::of(&checks) {
        _ if !exit_code => 0,
        Reachable::Yes | Reachable::InPart => 0,
        Reachable::No | Reachable::NotAllowed => UNREACHABLE,
        Reachable::Unknown => NOT_READ,
    };
    Ok(Answer { text, code })
}

/// `--exit-code`: the VPCs cannot reach each other.
const UNREACHABLE: u8 = 8;

/// A mesh that both VPCs request, or else any mesh: a run reads the policies of all meshes.
async fn mesh(observer: &Observer<'_>, pair: [&Vpc; 2]) -> Result<MeshName> {
    let declared: BTreeSet<MeshName> = observer.declared().await?.into_keys().collect();
    let [one, other] = pair.map(|vpc| MeshTag::of(&vpc.tags).meshes);
    let common = &one & &other;
    match (&common & &declared).into_iter().next().or(common.into_iter().next()).or(declared.into_iter().next()) {
        Some(mesh) => Ok(mesh),
        None => bail!("no mesh is declared; `peerd mesh declare MESH` declares one"),
    }
}

async fn network_filters(cloud: &dyn AccountsCloud, pair: [&VpcRef; 2]) -> NetworkFilters {
    let message = |error: CloudError| chain(&error);
    let mut filters = NetworkFilters::default();
    for vpc in pair {
        let (subnets, acls, groups) = futures::join!(cloud.subnets(vpc), cloud.acls(vpc), cloud.group_rules(vpc));
        filters.subnets.insert(vpc.clone(), subnets.map_err(message));
        filters.acls.insert(vpc.clone(), acls.map_err(message));
        filters.groups.insert(vpc.clone(), groups.map_err(message));
    }
    filters
}

/// Reads the prefix lists that the tables of two VPCs route, except those of gateway endpoints: these are addresses of AWS.
async fn read_prefix_lists(cloud: &dyn AccountsCloud, observed: &mut ObservedState, pair: [&VpcRef; 2]) {
    let tables = observed.tables.values().filter(|table| pair.contains(&&table.vpc));
    let routes = tables.flat_map(|table| table.prefix_list_routes.iter().map(|route| (&table.vpc.scope, route)));
    let lists: BTreeSet<_> = routes
        .filter(|(_, route)| !route.target.is_endpoint() && !observed.inputs.prefix_lists.contains_key(&route.list))
        .map(|(scope, route)| (scope.clone(), route.list.clone()))
        .collect();
    for (scope, list) in lists {
        let cidrs = cloud.prefix_list(&scope, &list).await.map_err(|error| chain(&error));
        observed.inputs.prefix_lists.insert(list, cidrs);
    }
}

/// Whether two VPCs can reach each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reachable {
    /// Nothing prevents it.
    Yes,
    /// Something prevents it in part.
    InPart,
    /// Something prevents it.
    No,
    /// They are routed to each other, and no security group of either lets the other in.
    NotAllowed,
    /// Something could not be read.
    Unknown,
}

impl Reachable {
    fn of(checks: &[PathCheck]) -> Self {
        let fails = |check: &&PathCheck| check.result() == CheckResult::Fail;
        let allowing = |check: &PathCheck| match check {
            PathCheck::SecurityGroupsAllow { allowing, .. } => Some(*allowing),
            PathCheck::InterfaceGroups { egress: false, by, .. } => Some(usize::from(by.is_some())),
            _ => None,
        };
        let allowing: Vec<usize> = checks.iter().filter_map(allowing).collect();
        match checks.iter().find(fails) {
            Some(check) if check.is_unknown() => Self::Unknown,
            Some(_) => Self::No,
            None if !allowing.is_empty() && allowing.iter().all(|count| *count == 0) => Self::NotAllowed,
            None if checks.iter().any(PathCheck::is_unknown) => Self::Unknown,
            None if checks.iter().any(PathCheck::is_restriction) => Self::InPart,
            None => Self::Yes,
        }
    }

    fn sentence(self, query: &PathQuery) -> String {
        let [one, other] = &query.ends;
        match (&query.traffic, self) {
            (Some(traffic), Self::Yes) => format!("{one} can reach {other} on {traffic}"),
            (Some(traffic), Self::InPart) => format!("{one} can in part reach {other} on {traffic}"),
            (Some(traffic), Self::No) => format!("{one} cannot reach {other} on {traffic}"),
            (Some(traffic), Self::NotAllowed) => {
                format!("{one} is routed to {other}, where no security group allows {traffic}")
            }
            (Some(traffic), Self::Unknown) => format!("{one} may or may not reach {other} on {traffic}"),
            (None, Self::Yes) => format!("{one} and {other} can reach each other"),
            (None, Self::InPart) => format!("{one} and {other} can reach each other, with restrictions"),
            (None, Self::No) => format!("{one} and {other} cannot reach each other"),
            (None, Self::NotAllowed) => {
                format!("{one} and {other} are routed to each other, and no security group of either allows the other")
            }
            (None, Self::Unknown) => format!("whether {one} and {other} can reach each other is unknown"),
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::InPart => "in-part",
            Self::No | Self::NotAllowed => "no",
            Self::Unknown => "unknown",
        }
    }
}

/// The verdict with the first failed check, and then every check.
fn render(query: &PathQuery, checks: &[PathCheck], operator: &Operator) -> String {
    let mut text = Reachable::of(checks).sentence(query) + "\n";
    if let Some(first) = checks.iter().find(|check| check.result() == CheckResult::Fail) {
        let remedy = first.remedy(operator).unwrap_or_default();
        text += &format!("blocking: {}\n  fix: {remedy}\n", first.message());
    }
    text + &checks::lines(&checks.iter().map(|check| check.render(operator)).collect::<Vec<_>>())
}

fn as_json(query: &PathQuery, checks: &[PathCheck], operator: &Operator) -> String {
    let reachable = Reachable::of(checks).word();
    let with_data = |check: &PathCheck| {
        let mut object = json!(check.render(operator));
        object["data"] = json!(check);
        object
    };
    let checks: Vec<_> = checks.iter().map(with_data).collect();
    let addresses = query.ends.each_ref().map(|end| end.host.as_ref().map(|host| host.address));
    let answer = json!({
        "vpcs": query.vpcs(),
        "addresses": addresses,
        "traffic": query.traffic,
        "reachable": reachable,
        "checks": checks,
    });
    format!("{answer}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_failed_check_is_shown_before_all_checks() {
        let vpc = |id: &str| VpcRef::new("111111111111/us-east-1".parse().unwrap(), id.parse().unwrap());
        let (a, b) = (vpc("vpc-a"), vpc("vpc-b"));
        let query = PathQuery::between([&a, &b]);
        let allow = |allowing| PathCheck::SecurityGroupsAllow {
            vpc: a.id.clone(),
            peer: b.id.clone(),
            traffic: None,
            allowing,
            groups: 2,
            mesh: None,
        };
        let mut checks = vec![PathCheck::VpcRead { vpc: a.clone() }, allow(0), allow(1)];
        assert!(render(&query, &checks, &Operator::default()).contains("can reach each other, with restrictions"));
        checks.push(PathCheck::NoPeering { mesh: "prod".parse().unwrap(), why: None });
        let remedy = "wait: the next run requests it; if it does not, run `peerd status prod`";
        assert_eq!(
            render(&query, &checks, &Operator::default()),
            format!(
                "vpc-a (111111111111/us-east-1) and vpc-b (111111111111/us-east-1) cannot reach each other\n\
                 blocking: they have no peering\n  fix: {remedy}\n\
                 \x20 pass    vpc-a (111111111111/us-east-1) can be read\n\
                 \x20 warn    no security group of vpc-a allows traffic from vpc-b\n\
                 \x20         fix: add an inbound rule to the right one\n\
                 \x20 pass    1 of 2 security groups of vpc-a allow traffic from vpc-b\n\
                 \x20 fail    they have no peering\n          fix: {remedy}\n"
            )
        );
        let json: serde_json::Value = serde_json::from_str(&as_json(&query, &checks, &Operator::default())).unwrap();
        assert_eq!(json["reachable"], "no");
        let check = &json["checks"][3];
        assert_eq!((&check["result"], &check["data"]["check"]), (&json!("fail"), &json!("no_peering")));
    }
}
