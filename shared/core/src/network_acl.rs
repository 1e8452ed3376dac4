//! Network ACLs, as far as they determine whether the traffic of a whole CIDR block is allowed
//! (<https://docs.aws.amazon.com/vpc/latest/userguide/nacl-rules.html>).

use crate::cidr::{self, IpNet};

/// A network ACL with the number of its subnets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkAcl {
    /// The id of the network ACL.
    pub id: String,
    /// The number of subnets that are associated with it.
    pub subnets: usize,
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
    /// Whether it matches every protocol and port.
    pub all_traffic: bool,
    /// The CIDR block that it matches.
    pub cidr: IpNet,
}

/// Whether the traffic of a CIDR block is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// All of it is allowed.
    Allowed,
    /// Some addresses, protocols or ports of it are allowed.
    Partial,
    /// Nothing of it is allowed.
    Denied,
}

impl NetworkAcl {
    /// Whether inbound traffic from a CIDR block is allowed or, with `egress`, outbound traffic to it.
    pub fn passage(&self, cidr: &IpNet, egress: bool) -> Verdict {
        let mut rules: Vec<&NetworkAclRule> = self.rules.iter().filter(|rule| rule.egress == egress).collect();
        rules.sort_by_key(|rule| rule.number);
        let (mut some_in, mut some_out) = (false, false);
        for rule in rules.into_iter().filter(|rule| cidr::overlap(&rule.cidr, cidr)) {
            if rule.all_traffic && rule.cidr.contains(cidr) {
                return match (rule.allows, some_in, some_out) {
                    (true, _, false) => Verdict::Allowed,
                    (false, false, _) => Verdict::Denied,
                    _ => Verdict::Partial,
                };
            }
            some_in |= rule.allows;
            some_out |= !rule.allows;
        }
        if some_in { Verdict::Partial } else { Verdict::Denied }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(number: i32, allows: bool, all_traffic: bool, cidr: &str) -> NetworkAclRule {
        NetworkAclRule { number, egress: false, allows, all_traffic, cidr: cidr.parse().unwrap() }
    }

    #[test]
    fn the_first_rule_matching_the_whole_cidr_decides_and_earlier_ones_make_it_partial() {
        let passage = |rules: &[NetworkAclRule]| {
            let acl = NetworkAcl { id: "acl-1".to_owned(), subnets: 1, rules: rules.to_vec() };
            acl.passage(&"10.2.0.0/16".parse().unwrap(), false)
        };
        let (all, none) = (rule(100, true, true, "0.0.0.0/0"), rule(32767, false, true, "0.0.0.0/0"));
        assert_eq!(passage(&[none.clone(), all.clone()]), Verdict::Allowed);
        assert_eq!(passage(std::slice::from_ref(&none)), Verdict::Denied);
        assert_eq!(passage(&[]), Verdict::Denied);
        assert_eq!(passage(&[all.clone(), rule(50, false, true, "10.0.0.0/8")]), Verdict::Denied);
        assert_eq!(passage(&[all.clone(), rule(50, false, true, "10.2.3.0/24")]), Verdict::Partial);
        assert_eq!(passage(&[all.clone(), rule(50, false, false, "10.0.0.0/8")]), Verdict::Partial);
        assert_eq!(passage(&[none.clone(), rule(50, true, false, "10.0.0.0/8")]), Verdict::Partial);
        assert_eq!(passage(&[all, rule(50, false, true, "10.3.0.0/16")]), Verdict::Allowed);
        assert_eq!(passage(&[none, rule(50, true, true, "2600::/16")]), Verdict::Denied);
    }
}
