//! The result of `peerd doctor`, as a table and as JSON.

use std::collections::BTreeMap;

use peerd_core::plural::counted;
use peerd_core::{Check, CheckResult, Examined};
use serde_json::json;

use crate::declarations::word;

/// The place of the checks of the hub, and of a live test.
const HUB: &str = "the hub";
const LIVE: &str = "live test";
/// The number of scopes that are named in one row.
const FEW: usize = 4;

/// What was checked.
#[derive(Default)]
pub struct Report {
    /// The checks of the hub.
    pub hub: Vec<Check>,
    /// The checks of each scope.
    pub scopes: Vec<Examined>,
    /// The checks of a live test.
    pub live: Vec<Check>,
}

impl Report {
    /// Whether no check failed.
    pub fn is_healthy(&self) -> bool {
        self.failed().all(|failed| failed == 0)
    }

    /// The number of failed checks of the hub, of the live test, and of each scope.
    fn failed(&self) -> impl Iterator<Item = usize> {
        let of_scopes = self.scopes.iter().map(|scope| &scope.checks);
        [&self.hub, &self.live].into_iter().chain(of_scopes).map(|checks| failed(checks))
    }

    /// Each check with its places: a check that has the same result in several scopes once.
    fn rows(&self) -> Vec<(&Check, Vec<String>)> {
        let at = |place: &'static str| move |check| (check, vec![place.to_owned()]);
        let mut rows: Vec<(&Check, Vec<String>)> = self.hub.iter().map(at(HUB)).collect();
        let mut known: BTreeMap<(&str, Option<&str>), usize> = BTreeMap::new();
        for (scope, check) in self.scopes.iter().flat_map(|it| it.checks.iter().map(move |check| (&it.scope, check))) {
            let row = *known.entry((&check.text, check.remedy.as_deref())).or_insert_with(|| {
                rows.push((check, Vec::new()));
                rows.len() - 1
            });
            rows[row].1.push(scope.to_string());
        }
        rows.extend(self.live.iter().map(at(LIVE)));
        rows
    }

    /// A table of all checks, the failed ones last.
    pub fn render(&self) -> String {
        let mut rows = self.rows();
        rows.sort_by_key(|(check, _)| match check.result {
            CheckResult::Pass => 0,
            CheckResult::Warn => 1,
            CheckResult::Fail => 2,
        });
        let heads: Vec<String> = rows.iter().map(|(_, places)| summarized(places)).collect();
        let width = heads.iter().map(|head| head.chars().count()).max().unwrap_or_default().max(5);
        let mut text = format!("RESULT  {:width$}  CHECK\n", "WHERE");
        for ((check, places), head) in rows.iter().zip(heads) {
            text += &format!("{:6}  {head:width$}  {}\n", word(check.result), check.text);
            let several = places.len() > 1 && check.result != CheckResult::Pass;
            let places = several.then(|| format!("in: {}", listed(places)));
            let remedy = check.remedy.iter().map(|remedy| format!("fix: {remedy}"));
            text.extend(places.into_iter().chain(remedy).map(|line| format!("{:10}{line}\n", "")));
        }
        text + &self.summary()
    }

    /// The last line: how many checks fail, and where.
    fn summary(&self) -> String {
        if !self.live.is_empty() {
            return match failed(&self.live) {
                0 => "the live test passed\n".to_owned(),
                some => format!("{} of the live test failed\n", counted(some, "check")),
            };
        }
        let in_scopes: usize = self.failed().skip(2).sum();
        let places = self.failed().skip(2).filter(|failed| *failed > 0).count();
        let of_scopes = format!("in {places} of {}", counted(self.scopes.len(), "scope"));
        match (failed(&self.hub), in_scopes) {
            (0, 0) => format!("no check failed, in {}\n", counted(self.scopes.len(), "scope")),
            (some, 0) => format!("{} failed, of the hub\n", counted(some, "check")),
            (0, some) => format!("{} failed, {of_scopes}\n", counted(some, "check")),
            (hub, some) => format!("{} failed: {hub} of the hub, {some} {of_scopes}\n", counted(hub + some, "check")),
        }
    }

    /// The JSON form.
    pub fn as_json(&self) -> String {
        let scope =
            |it: &Examined| json!({"account": it.scope.account, "region": it.scope.region, "checks": it.checks});
        let scopes: Vec<_> = self.scopes.iter().map(scope).collect();
        let healthy = self.is_healthy();
        format!("{}\n", json!({"healthy": healthy, "hub": self.hub, "scopes": scopes, "live": self.live}))
    }
}

fn failed(checks: &[Check]) -> usize {
    checks.iter().filter(|check| check.result == CheckResult::Fail).count()
}

/// The place, or how many there are.
fn summarized(places: &[String]) -> String {
    match places {
        [one] => one.clone(),
        many => counted(many.len(), "scope"),
    }
}

/// The first places, and how many more there are.
fn listed(places: &[String]) -> String {
    match places.len().checked_sub(FEW) {
        None | Some(0) => places.join(", "),
        Some(more) => format!("{} and {more} more (--json lists all)", places[..FEW].join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn examined(account: &str, checks: Vec<Check>) -> Examined {
        Examined { scope: format!("{account}/eu-west-1").parse().unwrap(), checks }
    }

    #[test]
    fn the_table_has_each_check_once_and_the_failed_ones_last_with_their_remedy() {
        let no_trail = || Check::fail("no trail".to_owned(), "make one");
        let examined = [
            examined("222222222222", vec![Check::pass("it reads"), no_trail()]),
            examined("333333333333", vec![Check::pass("it reads"), no_trail(), Check::warn("quota", "ask")]),
        ];
        let hub = vec![Check::fail("no sweep", "wait"), Check::pass("stack")];
        assert_eq!(
            Report { hub, scopes: examined.into(), live: Vec::new() }.render(),
            "RESULT  WHERE                   CHECK\n\
             pass    the hub                 stack\n\
             pass    2 scopes                it reads\n\
             warn    333333333333/eu-west-1  quota\n          fix: ask\n\
             fail    the hub                 no sweep\n          fix: wait\n\
             fail    2 scopes                no trail\n          in: 222222222222/eu-west-1, 333333333333/eu-west-1\n          fix: make one\n\
             3 checks failed: 1 of the hub, 2 in 2 of 2 scopes\n"
        );
    }

    #[test]
    fn failed_checks_are_counted() {
        let one = || vec![examined("222222222222", vec![Check::pass("it reads"), Check::fail("no trail", "make one")])];
        let fails = || vec![Check::fail("no sweep", "wait")];
        let summary = |hub, scopes, live| Report { hub, scopes, live }.summary();
        assert_eq!(summary(fails(), vec![], vec![]), "1 check failed, of the hub\n", "the scopes do not hide it");
        assert_eq!(summary(vec![], one(), vec![]), "1 check failed, in 1 of 1 scope\n");
        assert_eq!(summary(fails(), one(), vec![]), "2 checks failed: 1 of the hub, 1 in 1 of 1 scope\n");
        assert_eq!(summary(vec![], vec![], vec![]), "no check failed, in 0 scopes\n");
        assert_eq!(summary(vec![], vec![], fails()), "1 check of the live test failed\n");
        let report = Report { scopes: one(), ..Report::default() };
        let json: serde_json::Value = serde_json::from_str(&report.as_json()).unwrap();
        assert_eq!((&json["healthy"], &json["scopes"][0]["checks"][1]["result"]), (&json!(false), &json!("fail")));
        assert!(!report.is_healthy() && Report::default().is_healthy());
    }

    #[test]
    fn of_many_places_the_first_ones_are_listed() {
        let places: Vec<String> = (0..6).map(|n| format!("{n}")).collect();
        assert_eq!(listed(&places), "0, 1, 2, 3 and 2 more (--json lists all)");
        assert_eq!(listed(&places[..4]), "0, 1, 2, 3");
    }
}
