//! Every event that the event rules match, in the forms that AWS sends: `events/*.json`, one event per file, with the
//! expected interpretation under `expect`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use peerd_engine::{ExpectedState, event};
use serde_json::Value;

fn describe(event: &Value) -> String {
    match event::target_of(event) {
        Err(ignored) => format!("ignored: {ignored}"),
        Ok(target) => {
            let vpcs = target.vpcs.iter().map(|(vpc, expect)| match expect {
                ExpectedState::Anything => format!("{vpc} changed"),
                ExpectedState::Exists => format!("{vpc} exists"),
                ExpectedState::Gone => format!("{vpc} is gone"),
                ExpectedState::Tagged { asks: requested, tags, version } => {
                    let requested = peerd_core::tags::join_meshes(&requested.meshes);
                    let tags: String = tags.iter().map(|(key, value)| format!(" {key}={value}")).collect();
                    format!("{vpc} requests {requested:?}{tags} by change {version}")
                }
            });
            let peerings = target.peerings.iter().map(|(scope, id)| format!("{id} in {scope}"));
            let tables = target.tables.iter().map(|(scope, id)| format!("{id} in {scope}"));
            let groups = target.groups.iter().map(|(scope, id)| format!("{id} in {scope}"));
            vpcs.chain(peerings).chain(tables).chain(groups).collect::<Vec<_>>().join(", ")
        }
    }
}

/// The folder of the events.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/events")
}

/// Compares the interpretation of the event in a file with the expected one.
#[expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]
fn check(name: &str) {
    let file = folder().join(format!("{}.json", name.replace('_', "-")));
    let case: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    assert_eq!(describe(&case["event"]), case["expect"].as_str().unwrap());
}

/// Defines a test for each event file.
macro_rules! event_files {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            check(stringify!($name));
        })*

        #[test]
        fn every_event_file_has_a_test() {
            let files = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().file_name());
            let files: BTreeSet<String> = files.map(|file| file.to_string_lossy().into_owned()).collect();
            let tests = [$(stringify!($name)),*].map(|name| format!("{}.json", name.replace('_', "-")));
            assert_eq!(files, tests.into());
        }
    };
}

event_files! {
    accept_peering
    associate_cidr_camel_case
    associate_cidr_capitalized
    authorize_ingress
    call_of_another_account
    call_with_a_malformed_id
    call_with_an_id_too_deep
    call_without_account
    call_without_detail
    create_peering
    create_route
    create_route_table
    create_vpc
    create_vpc_with_tags
    delete_peering
    delete_route_empty_response
    delete_route_ipv6
    delete_vpc
    disassociate_cidr
    disassociate_cidr_without_vpc
    empty_object
    failed_call
    modify_peering_options
    modify_rules
    modify_vpc_attribute
    reject_peering
    replace_route
    revoke_ingress
    tag_added
    tag_added_to_several_meshes
    tag_forwarded_from_another_region
    tag_in_the_china_partition
    tag_from_another_source
    tag_of_a_hub
    tag_of_a_route_table
    tag_of_a_security_group
    tag_of_a_subnet
    tag_of_another_account
    tag_policy_notice
    tag_removed
    tag_with_a_malformed_arn
    tag_with_float_version
    tag_without_resources
    unrelated_call
}

/// Returns the names of the calls in the event patterns of a template.
fn event_names(template: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut inside = false;
    for line in template.lines().map(str::trim) {
        match line.strip_prefix("- ").filter(|_| inside) {
            Some(name) => drop(names.insert(name.to_owned())),
            None => inside = line == "eventName:",
        }
    }
    names
}

#[test]
fn the_forwarded_calls_match_the_hub_template_and_the_test_events() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let template = |name| event_names(&std::fs::read_to_string(root.join("../..").join(name)).unwrap());
    let forwarded = template("spoke.yaml");
    assert!(forwarded.len() > 10, "{forwarded:?}");
    assert_eq!(forwarded, template("template.yaml"));
    let understood = std::fs::read_dir(root.join("tests/events")).unwrap().filter_map(|entry| {
        let case: Value = serde_json::from_slice(&std::fs::read(entry.unwrap().path()).unwrap()).unwrap();
        let name = case["event"].pointer("/detail/eventName")?.as_str()?.to_owned();
        event::target_of(&case["event"]).is_ok().then_some(name)
    });
    assert_eq!(forwarded, understood.collect());
}

#[test]
fn parsing_a_malformed_event_never_panics() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/events");
    for entry in std::fs::read_dir(folder).unwrap() {
        let case: Value = serde_json::from_slice(&std::fs::read(entry.unwrap().path()).unwrap()).unwrap();
        for pointer in pointers(&case["event"], "") {
            for wrong in [Value::Null, Value::from(7), Value::from(""), serde_json::json!({}), serde_json::json!([])] {
                let mut event = case["event"].clone();
                *event.pointer_mut(&pointer).unwrap() = wrong;
                describe(&event);
            }
        }
    }
}

fn pointers(value: &Value, at: &str) -> Vec<String> {
    let children: Vec<(String, &Value)> = match value {
        Value::Object(members) => members.iter().map(|(key, inner)| (key.replace('/', "~1"), inner)).collect(),
        Value::Array(items) => items.iter().enumerate().map(|(n, inner)| (n.to_string(), inner)).collect(),
        _ => Vec::new(),
    };
    let deeper = children.into_iter().flat_map(|(key, inner)| pointers(inner, &format!("{at}/{key}")));
    std::iter::once(at.to_owned()).chain(deeper).collect()
}
