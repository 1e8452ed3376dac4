//! The result of `peerd doctor`, as a table and as JSON.

use std::collections::BTreeMap;

use peerd_core::plural::counted;
use peerd_core::{Check, CheckResult, Examined};
use serde_json::json;

use crate::declarations::word;

/// The place of the checks of the hub.
const HUB: &str = "the hub";
/// The number of scopes that are named in one row.
const FEW: usize = 4;

/// A table of all checks: the failed ones last, and a check that has the same result in several scopes once.
pub fn render(of_hub: &[Check], scopes: &[Examined]) -> String {
    let mut places: Vec<(&Check, Vec<String>)> = of_hub.iter().map(|check| (check, vec![HUB.to_owned()])).collect();
    let mut rows: BTreeMap<(&str, Option<&str>), usize> = BTreeMap::new();
    for (scope, check) in scopes.iter().flat_map(|it| it.checks.iter().map(move |check| (&it.scope, check))) {
        let row = *rows.entry((&check.text, check.remedy.as_deref())).or_insert_with(|| {
            places.push((check, Vec::new()));
            places.len() - 1
        });
        places[row].1.push(scope.to_string());
    }
    places.sort_by_key(|(check, _)| match check.result {
        CheckResult::Pass => 0,
        CheckResult::Warn => 1,
        CheckResult::Fail => 2,
    });
    let heads: Vec<String> = places.iter().map(|(_, at)| summarized(at)).collect();
    let width = heads.iter().map(|head| head.chars().count()).max().unwrap_or_default().max(5);
    let mut text = format!("RESULT  {:width$}  CHECK\n", "WHERE");
    for ((check, at), head) in places.iter().zip(heads) {
        text += &format!("{:6}  {head:width$}  {}\n", word(check.result), check.text);
        let all = (at.len() > 1 && check.result != CheckResult::Pass).then(|| format!("in: {}", listed(at)));
        let remedy = check.remedy.iter().map(|remedy| format!("fix: {remedy}"));
        text.extend(all.into_iter().chain(remedy).map(|line| format!("{:10}{line}\n", "")));
    }
    text + &summary(of_hub, scopes)
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

/// The last line: how many checks fail, and where.
fn summary(hub: &[Check], scopes: &[Examined]) -> String {
    let failed = |checks: &[Check]| checks.iter().filter(|check| check.result == CheckResult::Fail).count();
    let places = scopes.iter().filter(|scope| failed(&scope.checks) > 0).count();
    let in_scopes: usize = scopes.iter().map(|scope| failed(&scope.checks)).sum();
    let of_scopes = format!("in {places} of {}", counted(scopes.len(), "scope"));
    match (failed(hub), in_scopes) {
        (0, 0) => format!("no check failed, in {}\n", counted(scopes.len(), "scope")),
        (some, 0) => format!("{} failed, of the hub\n", counted(some, "check")),
        (0, some) => format!("{} failed, {of_scopes}\n", counted(some, "check")),
        (hub, some) => format!("{} failed: {hub} of the hub, {some} {of_scopes}\n", counted(hub + some, "check")),
    }
}

/// The JSON form.
pub fn as_json(hub: &[Check], scopes: &[Examined], healthy: bool) -> String {
    let scopes: Vec<_> = scopes
        .iter()
        .map(|it| json!({"account": it.scope.account, "region": it.scope.region, "checks": it.checks}))
        .collect();
    format!("{}\n", json!({"healthy": healthy, "hub": hub, "scopes": scopes}))
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
        assert_eq!(
            render(&[Check::fail("no sweep", "wait"), Check::pass("stack")], &examined),
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
        let one = [examined("222222222222", vec![Check::pass("it reads"), Check::fail("no trail", "make one")])];
        let failed = || vec![Check::fail("no sweep", "wait")];
        assert_eq!(summary(&failed(), &[]), "1 check failed, of the hub\n", "the scopes do not hide it");
        assert_eq!(summary(&[], &one), "1 check failed, in 1 of 1 scope\n");
        assert_eq!(summary(&failed(), &one), "2 checks failed: 1 of the hub, 1 in 1 of 1 scope\n");
        assert_eq!(summary(&[], &[]), "no check failed, in 0 scopes\n");
        let json: serde_json::Value = serde_json::from_str(&as_json(&[], &one, false)).unwrap();
        assert_eq!((&json["healthy"], &json["scopes"][0]["checks"][1]["result"]), (&json!(false), &json!("fail")));
    }

    #[test]
    fn of_many_places_the_first_ones_are_listed() {
        let places: Vec<String> = (0..6).map(|n| format!("{n}")).collect();
        assert_eq!(listed(&places), "0, 1, 2, 3 and 2 more (--json lists all)");
        assert_eq!(listed(&places[..4]), "0, 1, 2, 3");
    }
}
