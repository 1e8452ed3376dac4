//! The tests of the simulated AWS and of the simulator, in one binary to save link time.

#[cfg(feature = "invariant-switches")]
mod disabled_invariants;
mod dns;
mod networks;
mod peerings;
mod words;

#[test]
fn every_file_is_a_module_of_this_binary() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests");
    let lost = peerd_testkit::files_without_a_module(folder.as_ref(), include_str!("main.rs")).unwrap();
    assert_eq!(lost, [""; 0]);
}
