//! The names of VPCs, beside their ids: for people, in text; the JSON has them in fields of their own.

use std::collections::BTreeMap;

use peerd_core::{Member, VpcRef};

/// The values of the tag `Name`.
pub type Names = BTreeMap<VpcRef, String>;

/// The names of indexed members.
pub fn of_members<'a>(members: impl IntoIterator<Item = &'a Member>) -> Names {
    members.into_iter().filter_map(|member| Some((member.vpc.clone(), member.name()?))).collect()
}

/// A VPC with its name: `web vpc-1 (111111111111/us-east-1)`.
pub fn with_name(vpc: &VpcRef, names: &Names) -> String {
    names.get(vpc).map_or_else(|| vpc.to_string(), |name| format!("{name} {vpc}"))
}

/// A text with the name of each VPC that it mentions with its account and Region.
pub fn with_names(text: &str, names: &Names) -> String {
    names.keys().fold(text.to_owned(), |text, vpc| text.replace(&vpc.to_string(), &with_name(vpc, names)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_vpc_that_a_text_mentions_has_its_name() {
        let vpc = |id: &str| VpcRef::new("111111111111/us-east-1".parse().unwrap(), id.parse().unwrap());
        let names = Names::from([(vpc("vpc-1"), "web".to_owned())]);
        let text = format!("{} - {}, vpc-1", vpc("vpc-1"), vpc("vpc-12"));
        let named = "web vpc-1 (111111111111/us-east-1) - vpc-12 (111111111111/us-east-1), vpc-1";
        assert_eq!(with_names(&text, &names), named);
    }
}
