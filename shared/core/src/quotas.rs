//! AWS's quotas that a mesh can meet (<https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html>).

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// From how many per cent on a quota is told to be scarce.
const SCARCE: usize = 80;

/// A quota of Amazon VPC, for each account and Region.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Quota {
    /// Active peerings of a VPC.
    Peerings,
    /// Requests for peerings that are pending at once. The documentation says per account in one place and per VPC in
    /// another, so the stricter reading holds.
    Requests,
    /// Routes of a table that are not propagated, of IPv4 and of IPv6 each.
    Routes,
    /// Ingress rules of a security group, of IPv4 and of IPv6 each.
    Rules,
}

impl Quota {
    /// Every one.
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

    /// What AWS grants whoever has not asked for more.
    pub fn default_value(self) -> usize {
        match self {
            Self::Peerings => 50,
            Self::Requests => 25,
            Self::Routes => 500,
            Self::Rules => 60,
        }
    }

    /// Whether so many used of so many granted are worth a warning. Of a quota that is less than what AWS grants at first
    /// only its end is told: where nothing is to be added, nobody asks how much is granted, unless it may be scarce.
    pub fn is_near_limit(self, used: usize, granted: usize) -> bool {
        used.saturating_mul(100) >= granted.max(self.default_value()).saturating_mul(SCARCE)
    }
}

impl fmt::Display for Quota {
    /// What there may be so many of, of what.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Peerings => "active peerings per VPC",
            Self::Requests => "pending requests",
            Self::Routes => "routes per route table, for IPv4 and IPv6 each",
            Self::Rules => "ingress rules per security group, for IPv4 and IPv6 each",
        })
    }
}

/// What an account is granted in a Region; of what is not said, what AWS grants at first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Quotas(BTreeMap<Quota, usize>);

impl Quotas {
    /// How much is granted.
    pub fn value(&self, quota: Quota) -> usize {
        self.0.get(&quota).copied().unwrap_or_else(|| quota.default_value())
    }
}

impl FromIterator<(Quota, usize)> for Quotas {
    fn from_iter<I: IntoIterator<Item = (Quota, usize)>>(granted: I) -> Self {
        Self(granted.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_said_is_what_aws_grants_at_first() {
        let quotas: Quotas = [(Quota::Peerings, 125)].into_iter().collect();
        assert_eq!(Quota::ALL.map(|quota| quotas.value(quota)), [125, 25, 500, 60]);
    }

    #[test]
    fn a_quota_is_scarce_from_four_fifths_on_of_what_is_granted_and_of_what_everybody_has() {
        let scarce = |used, granted| Quota::Peerings.is_near_limit(used, granted);
        assert!(!scarce(39, 50) && scarce(40, 50));
        assert!(!scarce(99, 125) && scarce(100, 125));
        assert!(!scarce(10, 10), "that it is used up is told with what does not fit");
    }
}
