use insta::assert_snapshot;

use crate::simulated_aws::Site;

#[test]
fn what_does_not_exist() {
    let mut site = Site::new();
    for command in [
        "status nosuch",
        "status prdo",
        "history stagign",
        "history nosuch",
        "mesh show nosuch",
        "mesh undeclare nosuch",
        "mesh resume nosuch",
        "status --stack nosuch",
        "plan nosuch --stack peerd --role operator",
        "plan --stack peerd",
        "plan --file nosuch.toml",
        "mesh declare prod --policy nosuch.json",
    ] {
        site.run(command);
    }
    assert_snapshot!(site.session);
}
