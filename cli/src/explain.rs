//! `peerd explain`: why two VPCs can or cannot reach each other.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, bail};
use clap::Args;
use futures::{StreamExt, stream};
use peerd_aws::AwsCloud;
use peerd_core::tags::MeshTag;
use peerd_core::{CheckResult, MeshName, NetworkFilters, PathCheck, Scope, Vpc, VpcId, VpcRef, explain as checks_of};
use peerd_engine::error::chain;
use peerd_engine::observe::Snapshot;
use peerd_engine::{CloudError, CloudRead, Observer};
use serde_json::json;

use crate::plan::{Backend, NOT_READ, Source};
use crate::{Answer, checks};

/// How many scopes are searched concurrently.
const CONCURRENCY: usize = 32;

/// The arguments of `peerd explain`.
#[derive(Args)]
pub struct Arguments {
    /// Id of one VPC
    one: VpcId,
    /// Id of the other VPC
    other: VpcId,
    #[command(flatten)]
    source: Source,
    /// Exit with 8 if they cannot reach each other, and with 5 if that is unknown
    #[arg(long)]
    exit_code: bool,
}

/// `peerd explain`.
pub async fn run(arguments: Arguments, stack: Option<&str>, json: bool) -> Result<Answer> {
    let Arguments { one, other, source, exit_code } = arguments;
    let site = Backend::open(source, stack).await?;
    let observer = site.observer();
    let found = find(&site.cloud, observer.scopes().await?, [&one, &other]).await?;
    let found = [&found[&one], &found[&other]];
    let (pair, mesh) = (found.map(|vpc| &vpc.vpc_ref), mesh(&observer, found).await?);
    let scopes = pair.map(|vpc| vpc.scope.clone()).into();
    let Snapshot { desired, observed, .. } = observer.observe_with_inputs(&mesh, &scopes).await?;
    let checks = checks_of(&desired, &observed, &network_filters(&site.cloud, pair).await, pair);
    let text = if json { as_json(pair, &checks, site.stack()) } else { render(pair, &checks, site.stack()) };
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

/// Searches VPCs in every scope that peerd reads.
async fn find(cloud: &AwsCloud, scopes: BTreeSet<Scope>, ids: [&VpcId; 2]) -> Result<BTreeMap<VpcId, Vpc>> {
    let ids: BTreeSet<VpcId> = ids.into_iter().cloned().collect();
    let read = |scope: Scope| {
        let ids = &ids;
        async move { (cloud.vpcs_by_id(&scope, ids).await, scope) }
    };
    let answers: Vec<_> = stream::iter(scopes).map(read).buffered(CONCURRENCY).collect().await;
    let (mut found, mut unread) = (BTreeMap::new(), Vec::new());
    for (answer, scope) in answers {
        match answer {
            Ok(vpcs) => found.extend(vpcs.into_iter().map(|vpc| (vpc.vpc_ref.id.clone(), vpc))),
            Err(error) => unread.push(format!("{scope}: {}", chain(&error))),
        }
    }
    match ids.iter().find(|id| !found.contains_key(*id)) {
        None => Ok(found),
        Some(id) if unread.is_empty() => {
            bail!("{id} is in none of the accounts and Regions that peerd reads; `peerd account add ACCOUNT` adds one")
        }
        Some(id) => bail!("{id} was not found; these scopes could not be read:\n  {}", unread.join("\n  ")),
    }
}

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

async fn network_filters(cloud: &AwsCloud, pair: [&VpcRef; 2]) -> NetworkFilters {
    let message = |error: CloudError| chain(&error);
    let mut filters = NetworkFilters::default();
    for vpc in pair {
        let (acls, groups) = futures::join!(cloud.acls(vpc), cloud.open_groups(vpc));
        filters.acls.insert(vpc.clone(), acls.map_err(message));
        filters.groups.insert(vpc.clone(), groups.map_err(message));
    }
    filters
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
        let allows_nothing = |check: &&PathCheck| matches!(check, PathCheck::SecurityGroupsAllow { allowing: 0, .. });
        match checks.iter().find(fails) {
            Some(check) if check.is_unknown() => Self::Unknown,
            Some(_) => Self::No,
            None if checks.iter().filter(allows_nothing).count() == 2 => Self::NotAllowed,
            None if checks.iter().any(PathCheck::is_unknown) => Self::Unknown,
            None if checks.iter().any(|check| check.result() == CheckResult::Warn) => Self::InPart,
            None => Self::Yes,
        }
    }

    fn sentence(self, one: &VpcRef, other: &VpcRef) -> String {
        match self {
            Self::Yes => format!("{one} and {other} can reach each other"),
            Self::InPart => format!("{one} and {other} can reach each other, with restrictions"),
            Self::No => format!("{one} and {other} cannot reach each other"),
            Self::NotAllowed => {
                format!("{one} and {other} are routed to each other, and no security group of either allows the other")
            }
            Self::Unknown => format!("whether {one} and {other} can reach each other is unknown"),
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
fn render([one, other]: [&VpcRef; 2], checks: &[PathCheck], stack: &str) -> String {
    let mut text = Reachable::of(checks).sentence(one, other) + "\n";
    if let Some(first) = checks.iter().find(|check| check.result() == CheckResult::Fail) {
        let remedy = first.remedy(stack).unwrap_or_default();
        text += &format!("blocking: {}\n  fix: {remedy}\n", first.message());
    }
    text + &checks::lines(&checks.iter().map(|check| check.render(stack)).collect::<Vec<_>>())
}

fn as_json([one, other]: [&VpcRef; 2], checks: &[PathCheck], stack: &str) -> String {
    let reachable = Reachable::of(checks).word();
    let with_data = |check: &PathCheck| {
        let mut object = json!(check.render(stack));
        object["data"] = json!(check);
        object
    };
    let checks: Vec<_> = checks.iter().map(with_data).collect();
    format!("{}\n", json!({"vpcs": [one, other], "reachable": reachable, "checks": checks}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_failed_check_is_shown_before_all_checks() {
        let vpc = |id: &str| VpcRef::new("111111111111/us-east-1".parse().unwrap(), id.parse().unwrap());
        let (a, b) = (vpc("vpc-a"), vpc("vpc-b"));
        let allow =
            |allowing| PathCheck::SecurityGroupsAllow { vpc: a.id.clone(), peer: b.id.clone(), allowing, groups: 2 };
        let mut checks = vec![PathCheck::VpcRead { vpc: a.clone() }, allow(0)];
        assert!(render([&a, &b], &checks, "peerd").contains("can reach each other, with restrictions"));
        checks.push(PathCheck::NoPeering { mesh: "prod".parse().unwrap() });
        let remedy = "wait: the next run requests it; see `peerd history prod`";
        assert_eq!(
            render([&a, &b], &checks, "peerd"),
            format!(
                "vpc-a (111111111111/us-east-1) and vpc-b (111111111111/us-east-1) cannot reach each other\n\
                 blocking: they have no peering\n  fix: {remedy}\n\
                 \x20 pass    vpc-a (111111111111/us-east-1) can be read\n\
                 \x20 warn    no security group of vpc-a allows vpc-b\n\
                 \x20         fix: add a rule; or tag the right one peerd:allow=<mesh>, if the policy of the mesh has `security_groups`\n\
                 \x20 fail    they have no peering\n          fix: {remedy}\n"
            )
        );
        let json: serde_json::Value = serde_json::from_str(&as_json([&a, &b], &checks, "peerd")).unwrap();
        assert_eq!(json["reachable"], "no");
        let check = &json["checks"][2];
        assert_eq!((&check["result"], &check["data"]["check"]), (&json!("fail"), &json!("no_peering")));
    }
}
