//! An import as text and as JSON.

use peerd_core::plural::{counted, counted_as};
use peerd_core::{Tags, VpcRef};
use serde_json::{Value, json};

use super::plan::Import;

/// The changes line by line, the notes, and a summary.
pub fn plan(Import { meshes, tags, register, notes }: &Import) -> String {
    let mut lines = Vec::new();
    let mut line = |line: String| lines.push(line);
    for scope in register {
        line(format!("+ account {} in {}", scope.account, scope.region));
    }
    for (mesh, policy) in meshes {
        let (members, adopted) = (policy.admit.vpcs.len(), policy.adopt.len());
        line(format!(
            "+ mesh {mesh}, paused, of {}; it adopts {}",
            counted(members, "VPC"),
            counted(adopted, "peering")
        ));
        line(format!("    routes in tagged tables only, and not to {}", policy.routes.exclude));
        if !policy.admit.cidrs.is_empty() {
            line(format!("    admits the addresses {}", policy.admit.cidrs));
        }
        for (key, value) in &policy.tags {
            line(format!("    its peerings have the tag {key}={value}"));
        }
        for peering in &policy.adopt {
            line(format!("    it adopts {peering}"));
        }
    }
    for (vpc, tags) in tags {
        line(format!("+ tags of {vpc}: {}", words(tags)));
    }
    for note in notes {
        line(format!("! {note}"));
    }
    let adopted: usize = meshes.values().map(|policy| policy.adopt.len()).sum();
    line(format!(
        "{}, {} to tag, {} to adopt, {}",
        counted_as(meshes.len(), "mesh", "meshes"),
        counted(tags.len(), "VPC"),
        counted(adopted, "peering"),
        counted(notes.len(), "note")
    ));
    lines.join("\n") + "\n"
}

/// The same as JSON.
pub fn as_json(Import { meshes, tags, register, notes }: &Import) -> String {
    let tags: Vec<Value> = tags
        .iter()
        .map(|(vpc, tags)| json!({"vpc": vpc.id, "account": vpc.scope.account, "region": vpc.scope.region, "tags": tags}))
        .collect();
    let notes: Vec<Value> = notes.iter().map(|note| json!({"about": note.about, "text": note.text})).collect();
    let register: Vec<String> = register.iter().map(ToString::to_string).collect();
    format!("{}\n", json!({"meshes": meshes, "tags": tags, "register": register, "notes": notes}))
}

/// The command that tags a VPC, for a principal with the permission.
pub fn tag_command(vpc: &VpcRef, tags: &Tags) -> String {
    let quoted = tags.iter().map(|(key, value)| format!("'Key={key},Value=\"{value}\"'"));
    let (region, id) = (&vpc.scope.region, &vpc.id);
    let tags = quoted.collect::<Vec<_>>().join(" ");
    format!("in account {}: aws ec2 create-tags --region {region} --resources {id} --tags {tags}", vpc.scope.account)
}

fn words(tags: &Tags) -> String {
    tags.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(", ")
}
