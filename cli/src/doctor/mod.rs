//! `peerd doctor`: checks everything that peerd needs, with a remedy for each check that fails.

mod live;
mod report;

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use peerd_core::plural::counted;
use peerd_core::{AccountId, Check, Deployment, Examination, Examined, Scope, VERSION};
use peerd_engine::error::chain;
use peerd_engine::{InfraError, QueueState, RedriveQueue};

use crate::Answer;
use crate::account::known_accounts;
use crate::plan::{Backend, Source};
use crate::shell::{Deployed, Shell};
use crate::status::lasting;
use report::Report;

/// The maximum age of the last sweep if its schedule has no rate.
const A_DAY_AND_AN_HOUR: Duration = Duration::from_secs(25 * 3600);
/// The number of accounts that are examined by one call of the function.
const PORTION: usize = 10;
/// The number of waiting messages above which a queue is reported.
const BACKLOG: u64 = 1000;

/// The arguments of `peerd doctor`.
#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    source: Source,
    /// Instead, create a VPC in each of two accounts or Regions (111111111111/us-east-1), connect them in a mesh of their own, and
    /// delete everything again; --role names the role that creates them
    #[arg(long, num_args = 2, value_name = "SCOPE")]
    live: Vec<Scope>,
    /// Do not ask before a live test
    #[arg(long, requires = "live")]
    yes: bool,
}

/// `peerd doctor`. The exit code is 1 if a check fails.
pub async fn run(Arguments { source, live, yes }: Arguments, shell: &Shell<'_>) -> Result<Answer> {
    if !live.is_empty() {
        let live = live::run(&live, yes, source, shell).await?;
        return Ok(answer(&Report { live, ..Report::default() }, shell));
    }
    let from_here = source.role().is_some();
    let (mut hub, scopes) = match source.file(shell.stack) {
        Some(_) => (Vec::new(), Some(examine(source, shell, None).await?)),
        None => {
            let deployed = shell.deployed().await?;
            let mut hub = of_hub(&deployed, shell).await;
            let scopes = match from_here {
                true => Some(examine(source, shell, Some(deployed.hub.bus())).await?),
                false => asked_of_hub(&deployed, &mut hub, shell).await,
            };
            (hub, scopes)
        }
    };
    if scopes.as_ref().is_some_and(Vec::is_empty) {
        hub.push(Check::fail("there is no account and Region to check", "`peerd account add ACCOUNT` adds one"));
    }
    Ok(answer(&Report { hub, scopes: scopes.unwrap_or_default(), ..Report::default() }, shell))
}

fn answer(report: &Report, shell: &Shell<'_>) -> Answer {
    let text = if shell.json { report.as_json() } else { report.render() };
    Answer { text, code: u8::from(!report.is_healthy()) }
}

/// Examines every scope from this machine.
async fn examine(source: Source, shell: &Shell<'_>, bus: Option<&str>) -> Result<Vec<Examined>> {
    let site = Backend::open(source, shell).await?;
    let observer = site.observer();
    let mut scopes = observer.scopes().await?;
    let mut examined = Vec::new();
    for accounts in portions(&scopes, shell) {
        let of_portion = scopes.extract_if(.., |scope| accounts.contains(&scope.account)).collect();
        examined.extend(site.cloud().examine_all(of_portion, &observer.settings.deployment, bus).await);
        accounts.iter().for_each(|_| shell.terminal.step());
    }
    Ok(examined)
}

/// The accounts of these scopes in portions, so that the progress is seen and each answer of the function is small.
fn portions(scopes: &BTreeSet<Scope>, shell: &Shell<'_>) -> Vec<BTreeSet<AccountId>> {
    let accounts: BTreeSet<&AccountId> = scopes.iter().map(|scope| &scope.account).collect();
    shell.terminal.stage("examining accounts", accounts.len());
    let accounts: Vec<&AccountId> = accounts.into_iter().collect();
    accounts.chunks(PORTION).map(|accounts| accounts.iter().copied().cloned().collect()).collect()
}

/// Lets the hub's function examine them, with its own role. None if it does not answer.
async fn asked_of_hub(deployed: &Deployed, hub: &mut Vec<Check>, shell: &Shell<'_>) -> Option<Vec<Examined>> {
    let portions = match known_accounts(deployed).await {
        Ok(known) if !known.scopes.is_empty() => portions(&known.scopes, shell),
        Ok(_) | Err(_) => vec![BTreeSet::new()], // the function knows; another check reports a table that cannot be read
    };
    let (mut examined, mut of_organization) = (Vec::new(), None);
    for accounts in portions {
        match deployed.hub.examine_spokes(&accounts).await {
            Ok(Examination { version, hub: of_hub, scopes }) => {
                examined.extend(scopes);
                of_organization.get_or_insert_with(|| [vec![check_version(&version)], of_hub].concat());
            }
            Err(error) => {
                hub.push(silent(deployed, &error));
                return None;
            }
        }
        accounts.iter().for_each(|_| shell.terminal.step());
    }
    hub.extend(of_organization.into_iter().flatten());
    Some(examined)
}

/// The check of a function that does not answer.
fn silent(deployed: &Deployed, error: &InfraError) -> Check {
    let remedy = format!(
        "read its log, `aws logs tail /aws/lambda/{}-drift-repair --since 1h`; you need lambda:InvokeFunction, or check from here with --role",
        deployed.name
    );
    Check::fail(format!("the function drift-repair does not answer: {}", chain(error)), remedy)
}

/// Checks that the function has the version of this program.
fn check_version(version: &str) -> Check {
    let remedy = format!(
        "run `make deploy` in a checkout of {VERSION}, or `cargo install --locked --path cli` in one of {version}"
    );
    Check::other_version("the function drift-repair", Some(version), "this command line", remedy)
        .unwrap_or_else(|| Check::pass("the function drift-repair answers"))
}

async fn of_hub(deployed: &Deployed, shell: &Shell<'_>) -> Vec<Check> {
    let mut checks = match known_accounts(deployed).await {
        Ok(known) => deployed.hub.check(&known).await,
        Err(_) => Vec::new(), // the check of the sweep reports that the table cannot be read
    };
    for queue in &deployed.queues {
        checks.push(check_queue(&**queue).await);
    }
    checks.push(match deployed.store.last_sweep().await {
        Ok(swept) => sweep(swept.map(|at| shell.now().saturating_sub(at)), deployed.hub.schedule(), &deployed.name),
        Err(error) => Check::fail(
            format!("the table cannot be read: {}", chain(&error)),
            "docs/policies.md lists the permissions that you need",
        ),
    });
    checks
}

async fn check_queue(queue: &dyn RedriveQueue) -> Check {
    let name = queue.name();
    match queue.state().await {
        Ok(QueueState { has_dead_letters: false, .. }) => Check::fail(
            format!("the queue of {name} has no dead-letter queue"),
            format!("run `{}`", queue.restore_dead_letters()),
        ),
        Ok(QueueState { dead, .. }) if dead > 0 => Check::fail(
            format!("the dead-letter queue of {name} has {}", counted(dead, "message")),
            "read its log, fix the cause, then run `peerd redrive`",
        ),
        Ok(QueueState { waiting, .. }) if waiting > BACKLOG => Check::warn(
            format!("the queue of {name} has {}", counted(waiting, "message")),
            "read its log; check whether its event source mapping is enabled",
        ),
        Ok(QueueState { waiting, .. }) => {
            Check::pass(format!("the queue of {name} has {}, and no dead letters", counted(waiting, "message")))
        }
        Err(error) => Check::warn(
            format!("the queue of {name} cannot be read: {}", chain(&error)),
            "docs/policies.md lists the permissions that you need",
        ),
    }
}

/// Whether the last sweep is at most twice as old as the interval of its schedule.
fn sweep(age: Option<u64>, schedule: Option<&str>, deployment: &Deployment) -> Check {
    let most = schedule.and_then(rate).map_or(A_DAY_AND_AN_HOUR, |rate| rate * 2);
    let remedy = format!(
        "read why: `aws logs tail /aws/lambda/{deployment}-drift-repair --since 1h`; the schedule {deployment}-sweep starts it"
    );
    match age {
        None => Check::fail("there was no sweep yet", remedy),
        Some(age) if Duration::from_millis(age) > most => {
            Check::fail(format!("the last sweep was {} ago", lasting(age)), remedy)
        }
        Some(age) => Check::pass(format!("the last sweep was {} ago", lasting(age))),
    }
}

/// The time between two sweeps, of a schedule such as `rate(15 minutes)`.
fn rate(schedule: &str) -> Option<Duration> {
    let (number, unit) = schedule.strip_prefix("rate(")?.strip_suffix(')')?.split_once(' ')?;
    let seconds = match unit.trim().trim_end_matches('s') {
        "minute" => 60,
        "hour" => 3600,
        "day" => 86_400,
        _ => return None,
    };
    Some(Duration::from_secs(number.trim().parse::<u64>().ok()?.checked_mul(seconds)?))
}

#[cfg(test)]
mod tests {
    use peerd_core::CheckResult;

    use super::*;

    #[test]
    fn a_sweep_may_be_twice_as_old_as_its_schedule() {
        let minutes = |minutes: u64| Some(minutes * 60_000);
        let result = |age, schedule| sweep(age, schedule, &"peerd".parse().unwrap()).result;
        assert_eq!(result(minutes(30), Some("rate(15 minutes)")), CheckResult::Pass);
        assert_eq!(result(minutes(31), Some("rate(15 minutes)")), CheckResult::Fail);
        assert_eq!(result(minutes(61), Some("rate(1 hour)")), CheckResult::Pass);
        assert_eq!(result(minutes(24 * 60), Some("cron(0 3 * * ? *)")), CheckResult::Pass);
        assert_eq!(result(minutes(26 * 60), None), CheckResult::Fail);
        assert_eq!(result(None, Some("rate(15 minutes)")), CheckResult::Fail);
    }
}
