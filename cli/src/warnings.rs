//! Warnings about what an operator wrote: accounts and Regions of a policy that peerd does not scan, and Regions whose
//! names no Region has. Such an entry is valid, and admits nothing.

use std::collections::BTreeSet;

use peerd_core::{AccountId, MeshName, Policy, Region, Scope};

/// The last words of the names of Regions, before the number.
const DIRECTIONS: [&str; 9] =
    ["north", "south", "east", "west", "central", "northeast", "northwest", "southeast", "southwest"];

/// What a policy names and peerd does not scan.
pub fn of_policy(mesh: &MeshName, policy: &Policy, scopes: &BTreeSet<Scope>) -> Vec<String> {
    let scanned = |account: &AccountId| scopes.iter().any(|scope| scope.account == *account);
    let lists = [("admit.accounts", &policy.admit.accounts), ("hubs.accounts", &policy.hubs.accounts)];
    let accounts = lists.into_iter().flat_map(|(field, accounts)| accounts.iter().map(move |account| (field, account)));
    let unknown = accounts.filter(|(_, account)| !scanned(account)).map(|(field, account)| {
        format!("{mesh}: `{field}` names {account}, which peerd does not scan, so no VPC of it can join")
    });
    let is_scanned = |region: &Region| scopes.iter().any(|scope| scope.region == *region);
    let regions = policy.admit.regions.iter().filter(|region| !is_scanned(region));
    let elsewhere = regions.map(|region| {
        format!("{mesh}: `admit.regions` names {region}, which peerd does not scan, so no VPC in it can join")
    });
    unknown.chain(elsewhere).collect()
}

/// The Regions whose names are misspelled, as far as the form of the name shows it.
pub fn of_regions<'a>(regions: impl IntoIterator<Item = &'a Region>) -> Vec<String> {
    let misspelled = regions.into_iter().filter(|region| !is_like_a_region(region));
    misspelled.map(|region| format!("no AWS Region has a name such as {region}: check its spelling")).collect()
}

/// Whether a name ends with a direction and a number, as those of all Regions do
/// (<https://docs.aws.amazon.com/global-infrastructure/latest/regions/aws-regions.html>).
fn is_like_a_region(region: &Region) -> bool {
    let mut parts = region.as_str().rsplit('-');
    let has_number = parts.next().is_some_and(|part| part.bytes().all(|byte| byte.is_ascii_digit()));
    has_number && parts.next().is_some_and(|part| DIRECTIONS.contains(&part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_and_regions_that_peerd_does_not_scan_are_named() {
        let scopes = ["111111111111/us-east-1", "222222222222/eu-west-1"].map(|scope| scope.parse().unwrap()).into();
        let text = r#"{"topology":"hub-and-spoke","hubs":{"accounts":["111111111111","333333333333"]},
            "admit":{"accounts":["111111111111","999999999999"],"regions":["us-east-1","us-esat-1"]}}"#;
        let policy = Policy::read(&mut serde_json::Deserializer::from_str(text)).unwrap();
        assert_eq!(
            of_policy(&"prod".parse().unwrap(), &policy, &scopes),
            [
                "prod: `admit.accounts` names 999999999999, which peerd does not scan, so no VPC of it can join",
                "prod: `hubs.accounts` names 333333333333, which peerd does not scan, so no VPC of it can join",
                "prod: `admit.regions` names us-esat-1, which peerd does not scan, so no VPC in it can join",
            ]
        );
        assert!(of_policy(&"prod".parse().unwrap(), &Policy::default(), &scopes).is_empty());
    }

    #[test]
    fn misspelled_regions_are_named() {
        let regions = |names: &[&str]| names.iter().map(|name| name.parse().unwrap()).collect::<Vec<Region>>();
        let real = ["us-east-1", "ap-southeast-5", "us-gov-west-1", "eusc-de-east-1", "us-isob-east-1", "ca-central-1"];
        assert!(of_regions(&regions(&real)).is_empty());
        let misspelled = regions(&["us-esat-1", "eu-west-one", "us-east-1a"]);
        assert_eq!(of_regions(&misspelled).len(), 3);
    }
}
