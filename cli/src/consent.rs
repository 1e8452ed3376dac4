//! Consent: a decision that deletes or opens something is shown with what follows from it, and confirmed before it is made.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use clap::Args;
use peerd_core::plural::counted;
use peerd_core::{Finding, FindingKind, MeshName};
use peerd_engine::what_if::{Consequences, Decision};

use crate::shell::{Deployed, Shell};

/// How many steps of a mesh are printed.
const MAX_PRINTED: usize = 20;

/// The argument with which a command does not ask.
#[derive(Args)]
pub struct Consent {
    /// Do not ask, and do not check what follows
    #[arg(long)]
    yes: bool,
}

/// What has to be confirmed, apart from deletes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Confirms {
    /// Only deletes: what the decision creates is its purpose.
    Deletes,
    /// Also what is created.
    Everything,
}

impl Consent {
    /// Asks if what follows from a decision has to be confirmed. The deployment computes it, with its own roles. A `note` is
    /// what the decision permits later: then it is asked in any case.
    ///
    /// # Errors
    /// When the deployment cannot compute it, or the answer is not `yes`.
    pub async fn ask(
        &self,
        decision: &Decision,
        confirms: Confirms,
        note: &str,
        shell: &Shell<'_>,
        deployed: &Deployed,
    ) -> Result<()> {
        if self.yes {
            return Ok(());
        }
        let foreseen = deployed.hub.foresee(decision).await;
        let foreseen = foreseen.context("what follows cannot be computed; nothing was changed. --yes skips this")?;
        let problems: Vec<&str> = foreseen.values().flat_map(|it| &it.problems).map(String::as_str).collect();
        if !problems.is_empty() {
            bail!("nothing was changed:\n  {}", problems.join("\n  "));
        }
        let has_consequences = foreseen.values().any(|consequences| has_to_be_confirmed(consequences, confirms));
        if note.is_empty() && !has_consequences {
            return Ok(());
        }
        ask(&format!("{note}{}", render(&foreseen)), "Continue?", shell)
    }
}

fn has_to_be_confirmed(consequences: &Consequences, confirms: Confirms) -> bool {
    let matters =
        |finding: &Finding| finding.kind() == FindingKind::Unreadable || matches!(finding, Finding::DeleteLimit { .. });
    consequences.any('-')
        || (confirms == Confirms::Everything && consequences.any('+'))
        || consequences.findings.iter().any(matters)
}

/// Prints a text and a question, and continues only if the answer is `yes`.
///
/// # Errors
/// When stdin is not a terminal, or another answer is given.
pub fn ask(text: &str, question: &str, shell: &Shell<'_>) -> Result<()> {
    let Some(answer) = shell.terminal.ask(text, &format!("{question} Enter `yes` to continue: "))? else {
        bail!("nothing was changed: stdin is not a terminal; pass --yes to do this\n{}", text.trim_end());
    };
    match answer.trim() {
        "yes" => Ok(()),
        other => bail!("nothing was changed: the answer was `{other}`, and only `yes` continues"),
    }
}

fn render(foreseen: &BTreeMap<MeshName, Consequences>) -> String {
    let mut text = String::new();
    for (mesh, consequences) in foreseen {
        let Consequences { counts, steps, findings, problems: _ } = consequences;
        if counts.is_empty() && findings.is_empty() {
            continue;
        }
        text += &format!("{mesh}: {}\n", summary(counts));
        let shown = steps.iter().take(MAX_PRINTED);
        text.extend(shown.map(|step| format!("  {step}\n")));
        let hidden = counts.values().sum::<usize>().saturating_sub(MAX_PRINTED.min(steps.len()));
        if hidden > 0 {
            text += &format!("  and {hidden} more steps\n");
        }
        text.extend(findings.iter().map(|finding| format!("  {finding}\n")));
    }
    text
}

/// How many resources of each kind are deleted and created, deletes first.
fn summary(counts: &BTreeMap<String, usize>) -> String {
    let of = |sign: char| {
        let kinds = counts.iter().filter_map(|(kind, count)| Some((kind.strip_prefix(sign)?.trim(), *count)));
        let named = kinds.filter_map(|(kind, count)| Some(counted(count, resource(kind)?)));
        named.collect::<Vec<_>>().join(", ")
    };
    match [of('-'), of('+')] {
        [deletes, creates] if deletes.is_empty() && creates.is_empty() => "deletes and creates nothing".to_owned(),
        [deletes, creates] if creates.is_empty() => format!("deletes {deletes}"),
        [deletes, creates] if deletes.is_empty() => format!("creates {creates}"),
        [deletes, creates] => format!("deletes {deletes}, and creates {creates}"),
    }
}

/// The resource of a kind of steps; none for status tags.
fn resource(kind: &str) -> Option<&str> {
    match kind {
        "vpc" => None,
        "ingress" => Some("security group rule"),
        kind => Some(kind),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn consequences(counts: &[(&str, usize)]) -> Consequences {
        let counts = counts.iter().map(|(kind, count)| ((*kind).to_owned(), *count)).collect();
        Consequences { counts, steps: vec!["- peering pcx-1".to_owned()], ..Consequences::default() }
    }

    #[test]
    fn what_follows_is_counted_and_the_first_steps_are_listed() {
        let foreseen = [
            ("lab".parse().unwrap(), Consequences::default()),
            (
                "prod".parse().unwrap(),
                consequences(&[("- peering", 1), ("- route", 6), ("+ ingress", 2), ("- vpc", 3)]),
            ),
        ];
        assert_eq!(
            render(&foreseen.into()),
            "prod: deletes 1 peering, 6 routes, and creates 2 security group rules\n  - peering pcx-1\n  and 11 more steps\n"
        );
        assert_eq!(summary(&BTreeMap::new()), "deletes and creates nothing");
    }

    #[test]
    fn deletes_what_is_held_back_and_what_is_unknown_have_to_be_confirmed() {
        let needs = |of: &Consequences, confirms| has_to_be_confirmed(of, confirms);
        let creates = consequences(&[("+ peering", 1)]);
        assert!(!needs(&creates, Confirms::Deletes) && needs(&creates, Confirms::Everything));
        assert!(needs(&consequences(&[("- route", 1)]), Confirms::Deletes));
        assert!(!needs(&consequences(&[("- vpc", 1), ("* vpc", 1)]), Confirms::Everything), "only status tags");
        let scope = "111111111111/us-east-1".parse().unwrap();
        let unknown = Finding::UnreadableScope { scope, role: "r".to_owned(), error: "denied".to_owned() };
        let unknown = Consequences { findings: [unknown].into(), ..Consequences::default() };
        assert!(needs(&unknown, Confirms::Deletes));
    }
}
