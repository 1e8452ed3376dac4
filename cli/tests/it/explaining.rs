use insta::assert_snapshot;
use peerd_testkit::scope;

use crate::simulated_aws::Site;

#[test]
fn two_connected_vpcs() {
    let (mut site, _) = Site::with_pair();
    for command in [
        "explain vpc-web vpc-data",
        "explain 10.1.0.5 10.2.0.5 --port tcp/443 --exit-code",
        "explain vpc-web vpc-web",
        "explain vpc-web vpc-nosuch",
        "map --format dot",
        "map --format mermaid",
    ] {
        site.run(&format!("{command} --stack peerd --role operator"));
    }
    assert_snapshot!(site.session);
}

#[test]
fn two_vpcs_without_a_common_mesh() {
    let (mut site, _) = Site::with_pair();
    site.world.vpc("lab", scope(3, 1), "10.3.0.0/16", "lab");
    site.world.rest();
    site.run("explain vpc-web vpc-lab --exit-code --stack peerd --role operator");
    site.run("status lab");
    assert_snapshot!(site.session);
}
