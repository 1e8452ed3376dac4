//! Network ACLs, as far as they determine whether traffic of a CIDR block is allowed
//! (<https://docs.aws.amazon.com/vpc/latest/userguide/nacl-rules.html>).

use std::collections::BTreeSet;

use crate::cidr::{self, IpNet};
use crate::permission::Traffic;

/// The number of the last rule, which denies everything and cannot be removed; the console shows it as `*`.
pub const LAST_RULE: i32 = 32767;

/// A network ACL with its subnets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkAcl {
    /// The id of the network ACL.
    pub id: String,
    /// The ids of the subnets that are associated with it.
    pub subnets: BTreeSet<String>,
    /// Its rules.
    pub rules: Vec<NetworkAclRule>,
}

/// A rule of a network ACL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkAclRule {
    /// The rule number; AWS evaluates lower numbers first.
    pub number: i32,
    /// Whether it is an outbound rule.
    pub egress: bool,
    /// Whether it allows what it matches.
    pub allows: bool,
    /// The traffic that it matches.
    pub traffic: Traffic,
    /// The CIDR block that it matches.
    pub cidr: IpNet,
}

/// Whether traffic of a CIDR block is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// All of it is allowed.
    Allowed,
    /// Some addresses, protocols or ports of it are allowed; the number is that of the first rule that denies some.
    Partial(i32),
    /// Nothing of it is allowed; the number is that of the rule that denies it.
    Denied(i32),
}

impl NetworkAcl {
    /// Whether inbound traffic from a CIDR block is allowed or, with `egress`, outbound traffic to it.
    pub fn verdict(&self, cidr: &IpNet, traffic: &Traffic, egress: bool) -> Verdict {
        let mut rules: Vec<&NetworkAclRule> = self.rules.iter().filter(|rule| rule.egress == egress).collect();
        rules.sort_by_key(|rule| rule.number);
        let (mut is_some_allowed, mut denied_by) = (false, None);
        let matches = |rule: &&NetworkAclRule| cidr::overlap(&rule.cidr, cidr) && rule.traffic.overlaps(traffic);
        for rule in rules.into_iter().filter(matches) {
            if rule.traffic.covers(traffic) && rule.cidr.contains(cidr) {
                return match (rule.allows, denied_by) {
                    (true, None) => Verdict::Allowed,
                    (true, Some(number)) => Verdict::Partial(number),
                    (false, denied_by) if is_some_allowed => Verdict::Partial(denied_by.unwrap_or(rule.number)),
                    (false, _) => Verdict::Denied(rule.number),
                };
            }
            is_some_allowed |= rule.allows;
            denied_by = denied_by.or((!rule.allows).then_some(rule.number));
        }
        match is_some_allowed {
            true => Verdict::Partial(denied_by.unwrap_or(LAST_RULE)),
            false => Verdict::Denied(LAST_RULE),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(number: i32, allows: bool, traffic: &str, cidr: &str) -> NetworkAclRule {
        let traffic = if traffic == "all" { Traffic::All } else { traffic.parse().unwrap() };
        NetworkAclRule { number, egress: false, allows, traffic, cidr: cidr.parse().unwrap() }
    }

    fn verdict(traffic: &str, rules: &[NetworkAclRule]) -> Verdict {
        let acl = NetworkAcl { id: "acl-1".to_owned(), subnets: BTreeSet::new(), rules: rules.to_vec() };
        acl.verdict(&"10.2.0.0/16".parse().unwrap(), &rule(1, true, traffic, "0.0.0.0/0").traffic, false)
    }

    #[test]
    fn the_first_rule_matching_the_whole_cidr_decides_and_earlier_ones_make_it_partial() {
        let (all, none) = (rule(100, true, "all", "0.0.0.0/0"), rule(LAST_RULE, false, "all", "0.0.0.0/0"));
        for (expected, rules) in [
            (Verdict::Allowed, vec![none.clone(), all.clone()]),
            (Verdict::Denied(LAST_RULE), vec![none.clone()]),
            (Verdict::Denied(LAST_RULE), vec![]),
            (Verdict::Denied(50), vec![all.clone(), rule(50, false, "all", "10.0.0.0/8")]),
            (Verdict::Partial(50), vec![all.clone(), rule(50, false, "all", "10.2.3.0/24")]),
            (Verdict::Partial(50), vec![all.clone(), rule(50, false, "tcp/22", "10.0.0.0/8")]),
            (Verdict::Partial(LAST_RULE), vec![none.clone(), rule(50, true, "tcp/22", "10.0.0.0/8")]),
            (Verdict::Allowed, vec![all, rule(50, false, "all", "10.3.0.0/16")]),
            (Verdict::Denied(LAST_RULE), vec![none, rule(50, true, "all", "2600::/16")]),
        ] {
            assert_eq!(verdict("all", &rules), expected, "{rules:?}");
        }
    }

    #[test]
    fn a_rule_for_other_ports_does_not_matter_and_one_for_some_of_the_ports_makes_it_partial() {
        let rules = [rule(50, false, "tcp/22", "10.0.0.0/8"), rule(100, true, "tcp/0-1023", "0.0.0.0/0")];
        assert_eq!(verdict("tcp/443", &rules), Verdict::Allowed);
        assert_eq!(verdict("tcp/22", &rules), Verdict::Denied(50));
        assert_eq!(verdict("tcp/1000-2000", &rules), Verdict::Partial(LAST_RULE));
        assert_eq!(verdict("udp/443", &rules), Verdict::Denied(LAST_RULE));
    }
}
