//! The seal: a text that proves that this deployment created a peering or an ingress rule. Every principal that may write tags can
//! write the ownership tag; only the deployment has the key of the seal (docs/adr/0014-the-seal.md).
//!
//! A seal is the HMAC-SHA256 of the deployment and of what peerd knows in the create call: the two VPCs of a peering, the security
//! group and the permission of a rule. A copied seal therefore proves nothing on another resource. A peering has its seal in a tag, a
//! rule in its description, which no principal can change by writing tags.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::ids::{Deployment, Pair, Scope, SecurityGroupId};
use crate::permission::Permission;
use crate::tags::{self, Tags};

/// The least length of a key, in characters.
pub const MIN_KEY_LEN: usize = 32;

/// The keys of a deployment. The first one seals; each of them verifies, so that a key can be replaced while its seals exist.
/// Without keys, nothing has a valid seal.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct SealKeys(Vec<String>);

/// A text that contains no usable keys.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealKeyError {
    /// The text is blank.
    #[error("it contains no key")]
    Missing,
    /// A key can be guessed.
    #[error("key {nth} has {len} characters, and {MIN_KEY_LEN} are required")]
    TooShort {
        /// The number of the key, beginning with 1.
        nth: usize,
        /// Its length.
        len: usize,
    },
}

impl SealKeys {
    /// Reads keys that are separated by white space.
    ///
    /// # Errors
    /// When there is no key, or one has less than [`MIN_KEY_LEN`] characters. The error does not contain the key.
    pub fn parse(text: &str) -> Result<Self, SealKeyError> {
        let keys: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
        if keys.is_empty() {
            return Err(SealKeyError::Missing);
        }
        match keys.iter().position(|key| key.len() < MIN_KEY_LEN) {
            Some(place) => Err(SealKeyError::TooShort { nth: place + 1, len: keys[place].len() }),
            None => Ok(Self(keys)),
        }
    }
}

impl fmt::Debug for SealKeys {
    /// The keys are secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} seal keys", self.0.len())
    }
}

/// Writes and verifies the seals of a deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seals {
    deployment: Deployment,
    keys: SealKeys,
}

impl Seals {
    /// The seals of a deployment with these keys.
    pub fn new(deployment: Deployment, keys: SealKeys) -> Self {
        Self { deployment, keys }
    }

    /// The seal of a peering of this pair: 64 hexadecimal digits. Empty without keys.
    pub fn of_peering(&self, pair: &Pair) -> String {
        self.seal(&peering_text(pair))
    }

    /// Whether the tags of one side of a peering of this pair have a seal of this deployment.
    pub fn verify_peering(&self, pair: &Pair, current: &Tags) -> bool {
        current.get(tags::SEAL).is_some_and(|seal| self.verify(&peering_text(pair), seal))
    }

    /// The description of an ingress rule with this permission in a group of the scope; it contains the seal of the rule.
    pub fn description(&self, scope: &Scope, group: &SecurityGroupId, permission: &Permission) -> String {
        format!("{RULE}{}", self.seal(&rule_text(scope, group, permission)))
    }

    /// Whether the description of an ingress rule has a seal of this deployment.
    pub fn verify_rule(
        &self,
        scope: &Scope,
        group: &SecurityGroupId,
        permission: &Permission,
        description: &str,
    ) -> bool {
        let seal = description.strip_prefix(RULE);
        seal.is_some_and(|seal| self.verify(&rule_text(scope, group, permission), seal))
    }

    fn seal(&self, text: &str) -> String {
        let Some(mac) = self.keys.0.first().and_then(|key| self.mac(key, text)) else { return String::new() };
        mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn verify(&self, text: &str, seal: &str) -> bool {
        let Some(seal) = from_hex(seal) else { return false };
        let is_of = |key: &String| self.mac(key, text).is_some_and(|mac| mac.verify_slice(&seal).is_ok());
        self.keys.0.iter().any(is_of)
    }

    /// The lines are unambiguous, because none of the parts contains a line break. HMAC accepts a key of any length.
    fn mac(&self, key: &str, text: &str) -> Option<Hmac<Sha256>> {
        let mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).ok()?;
        Some(mac.chain_update(format!("peerd\n{}\n{text}", self.deployment)))
    }
}

/// What comes before the seal in the description of a rule. EC2 allows at most 255 characters in all, of a limited set
/// (<https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_IpRange.html>).
const RULE: &str = "peerd: peers of the meshes that peerd:allow names. Seal: ";

fn rule_text(Scope { account, region }: &Scope, group: &SecurityGroupId, permission: &Permission) -> String {
    format!("rule\n{account}/{region}/{group}\n{permission}")
}

fn peering_text(pair: &Pair) -> String {
    let [first, second] = pair.ends().map(|vpc| format!("{}/{}/{}", vpc.scope.account, vpc.scope.region, vpc.id));
    format!("peering\n{first}\n{second}")
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    digits.len().is_multiple_of(2).then(|| digits.chunks(2).map(byte).collect())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::VpcRef;

    const OLD: &str = "0123456789abcdef0123456789abcdef";
    const NEW: &str = "fedcba9876543210fedcba9876543210";

    fn seals(deployment: &str, keys: &str) -> Seals {
        Seals::new(deployment.parse().unwrap(), SealKeys::parse(keys).unwrap())
    }

    fn pair(first: &str, second: &str) -> Pair {
        let vpc = |name: &str| VpcRef::new("111111111111/us-east-1".parse().unwrap(), name.parse().unwrap());
        Pair::of(&vpc(first), &vpc(second)).unwrap()
    }

    fn sealed(seals: &Seals, pair: &Pair) -> Tags {
        Tags::from([(tags::SEAL.to_owned(), seals.of_peering(pair))])
    }

    #[test]
    fn a_seal_is_valid_for_its_pair_deployment_and_key_only() {
        let (ours, pair_ab) = (seals("peerd", OLD), pair("vpc-a", "vpc-b"));
        let tags = sealed(&ours, &pair_ab);
        assert!(ours.verify_peering(&pair_ab, &tags));
        assert!(ours.verify_peering(&pair("vpc-b", "vpc-a"), &tags), "whichever VPC requested it");
        assert!(!ours.verify_peering(&pair("vpc-a", "vpc-c"), &tags));
        assert!(!seals("other", OLD).verify_peering(&pair_ab, &tags));
        assert!(!seals("peerd", NEW).verify_peering(&pair_ab, &tags));
    }

    #[test]
    fn a_malformed_seal_or_none_is_invalid() {
        let (ours, pair) = (seals("peerd", OLD), pair("vpc-a", "vpc-b"));
        let good = ours.of_peering(&pair);
        for bad in ["", "0", "zz", "öö", &good[2..], &format!("{good}00"), &good.replace(&good[..1], "g")] {
            assert!(!ours.verify_peering(&pair, &Tags::from([(tags::SEAL.to_owned(), bad.to_owned())])), "{bad}");
        }
        assert!(!ours.verify_peering(&pair, &Tags::new()));
    }

    #[test]
    fn without_keys_nothing_is_sealed() {
        let (none, pair) = (Seals::new("peerd".parse().unwrap(), SealKeys::default()), pair("vpc-a", "vpc-b"));
        assert_eq!(none.of_peering(&pair), "");
        assert!(!none.verify_peering(&pair, &sealed(&none, &pair)));
        assert!(!none.verify_peering(&pair, &sealed(&seals("peerd", OLD), &pair)));
    }

    #[test]
    fn the_first_key_seals_and_every_key_verifies() {
        let (old, both, pair) =
            (seals("peerd", OLD), seals("peerd", &format!("{NEW}\n{OLD}\n")), pair("vpc-a", "vpc-b"));
        assert!(both.verify_peering(&pair, &sealed(&old, &pair)));
        assert_eq!(both.of_peering(&pair), seals("peerd", NEW).of_peering(&pair));
    }

    #[test]
    fn a_key_that_is_too_short_is_rejected_and_no_key_is_printed() {
        assert_eq!(SealKeys::parse(" \n"), Err(SealKeyError::Missing));
        let said = SealKeys::parse(&format!("{OLD} secret")).unwrap_err().to_string();
        assert_eq!(said, "key 2 has 6 characters, and 32 are required");
        assert_eq!(format!("{:?}", SealKeys::parse(OLD).unwrap()), "1 seal keys");
    }

    #[test]
    fn the_description_of_a_rule_is_valid_for_its_group_and_permission_only() {
        let (ours, scope): (_, Scope) = (seals("peerd", OLD), "111111111111/us-east-1".parse().unwrap());
        let permission =
            |traffic: &str, from: &str| Permission { traffic: traffic.parse().unwrap(), from: from.parse().unwrap() };
        let group = |id: &str| id.parse::<SecurityGroupId>().unwrap();
        let https = permission("tcp/443", "10.0.0.0/16");
        let text = ours.description(&scope, &group("sg-1"), &https);
        assert!(ours.verify_rule(&scope, &group("sg-1"), &https, &text));
        assert!(text.len() <= 255, "{text}");
        let is_allowed = |char: char| char.is_ascii_alphanumeric() || " ._-:/()#,@[]+=&;{}!$*".contains(char);
        assert!(text.chars().all(is_allowed), "{text}");
        assert!(!ours.verify_rule(&scope, &group("sg-2"), &https, &text));
        assert!(!ours.verify_rule(&scope, &group("sg-1"), &permission("tcp/22", "10.0.0.0/16"), &text));
        assert!(!ours.verify_rule(&scope, &group("sg-1"), &permission("tcp/443", "10.0.0.0/8"), &text));
        assert!(!seals("other", OLD).verify_rule(&scope, &group("sg-1"), &https, &text));
        for other in ["", "peerd", &text[..text.len() - 2], &text[1..]] {
            assert!(!ours.verify_rule(&scope, &group("sg-1"), &https, other), "{other}");
        }
    }

    /// A change of this value would make every existing peering foreign. It was computed with another implementation.
    #[test]
    fn the_seal_of_a_pair_is_the_same_in_every_version() {
        let seal = seals("peerd", OLD).of_peering(&pair("vpc-a", "vpc-b"));
        assert_eq!(seal, "b69ae8a0b86ab41aebd6a61026716034353d83ea66141e6e499285af7f5c22b1");
    }
}
