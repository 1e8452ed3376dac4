//! The policy of a mesh, which an operator declares: which VPCs may join, which members are connected, what is routed
//! where, and how far peerd may go.
//!
//! [`Policy::read`] parses a policy once, at the edge, and names the field that is wrong. What a policy means for a VPC
//! or a pair is defined here; the planner only calls it.

use std::collections::BTreeSet;

use serde::{Deserialize, Deserializer, Serialize};

pub use crate::admission::{Admission, Denial};
use crate::cidr::CidrSet;
pub use crate::delete_limits::DeleteLimits;
use crate::hubs::Hubs;
use crate::ids::PeeringId;
use crate::permission::Traffic;
use crate::strict;
use crate::tags::{self, MAX_VALUE_LEN, Role, Tags};

/// The most tags that a policy may add. EC2 allows 50 on a resource; peerd writes three, and leaves some to other tools
/// (<https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Tags.html>).
const MAX_TAGS: usize = 40;
/// The longest key of a tag, in characters.
const MAX_KEY_LEN: usize = 128;

/// What an operator declares of a mesh. The default is a full mesh of the tagged VPCs of all registered accounts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// Whether peerd changes the mesh, only observes it, or takes it down.
    #[serde(deserialize_with = "strict::word")]
    pub mode: Mode,
    /// Which members are connected.
    #[serde(deserialize_with = "strict::word")]
    pub topology: Topology,
    /// The hubs, for the topology hub-and-spoke.
    #[serde(deserialize_with = "strict::object")]
    pub hubs: Hubs,
    /// Which VPCs may join, and which CIDR blocks they may advertise.
    #[serde(deserialize_with = "strict::object")]
    pub admit: Admission,
    /// What is routed, and in which tables.
    #[serde(deserialize_with = "strict::object")]
    pub routes: Routing,
    /// What the security groups of members may allow; without it, peerd adds no rule.
    #[serde(deserialize_with = "strict::optional_object")]
    pub security_groups: Option<SecurityGroupPolicy>,
    /// Whether members resolve each other's public host names to private addresses.
    #[serde(deserialize_with = "strict::word")]
    pub dns: Dns,
    /// Tags of the mesh's peerings besides peerd's own. A tag that is removed from the policy stays on the peerings.
    pub tags: Tags,
    /// How many peerings one run may delete without a confirmation.
    #[serde(deserialize_with = "strict::object")]
    pub deletes: DeleteLimits,
    /// Active peerings between members that another principal created and that peerd is to manage from now on.
    pub adopt: BTreeSet<PeeringId>,
    /// Peerings that peerd no longer manages: it removes its ownership tag, and they and their routes stay as they are.
    pub release: BTreeSet<PeeringId>,
}

/// What peerd does with a mesh.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// peerd observes, reports and makes changes.
    #[default]
    Active,
    /// peerd observes and reports, and changes nothing of any pair that the mesh connects or connected.
    Paused,
    /// peerd takes the mesh down: routes first, then peerings, without a delete limit.
    Draining,
    /// As paused, because the stored policy could not be read; with the error.
    #[serde(skip)]
    Unreadable(String),
}

/// Which members are connected.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Topology {
    /// Every member with every other.
    #[default]
    FullMesh,
    /// Those that [`Policy::hubs`] names with every member; the others with hubs only.
    HubAndSpoke,
}

/// What the security groups of members may allow.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecurityGroupPolicy {
    /// The traffic that a group with `peerd:allow` allows at most. The group's own tag `peerd:ports` narrows it.
    pub ports: BTreeSet<Traffic>,
}

/// What is routed, and in which tables.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Routing {
    /// The route tables of a member that get routes. A table's own tag `peerd:routes` overrides it.
    #[serde(deserialize_with = "strict::word")]
    pub tables: Tables,
    /// Addresses to which peerd adds no routes, such as the 100.64.0.0/10 of pod networks.
    pub exclude: CidrSet,
}

/// Which route tables of a member get routes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tables {
    /// All tables.
    #[default]
    All,
    /// The main table.
    Main,
    /// Those with the tag `peerd:routes=manage`, or `peerd_eligible=true` of the Python peerd.
    Tagged,
}

/// What peerd does with the DNS options of a mesh's peerings
/// (<https://docs.aws.amazon.com/vpc/latest/peering/vpc-peering-dns.html>).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Dns {
    /// They stay as they are, whichever principal set them.
    #[default]
    Unmanaged,
    /// peerd enables them on both sides, if both VPCs have DNS host names and DNS support.
    On,
    /// peerd disables them on both sides.
    Off,
}

/// A whole policy.
#[derive(Deserialize)]
#[serde(transparent)]
struct Whole(#[serde(deserialize_with = "strict::object")] Policy);

fn place(field: &str) -> String {
    match field {
        "." | "?" => "the policy".to_owned(), // serde_path_to_error's names for the whole, and for an unknown place
        field => format!("policy field `{field}`"),
    }
}

/// An invalid policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {why}", place(field))]
pub struct PolicyError {
    /// The path of the field, such as `admit.accounts[0]`.
    pub field: String,
    /// What is wrong with it.
    pub why: String,
}

impl Policy {
    /// Parses a policy of any format and checks it.
    ///
    /// # Errors
    /// The first field that is unknown, malformed or out of range.
    pub fn read<'de>(from: impl Deserializer<'de>) -> Result<Self, PolicyError> {
        let Whole(policy) = serde_path_to_error::deserialize(from).map_err(|error| {
            let field = error.path().to_string();
            PolicyError { field, why: error.into_inner().to_string() }
        })?;
        policy.check()?;
        Ok(policy)
    }

    /// Lists a peering as adopted or as released, and removes it from the other list.
    pub fn set_adoption(&mut self, peering: PeeringId, adopt: bool) {
        let (into, out_of) =
            if adopt { (&mut self.adopt, &mut self.release) } else { (&mut self.release, &mut self.adopt) };
        out_of.remove(&peering);
        into.insert(peering);
    }

    /// The substitute for a stored policy that cannot be read: with it, peerd changes nothing of the mesh.
    pub fn unreadable(error: &PolicyError) -> Self {
        Self { mode: Mode::Unreadable(error.to_string()), ..Self::default() }
    }

    fn check(&self) -> Result<(), PolicyError> {
        let wrong = |field: &str, why: String| Err(PolicyError { field: field.to_owned(), why });
        if self.admit.members == Some(0) {
            return wrong("admit.members", "a mesh without members is draining: set `mode`".to_owned());
        }
        if self.topology == Topology::HubAndSpoke && self.hubs.is_empty() {
            return wrong("hubs", "hub-and-spoke needs hubs: name their accounts, units or vpcs".to_owned());
        }
        if self.topology == Topology::FullMesh && !self.hubs.is_empty() {
            return wrong("hubs", "a full mesh has no hubs: set `topology` to hub-and-spoke".to_owned());
        }
        if self.deletes.percent > 100 {
            return wrong("deletes.percent", format!("{} is more than 100 %", self.deletes.percent));
        }
        if let Some(all) = self.routes.exclude.iter().find(|range| range.prefix_len() == 0) {
            return wrong("routes.exclude", format!("{all} leaves nothing to route"));
        }
        if self.security_groups.as_ref().is_some_and(|groups| groups.ports.is_empty()) {
            return wrong("security_groups.ports", "names no ports: omit `security_groups` to allow none".to_owned());
        }
        if self.tags.len() > MAX_TAGS {
            return wrong(
                "tags",
                format!("{} are more than the {MAX_TAGS} that fit beside peerd's own", self.tags.len()),
            );
        }
        if let Some(both) = self.adopt.intersection(&self.release).next() {
            return wrong("release", format!("{both} is also in `adopt`"));
        }
        for (key, value) in &self.tags {
            if let Some(why) = unfit_tag(key, value) {
                return wrong(&format!("tags.{key}"), why);
            }
        }
        Ok(())
    }

    /// Whether it replaces a stored policy that could not be read, so that nothing else in it is the operator's.
    pub fn is_unreadable(&self) -> bool {
        matches!(self.mode, Mode::Unreadable(_))
    }

    /// Whether peerd changes nothing of the mesh.
    pub fn is_frozen(&self) -> bool {
        self.mode == Mode::Paused || self.is_unreadable()
    }

    /// Whether two members with these roles are connected.
    pub fn connects(&self, roles: [Role; 2]) -> bool {
        self.mode != Mode::Draining
            && match self.topology {
                Topology::FullMesh => true,
                Topology::HubAndSpoke => roles.contains(&Role::Hub),
            }
    }
}

fn unfit_tag(key: &str, value: &str) -> Option<String> {
    let reserved = ["aws:", "peerd:"].into_iter().find(|prefix| key.to_ascii_lowercase().starts_with(prefix));
    if let Some(prefix) = reserved {
        Some(format!("keys that begin with `{prefix}` are reserved"))
    } else if key == tags::NAME {
        Some("peerd names its peerings after their VPCs, and a name that a user gave stays".to_owned())
    } else if key.is_empty() || key.chars().count() > MAX_KEY_LEN {
        Some(format!("a key has 1 to {MAX_KEY_LEN} characters"))
    } else if value.chars().count() > MAX_VALUE_LEN {
        Some(format!("a value has at most {MAX_VALUE_LEN} characters"))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::VpcRef;
    use crate::organization::Organization;

    fn read(text: &str) -> Result<Policy, String> {
        Policy::read(&mut serde_json::Deserializer::from_str(text)).map_err(|error| error.to_string())
    }

    #[test]
    fn an_empty_policy_is_the_default_full_mesh_and_a_policy_round_trips() {
        let policy = read("{}").unwrap();
        assert_eq!(policy, Policy::default());
        assert!(policy.connects([Role::Spoke, Role::Spoke]));
        let text = r#"{"mode":"paused","topology":"hub-and-spoke",
            "hubs":{"accounts":["222222222222"],"units":["ou-a1b2-c3d4e5f6"],"vpcs":["vpc-9"]},
            "admit":{"accounts":["111111111111"],"units":["ou-a1b2-c3d4e5f6","r-a1b2"],"regions":["eu-west-1"],
                "vpcs":["vpc-1"],"cidrs":["10.1.2.3/8","private"]},
            "routes":{"tables":"tagged","exclude":["100.64.0.0/10"]},"dns":"on",
            "security_groups":{"ports":["udp/53","tcp/443"]},
            "tags":{"team":"network"},"deletes":{"count":1,"percent":2},"adopt":["pcx-1"],"release":["pcx-2"]}"#;
        let policy = read(text).unwrap();
        assert_eq!(policy.admit.cidrs.to_string(), "private 10.0.0.0/8");
        assert_eq!(read(&serde_json::to_string(&policy).unwrap()).unwrap(), policy);
    }

    /// tests/e2e/test_schemas.py checks that docs/schemas/policy.json accepts the same policies.
    #[test]
    fn the_policies_that_the_schema_accepts_are_read_and_no_others() {
        let cases: serde_json::Value = serde_json::from_str(include_str!("../tests/policy-cases.json")).unwrap();
        let of = |kind: &str| cases[kind].as_array().unwrap().clone();
        for policy in of("valid") {
            read(&policy.to_string()).unwrap();
        }
        for case in of("invalid") {
            assert!(read(&case["policy"].to_string()).is_err(), "{case}");
        }
        assert!(of("valid").len() >= 20 && of("invalid").len() >= 90);
    }

    #[test]
    fn a_list_is_no_policy() {
        let why = read("[]").unwrap_err();
        assert!(why.starts_with("the policy: invalid type: sequence, expected an object with fields"), "{why}");
    }

    #[test]
    fn an_invalid_policy_is_rejected_with_the_name_of_the_field() {
        for (text, field, why) in [
            (r#"{"topologie":"x"}"#, "topologie", "unknown field `topologie`"),
            (r#"{"topology":"ring"}"#, "topology", "unknown variant `ring`"),
            (r#"{"topology":"hub-and-spoke"}"#, "hubs", "needs hubs"),
            (r#"{"hubs":{"vpcs":["vpc-1"]}}"#, "hubs", "a full mesh has no hubs"),
            (r#"{"topology":"hub-and-spoke","hubs":{"accounts":["1"]}}"#, "hubs.accounts[0]", "12-digit account id"),
            (r#"{"mode":{"paused":null}}"#, "mode", "expected a string"),
            (r#"{"admit":[]}"#, "admit", "invalid type: sequence, expected an object with fields"),
            (r#"{"security_groups":[["tcp/443"]]}"#, "security_groups", "expected an object with fields"),
            (r#"{"mode":"Unreadable"}"#, "mode", "unknown variant"),
            (r#"{"admit":{"accounts":["111111111111","12"]}}"#, "admit.accounts[1]", "12-digit account id"),
            (r#"{"admit":{"units":["ou-a1b2"]}}"#, "admit.units[0]", "not an organizational unit such as"),
            (r#"{"admit":{"cidrs":["10.0.0.0/33"]}}"#, "admit.cidrs", "`10.0.0.0/33` is not a CIDR block"),
            (r#"{"routes":{"exclude":["::/0"]}}"#, "routes.exclude", "leaves nothing to route"),
            (r#"{"security_groups":{}}"#, "security_groups", "missing field `ports`"),
            (r#"{"security_groups":{"ports":[]}}"#, "security_groups.ports", "names no ports"),
            (
                r#"{"security_groups":{"ports":["tcp/443","all"]}}"#,
                "security_groups.ports[1]",
                "`all` is not a protocol",
            ),
            (r#"{"security_groups":{"ports":["tcp"]}}"#, "security_groups.ports[0]", "`tcp` is not a protocol"),
            (r#"{"dns":true}"#, "dns", "expected"),
            (r#"{"adopt":["pcx-1"],"release":["pcx-1"]}"#, "release", "pcx-1 is also in `adopt`"),
            (r#"{"adopt":["vpc-1"]}"#, "adopt[0]", "not a peering id"),
            (r#"{"deletes":{"percent":101}}"#, "deletes.percent", "more than 100 %"),
            (r#"{"deletes":{"count":-1}}"#, "deletes.count", "invalid value"),
            (r#"{"tags":{"Peerd:env":"x"}}"#, "tags.Peerd:env", "are reserved"),
            (r#"{"tags":{"aws:x":"x"}}"#, "tags.aws:x", "are reserved"),
            (r#"{"tags":{"Name":"x"}}"#, "tags.Name", "that a user gave"),
            (r#"{"tags":{"":"x"}}"#, "tags.", "1 to 128"),
        ] {
            let said = read(text).unwrap_err();
            assert!(said.starts_with(&format!("policy field `{field}`: ")) && said.contains(why), "{text}: {said}");
        }
        assert!(read(r#"{"deletes":{"percent":100}}"#).is_ok(), "an operator allows every delete");
        let key = |length| read(&format!(r#"{{"tags":{{"{}":"x"}}}}"#, "x".repeat(length)));
        assert!(key(128).is_ok() && key(129).is_err());
        let long = |length| read(&format!(r#"{{"tags":{{"team":"{}"}}}}"#, "x".repeat(length)));
        assert!(long(256).is_ok() && long(257).is_err());
        let tags = |count| {
            read(&serde_json::json!({"tags": (0..count).map(|n| (format!("t{n}"), "x")).collect::<std::collections::BTreeMap<_, _>>()}).to_string())
        };
        assert!(tags(40).is_ok() && tags(41).is_err());
    }

    #[test]
    fn a_vpc_is_admitted_if_every_non_empty_list_contains_it() {
        let policy =
            read(r#"{"admit":{"accounts":["111111111111"],"regions":["eu-west-1"],"vpcs":["vpc-1"]}}"#).unwrap();
        let refusal = |account: &str, region: &str, id: &str| {
            let scope = crate::Scope::new(account.parse().unwrap(), region.parse().unwrap());
            let refusal = policy.admit.denial(&VpcRef::new(scope, id.parse().unwrap()), &Organization::default());
            refusal.map(|denial| denial.to_string())
        };
        assert_eq!(refusal("111111111111", "eu-west-1", "vpc-1"), None);
        assert_eq!(refusal("222222222222", "eu-west-1", "vpc-1").unwrap(), "account 222222222222 is not admitted");
        assert_eq!(refusal("111111111111", "us-east-1", "vpc-1").unwrap(), "Region us-east-1 is not admitted");
        assert_eq!(refusal("111111111111", "eu-west-1", "vpc-2").unwrap(), "vpc-2 is not admitted");
    }

    #[test]
    fn spokes_connect_only_with_hubs_and_a_draining_mesh_connects_nothing() {
        let policy = |text| read(text).unwrap();
        let star = policy(r#"{"topology":"hub-and-spoke","hubs":{"vpcs":["vpc-1"]}}"#);
        assert!(star.connects([Role::Hub, Role::Spoke]) && star.connects([Role::Hub, Role::Hub]));
        assert!(!star.connects([Role::Spoke, Role::Spoke]));
        assert!(!policy(r#"{"mode":"draining"}"#).connects([Role::Hub, Role::Hub]));
        assert!(policy(r#"{"mode":"paused"}"#).connects([Role::Spoke, Role::Spoke]));
    }

    #[test]
    fn an_unreadable_policy_is_frozen_and_keeps_the_reason() {
        let error = PolicyError { field: "mode".to_owned(), why: "is missing".to_owned() };
        let policy = Policy::unreadable(&error);
        assert!(policy.is_frozen());
        assert_eq!(policy.mode, Mode::Unreadable("policy field `mode`: is missing".to_owned()));
    }

    #[test]
    fn delete_limits_are_exceeded_only_above_both_the_count_and_the_percentage() {
        let limits = DeleteLimits::default();
        assert!(!limits.exceeded_by(10, 10));
        assert!(!limits.exceeded_by(11, 100));
        assert!(limits.exceeded_by(11, 36));
        assert!(!limits.exceeded_by(12, 40), "a share that is just reached");
    }
}
