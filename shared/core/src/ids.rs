//! Ids and names, each with a type of its own, parsed once at the edge.
//!
//! Parsing makes no calls: an id that parses is well formed, not proven to exist. Ids of AWS have at most 23 bytes, which a
//! [`SmolStr`] holds without an allocation: a sweep holds hundreds of thousands of them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use smol_str::{SmolStr, format_smolstr};

/// Text that is not a well-formed id of the kind that was expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {expected}")]
pub struct IdError {
    /// The text.
    pub text: String,
    /// What was expected instead, with an example.
    pub expected: &'static str,
}

/// Declares id newtypes: `Name, "what it is, with an example", predicate;`. Alphabetical; append kinds, never reuse one.
macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident, $expected:literal, $valid:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(SmolStr);

        impl $name {
            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                let valid: fn(&str) -> bool = $valid;
                if valid(text) {
                    Ok(Self(text.into()))
                } else {
                    Err(IdError { text: text.to_owned(), expected: $expected })
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;

            fn try_from(text: String) -> Result<Self, IdError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0.into()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    )*};
}

ids! {
    /// An AWS account.
    AccountId, "a 12-digit account id such as 111111111111", |t| t.len() == 12 && t.bytes().all(|b| b.is_ascii_digit());
    /// A deployment of peerd: the value of `peerd:managed-by` on everything that it owns.
    Deployment, "a deployment name (1 to 32 letters, digits, `-` or `_`)", |t| is_name(t, 32);
    /// A mesh: what the tag `peerd:env` names.
    MeshName, "a mesh name (1 to 64 letters, digits, `-`, `_` or `.`)", |t| is_name(t, 64);
    /// A VPC peering connection.
    PeeringId, "a peering id such as pcx-0a1b2c3d", |t| has_prefix(t, "pcx-");
    /// An AWS Region.
    Region, "a Region such as eu-west-1", |t| {
        let is_part = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        t.len() <= 32 && t.split('-').count() >= 3 && t.split('-').all(is_part)
    };
    /// A prefix list.
    PrefixListId, "a prefix list id such as pl-0a1b2c3d", |t| has_prefix(t, "pl-");
    /// A route table.
    RouteTableId, "a route table id such as rtb-0a1b2c3d", |t| has_prefix(t, "rtb-");
    /// A rule of a security group.
    SecurityGroupRuleId, "a security group rule id such as sgr-0a1b2c3d", |t| has_prefix(t, "sgr-");
    /// A security group.
    SecurityGroupId, "a security group id such as sg-0a1b2c3d", |t| has_prefix(t, "sg-");
    /// An organizational unit of AWS Organizations, or a root
    /// (<https://docs.aws.amazon.com/organizations/latest/APIReference/API_OrganizationalUnit.html>).
    OrganizationalUnitId, "an organizational unit such as ou-a1b2-c3d4e5f6, or a root such as r-a1b2", |t| {
        let is_part = |part: &str, least| {
            (least..=32).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        };
        match t.split('-').collect::<Vec<_>>()[..] {
            ["r", root] => is_part(root, 4),
            ["ou", root, unit] => is_part(root, 4) && is_part(unit, 8),
            _ => false,
        }
    };
    /// A VPC, unique in all of AWS.
    VpcId, "a VPC id such as vpc-0a1b2c3d", |t| has_prefix(t, "vpc-");
}

impl PeeringId {
    /// The id of a peering that does not exist yet, in a forecast. AWS's ids have other characters, and more of them.
    pub(crate) fn predicted(made: &mut u32) -> Self {
        *made += 1;
        Self(format_smolstr!("pcx-new{made}"))
    }
}

impl SecurityGroupRuleId {
    /// The id of a rule that does not exist yet, in a forecast.
    pub(crate) fn predicted(made: &mut u32) -> Self {
        *made += 1;
        Self(format_smolstr!("sgr-new{made}"))
    }
}

fn is_name(text: &str, longest: usize) -> bool {
    (1..=longest).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
        && text.bytes().any(|b| b.is_ascii_alphanumeric())
}

fn has_prefix(text: &str, prefix: &str) -> bool {
    text.strip_prefix(prefix)
        .is_some_and(|rest| (1..=32).contains(&rest.len()) && rest.bytes().all(|b| b.is_ascii_alphanumeric()))
}

/// One account in one Region: the unit of credentials and of API rate limits, readable or not as a whole.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Scope {
    /// The account.
    pub account: AccountId,
    /// The Region.
    pub region: Region,
}

impl Scope {
    /// The scope of `account` in `region`.
    pub fn new(account: AccountId, region: Region) -> Self {
        Self { account, region }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}/{}", self.account, self.region))
    }
}

impl FromStr for Scope {
    type Err = IdError;

    /// Parses what [`Scope`] displays as: `111111111111/us-east-1`.
    fn from_str(text: &str) -> Result<Self, IdError> {
        let expected = "an account and a Region such as 111111111111/us-east-1";
        let (account, region) = text.split_once('/').ok_or(IdError { text: text.to_owned(), expected })?;
        Ok(Self::new(account.parse()?, region.parse()?))
    }
}

/// A VPC with its scope. The order (account, Region, VPC id) is total and decides which VPC requests a peering.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct VpcRef {
    /// The account and Region of the VPC.
    pub scope: Scope,
    /// The VPC.
    pub id: VpcId,
}

impl VpcRef {
    /// The VPC `id` in `scope`.
    pub fn new(scope: Scope, id: VpcId) -> Self {
        Self { scope, id }
    }
}

impl fmt::Display for VpcRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{} ({})", self.id, self.scope))
    }
}

/// Two different VPCs, lesser first: the lesser requests the peering, so that two workers never request it both ways.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Pair {
    requester: VpcRef,
    accepter: VpcRef,
}

impl Pair {
    /// The pair of two VPCs in either order; `None` for a VPC with itself.
    pub fn of(a: &VpcRef, b: &VpcRef) -> Option<Self> {
        let (requester, accepter) = if a < b { (a, b) } else { (b, a) };
        (a.id != b.id).then(|| Self { requester: requester.clone(), accepter: accepter.clone() })
    }

    /// The lesser VPC, which requests the peering.
    pub fn requester(&self) -> &VpcRef {
        &self.requester
    }

    /// The greater VPC, which accepts it.
    pub fn accepter(&self) -> &VpcRef {
        &self.accepter
    }

    /// Both VPCs, requester first.
    pub fn ends(&self) -> [&VpcRef; 2] {
        [&self.requester, &self.accepter]
    }

    /// Each VPC with the peer that it routes to, requester first.
    pub fn directions(&self) -> [(&VpcRef, &VpcRef); 2] {
        [(&self.requester, &self.accepter), (&self.accepter, &self.requester)]
    }
}

impl fmt::Display for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{} - {}", self.requester, self.accepter))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vpc(account: &str, region: &str, id: &str) -> VpcRef {
        VpcRef::new(Scope::new(account.parse().unwrap(), region.parse().unwrap()), id.parse().unwrap())
    }

    #[test]
    fn parse_rejects_an_id_of_the_wrong_kind_and_names_the_expected_format() {
        let error = "rtb-1".parse::<VpcId>().unwrap_err();
        assert_eq!(error.to_string(), "`rtb-1` is not a VPC id such as vpc-0a1b2c3d");
        assert!("11111111111".parse::<AccountId>().is_err());
        assert!("us-east".parse::<Region>().is_err());
        assert!("prod/eu".parse::<MeshName>().is_err());
        assert!("".parse::<MeshName>().is_err() && "..".parse::<MeshName>().is_err());
        assert!(format!("vpc-{}", "a".repeat(33)).parse::<VpcId>().is_err());
        assert!("vpc-a b".parse::<VpcId>().is_err());
    }

    #[test]
    fn a_displayed_scope_parses_back() {
        let scope: Scope = "111111111111/us-east-1".parse().unwrap();
        assert_eq!(scope.to_string(), "111111111111/us-east-1");
        for wrong in ["111111111111", "1/us-east-1", "111111111111/x", "vpc-1 (111111111111/us-east-1)"] {
            assert!(wrong.parse::<Scope>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn ids_are_validated_when_they_come_from_json() {
        let read = serde_json::from_str::<PeeringId>;
        assert_eq!(read(r#""pcx-1""#).unwrap(), "pcx-1".parse().unwrap());
        let wrong = read(r#""vpc-1""#).unwrap_err().to_string();
        assert!(wrong.contains("vpc-1") && wrong.contains("pcx-"), "{wrong}");
        assert!(read("1").is_err());
    }

    #[test]
    fn the_lesser_vpc_by_account_then_region_then_id_is_the_requester() {
        let a = vpc("111111111111", "us-east-1", "vpc-9");
        let b = vpc("222222222222", "eu-west-1", "vpc-1");
        let pair = Pair::of(&b, &a).unwrap();
        assert_eq!(pair.requester(), &a);
        assert_eq!(pair, Pair::of(&a, &b).unwrap());
        assert_eq!(Pair::of(&a, &a), None);
    }
}
