//! Every event that the event rules match, in the forms that AWS sends: `events/*.json`, one event per file, with the
//! expected interpretation under `expect`.

use std::collections::BTreeSet;
use std::path::Path;

use peerd_engine::{ExpectedState, event};
use serde_json::Value;

fn describe(event: &Value) -> String {
    match event::target_of(event) {
        Err(ignored) => format!("ignored: {ignored}"),
        Ok(focus) => {
            let vpcs = focus.vpcs.iter().map(|(vpc, expect)| match expect {
                ExpectedState::Anything => format!("{vpc} changed"),
                ExpectedState::Exists => format!("{vpc} exists"),
                ExpectedState::Gone => format!("{vpc} is gone"),
                ExpectedState::Tagged { asks, tags, version } => {
                    let asks = peerd_core::tags::join_meshes(&asks.meshes);
                    let tags: String = tags.iter().map(|(key, value)| format!(" {key}={value}")).collect();
                    format!("{vpc} asks for {asks:?}{tags} by change {version}")
                }
            });
            let peerings = focus.peerings.iter().map(|(scope, id)| format!("{id} in {scope}"));
            let tables = focus.tables.iter().map(|(scope, id)| format!("{id} in {scope}"));
            let groups = focus.groups.iter().map(|(scope, id)| format!("{id} in {scope}"));
            vpcs.chain(peerings).chain(tables).chain(groups).collect::<Vec<_>>().join(", ")
        }
    }
}

#[test]
fn every_event_shape_is_understood_or_ignored_with_a_reason() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/events");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 20, "only {} events", files.len());
    for file in files {
        let case: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        let name = file.file_name().unwrap().to_string_lossy();
        assert_eq!(describe(&case["event"]), case["expect"].as_str().unwrap(), "{name}");
    }
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
fn the_spokes_forward_the_calls_that_the_hub_takes_and_each_has_its_case_here() {
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
fn no_mutilation_of_an_event_makes_it_panic() {
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
