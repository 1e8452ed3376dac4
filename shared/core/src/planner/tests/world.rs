//! The simulated world of the planner's scenarios: every scope is readable unless a test closes it, and every action
//! succeeds.

use std::collections::{BTreeMap, BTreeSet};

use crate::cidr;
use crate::finding::{Finding, FindingKind};
use crate::finding_text::Rendered;
use crate::lint::lint;
use crate::tags::{self, Tags};
use crate::*;

const REGIONS: [&str; 2] = ["us-east-1", "eu-west-1"];

/// A desired and an observed state in which every scope is readable unless it is closed.
pub struct World {
    pub desired: DesiredState,
    pub observed: ObservedState,
    pub made: u32,
}

pub fn scope(account: u8, region: usize) -> Scope {
    Scope::new(account.to_string().repeat(12).parse().unwrap(), REGIONS[region].parse().unwrap())
}

pub fn mesh(name: &str) -> MeshName {
    name.parse().unwrap()
}

impl World {
    /// Declares the meshes `prod` and `staging`; runs are of `prod`.
    pub fn new() -> Self {
        let declared = ["prod", "staging"].map(|name| (mesh(name), Policy::default())).into();
        let deployment: Deployment = "peerd".parse().unwrap();
        let keys = SealKeys::parse(&"k".repeat(seal::MIN_KEY_LEN)).unwrap();
        let desired = DesiredState {
            seals: Seals::new(deployment.clone(), keys),
            deployment,
            role: "peerd-spoke".to_owned(),
            mesh: mesh("prod"),
            delete_approval: DeleteApproval::WithinLimits,
            declared,
            accounts: Accounts {
                known: [1, 2, 3].map(|number| scope(number, 0).account).into(),
                ..Accounts::default()
            },
            organization: Organization::default(),
            indexed: BTreeMap::new(),
        };
        let mut observed = ObservedState::default();
        observed.inputs.run_histories.insert(desired.mesh.clone(), RunHistory::default());
        let mut world = Self { desired, observed, made: 0 };
        for (account, region) in [(1, 0), (1, 1), (2, 0), (2, 1), (3, 0), (3, 1)] {
            world.observed.scopes.insert(scope(account, region), Ok(()));
            world.observed.inputs.quotas.insert(scope(account, region), Ok(Quotas::default()));
        }
        world
    }

    /// Adds a VPC with a main route table of the same name.
    pub fn vpc(&mut self, name: &str, at: Scope, cidrs: &str, meshes: &str) -> VpcRef {
        let vpc = VpcRef::new(at, format!("vpc-{name}").parse().unwrap());
        let cidrs: CidrSet = cidrs.split_whitespace().map(|cidr| cidr::parse(cidr).unwrap()).collect();
        // As if Amazon had provided every IPv6 CIDR block.
        let amazon_provided = cidrs.iter().filter(|cidr| cidr.addr().is_ipv6()).copied().collect();
        let tags = if meshes.is_empty() { Tags::new() } else { Tags::from([(tags::ENV.into(), meshes.into())]) };
        let (vpc_ref, cidrs_changing) = (vpc.clone(), false);
        self.observed.vpcs.insert(vpc.clone(), Vpc { vpc_ref, cidrs, amazon_provided, cidrs_changing, tags });
        self.table(name, &vpc);
        vpc
    }

    /// Adds so many members of prod in one scope: `vpc-p0`, `vpc-p1` ...
    pub fn crowd(&mut self, count: usize) -> Vec<VpcRef> {
        (0..count).map(|n| self.vpc(&format!("p{n}"), scope(2, 0), &format!("10.{n}.0.0/16"), "prod")).collect()
    }

    pub fn table(&mut self, name: &str, vpc: &VpcRef) -> RouteTableId {
        let id: RouteTableId = format!("rtb-{name}").parse().unwrap();
        let table = RouteTable {
            id: id.clone(),
            vpc: vpc.clone(),
            is_edge_associated: false,
            main: name == vpc.id.as_str().trim_start_matches("vpc-"),
            subnets: [].into(),
            tags: Tags::new(),
            routes: Vec::new(),
            prefix_list_routes: Vec::new(),
        };
        self.observed.tables.insert(id.clone(), table);
        id
    }

    pub fn route(&mut self, table: &str, cidr: &str, target: RouteTarget) {
        let route = Route { destination: cidr::parse(cidr).unwrap(), target, is_static: true, blackhole: false };
        self.observed.tables.get_mut(&table.parse().unwrap()).unwrap().routes.push(route);
    }

    /// Adds a route that a gateway propagates.
    pub fn propagate(&mut self, table: &str, cidr: &str, gateway: &str) {
        self.route(table, cidr, RouteTarget::Other(gateway.to_owned()));
        let table = self.observed.tables.get_mut(&table.parse().unwrap()).unwrap();
        table.routes.last_mut().unwrap().is_static = false;
    }

    /// Adds a peering with these tags on both sides.
    pub fn peering(&mut self, id: &str, requester: &VpcRef, accepter: &VpcRef, status: PeeringStatus, tags: &Tags) {
        for side in [requester, accepter] {
            let view = PeeringView::new(id.parse().unwrap(), [requester, accepter], status.clone(), tags.clone());
            if self.observed.was_read(&side.scope) {
                self.observed.add_peering(&side.scope, view, &self.desired.seals);
            }
        }
    }

    pub fn managed(&self, pair: [&VpcRef; 2], meshes: &str) -> Tags {
        let pair = Pair::of(pair[0], pair[1]).unwrap();
        let seal = self.desired.seals.of_peering(&pair);
        tags::of_peering(&self.desired.deployment, &tags::MeshTag::parse(meshes).meshes, &pair, seal)
    }

    pub fn declare(&mut self, name: &str, policy: &str) {
        let policy = Policy::read(&mut serde_json::Deserializer::from_str(policy)).unwrap();
        self.desired.declared.insert(mesh(name), policy);
    }

    /// Lists two units of a root, with the accounts in them by number.
    pub fn organize(&mut self, [prod, dev]: [&[u8]; 2]) {
        let [root, in_prod, in_dev] = ["r-ab12", "ou-ab12-prod0000", "ou-ab12-dev00000"].map(|id| id.parse().unwrap());
        let placed = |numbers: &[u8], unit: &OrganizationalUnitId| {
            let placement = Placement { unit: unit.clone(), state: None };
            numbers.iter().map(|n| (scope(*n, 0).account, placement.clone())).collect::<Vec<_>>()
        };
        let accounts = [placed(prod, &in_prod), placed(dev, &in_dev)].concat().into_iter().collect();
        let units = BTreeMap::from([(root, None::<OrganizationalUnitId>)]);
        let root = units.keys().next().cloned();
        let units = units.into_iter().chain([(in_prod, root.clone()), (in_dev, root)]).collect();
        self.desired.organization = Organization { version: 1, units, accounts };
    }

    pub fn tag(&mut self, vpc: &VpcRef, key: &str, value: &str) {
        self.observed.vpcs.get_mut(vpc).unwrap().tags.insert(key.to_owned(), value.to_owned());
    }

    pub fn tag_table(&mut self, table: &str, key: &str, value: &str) {
        let table = self.observed.tables.get_mut(&table.parse().unwrap()).unwrap();
        table.tags.insert(key.to_owned(), value.to_owned());
    }

    /// Sets the DNS attributes of these VPCs, as in [`DnsSupport`].
    pub fn set_dns(&mut self, vpcs: &[&VpcRef], hostnames: bool, support: bool) {
        let has = Ok(DnsSupport { hostnames, support });
        self.observed.inputs.dns.extend(vpcs.iter().map(|vpc| ((*vpc).clone(), has.clone())));
    }

    /// The ends of live peerings whose DNS option is enabled, by their names.
    pub fn resolving(&self) -> Vec<String> {
        let on = self.observed.peerings.values().filter(|p| p.status.is_live()).flat_map(|p| &p.dns);
        let on = on.filter(|(_, on)| **on);
        on.map(|(vpc, _)| vpc.id.as_str().trim_start_matches("vpc-").to_owned()).collect()
    }

    pub fn set_meshes(&mut self, vpc: &VpcRef, meshes: &str) {
        self.tag(vpc, tags::ENV, meshes);
    }

    /// Makes a scope unreadable: what was read there is only indexed.
    pub fn close(&mut self, scope: &Scope) {
        self.observed.scopes.insert(scope.clone(), Err("AssumeRole: denied".to_owned()));
        let deleted: Vec<VpcRef> = self.observed.vpcs.keys().filter(|vpc| vpc.scope == *scope).cloned().collect();
        for vpc in deleted {
            self.desired.indexed.insert(vpc.clone(), self.indexed(&vpc));
            self.observed.vpcs.remove(&vpc);
        }
        self.observed.tables.retain(|_, table| table.vpc.scope != *scope);
        for peering in self.observed.peerings.values_mut() {
            peering.tags.remove(scope);
            peering.sealed_in.remove(scope);
        }
        self.observed.peerings.retain(|_, peering| !peering.tags.is_empty());
    }

    /// Sets quota values in every scope.
    pub fn set_quotas(&mut self, limit: &[(Quota, usize)]) {
        let quotas: Quotas = limit.iter().copied().collect();
        self.observed.inputs.quotas.values_mut().for_each(|known| *known = Ok(quotas.clone()));
    }

    /// Records in the index when a VPC began to request prod.
    pub fn joined_at(&mut self, vpc: &VpcRef, since: u64) {
        let member = self.indexed(vpc);
        self.desired.indexed.insert(vpc.clone(), Member { joined_at: [(mesh("prod"), since)].into(), ..member });
    }

    fn indexed(&self, vpc: &VpcRef) -> Member {
        let seen = &self.observed.vpcs[vpc];
        Member {
            vpc: vpc.clone(),
            cidrs: seen.cidrs.clone(),
            amazon_provided: seen.amazon_provided.clone(),
            tags: tags::of_member(&seen.tags),
            meshes: tags::MeshTag::of(&seen.tags).meshes,
            left_meshes: BTreeSet::new(),
            changed_at: 0,
            joined_at: BTreeMap::new(),
            tag_version: 0,
            version: 0,
        }
    }

    pub fn plan(&self) -> (Plan, Report) {
        let (plan, report) = plan(&self.desired, &self.observed);
        assert_eq!(lint(&plan, &self.desired, &self.observed), Vec::<String>::new());
        (plan, report)
    }

    pub fn apply(&mut self, action: &Action) {
        let effect = crate::dry_run::predicted(action, &mut self.made);
        self.observed.apply_effect(action, effect, &self.desired.seals);
    }

    /// Applies plans until one is empty. Returns the applied actions, and the findings of the last report.
    pub fn settle(&mut self) -> (Vec<String>, BTreeSet<Rendered>) {
        let mut done = Vec::new();
        for _ in 0..100 {
            let (plan, report) = self.plan();
            if plan.is_empty() {
                return (done, rendered(&report.findings));
            }
            for action in plan.actions() {
                done.push(action.to_string());
                self.apply(action);
            }
        }
        panic!("no end of plans: {done:#?}");
    }

    pub fn status(&self, vpc: &VpcRef) -> Option<&str> {
        self.observed.vpcs[vpc].tags.get(tags::STATUS).map(String::as_str)
    }

    /// The pairs that have a live peering, by the names of their VPCs.
    pub fn peered(&self) -> Vec<String> {
        let live = self.observed.peerings.values().filter(|peering| peering.status.is_live());
        let name = |vpc: &VpcRef| vpc.id.as_str().trim_start_matches("vpc-").to_owned();
        let mut pairs: Vec<String> = live.map(|p| format!("{}-{}", name(&p.requester), name(&p.accepter))).collect();
        pairs.sort();
        pairs
    }

    pub fn targets(&self, table: &str) -> Vec<String> {
        let table = &self.observed.tables[&table.parse().unwrap()];
        let mut lines: Vec<String> =
            table.routes.iter().map(|route| format!("{} {}", route.destination, route.target)).collect();
        lines.sort();
        lines
    }
}

/// The findings with their text, in the order of their kinds.
pub fn rendered(findings: &BTreeSet<Finding>) -> BTreeSet<Rendered> {
    findings.iter().map(|finding| Rendered::new(finding, &Operator::default())).collect()
}

pub fn kinds(findings: &BTreeSet<Rendered>) -> Vec<FindingKind> {
    findings.iter().map(|finding| finding.kind).collect()
}

/// The findings as subject and message.
pub fn messages(findings: &BTreeSet<Rendered>) -> Vec<String> {
    findings.iter().map(|finding| format!("{}: {}", finding.subject, finding.text)).collect()
}

/// Two members of prod that are peered and routed.
pub fn joined() -> (World, VpcRef, VpcRef) {
    let mut world = World::new();
    let a = world.vpc("a", scope(1, 0), "10.1.0.0/16", "prod");
    let b = world.vpc("b", scope(2, 1), "10.2.0.0/16 2600:1f18:2::/56", "prod");
    world.settle();
    (world, a, b)
}
