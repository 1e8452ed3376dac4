//! The addresses that members of a mesh may advertise.

use std::fmt;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use crate::cidr::{self, CidrError, CidrSet, IpNet};

/// The word for all private addresses.
const PRIVATE: &str = "private";
/// The word for IPv6 CIDR blocks that Amazon provided.
const AMAZON_IPV6: &str = "amazon-ipv6";

/// Whether a CIDR block has private addresses only: RFC 1918 and the shared addresses of RFC 6598, which VPCs use for pods
/// (<https://docs.aws.amazon.com/vpc/latest/userguide/vpc-cidr-blocks.html>), and unique local IPv6 (RFC 4193).
pub fn is_private(cidr: &IpNet) -> bool {
    static RANGES: LazyLock<CidrSet> = LazyLock::new(|| {
        let ranges = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7"];
        ranges.into_iter().flat_map(cidr::parse).collect()
    });
    RANGES.covers(cidr)
}

/// The addresses that a policy admits. An empty list admits private addresses ([`is_private`]) and IPv6 CIDR blocks that Amazon
/// provided; a list that names more has to name these as well.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct AdmittedRanges {
    /// All private addresses.
    pub private: bool,
    /// IPv6 CIDR blocks that Amazon provided: no one else uses their addresses.
    pub amazon_ipv6: bool,
    /// Other ranges.
    pub cidrs: CidrSet,
}

impl AdmittedRanges {
    /// Whether the policy names no range.
    pub fn is_empty(&self) -> bool {
        !self.private && !self.amazon_ipv6 && self.cidrs.is_empty()
    }

    /// Whether a member may advertise a CIDR block. `amazon_provided` are the member's IPv6 CIDR blocks that Amazon provided.
    pub fn admits(&self, cidr: &IpNet, amazon_provided: &CidrSet) -> bool {
        let by_default = self.is_empty();
        let is_private = (self.private || by_default) && is_private(cidr);
        let is_amazons = (self.amazon_ipv6 || by_default) && amazon_provided.covers(cidr);
        is_private || is_amazons || self.cidrs.covers(cidr)
    }
}

impl TryFrom<Vec<String>> for AdmittedRanges {
    type Error = CidrError;

    fn try_from(words: Vec<String>) -> Result<Self, CidrError> {
        let mut ranges = Self::default();
        for word in &words {
            match word.as_str() {
                PRIVATE => ranges.private = true,
                AMAZON_IPV6 => ranges.amazon_ipv6 = true,
                cidr => ranges.cidrs.insert(cidr::parse(cidr)?),
            }
        }
        Ok(ranges)
    }
}

impl From<AdmittedRanges> for Vec<String> {
    fn from(AdmittedRanges { private, amazon_ipv6, cidrs }: AdmittedRanges) -> Self {
        let words = [(private, PRIVATE), (amazon_ipv6, AMAZON_IPV6)].into_iter().filter(|(named, _)| *named);
        words.map(|(_, word)| word.to_owned()).chain(cidrs.iter().map(ToString::to_string)).collect()
    }
}

impl fmt::Display for AdmittedRanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&Vec::from(self.clone()).join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_admit_what_they_name_and_an_empty_list_private_addresses_and_amazons_ipv6() {
        let amazons = CidrSet::from_iter(["2600:1f18::/56".parse().unwrap()]);
        let admitted = |words: &[&str]| {
            let ranges =
                AdmittedRanges::try_from(words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>()).unwrap();
            assert_eq!(ranges.to_string(), words.join(" "));
            let all = ["10.1.0.0/16", "fd00::/56", "2600:1f18::/60", "8.8.0.0/16", "2a05:d000::/56"];
            let is_admitted = |cidr: &&str| ranges.admits(&cidr.parse().unwrap(), &amazons);
            all.into_iter().filter(is_admitted).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(admitted(&[]), "10.1.0.0/16 fd00::/56 2600:1f18::/60");
        assert_eq!(admitted(&["private"]), "10.1.0.0/16 fd00::/56");
        assert_eq!(
            admitted(&["private", "amazon-ipv6", "8.8.0.0/16"]),
            "10.1.0.0/16 fd00::/56 2600:1f18::/60 8.8.0.0/16"
        );
        assert_eq!(admitted(&["10.0.0.0/8"]), "10.1.0.0/16");
        assert_eq!(AdmittedRanges::try_from(vec!["public".to_owned()]).unwrap_err().text, "public");
    }
}
