//! `peerd demo`.

use peerd_testkit::MINUTE;

use crate::simulated_aws::Site;

#[test]
fn a_terminal_shows_the_same_lines_with_pauses_and_the_vpcs_below_them() {
    let mut site = Site::new();
    let plain = site.run("demo");
    assert!(site.picture.is_empty() && plain.contains("\n  => they are connected again\n"), "{plain}");
    site.live = true;
    let begun = site.world.now();
    assert_eq!(site.run("demo"), plain);
    let took = site.world.now() - begun;
    assert!((10_000..MINUTE).contains(&took), "{took} ms");
    assert!(site.picture.contains("web    111111111111/us-east-1") && site.picture.contains("joined prod"));
}
