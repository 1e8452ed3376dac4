//! `peerd account`: the accounts that peerd scans for members.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail};
use clap::Subcommand;
use peerd_core::{AccountId, Check, CheckResult, Examination, Examined, Finding, Organization, Region};
use peerd_engine::error::chain;
use peerd_engine::what_if::Decision;
use peerd_engine::{KnownAccounts, Message, Registration, Work};
use serde_json::json;

use crate::consent::{Confirms, Consent};
use crate::declarations::declarations;
use crate::done::Done;
use crate::shell::{Deployed, Shell};
use crate::table::table;
use crate::warnings;

#[derive(Subcommand)]
pub enum Command {
    /// List the known accounts and their source
    List,
    /// Register an account and scan it for members
    Add {
        /// Id of the account
        account: AccountId,
        /// Region to scan; repeatable [default: the Regions of the stack]
        #[arg(long = "region", value_name = "REGION")]
        regions: Vec<Region>,
    },
    /// Block an account: delete what leads to it and stop reading it
    Block {
        /// Id of the account
        account: AccountId,
        #[command(flatten)]
        consent: Consent,
    },
    /// End the block of an account, and sweep
    Unblock {
        /// Id of the account
        account: AccountId,
    },
    /// Remove an account that no longer exists, with its peerings
    Remove {
        /// Id of the account
        account: AccountId,
        /// Only stop scanning this registered Region
        #[arg(long = "region", value_name = "REGION")]
        regions: Vec<Region>,
        #[command(flatten)]
        consent: Consent,
    },
}

/// An account, and the sources that name it.
#[derive(Debug, Clone, Default)]
struct Known {
    by: BTreeSet<&'static str>,
    regions: BTreeSet<Region>,
    removed: bool,
    blocked: bool,
    /// Whether the last run of a mesh could not read one of its Regions.
    unreadable: bool,
}

/// Runs a command and returns its output.
pub async fn run(command: Command, shell: &Shell<'_>, deployed: &Deployed) -> Result<String> {
    let done = match command {
        Command::List => {
            let organization = deployed.store.organization().await?;
            let mut known = known(deployed, deployed.store.accounts().await?, &organization);
            for account in unreadable(deployed).await? {
                known.entry(account).and_modify(|of| of.unreadable = true);
            }
            return Ok(if shell.json { list_as_json(&known, &organization) } else { list(&known, &organization) });
        }
        Command::Add { account, regions } => add(&account, regions.into_iter().collect(), shell, deployed).await,
        Command::Block { account, consent } => block(&account, &consent, shell, deployed).await,
        Command::Unblock { account } => unblock(&account, deployed).await,
        Command::Remove { account, regions, consent } => {
            remove(&account, &regions.into_iter().collect(), &consent, shell, deployed).await
        }
    };
    Ok(done?.answer(shell))
}

/// The accounts that a deployment knows, with the scopes that it scans.
pub async fn known_accounts(deployed: &Deployed) -> Result<KnownAccounts> {
    let (said, organization) = (deployed.store.accounts().await?, deployed.store.organization().await?);
    Ok(KnownAccounts::of(&deployed.accounts, &deployed.regions, &said, organization))
}

/// The accounts of which runs could not read a Region.
async fn unreadable(deployed: &Deployed) -> Result<BTreeSet<AccountId>> {
    let mut unreadable = BTreeSet::new();
    for mesh in declarations(deployed).await?.into_keys() {
        let record = deployed.store.findings_record(&mesh).await?.unwrap_or_default();
        let scopes = record.findings.iter().filter_map(Finding::unreadable_scope);
        unreadable.extend(scopes.map(|scope| scope.account.clone()));
    }
    Ok(unreadable)
}

async fn add(account: &AccountId, regions: BTreeSet<Region>, shell: &Shell<'_>, deployed: &Deployed) -> Result<Done> {
    shell.warn(warnings::of_regions(&regions));
    let regions = if regions.is_empty() { &deployed.regions } else { &regions };
    if !deployed.store.add_account(account, regions).await? {
        bail!("{account} is blocked; to let its VPCs join again, run `peerd account unblock {account}`");
    }
    let sent = deployed.queue.send(&Message::new(0, Work::ScanAccount { account: account.clone() }), 0).await;
    sent.with_context(|| format!("{account}: registered, but scanned only by the next sweep"))?;
    warn_if_unready(account, shell, deployed).await;
    Ok(Done::new(account, "registered; scan queued"))
}

/// Warns about the checks of `peerd doctor` that fail in the account: without a role there, nothing of it joins.
async fn warn_if_unready(account: &AccountId, shell: &Shell<'_>, deployed: &Deployed) {
    shell.terminal.stage("checking the account", 1);
    match deployed.hub.examine_spokes(&[account.clone()].into()).await {
        Ok(Examination { scopes, .. }) => {
            let of_scope = |Examined { scope, checks }: Examined| {
                let failed = checks.into_iter().filter(|check| check.result == CheckResult::Fail);
                failed.map(move |Check { text, remedy, .. }| match remedy {
                    Some(remedy) => format!("{scope}: {text}\n  fix: {remedy}"),
                    None => format!("{scope}: {text}"),
                })
            };
            shell.warn(scopes.into_iter().flat_map(of_scope));
        }
        Err(error) => shell.warn([format!("the roles in {account} could not be checked: {}", chain(&error))]),
    }
}

async fn block(account: &AccountId, consent: &Consent, shell: &Shell<'_>, deployed: &Deployed) -> Result<Done> {
    consent.ask(&Decision::Block { account: account.clone() }, Confirms::Deletes, "", shell, deployed).await?;
    deployed.store.set_blocked(account, true).await?;
    sweep(account, deployed, "blocked").await?;
    Ok(Done::new(account, "blocked; deleting the peerings, routes and rules that lead to it"))
}

async fn unblock(account: &AccountId, deployed: &Deployed) -> Result<Done> {
    if !deployed.store.accounts().await?.get(account).is_some_and(|registration| registration.blocked) {
        bail!("{account} is not blocked; `peerd account list` shows the blocked accounts");
    }
    deployed.store.set_blocked(account, false).await?;
    sweep(account, deployed, "unblocked").await?;
    Ok(Done::new(account, "unblocked; sweep queued"))
}

async fn remove(
    account: &AccountId,
    regions: &BTreeSet<Region>,
    consent: &Consent,
    shell: &Shell<'_>,
    deployed: &Deployed,
) -> Result<Done> {
    let organization = deployed.store.organization().await?;
    match known(deployed, deployed.store.accounts().await?, &organization).get(account) {
        None => bail!("{account} is not known; `peerd account list` lists the known accounts"),
        Some(Known { removed: true, .. }) if regions.is_empty() => {
            bail!("{account} is removed already; `peerd account add {account}` registers it again")
        }
        Some(_) => {}
    }
    let by_stack = regions.is_empty() || !regions.is_disjoint(&deployed.regions);
    if by_stack && organization.inactive(account).is_none() {
        if deployed.accounts.contains(account) {
            bail!("{account} is in the stack parameter Accounts, for all of its Regions; remove it there first");
        }
        if let Some(unit) = organization.path(account).next() {
            bail!("{account} is in {unit}, where peerd finds accounts; move it out first, and wait for a sweep");
        }
    }
    if !regions.is_empty() {
        deployed.store.unregister(account, regions).await?;
        let done = format!("no longer registered in {}; members there stay", joined(regions));
        return Ok(Done::new(account, done));
    }
    consent.ask(&Decision::Remove { account: account.clone() }, Confirms::Deletes, "", shell, deployed).await?;
    deployed.store.mark_removed(account).await?;
    sweep(account, deployed, "removed").await?;
    Ok(Done::new(account, "removed; deleting its peerings and routes"))
}

/// Requests a sweep, with which what was done with an account takes effect.
async fn sweep(account: &AccountId, deployed: &Deployed, done: &str) -> Result<()> {
    let sent = deployed.queue.send(&Message::new(0, Work::Sweep {}), 0).await;
    sent.with_context(|| format!("{account}: {done}, but that takes effect only with the next sweep"))
}

fn known(
    deployed: &Deployed,
    registered: BTreeMap<AccountId, Registration>,
    organization: &Organization,
) -> BTreeMap<AccountId, Known> {
    let mut known: BTreeMap<AccountId, Known> = BTreeMap::new();
    let by_stack = deployed.accounts.iter().map(|account| (account, "stack"));
    let found = organization.accounts.keys().map(|account| (account, "organization"));
    for (account, by) in by_stack.chain(found) {
        let of = known.entry(account.clone()).or_default();
        of.by.insert(by);
        of.regions.extend(deployed.regions.iter().cloned());
    }
    for (account, Registration { regions, added, removed, blocked, asked: _ }) in registered {
        let of = known.entry(account).or_default();
        (of.removed, of.blocked) = (removed, blocked);
        of.by.extend(added.then_some("registration"));
        of.regions.extend(regions);
    }
    known.retain(|_, of| of.removed || of.blocked || !of.by.is_empty());
    known
}

fn joined<T: ToString>(items: impl IntoIterator<Item = T>) -> String {
    let items: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    if items.is_empty() { "-".to_owned() } else { items.join(",") }
}

fn list(known: &BTreeMap<AccountId, Known>, organization: &Organization) -> String {
    let lines = known.iter().map(|(account, Known { by, regions, removed, blocked, unreadable })| {
        let unit = joined(organization.path(account).next());
        let state = match (*blocked, *removed) {
            (true, _) => "blocked",
            (false, true) => "removed",
            (false, false) => organization.inactive(account).unwrap_or(if *unreadable { "unreadable" } else { "-" }),
        }
        .to_owned();
        [account.to_string(), joined(by), joined(regions), unit, state]
    });
    table(["ACCOUNT", "KNOWN BY", "REGIONS", "UNIT", "STATE"], lines)
}

/// Includes the whole path of units, the account's own first, because a policy may admit by any of them.
fn list_as_json(known: &BTreeMap<AccountId, Known>, organization: &Organization) -> String {
    let accounts = known.iter().map(|(account, Known { by, regions, removed, blocked, unreadable })| {
        let units: Vec<_> = organization.path(account).collect();
        let state = organization.inactive(account);
        json!({
            "account": account, "known_by": by, "regions": regions, "units": units, "state": state, "removed": removed,
            "blocked": blocked, "unreadable": unreadable
        })
    });
    format!("{}\n", json!({"accounts": accounts.collect::<Vec<_>>()}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_listed_with_their_sources_and_organizational_units() {
        let organization: Organization = serde_json::from_value(json!({
            "units": {"r-ab12": null, "ou-ab12-11111111": "r-ab12"},
            "accounts": {"222222222222": {"unit": "ou-ab12-11111111", "state": "SUSPENDED"}},
        }))
        .unwrap();
        let of = |by: &[&'static str], regions: &[&str]| Known {
            by: by.iter().copied().collect(),
            regions: regions.iter().map(|region| region.parse().unwrap()).collect(),
            removed: false,
            blocked: false,
            unreadable: false,
        };
        let known = BTreeMap::from([
            ("111111111111".parse().unwrap(), of(&["stack", "registration"], &["us-east-1", "eu-west-1"])),
            ("222222222222".parse().unwrap(), of(&["organization"], &["us-east-1"])),
        ]);
        assert_eq!(
            list(&known, &organization),
            "ACCOUNT       KNOWN BY            REGIONS              UNIT              STATE\n\
             111111111111  registration,stack  eu-west-1,us-east-1  -                 -\n\
             222222222222  organization        us-east-1            ou-ab12-11111111  SUSPENDED\n"
        );
        let json: serde_json::Value = serde_json::from_str(&list_as_json(&known, &organization)).unwrap();
        assert_eq!(json["accounts"][1]["units"], json!(["ou-ab12-11111111", "r-ab12"]));
        assert_eq!(json["accounts"][0]["state"], json!(null));
    }
}
