//! `peerd status`: meshes with their members and open findings.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use peerd_core::operator::Operator;
use peerd_core::plural::counted;
use peerd_core::policy::Mode;
use peerd_core::{Finding, FindingKind, Member, MeshName, Rendered, Severity, Timestamp, VpcRef};
use peerd_engine::MeshFindings;
use serde::Serialize;
use serde_json::json;

use crate::Answer;
use crate::account::known_accounts;
use crate::declarations::{Declaration, declarations, word};
use crate::errors::HELD_BACK;
use crate::names::{self, with_names};
use crate::plan::aws_text;
use crate::shell::{Deployed, Shell};
use crate::table::table;

/// The arguments of `peerd status`.
#[derive(Args)]
pub struct Status {
    /// Show only this mesh, with its members, findings and remedies
    mesh: Option<MeshName>,
    /// Print again whenever it changes, until interrupted
    #[arg(long, conflicts_with = "wait")]
    watch: bool,
    /// Wait until no VPC is waiting, for so many seconds at most; then exit with 6
    #[arg(long, value_name = "SECONDS")]
    wait: Option<u64>,
}

/// The least similarity of names, between 0 and 1, of which one may be meant for the other.
const SIMILAR: f64 = 0.7;
/// How often the table is read.
const INTERVAL: Duration = Duration::from_secs(2);

/// A mesh as it is in the table.
struct Known {
    mesh: MeshName,
    declaration: Declaration,
    members: Vec<(Member, MemberState)>,
    /// With their age in milliseconds, if it is known.
    findings: Vec<(Rendered, Option<u64>)>,
    /// How many more findings there are than the table keeps, by kind.
    more: BTreeMap<FindingKind, usize>,
    suppressed: Vec<String>,
    /// How many pairs are in which state.
    pairs: BTreeMap<String, usize>,
    /// Whether a VPC is waiting: also one that a run has seen and that is not in the index yet.
    is_waiting: bool,
    /// The time of the last run that changed something.
    last_change: Option<String>,
}

/// What is known of a VPC that requests a mesh.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum MemberState {
    /// It is connected with all of its peers, apart from those that findings name.
    Joined,
    /// It is not connected with all of its peers yet.
    Waiting,
    /// The mesh does not admit it, or is not declared, or its account is blocked.
    Refused,
    /// Its account or Region cannot be read.
    Unreadable,
}

impl MemberState {
    fn of(vpc: &VpcRef, declaration: &Declaration, record: Option<&MeshFindings>) -> Self {
        let findings = || record.into_iter().flat_map(|record| &record.findings);
        let is_unreadable = |finding: &Finding| {
            let is_of_groups = matches!(finding, Finding::UnreadableSecurityGroups { .. });
            !is_of_groups && finding.unreadable_scope() == Some(&vpc.scope)
        };
        let is_refused = |finding: &Finding| matches!(finding, Finding::NotAdmitted { vpc: of, .. } if of == vpc);
        let is_draining = declaration.policy().is_some_and(|policy| policy.mode == Mode::Draining);
        if matches!(declaration, Declaration::None) || is_draining || findings().any(is_refused) {
            Self::Refused
        } else if findings().any(is_unreadable) {
            Self::Unreadable
        } else if record.is_none_or(|record| record.waiting.contains(vpc)) {
            Self::Waiting
        } else {
            Self::Joined
        }
    }
}

impl Known {
    fn count(&self, state: MemberState) -> usize {
        self.members.iter().filter(|(_, of)| *of == state).count()
    }

    /// The severity of the worst finding; later if there is none.
    fn rank(&self) -> (bool, Option<Severity>) {
        let worst = self.findings.iter().map(|(finding, _)| finding.severity).min();
        (worst.is_none(), worst)
    }
}

/// `peerd status`.
pub async fn status(Status { mesh, watch, wait }: Status, shell: &Shell<'_>, deployed: &Deployed) -> Result<Answer> {
    let begun = shell.now();
    let mut printed = String::new();
    loop {
        let known = read(mesh.as_ref(), shell.now(), deployed).await?;
        let swept = deployed.store.last_sweep().await?.map(|at| shell.now().saturating_sub(at));
        let is_waiting = known.iter().any(|of| of.is_waiting);
        let left = wait
            .and_then(|seconds| Duration::from_secs(seconds).checked_sub(Duration::from_millis(shell.now() - begun)));
        let render = |swept| {
            if shell.json { as_json(&known, swept) } else { render_all(&known, mesh.is_some(), swept, shell.verbose) }
        };
        if watch {
            let without_age = render(None);
            if without_age != printed {
                shell.terminal.print(&render(swept), shell.json)?;
                printed = without_age;
            }
        } else if left.is_none() || !is_waiting {
            let text = render(swept);
            let code = if wait.is_some() && is_waiting { HELD_BACK } else { 0 };
            return Ok(Answer { text, code });
        }
        shell.timer.sleep(left.unwrap_or(INTERVAL).min(INTERVAL)).await;
    }
}

/// All meshes in a table, or one in detail.
fn render_all(known: &[Known], is_one: bool, swept: Option<u64>, verbose: bool) -> String {
    if is_one { known.iter().map(|of| details(of, swept, verbose)).collect() } else { overview(known, swept) }
}

/// Reads the meshes, those with the worst findings first.
async fn read(mesh: Option<&MeshName>, now: Timestamp, deployed: &Deployed) -> Result<Vec<Known>> {
    let mut known = Vec::new();
    let blocked_or_removed = known_accounts(deployed).await?.removed;
    let declared = declarations(deployed).await?;
    for (name, declaration) in declared.clone() {
        if mesh.is_some_and(|mesh| *mesh != name) {
            continue;
        }
        let mut members = deployed.store.members(&name).await?;
        members.retain(|member| member.requested_meshes().contains(&name));
        let record = deployed.store.findings_record(&name).await?;
        let with_state = |member: Member| {
            let state = match blocked_or_removed.contains(&member.vpc.scope.account) {
                true => MemberState::Refused,
                false => MemberState::of(&member.vpc, &declaration, record.as_ref()),
            };
            (member, state)
        };
        let members: Vec<(Member, MemberState)> = members.into_iter().map(with_state).collect();
        let last_change = match mesh {
            Some(_) => deployed.store.past_runs(&name, 1).await?.into_iter().next().map(|run| run.at),
            None => None,
        };
        let findings_record = record.unwrap_or_default();
        let waits = |(_, state): &(Member, MemberState)| *state == MemberState::Waiting;
        let is_waiting = !findings_record.waiting.is_empty() || members.iter().any(waits);
        let age = |finding: &Finding| findings_record.open_since(finding).map(|since| now.saturating_sub(since));
        let operator = Operator::Stack(deployed.stack.clone());
        let rendered = |finding: &Finding| (Rendered::new(finding, &operator), age(finding));
        let findings = findings_record.findings.iter().map(rendered).collect();
        let MeshFindings { more, suppressed, pairs, .. } = findings_record;
        known.push(Known {
            mesh: name,
            declaration,
            members,
            findings,
            more,
            suppressed,
            pairs,
            is_waiting,
            last_change,
        });
    }
    if let (Some(mesh), []) = (mesh, &known[..]) {
        return Err(unknown(mesh, declared.keys()));
    }
    known.sort_by_key(Known::rank);
    Ok(known)
}

/// The error for a mesh of which nothing is known; names the known one with the most similar name.
pub fn unknown<'a>(mesh: &MeshName, known: impl Iterator<Item = &'a MeshName>) -> anyhow::Error {
    let similarity = |known: &MeshName| strsim::normalized_damerau_levenshtein(mesh.as_str(), known.as_str());
    let similar = known.map(|known| (similarity(known), known)).filter(|(similarity, _)| *similarity >= SIMILAR);
    let meant = similar.max_by(|(a, _), (b, _)| a.total_cmp(b)).map(|(_, known)| format!("; did you mean {known}?"));
    let meant = meant.unwrap_or_default();
    anyhow::anyhow!("no mesh named `{mesh}`{meant}; `peerd mesh list` lists the meshes")
}

fn overview(known: &[Known], swept: Option<u64>) -> String {
    let lines = known.iter().map(|of| {
        let unreadable = of.findings.iter().filter(|(finding, _)| finding.kind == FindingKind::Unreadable).count();
        let refused = of.count(MemberState::Refused);
        let [members, waiting, refused, findings, unreadable] =
            [of.members.len() - refused, of.count(MemberState::Waiting), refused, of.findings.len(), unreadable]
                .map(|count| count.to_string());
        let pairs = of_all_active(&of.pairs);
        [of.mesh.to_string(), of.declaration.mode(), members, waiting, refused, pairs, findings, unreadable]
    });
    let columns = ["MESH", "MODE", "MEMBERS", "WAITING", "REFUSED", "PAIRS ACTIVE", "FINDINGS", "UNREADABLE"];
    format!("{}\n{}\n", table(columns, lines), last_sweep(swept))
}

fn last_sweep(age: Option<u64>) -> String {
    age.map_or_else(|| "no sweep yet".to_owned(), |age| format!("last sweep {} ago", lasting(age)))
}

/// The number of pairs with an active peering, and of all pairs.
fn of_all_active(pairs: &BTreeMap<String, usize>) -> String {
    let active = pairs.get("active").copied().unwrap_or_default();
    format!("{active} of {}", pairs.values().sum::<usize>())
}

fn details(of: &Known, swept: Option<u64>, verbose: bool) -> String {
    let Known { mesh, declaration, members, findings, more, suppressed, pairs, last_change, is_waiting: _ } = of;
    let mut text = match declaration {
        Declaration::None => format!("{mesh}: not declared\n\n"),
        _ => format!("{mesh}: {}, declared by {}\n\n", declaration.mode(), declaration.by()),
    };
    text += &table(
        ["VPC", "NAME", "STATE", "ACCOUNT", "REGION", "CIDRS"],
        members.iter().map(|(member, state)| {
            let scope = &member.vpc.scope;
            let (account, region) = (scope.account.to_string(), scope.region.to_string());
            let name = member.name().unwrap_or_else(|| "-".to_owned());
            [member.vpc.id.to_string(), name, word(state), account, region, member.cidrs.to_string()]
        }),
    );
    let pairs: Vec<String> = pairs.iter().map(|(state, count)| format!("{count} {state}")).collect();
    let pairs = if pairs.is_empty() { "none".to_owned() } else { pairs.join(", ") };
    let change = last_change.as_ref().map_or_else(|| "no change recorded".to_owned(), |at| format!("last change {at}"));
    text += &format!("\npairs: {pairs}\n{change}, {}\n\n", last_sweep(swept));
    if findings.is_empty() {
        text.push_str("no open findings\n");
    }
    let names = names::of_members(members.iter().map(|(member, _)| member));
    for (Rendered { kind, subject, text: what, remedy, data, .. }, age) in findings {
        let age = age.map(|age| format!(", for {}", lasting(age))).unwrap_or_default();
        text += &with_names(&format!("{kind}: {subject}{age}\n  {what}\n  fix: {remedy}\n"), &names);
        text += &aws_text(data, verbose);
    }
    text.extend(
        more.iter().map(|(kind, count)| format!("and {count} more of kind {kind}; the functions' logs list all\n")),
    );
    if !suppressed.is_empty() {
        text += "\npending until the mesh is resumed (follow-up steps not shown)\n";
        text.extend(suppressed.iter().map(|line| format!("  {line}\n")));
    }
    text
}

/// A duration in milliseconds as text, in the largest unit that gives at least 2.
pub fn lasting(milliseconds: u64) -> String {
    let seconds = milliseconds / 1000;
    let units = [("days", 86_400), ("hours", 3_600), ("minutes", 60)];
    let unit = units.into_iter().find(|(_, length)| seconds >= 2 * length);
    unit.map_or_else(|| counted(seconds, "second"), |(name, length)| format!("{} {name}", seconds / length))
}

fn as_json(known: &[Known], swept: Option<u64>) -> String {
    let meshes = known.iter().map(|of| {
        let Known { mesh, declaration, members, findings, more, suppressed, pairs, last_change, is_waiting: _ } = of;
        let members = members.iter().map(|(member, state)| {
            let (id, scope) = (&member.vpc.id, &member.vpc.scope);
            let (account, region) = (&scope.account, &scope.region);
            json!({"vpc": id, "name": member.name(), "state": state, "account": account, "region": region, "cidrs": member.cidrs})
        });
        let findings = findings.iter().map(|(Rendered { kind, severity, subject, text, remedy, data }, age)| {
            let age = age.map(|age| age / 1000);
            json!({
                "kind": kind, "severity": severity, "subject": subject, "text": text, "remedy": remedy, "data": data,
                "age_seconds": age
            })
        });
        let findings: Vec<_> = findings.collect();
        let (mode, by) = (declaration.mode(), declaration.by());
        let members: Vec<_> = members.collect();
        json!({
            "mesh": mesh, "mode": mode, "declared_by": by, "members": members, "pairs": pairs, "findings": findings,
            "more_findings": more, "suppressed": suppressed, "last_change_at": last_change
        })
    });
    format!(
        "{}\n",
        json!({"meshes": meshes.collect::<Vec<_>>(), "last_sweep_seconds_ago": swept.map(|age| age / 1000)})
    )
}

#[cfg(test)]
mod tests {
    use peerd_core::{Denial, Policy};

    use super::*;

    fn known() -> Known {
        let member = r#"{"vpc":{"scope":{"account":"111111111111","region":"us-east-1"},"id":"vpc-1"},
            "cidrs":["10.1.0.0/16"],"meshes":["prod"],"tags":{"Name":"web"}}"#;
        let finding = Finding::UnreadablePolicy { mesh: "prod".parse().unwrap(), error: "no JSON".to_owned() };
        Known {
            mesh: "prod".parse().unwrap(),
            declaration: Declaration::Stack(Policy::default()),
            members: vec![(serde_json::from_str(member).unwrap(), MemberState::Joined)],
            findings: vec![(Rendered::new(&finding, &Operator::Stack("acme".to_owned())), Some(7_500_000))],
            more: [(FindingKind::Overlap, 240)].into(),
            suppressed: vec!["+ peering".to_owned()],
            pairs: [("active".to_owned(), 2), ("overlapping".to_owned(), 1)].into(),
            is_waiting: false,
            last_change: Some("2026-11-23T07:00:00.000Z".to_owned()),
        }
    }

    #[test]
    fn status_counts_all_meshes_and_shows_one_with_remedies() {
        assert_eq!(
            overview(&[known()], Some(180_000)),
            "MESH  MODE    MEMBERS  WAITING  REFUSED  PAIRS ACTIVE  FINDINGS  UNREADABLE\n\
             prod  active  1        0        0        2 of 3        1         0\n\n\
             last sweep 3 minutes ago\n"
        );
        assert!(overview(&[], None).ends_with("no sweep yet\n"));
        assert_eq!(
            details(&known(), Some(180_000), false),
            "prod: active, declared by stack\n\n\
             VPC    NAME  STATE   ACCOUNT       REGION     CIDRS\n\
             vpc-1  web   joined  111111111111  us-east-1  10.1.0.0/16\n\npairs: 2 active, 1 overlapping\n\
             last change 2026-11-23T07:00:00.000Z, last sweep 3 minutes ago\n\n\
             blocked: prod, for 2 hours\n  no JSON\n  fix: to declare it again, run \
             `peerd mesh declare prod --policy prod.json --stack acme`; until then peerd changes nothing of it\n\
             and 240 more of kind overlap; the functions' logs list all\n\n\
             pending until the mesh is resumed (follow-up steps not shown)\n  + peering\n"
        );
        let json: serde_json::Value = serde_json::from_str(&as_json(&[known()], Some(1500))).unwrap();
        assert_eq!((&json["last_sweep_seconds_ago"], &json["meshes"][0]["pairs"]["active"]), (&json!(1), &json!(2)));
        assert_eq!(json["meshes"][0]["members"][0]["cidrs"][0], "10.1.0.0/16");
        let finding = &json["meshes"][0]["findings"][0];
        assert_eq!((&finding["kind"], &finding["age_seconds"]), (&json!("blocked"), &json!(7500)));
        assert_eq!((&finding["severity"], &finding["data"]["error"]), (&json!("error"), &json!("no JSON")));
        assert_eq!(json["meshes"][0]["more_findings"], json!({"overlap": 240}));
    }

    #[test]
    fn a_vpc_that_requests_a_mesh_is_joined_waiting_refused_or_unreadable() {
        let vpc = VpcRef::new("111111111111/us-east-1".parse().unwrap(), "vpc-1".parse().unwrap());
        let declared = Declaration::Stack(Policy::default());
        let state = |record: &MeshFindings| MemberState::of(&vpc, &declared, Some(record));
        let with = |finding: Finding| {
            let mut record = MeshFindings::default();
            record.findings.insert(finding);
            record
        };
        let mut waiting = MeshFindings::default();
        waiting.waiting.insert(vpc.clone());
        assert_eq!(state(&MeshFindings::default()), MemberState::Joined);
        assert_eq!(MemberState::of(&vpc, &declared, None), MemberState::Waiting, "no run has seen it");
        assert_eq!(state(&waiting), MemberState::Waiting);
        let (mesh, denial) = ("prod".parse().unwrap(), Denial::Vpc(vpc.id.clone()));
        assert_eq!(state(&with(Finding::NotAdmitted { vpc: vpc.clone(), mesh, denial })), MemberState::Refused);
        let draining = Declaration::Stack(Policy { mode: Mode::Draining, ..Policy::default() });
        assert_eq!(MemberState::of(&vpc, &draining, Some(&MeshFindings::default())), MemberState::Refused);
        assert_eq!(MemberState::of(&vpc, &Declaration::None, None), MemberState::Refused);
        let (scope, role, error) = (vpc.scope.clone(), "r".to_owned(), "denied".to_owned());
        let of_groups = Finding::UnreadableSecurityGroups { scope: scope.clone(), error: error.clone() };
        assert_eq!(state(&with(of_groups)), MemberState::Joined);
        assert_eq!(state(&with(Finding::UnreadableScope { scope, role, error })), MemberState::Unreadable);
    }

    #[test]
    fn the_mesh_with_the_worst_finding_comes_first() {
        let named = |name: &str, findings| Known { mesh: name.parse().unwrap(), findings, ..known() };
        let mut meshes = [named("a", Vec::new()), named("b", known().findings)];
        meshes.sort_by_key(Known::rank);
        assert_eq!(meshes.map(|of| of.mesh.to_string()), ["b", "a"]);
    }

    #[test]
    fn an_age_is_shown_in_the_largest_unit_that_gives_at_least_two() {
        let shown = [0, 119_999, 120_000, 7_199_999, 7_200_000, 172_800_000].map(lasting);
        assert_eq!(shown, ["0 seconds", "119 seconds", "2 minutes", "119 minutes", "2 hours", "2 days"]);
    }
}
