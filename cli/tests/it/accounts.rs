use insta::assert_snapshot;
use peerd_testkit::account;

use crate::simulated_aws::Site;

#[test]
fn accounts_are_listed_added_and_removed() {
    let mut site = Site::new();
    site.run("account list");
    site.run_and_rest("account add 444444444444 --region eu-west-1");
    site.run("account list");
    site.run_and_rest("account remove 444444444444 --region eu-west-1");
    site.run_and_rest("account remove 444444444444 --yes");
    site.run("account remove 444444444444");
    site.run("account remove 555555555555");
    site.run("account remove 111111111111");
    site.run("account list --json");
    assert_snapshot!(site.session);
}

#[test]
fn an_account_that_cannot_be_read_is_reported_when_it_is_added_and_in_the_list() {
    let mut site = Site::new();
    site.world.set_denied(&account(4), true);
    site.run_and_rest("account add 444444444444 --region us-east-1");
    site.world.sweep();
    site.world.rest();
    site.run("account list");
    assert_snapshot!(site.session);
}

#[test]
fn blocking_an_account_is_asked_and_undone() {
    let (mut site, [web, data]) = Site::with_pair();
    site.run_and_rest("account block 222222222222");
    assert!(site.world.connected(&web, &data));
    site.answers = Some(vec!["yes"]);
    site.run_and_rest("account block 222222222222");
    assert!(!site.world.connected(&web, &data));
    site.run("account add 222222222222");
    site.run("account list");
    site.run("status prod");
    site.run_and_rest("account unblock 222222222222");
    assert!(site.world.connected(&web, &data));
    site.run("account unblock 222222222222");
    assert_snapshot!(site.session);
}
