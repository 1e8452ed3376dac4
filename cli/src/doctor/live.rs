//! `peerd doctor --live`: two new VPCs join a mesh of their own and leave it again, as those of a user do.

use std::collections::BTreeSet;
use std::task::Poll;
use std::time::Duration;

use anyhow::{Result, bail};
use futures::future::{BoxFuture, FutureExt, Shared, select};
use peerd_core::aws_error::brief;
use peerd_core::cidr::{self, IpNet};
use peerd_core::policy::Admission;
use peerd_core::{
    Check, CheckResult, MeshName, NetworkFilters, PathQuery, Policy, RouteTarget, Scope, Tags, Timestamp, Vpc, VpcRef,
    explain, tags,
};
use peerd_engine::error::chain;
use peerd_engine::reconcile_request::ReconcileRequest;
use peerd_engine::{CloudError, InfraError};

use crate::consent;
use crate::declarations::declarations;
use crate::plan::{Backend, Source};
use crate::shell::{Deployed, Shell};

/// The mesh of the test, and the name of its VPCs. It is always the same, so that nothing of earlier tests piles up.
const MESH: &str = "peerd-live-test";
/// The CIDR blocks of the two VPCs. Others may have the same ones: no other VPC is in the mesh.
const CIDRS: [&str; 2] = ["192.168.255.0/28", "192.168.255.16/28"];
const POLL: Duration = Duration::from_millis(500);
/// How long the VPCs may take to be connected, and to be disconnected.
const MAX_JOINING: Timestamp = 5 * 60 * 1000;
const MAX_LEAVING: Timestamp = 10 * 60 * 1000;
/// How long a VPC may have a dependency that a run has just created.
const MAX_DELETING: Timestamp = 60 * 1000;
/// How long EC2 may not know a new VPC yet (<https://docs.aws.amazon.com/ec2/latest/devguide/eventual-consistency.html>).
const MAX_UNKNOWN: Timestamp = 30 * 1000;

/// Runs the test in two scopes, with the role of the source, and returns its checks.
pub async fn run(scopes: &[Scope], yes: bool, source: Source, shell: &Shell<'_>) -> Result<Vec<Check>> {
    if source.file(shell.stack).is_some() || source.role().is_none() {
        bail!("--live tests a deployment: name the role that creates the VPCs with --role, and the stack with --stack");
    }
    let [one, other] = scopes else { bail!("--live takes two scopes, such as 111111111111/us-east-1") };
    let (mesh, deployed) = (MESH.parse()?, shell.deployed().await?);
    let site = Backend::open(source, shell).await?;
    let known = site.observer().scopes().await?;
    if let Some(unknown) = scopes.iter().find(|scope| !known.contains(scope)) {
        bail!(
            "the deployment does not scan {unknown}; `peerd account list` shows the accounts and Regions that it scans"
        );
    }
    if declarations(&deployed).await?.get(&mesh).is_some_and(|declared| declared.policy().is_some()) {
        bail!(
            "the mesh {MESH} is declared: another test is running, or one did not end; in the second case, delete the VPCs with \
             the tag Name={MESH}, then run `peerd mesh undeclare {MESH}`"
        );
    }
    if !yes {
        let text = format!(
            "{MESH}: creates a VPC in {one} and one in {other}, connects them in a mesh of their own, and deletes everything again\n"
        );
        consent::ask(&text, "Continue?", shell)?;
    }
    let interrupted = shell.terminal.interrupted().shared();
    let blocks = CIDRS.into_iter().map(cidr::parse).collect::<Result<_, _>>()?;
    let mut test = LiveTest {
        site: &site,
        deployed: &deployed,
        mesh,
        blocks,
        vpcs: Vec::new(),
        tagged: false,
        interrupted,
        shell,
    };
    let _: Poll<()> = futures::poll!(test.interrupted.clone()); // from here on, Ctrl-C takes everything down first
    let mut checks = Vec::new();
    let joined = test.join(&[one, other], &mut checks).await;
    checks.extend(joined.err());
    test.leave(&mut checks).await;
    Ok(checks)
}

struct LiveTest<'a> {
    site: &'a Backend<'a>,
    deployed: &'a Deployed,
    mesh: MeshName,
    blocks: Vec<IpNet>,
    /// The VPCs that exist.
    vpcs: Vec<VpcRef>,
    /// Whether they may have the tag `peerd:env`.
    tagged: bool,
    /// Ends when the user interrupts the command.
    interrupted: Shared<BoxFuture<'a, ()>>,
    shell: &'a Shell<'a>,
}

/// How far the deployment is.
enum Progress {
    Done,
    /// What is missing.
    Missing(String),
}

impl LiveTest<'_> {
    /// Creates the VPCs and the mesh, tags the VPCs, and waits until they are connected.
    async fn join(&mut self, scopes: &[&Scope; 2], checks: &mut Vec<Check>) -> Result<(), Check> {
        for (scope, block) in scopes.iter().zip(&self.blocks) {
            let named = Tags::from([(tags::NAME.to_owned(), MESH.to_owned())]);
            let created = self.site.cloud().create_vpc(scope, block, &named).await;
            let vpc = created.map_err(|error| failed("a VPC was not created", &error, NEEDS))?;
            self.shell.say(&format!("created {vpc}"));
            self.vpcs.push(vpc);
        }
        let declared = self.deployed.store.declare(&self.mesh, &self.policy()).await;
        declared
            .map_err(|error| failed("the mesh was not declared", &error, "docs/policies.md lists the permissions"))?;
        checks.push(Check::pass(format!("two VPCs were created, and a mesh that admits only them: {MESH}")));

        let begun = self.shell.now();
        self.tagged = true;
        for vpc in &self.vpcs {
            self.tag(vpc, Some(MESH)).await.map_err(|error| failed("a VPC was not tagged", &error, NEEDS))?;
        }
        self.shell.say("tagged both; waiting until they are connected");
        let connected = self.until(begun + MAX_JOINING, true, async || self.connected().await).await;
        connected.map_err(|missing| self.not_connected(&missing))?;
        let took = seconds(self.shell.now() - begun);
        checks.push(Check::pass(format!("they were peered and routed both ways {took} after they were tagged")));
        Ok(())
    }

    fn not_connected(&self, missing: &str) -> Check {
        if self.interrupted.peek().is_some() {
            return Check::fail(format!("the test was interrupted; {missing}"), "run it again");
        }
        let deployment = &self.deployed.name;
        Check::fail(
            format!("the VPCs are not connected: {missing}"),
            format!(
                "run `peerd doctor`, and read `peerd history {MESH}` and `aws logs tail /aws/lambda/{deployment}-vpc-events --since 10m`"
            ),
        )
    }

    /// A policy that admits the two VPCs only.
    fn policy(&self) -> Policy {
        let vpcs = self.vpcs.iter().map(|vpc| vpc.id.clone()).collect();
        Policy { admit: Admission { vpcs, ..Admission::default() }, ..Policy::default() }
    }

    /// Takes everything down again, as far as there is something, and reports what is left.
    async fn leave(&mut self, checks: &mut Vec<Check>) {
        if self.tagged {
            checks.push(self.untag().await);
        }
        self.delete(checks).await;
    }

    /// Removes the tags, and waits until every trace is gone.
    async fn untag(&self) -> Check {
        let begun = self.shell.now();
        let mut gone = Ok(());
        for vpc in &self.vpcs {
            gone = gone.and(self.tag(vpc, None).await.map_err(|error| brief(&chain(&error)).to_string()));
        }
        if gone.is_ok() {
            self.shell.say("removed the tags; waiting until every trace is gone");
            gone = self.until(begun + MAX_LEAVING, false, async || self.disconnected().await).await;
        }
        match gone {
            Ok(()) => {
                let took = seconds(self.shell.now() - begun);
                Check::pass(format!("every trace was gone {took} after the tags were removed"))
            }
            Err(left) => Check::fail(
                format!("not every trace is gone: {left}"),
                format!("read `peerd status {MESH}` and `peerd history {MESH}`; the next sweep tries again"),
            ),
        }
    }

    async fn delete(&mut self, checks: &mut Vec<Check>) {
        let created = !self.vpcs.is_empty();
        let latest = self.shell.now() + MAX_DELETING;
        let mut left = Vec::new();
        for vpc in &self.vpcs {
            let delete = async || self.site.cloud().delete_vpc(vpc).await.map(|()| Progress::Done);
            if let Err(why) = self.until(latest, false, delete).await {
                let (account, region, id) = (&vpc.scope.account, &vpc.scope.region, &vpc.id);
                let remedy = format!("in account {account}, run `aws ec2 delete-vpc --region {region} --vpc-id {id}`");
                checks.push(Check::fail(format!("{vpc} was not deleted: {why}"), remedy));
                left.push(vpc.clone());
            }
        }
        self.vpcs = left;
        if !self.vpcs.is_empty() {
            return; // the policy stays as well: without it, peerd would leave the peering in place
        }
        match self.undeclare().await {
            Err(error) => {
                checks.push(failed("the mesh is left", &error, &format!("run `peerd mesh undeclare {MESH}`")));
            }
            Ok(()) if created => checks.push(Check::pass("the VPCs and the mesh were deleted")),
            Ok(()) => {}
        }
    }

    /// Removes the policy, and lets a run of the mesh remove what else is known of it.
    async fn undeclare(&self) -> Result<(), InfraError> {
        self.deployed.store.undeclare(&self.mesh).await?;
        self.deployed.queue.send(&ReconcileRequest::default().to_message(&self.mesh), 0).await
    }

    /// Sets the tag `peerd:env` of a VPC, or removes it.
    async fn tag(&self, vpc: &VpcRef, mesh: Option<&str>) -> Result<(), CloudError> {
        let latest = self.shell.now() + MAX_UNKNOWN;
        loop {
            match self.site.cloud().set_vpc_tag(vpc, tags::ENV, mesh).await {
                Err(error) if error.code == "InvalidVpcID.NotFound" && self.shell.now() < latest => {
                    self.shell.timer.sleep(POLL).await;
                }
                answer => return answer,
            }
        }
    }

    /// Asks again and again until it is done.
    ///
    /// # Errors
    /// What is missing at a time, or when the user interrupts the command and `ends` is set.
    async fn until(
        &self,
        latest: Timestamp,
        ends: bool,
        ask: impl AsyncFn() -> Result<Progress, CloudError>,
    ) -> Result<(), String> {
        loop {
            let missing = match ask().await {
                Ok(Progress::Done) => return Ok(()),
                Ok(Progress::Missing(missing)) => missing,
                Err(error) => brief(&chain(&error)).to_string(),
            };
            if self.shell.now() >= latest {
                return Err(missing);
            }
            let pause = self.shell.timer.sleep(POLL);
            if !ends {
                pause.await;
            } else if let futures::future::Either::Right(_) = select(pause, self.interrupted.clone()).await {
                return Err(missing);
            }
        }
    }

    /// Whether each VPC has its status, and `peerd explain` finds no obstacle in either direction.
    async fn connected(&self) -> Result<Progress, CloudError> {
        let joined = format!("joined {MESH}");
        for vpc in self.read().await? {
            let current = vpc.tags.get(tags::STATUS);
            if current != Some(&joined) {
                let status = current.map_or("no peerd:status", String::as_str);
                return Ok(Progress::Missing(format!("{} has {status}", vpc.vpc_ref)));
            }
        }
        let scopes: BTreeSet<Scope> = self.vpcs.iter().map(|vpc| vpc.scope.clone()).collect();
        let seen = self.site.observer().observe_with_inputs(&self.mesh, &scopes).await;
        let seen = match seen {
            Ok(seen) => seen,
            Err(error) => return Ok(Progress::Missing(chain(&error))),
        };
        let [one, other] = &self.vpcs[..] else { return Ok(Progress::Missing("a VPC".to_owned())) };
        let path = PathQuery::between([one, other]);
        let checks = explain(&seen.desired, &seen.observed, &NetworkFilters::default(), &path);
        let mut checks = checks.iter().map(|check| check.render(self.site.operator()));
        Ok(match checks.find(|check| check.result == CheckResult::Fail) {
            Some(check) => Progress::Missing(check.text),
            None => Progress::Done,
        })
    }

    /// Whether neither VPC has a status, a live peering or a route over one.
    async fn disconnected(&self) -> Result<Progress, CloudError> {
        for vpc in self.read().await? {
            if vpc.tags.contains_key(tags::STATUS) {
                return Ok(Progress::Missing(format!("{} has the tag {}", vpc.vpc_ref, tags::STATUS)));
            }
        }
        for vpc in &self.vpcs {
            let peerings = self.site.cloud().peerings(&vpc.scope).await?;
            let is_end = |it: &&peerd_core::PeeringView| it.requester == *vpc || it.accepter == *vpc;
            if let Some(peering) = peerings.iter().filter(is_end).find(|peering| peering.status.is_live()) {
                return Ok(Progress::Missing(format!("{vpc} has {}", peering.id)));
            }
            let tables = self.site.cloud().route_tables(&vpc.scope).await?;
            let routes = tables.iter().filter(|table| table.vpc == *vpc).flat_map(|table| &table.routes);
            if routes.into_iter().any(|route| matches!(route.target, RouteTarget::Peering(_))) {
                return Ok(Progress::Missing(format!("a table of {vpc} has a route over a peering")));
            }
        }
        Ok(Progress::Done)
    }

    /// The VPCs as they are now.
    async fn read(&self) -> Result<Vec<Vpc>, CloudError> {
        let mut found = Vec::new();
        for vpc in &self.vpcs {
            found.extend(self.site.cloud().vpcs_by_id(&vpc.scope, &[vpc.id.clone()].into()).await?);
        }
        Ok(found)
    }
}

/// What the role and the caller need.
const NEEDS: &str = "docs/deploy.md lists the permissions of the role";

fn failed(what: &str, error: &(dyn std::error::Error + 'static), remedy: &str) -> Check {
    Check::fail(format!("{what}: {}", brief(&chain(error))), remedy)
}

/// A time, in tenths of a second.
fn seconds(ms: Timestamp) -> String {
    format!("{}.{} s", ms / 1000, ms % 1000 / 100)
}
