//! The integration tests of the engine, in one binary to save link time.

mod accounts;
mod calls_in_flight;
mod contention;
mod crash_recovery;
mod decisions;
mod ensure;
mod event_parsing;
mod floods;
mod groups;
mod lost_table;
mod notifications;
mod one_read;
mod ownership;
mod policies;
mod quotas;
mod races;
mod regressions;
mod retries;
mod scenarios;
mod semantics;
mod simulation;
mod single_flight;

#[test]
fn every_file_is_a_module_of_this_binary() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests");
    let lost = peerd_testkit::files_without_a_module(folder.as_ref(), include_str!("main.rs")).unwrap();
    assert_eq!(lost, [""; 0]);
}
