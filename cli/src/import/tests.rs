//! Files of the Python peerd, and the results of importing them.

use std::collections::{BTreeMap, BTreeSet};

use peerd_core::{
    MeshName, ObservedState, PeeringStatus, PeeringView, Policy, Scope, SealKeys, Seals, Tags, Vpc, VpcRef,
};

use super::plan::{self, Import, Known};
use super::{legacy_config, render};

const HEAD: &str = "
metadata:
  resource_owner: net
  business_unit: PaaS
  service_name: peerd
  support: net@acme.org
  common_principal_name: bot
environments:
";

/// Every key of the Python peerd, in two environments that share a VPC.
const FULL: &str = "
  production:
    - account_id: '111111111111'
      vpc_id: vpc-a
      region: eu-west-1
      cidr_overrides: [10.10.0.0/17, 192.0.2.0/24]
      peering_tags: {team: payments, tier: '1', peerd_role: mine}
    - {account_id: '222222222222', vpc_id: vpc-b, region: eu-west-1, peering_tags: {team: payments}}
    - {account_id: '333333333333', vpc_id: vpc-c, region: us-east-1, cidr_overrides: []}
  shared.services:
    - {account_id: '333333333333', vpc_id: vpc-c, region: us-east-1}
    - {account_id: '111111111111', vpc_id: vpc-d, region: us-east-1, peering_tags: {team: platform}}
";

#[derive(Default)]
struct World {
    observed: ObservedState,
    declared: BTreeMap<MeshName, Policy>,
    scopes: BTreeSet<Scope>,
    renames: BTreeMap<String, MeshName>,
}

impl World {
    /// The VPCs of [`FULL`].
    fn full() -> Self {
        let mut world = Self::default();
        world.vpc("vpc-a", "111111111111/eu-west-1", "10.10.0.0/16");
        world.vpc("vpc-b", "222222222222/eu-west-1", "10.20.0.0/16 2600:1f18:b::/56");
        world.vpc("vpc-c", "333333333333/us-east-1", "10.30.0.0/16");
        world.vpc("vpc-d", "111111111111/us-east-1", "10.40.0.0/16");
        world
    }

    fn vpc(&mut self, id: &str, scope: &str, cidrs: &str) -> VpcRef {
        let scope: Scope = scope.parse().unwrap();
        let at = VpcRef::new(scope.clone(), id.parse().unwrap());
        let cidrs = cidrs.split_whitespace().map(|cidr| peerd_core::cidr::parse(cidr).unwrap()).collect();
        self.observed.scopes.insert(scope, Ok(()));
        self.observed.vpcs.insert(
            at.clone(),
            Vpc {
                vpc_ref: at.clone(),
                cidrs,
                amazon_provided: peerd_core::CidrSet::default(),
                cidrs_changing: false,
                tags: Tags::new(),
            },
        );
        at
    }

    fn at(&self, id: &str) -> VpcRef {
        self.observed.vpcs.keys().find(|vpc| vpc.id.as_str() == id).unwrap().clone()
    }

    /// Creates a peering as the Python peerd does for an environment, or without its tags if the name is empty.
    fn peering(&mut self, id: &str, ends: [&str; 2], environment: &str, status: PeeringStatus) {
        let [requester, accepter] = ends.map(|id| self.at(id));
        let current = [("peerd_created", "true"), ("peerd_environment", environment)];
        let current = current.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let tags: Tags = current.into_iter().filter(|_| !environment.is_empty()).collect();
        for side in [&requester, &accepter] {
            let view = PeeringView::new(id.parse().unwrap(), [&requester, &accepter], status.clone(), tags.clone());
            let seals = Seals::new("peerd".parse().unwrap(), SealKeys::default());
            self.observed.add_peering(&side.scope, view, &seals);
        }
    }

    fn import(&self, environments: &str) -> Result<Import, Vec<String>> {
        let old = legacy_config::read(&format!("{HEAD}{environments}")).unwrap();
        let known = Known { observed: &self.observed, declared: &self.declared, scopes: &self.scopes };
        plan::plan(&old, &self.renames, &known)
    }

    fn refused(&self, environments: &str) -> String {
        self.import(environments).unwrap_err().join("; ")
    }
}

#[test]
fn public_addresses_are_admitted_by_the_imported_policy_beside_private_ones() {
    let mut world = World::full();
    world.vpc("vpc-d", "111111111111/us-east-1", "10.40.0.0/16 8.8.0.0/16");
    let import = world.import(FULL).unwrap();
    let admitted = |mesh: &str| import.meshes[&mesh.parse::<MeshName>().unwrap()].admit.cidrs.to_string();
    assert_eq!(admitted("production"), "");
    assert_eq!(admitted("shared.services"), "private amazon-ipv6 8.8.0.0/16");
    assert!(render::plan(&import).contains("\n    admits the addresses private amazon-ipv6 8.8.0.0/16\n"));
    let halves = FULL
        .replace("vpc-d, region: us-east-1", "vpc-d, region: us-east-1, cidr_overrides: [8.8.0.0/17, 8.8.128.0/17]");
    let import = world.import(&halves).unwrap();
    let policy = &import.meshes[&"shared.services".parse::<MeshName>().unwrap()];
    assert_eq!(policy.admit.cidrs.to_string(), "private amazon-ipv6 8.8.0.0/16", "the tag may have them as one block");
}

fn notes(import: &Import) -> Vec<String> {
    import.notes.iter().map(ToString::to_string).collect()
}

#[test]
fn a_full_file_becomes_paused_policies_tags_and_adoptions_with_notes() {
    let mut world = World::full();
    world.scopes.insert("111111111111/eu-west-1".parse().unwrap());
    world.peering("pcx-ab", ["vpc-a", "vpc-b"], "production", PeeringStatus::Active);
    world.peering("pcx-ac", ["vpc-a", "vpc-c"], "production", PeeringStatus::PendingAcceptance);
    world.peering("pcx-cd", ["vpc-c", "vpc-d"], "shared.services", PeeringStatus::Active);
    world.peering("pcx-bc", ["vpc-b", "vpc-c"], "", PeeringStatus::Active);
    world.peering("pcx-old", ["vpc-a", "vpc-d"], "production", PeeringStatus::Active);
    let import = world.import(FULL).unwrap();
    assert_eq!(
        render::plan(&import),
        "+ account 111111111111 in us-east-1
+ account 222222222222 in eu-west-1
+ account 333333333333 in us-east-1
+ mesh production, paused, of 3 VPCs; it adopts 1 peering
    routes in tagged tables only, and not to 10.30.0.0/16 ::/1 8000::/1
    its peerings have the tag business_unit=PaaS
    its peerings have the tag peerd_created=false
    its peerings have the tag peerd_support=net@acme.org
    its peerings have the tag resource_owner=net
    its peerings have the tag service_name=peerd
    its peerings have the tag team=payments
    it adopts pcx-ab
+ mesh shared.services, paused, of 2 VPCs; it adopts 1 peering
    routes in tagged tables only, and not to ::/1 8000::/1
    its peerings have the tag business_unit=PaaS
    its peerings have the tag peerd_created=false
    its peerings have the tag peerd_support=net@acme.org
    its peerings have the tag resource_owner=net
    its peerings have the tag service_name=peerd
    its peerings have the tag team=platform
    it adopts pcx-cd
+ tags of vpc-a (111111111111/eu-west-1): peerd:cidrs=10.10.0.0/17, peerd:env=production
+ tags of vpc-d (111111111111/us-east-1): peerd:env=shared.services
+ tags of vpc-b (222222222222/eu-west-1): peerd:env=production
+ tags of vpc-c (333333333333/us-east-1): peerd:env=production+shared.services
! vpc-a (111111111111/eu-west-1): 192.0.2.0/24 of its overrides is outside its CIDR blocks 10.10.0.0/16: its routes will be deleted
! vpc-c (333333333333/us-east-1): advertises different CIDR blocks in its environments; one that it gets later is routed in all of them
! production: the tag peerd_role is not imported
! production: not all of its peerings have the same tag tier: it stays as it is, and new peerings do not get it
! pcx-ac: is pending-acceptance: let the Python peerd finish it first, or reject it
! pcx-bc: connects two VPCs of production and was not made for it: run `peerd adopt --mesh production pcx-bc`, or it stays foreign
! pcx-old: one of its VPCs is no longer in the file: it is not adopted, and its routes stay
2 meshes, 4 VPCs to tag, 2 peerings to adopt, 7 notes
"
    );
    let json: serde_json::Value = serde_json::from_str(&render::as_json(&import)).unwrap();
    assert_eq!(json["meshes"]["production"]["mode"], "paused");
    assert_eq!(json["tags"][0]["tags"]["peerd:cidrs"], "10.10.0.0/17");
    assert_eq!(json["register"][0], "111111111111/us-east-1");
}

#[test]
fn a_repeated_import_is_empty() {
    let mut world = World::full();
    world.peering("pcx-ab", ["vpc-a", "vpc-b"], "production", PeeringStatus::Active);
    let mut first = world.import(FULL).unwrap();
    for (vpc, tags) in first.tags {
        world.observed.vpcs.get_mut(&vpc).unwrap().tags.extend(tags);
    }
    world.scopes = first.register;
    first.meshes.values_mut().for_each(|policy| policy.mode = peerd_core::policy::Mode::Active);
    world.declared = first.meshes;
    world.observed.peerings.clear(); // an adopted peering has the tags of one that peerd created
    let again = world.import(FULL).unwrap();
    assert!(again.tags.is_empty() && again.register.is_empty() && again.meshes.is_empty(), "{again:?}");
}

#[test]
fn an_import_extends_existing_tags_and_never_overwrites() {
    let mut world = World::full();
    let a = world.at("vpc-a");
    world.observed.vpcs.get_mut(&a).unwrap().tags.insert("peerd:env".to_owned(), "staging".to_owned());
    assert_eq!(world.import(FULL).unwrap().tags[&a]["peerd:env"], "production+staging");
    world.observed.vpcs.get_mut(&a).unwrap().tags.insert("peerd:cidrs".to_owned(), "10.10.1.0/24".to_owned());
    assert!(world.refused(FULL).contains("already has peerd:cidrs=10.10.1.0/24, which differs from the file"));
    let mut world = World::full();
    world.declared.insert("production".parse().unwrap(), Policy::default());
    assert!(world.refused(FULL).contains("mesh production has a different policy; run `peerd mesh undeclare"));
}

#[test]
fn an_environment_with_an_invalid_mesh_name_needs_a_unique_rename() {
    let mut world = World::full();
    let text = "
  prod/eu:
    - {account_id: '111111111111', vpc_id: vpc-a, region: eu-west-1}
  prod.eu:
    - {account_id: '222222222222', vpc_id: vpc-b, region: eu-west-1}
";
    assert!(world.refused(text).contains("name a mesh for it with --rename 'prod/eu=NAME'"));
    world.renames.insert("prod/eu".to_owned(), "prod.eu".parse().unwrap());
    assert!(world.refused(text).contains("two environments would be the mesh prod.eu"));
    world.renames.insert("prod/eu".to_owned(), "prod-eu".parse().unwrap());
    world.peering("pcx-1", ["vpc-a", "vpc-b"], "prod/eu", PeeringStatus::Active);
    let import = world.import(text).unwrap();
    assert_eq!(import.meshes.keys().map(MeshName::as_str).collect::<Vec<_>>(), ["prod-eu", "prod.eu"]);
    world.renames.insert("nosuch".to_owned(), "other".parse().unwrap());
    assert!(world.refused(text).contains("there is no environment `nosuch` to rename"));
}

#[test]
fn a_missing_vpc_is_omitted_and_an_unreadable_one_is_imported_from_the_file() {
    let mut world = World::full();
    let b = world.at("vpc-b");
    world.observed.vpcs.remove(&b);
    let c: Scope = "333333333333/us-east-1".parse().unwrap();
    world.observed.vpcs.retain(|vpc, _| vpc.scope != c);
    world.observed.scopes.insert(c, Err("AssumeRole: denied".to_owned()));
    let text = FULL.replace("cidr_overrides: []}", "note: all of it}");
    let import = world.import(&text).unwrap();
    let notes = self::notes(&import);
    assert!(notes.contains(&"vpc-b (222222222222/eu-west-1): left out: there is no such VPC".to_owned()), "{notes:?}");
    assert!(notes.iter().any(|note| note.starts_with("333333333333/us-east-1: not read")), "{notes:?}");
    let members = &import.meshes[&"production".parse().unwrap()].admit.vpcs;
    assert_eq!(members.iter().map(ToString::to_string).collect::<Vec<_>>(), ["vpc-a", "vpc-c"]);
    assert!(world.refused(FULL).contains("its CIDR blocks differ between its environments, and it cannot be read"));
}

#[test]
fn an_import_that_loses_addresses_or_lists_a_vpc_twice_is_rejected() {
    let mut world = World::full();
    let gone = FULL.replace("[10.10.0.0/17, 192.0.2.0/24]", "[192.0.2.0/24]");
    assert!(world.refused(&gone).contains("none of its overrides is within its CIDR blocks"));
    world.vpc("vpc-e", "444444444444/eu-west-1", "10.30.0.0/16");
    let shared = FULL.replace(
        "  shared.services:",
        "    - {account_id: '444444444444', vpc_id: vpc-e, region: eu-west-1}\n  shared.services:",
    );
    assert!(
        world
            .refused(&shared)
            .contains("advertises 10.30.0.0/16 in other environments only, and 10.30.0.0/16 of vpc-e")
    );
    let twice = FULL.replace("'222222222222', vpc_id: vpc-b", "'222222222222', vpc_id: vpc-a");
    world.observed.scopes.insert("222222222222/eu-west-1".parse().unwrap(), Err("denied".to_owned()));
    assert!(
        world.refused(&twice).contains("vpc-a (111111111111/eu-west-1) is listed in 222222222222/eu-west-1 as well")
    );
}
