//! Network ACLs, as far as they say whether a whole block gets through
//! (<https://docs.aws.amazon.com/vpc/latest/userguide/nacl-rules.html>).

use crate::cidr::{self, IpNet};

/// A network ACL with the subnets that it stands before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkAcl {
    /// AWS's id of it.
    pub id: String,
    /// How many subnets it stands before.
    pub subnets: usize,
    /// Its rules.
    pub rules: Vec<NetworkAclRule>,
}

/// A rule of a network ACL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkAclRule {
    /// Lower ones are looked at first.
    pub number: i32,
    /// Whether it is about what leaves the subnets.
    pub egress: bool,
    /// Whether it lets through what it matches.
    pub allows: bool,
    /// Whether it matches every protocol and port.
    pub everything: bool,
    /// What it matches.
    pub block: IpNet,
}

/// Whether a block gets through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// All of it.
    Open,
    /// Some addresses, protocols or ports of it.
    Partial,
    /// Nothing of it.
    Closed,
}

impl NetworkAcl {
    /// Whether traffic from a block gets in or, with `egress`, traffic to it gets out.
    pub fn passage(&self, block: &IpNet, egress: bool) -> Verdict {
        let mut rules: Vec<&NetworkAclRule> = self.rules.iter().filter(|rule| rule.egress == egress).collect();
        rules.sort_by_key(|rule| rule.number);
        let (mut some_in, mut some_out) = (false, false);
        for rule in rules.into_iter().filter(|rule| cidr::overlap(&rule.block, block)) {
            if rule.everything && rule.block.contains(block) {
                return match (rule.allows, some_in, some_out) {
                    (true, _, false) => Verdict::Open,
                    (false, false, _) => Verdict::Closed,
                    _ => Verdict::Partial,
                };
            }
            some_in |= rule.allows;
            some_out |= !rule.allows;
        }
        if some_in { Verdict::Partial } else { Verdict::Closed }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(number: i32, allows: bool, everything: bool, block: &str) -> NetworkAclRule {
        NetworkAclRule { number, egress: false, allows, everything, block: block.parse().unwrap() }
    }

    #[test]
    fn the_first_rule_that_matches_all_of_a_block_decides_and_what_comes_before_makes_it_partial() {
        let passage = |rules: &[NetworkAclRule]| {
            let acl = NetworkAcl { id: "acl-1".to_owned(), subnets: 1, rules: rules.to_vec() };
            acl.passage(&"10.2.0.0/16".parse().unwrap(), false)
        };
        let (all, none) = (rule(100, true, true, "0.0.0.0/0"), rule(32767, false, true, "0.0.0.0/0"));
        assert_eq!(passage(&[none.clone(), all.clone()]), Verdict::Open);
        assert_eq!(passage(std::slice::from_ref(&none)), Verdict::Closed);
        assert_eq!(passage(&[]), Verdict::Closed);
        assert_eq!(passage(&[all.clone(), rule(50, false, true, "10.0.0.0/8")]), Verdict::Closed);
        assert_eq!(passage(&[all.clone(), rule(50, false, true, "10.2.3.0/24")]), Verdict::Partial);
        assert_eq!(passage(&[all.clone(), rule(50, false, false, "10.0.0.0/8")]), Verdict::Partial);
        assert_eq!(passage(&[none.clone(), rule(50, true, false, "10.0.0.0/8")]), Verdict::Partial);
        assert_eq!(passage(&[all, rule(50, false, true, "10.3.0.0/16")]), Verdict::Open);
        assert_eq!(passage(&[none, rule(50, true, true, "2600::/16")]), Verdict::Closed);
    }
}
