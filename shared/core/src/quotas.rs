//! The AWS quotas that limit a mesh (<https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html>).

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// The percentage of a quota from which on peerd reports that usage is near the limit.
const NEAR_LIMIT_PERCENT: usize = 80;

/// A quota of Amazon VPC, for each account and Region.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Quota {
    /// Active peerings of a VPC.
    Peerings,
    /// Pending requests for peerings. The AWS documentation counts them per account in one place and per VPC in
    /// another, so peerd applies the stricter reading.
    Requests,
    /// Routes of a table that are not propagated, for IPv4 and IPv6 each.
    Routes,
    /// Ingress rules of a security group, for IPv4 and IPv6 each.
    Rules,
}

impl Quota {
    /// Every quota.
    pub const ALL: [Self; 4] = [Self::Peerings, Self::Requests, Self::Routes, Self::Rules];

    /// Its code in Service Quotas.
    pub fn code(self) -> &'static str {
        match self {
            Self::Peerings => "L-7E9ECCDB",
            Self::Requests => "L-DC9F7029",
            Self::Routes => "L-93826ACB",
            Self::Rules => "L-0EA8095F",
        }
    }

    /// AWS's default value.
    pub fn default_value(self) -> usize {
        match self {
            Self::Peerings => 50,
            Self::Requests => 25,
            Self::Routes => 500,
            Self::Rules => 60,
        }
    }

    /// Whether usage is near the quota value. A value below AWS's default counts as the default, so that peerd reports
    /// it only when it is used up: a plan that adds nothing reads no quota value, unless usage may be near the limit.
    pub fn is_near_limit(self, used: usize, value: usize) -> bool {
        used.saturating_mul(100) >= value.max(self.default_value()).saturating_mul(NEAR_LIMIT_PERCENT)
    }
}

impl fmt::Display for Quota {
    /// What the quota counts, and for which resource.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Peerings => "active peerings per VPC",
            Self::Requests => "pending requests",
            Self::Routes => "routes per route table, for IPv4 and IPv6 each",
            Self::Rules => "ingress rules per security group, for IPv4 and IPv6 each",
        })
    }
}

/// The quota values of an account in a Region; AWS's default for those that are not in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Quotas(BTreeMap<Quota, usize>);

impl Quotas {
    /// The value of a quota.
    pub fn value(&self, quota: Quota) -> usize {
        self.0.get(&quota).copied().unwrap_or_else(|| quota.default_value())
    }
}

impl FromIterator<(Quota, usize)> for Quotas {
    fn from_iter<I: IntoIterator<Item = (Quota, usize)>>(value: I) -> Self {
        Self(value.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_without_an_applied_value_has_the_aws_default() {
        let quotas: Quotas = [(Quota::Peerings, 125)].into_iter().collect();
        assert_eq!(Quota::ALL.map(|quota| quotas.value(quota)), [125, 25, 500, 60]);
    }

    #[test]
    fn a_quota_is_near_its_limit_from_80_percent_of_its_value_and_of_the_default() {
        let near_limit = |used, value| Quota::Peerings.is_near_limit(used, value);
        assert!(!near_limit(39, 50) && near_limit(40, 50));
        assert!(!near_limit(99, 125) && near_limit(100, 125));
        assert!(!near_limit(10, 10), "the exceeded quota is reported with what exceeds it");
    }
}
