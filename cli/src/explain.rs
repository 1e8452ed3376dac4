//! `peerd explain`: why two VPCs can or cannot reach each other.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, bail};
use clap::Args;
use futures::{StreamExt, stream};
use peerd_aws::AwsCloud;
use peerd_core::tags::MeshTag;
use peerd_core::{Check, CheckResult, MeshName, NetworkFilters, Scope, Vpc, VpcId, VpcRef, explain as checks_of};
use peerd_engine::error::chain;
use peerd_engine::observe::Snapshot;
use peerd_engine::{CloudError, CloudRead, Observer};
use serde_json::json;

use crate::checks;
use crate::plan::{Backend, Source};

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
}

/// `peerd explain`.
pub async fn run(Arguments { one, other, source }: Arguments, stack: Option<&str>, json: bool) -> Result<String> {
    let site = Backend::open(source, stack).await?;
    let observer = site.observer();
    let found = find(&site.cloud, observer.scopes().await?, [&one, &other]).await?;
    let found = [&found[&one], &found[&other]];
    let (pair, mesh) = (found.map(|vpc| &vpc.at), mesh(&observer, found).await?);
    let scopes = pair.map(|vpc| vpc.scope.clone()).into();
    let Snapshot { desired, observed, .. } = observer.observe(&mesh, &scopes).await?;
    let checks = checks_of(&desired, &observed, &doors(&site.cloud, pair).await, pair);
    Ok(if json { as_json(pair, &checks) } else { tell(pair, &checks) })
}

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
            Ok(vpcs) => found.extend(vpcs.into_iter().map(|vpc| (vpc.at.id.clone(), vpc))),
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

async fn doors(cloud: &AwsCloud, pair: [&VpcRef; 2]) -> NetworkFilters {
    let told = |error: CloudError| chain(&error);
    let mut doors = NetworkFilters::default();
    for vpc in pair {
        let (acls, groups) = futures::join!(cloud.acls(vpc), cloud.open_groups(vpc));
        doors.acls.insert(vpc.clone(), acls.map_err(told));
        doors.groups.insert(vpc.clone(), groups.map_err(told));
    }
    doors
}

fn verdict(checks: &[Check]) -> &'static str {
    let some = |holds| checks.iter().any(|check| check.holds == holds);
    match (some(CheckResult::No), some(CheckResult::Partly)) {
        (true, _) => "cannot reach each other",
        (false, true) => "can reach each other, with restrictions",
        (false, false) => "can reach each other",
    }
}

/// The verdict with the first failed check, and then every check.
fn tell([one, other]: [&VpcRef; 2], checks: &[Check]) -> String {
    let mut text = format!("{one} and {other} {}\n", verdict(checks));
    if let Some(first) = checks.iter().find(|check| check.holds == CheckResult::No) {
        let remedy = first.remedy.as_deref().unwrap_or_default();
        text += &format!("blocking: {}\n  fix: {remedy}\n", first.text);
    }
    text + &checks::lines(checks)
}

fn as_json([one, other]: [&VpcRef; 2], checks: &[Check]) -> String {
    let reach = !checks::fail(checks);
    format!("{}\n", json!({"vpcs": [one, other], "reach": reach, "checks": checks}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_thing_to_mend_comes_first_and_then_all_that_was_looked_at() {
        let vpc = |id: &str| VpcRef::new("111111111111/us-east-1".parse().unwrap(), id.parse().unwrap());
        let check = |holds, text: &str, remedy: Option<&str>| Check {
            holds,
            text: text.to_owned(),
            remedy: remedy.map(str::to_owned),
        };
        let (a, b) = (vpc("vpc-a"), vpc("vpc-b"));
        let mut checks = vec![check(CheckResult::Yes, "fine", None), check(CheckResult::Partly, "half", Some("read"))];
        assert!(tell([&a, &b], &checks).contains("can reach each other, with restrictions"));
        checks.push(check(CheckResult::No, "broken", Some("repair it")));
        assert_eq!(
            tell([&a, &b], &checks),
            "vpc-a (111111111111/us-east-1) and vpc-b (111111111111/us-east-1) cannot reach each other\n\
             blocking: broken\n  fix: repair it\n\
             \x20 yes     fine\n  partly  half\n          fix: read\n  no      broken\n          fix: repair it\n"
        );
        let json: serde_json::Value = serde_json::from_str(&as_json([&a, &b], &checks)).unwrap();
        assert_eq!((&json["reach"], &json["checks"][2]["holds"]), (&json!(false), &json!("no")));
    }
}
