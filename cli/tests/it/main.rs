//! The commands on the in-memory AWS, in virtual time: every output as a snapshot.
#![expect(clippy::panic, clippy::unwrap_used, reason = "a panic fails the test")]

mod accounts;
mod demo;
mod errors;
mod explaining;
mod live_test;
mod meshes;
mod plans;
mod simulated_aws;
mod terminal;

#[test]
fn every_file_is_a_module_of_this_binary() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests");
    let lost = peerd_testkit::files_without_a_module(folder.as_ref(), include_str!("main.rs")).unwrap();
    assert_eq!(lost, [""; 0]);
}
