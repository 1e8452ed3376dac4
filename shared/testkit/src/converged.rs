//! A converged deployment of any size, as a sweep reads it: for benchmarks of the planner.

use std::collections::BTreeMap;

use peerd_core::cidr::{self, IpNet};
use peerd_core::{
    Accounts, CidrSet, DeleteApproval, Deployment, DesiredState, MeshName, ObservedState, Organization, Pair,
    PeeringId, PeeringStatus, PeeringView, Policy, Quotas, Route, RouteTable, RouteTarget, RunHistory, Scope, SealKeys,
    Seals, Tags, Vpc, VpcRef, tags,
};

/// The Regions of the deployment.
const REGIONS: [&str; 4] = ["us-east-1", "eu-west-1", "ap-southeast-2", "sa-east-1"];
/// The number of VPCs of a mesh in each account.
const PER_ACCOUNT: usize = 8;

/// The size of a deployment.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// The number of meshes.
    pub meshes: usize,
    /// The number of VPCs in each mesh, at most 250.
    pub members: usize,
    /// The number of route tables of each VPC.
    pub tables: usize,
}

/// A deployment whose meshes are full meshes in which nothing is to do.
pub struct Converged {
    /// The desired state of each mesh.
    pub desired: Vec<DesiredState>,
    /// What a sweep reads of all of them.
    pub observed: ObservedState,
}

#[expect(clippy::unwrap_used, reason = "the ids, names and CIDR blocks are well formed")]
impl Converged {
    /// Creates a deployment of a size.
    pub fn new(size: Size) -> Self {
        let deployment: Deployment = "peerd".parse().unwrap();
        let seals = Seals::new(deployment.clone(), SealKeys::parse("the-key-of-the-simulated-deployment").unwrap());
        let names: Vec<MeshName> = (0..size.meshes).map(|n| format!("mesh-{n:03}").parse().unwrap()).collect();
        let mut observed = ObservedState::default();
        for (number, mesh) in names.iter().enumerate() {
            let members: Vec<VpcRef> = (0..size.members).map(|member| vpc_ref(number, member)).collect();
            for (member, vpc) in members.iter().enumerate() {
                add_vpc(member, vpc, mesh, size, &mut observed);
            }
            for (a, one) in members.iter().enumerate() {
                for (b, other) in members.iter().enumerate().skip(a + 1) {
                    let pair = Pair::of(one, other).unwrap();
                    add_pair([(a, one), (b, other)], pair, mesh, (&deployment, &seals), &mut observed);
                }
            }
            observed.inputs.run_histories.insert(mesh.clone(), RunHistory::default());
        }
        let scopes: Vec<Scope> = observed.vpcs.keys().map(|vpc| vpc.scope.clone()).collect();
        observed.scopes = scopes.iter().map(|scope| (scope.clone(), Ok(()))).collect();
        observed.inputs.quotas = scopes.iter().map(|scope| (scope.clone(), Ok(Quotas::default()))).collect();
        let accounts =
            Accounts { known: scopes.into_iter().map(|scope| scope.account).collect(), ..Accounts::default() };
        let declared: BTreeMap<MeshName, Policy> = names.iter().map(|mesh| (mesh.clone(), Policy::default())).collect();
        let desired = |mesh: &MeshName| DesiredState {
            deployment: deployment.clone(),
            seals: seals.clone(),
            role: "peerd-spoke".to_owned(),
            mesh: mesh.clone(),
            delete_approval: DeleteApproval::WithinLimits,
            declared: declared.clone(),
            accounts: accounts.clone(),
            organization: Organization::default(),
            indexed: BTreeMap::new(),
        };
        Self { desired: names.iter().map(desired).collect(), observed }
    }

    /// The number of routes over peerings.
    pub fn routes(&self) -> usize {
        self.observed.tables.values().map(|table| table.routes.len()).sum()
    }
}

/// An id with 17 hexadecimal digits that look random, as those of AWS do.
fn id(kind: &str, numbers: [usize; 3]) -> String {
    let mixed = numbers.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, number| {
        (hash ^ (*number as u64 + 1)).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29)
    });
    format!("{kind}-0{mixed:016x}")
}

#[expect(clippy::unwrap_used, reason = "the ids are well formed")]
fn vpc_ref(mesh: usize, member: usize) -> VpcRef {
    let account = format!("{:012}", 100_000_000_000 + mesh * 40 + member / PER_ACCOUNT);
    let scope = Scope::new(account.parse().unwrap(), REGIONS[member % REGIONS.len()].parse().unwrap());
    VpcRef::new(scope, id("vpc", [mesh, member, 0]).parse().unwrap())
}

#[expect(clippy::unwrap_used, reason = "the CIDR block is well formed")]
fn block(member: usize) -> IpNet {
    cidr::parse(&format!("10.{member}.0.0/16")).unwrap()
}

#[expect(clippy::unwrap_used, reason = "the ids are well formed")]
fn add_vpc(member: usize, vpc: &VpcRef, mesh: &MeshName, size: Size, observed: &mut ObservedState) {
    let own = [
        (tags::NAME, format!("team-{member:03}")),
        (tags::ENV, mesh.to_string()),
        (tags::STATUS, format!("joined {mesh}")),
        ("cost-center", "4711".to_owned()),
    ];
    let cidrs = CidrSet::from_iter([block(member)]);
    let (vpc_ref, tags) = (vpc.clone(), own.map(|(key, value)| (key.to_owned(), value)).into());
    let seen = Vpc { vpc_ref, cidrs, amazon_provided: CidrSet::default(), cidrs_changing: false, tags };
    observed.vpcs.insert(vpc.clone(), seen);
    for table in 0..size.tables {
        let id = format!("rtb{}{table:x}", &vpc.id.as_str()[3..20]).parse().unwrap();
        let table = RouteTable {
            id,
            vpc: vpc.clone(),
            is_edge_associated: false,
            main: table == 0,
            subnets: [].into(),
            tags: Tags::new(),
            routes: Vec::with_capacity(size.members),
            prefix_list_routes: Vec::new(),
        };
        observed.tables.insert(table.id.clone(), table);
    }
}

/// An active peering of two VPCs, with the routes of all their tables.
#[expect(clippy::unwrap_used, reason = "the ids are well formed")]
fn add_pair(
    [(a, one), (b, other)]: [(usize, &VpcRef); 2],
    pair: Pair,
    mesh: &MeshName,
    (deployment, seals): (&Deployment, &Seals),
    observed: &mut ObservedState,
) {
    let seed = usize::from_str_radix(&one.id.as_str()[5..12], 16).unwrap();
    let peering: PeeringId = id("pcx", [seed, a, b]).parse().unwrap();
    let own = tags::of_peering(deployment, &[mesh.clone()].into(), &pair, seals.of_peering(&pair));
    let ends = pair.ends();
    for end in ends {
        let view = PeeringView::new(peering.clone(), ends, PeeringStatus::Active, own.clone());
        observed.add_peering(&end.scope, view, seals);
    }
    for (from, to) in [(one, b), (other, a)] {
        let prefix = format!("rtb{}", &from.id.as_str()[3..20]);
        let first: peerd_core::RouteTableId = format!("{prefix}0").parse().unwrap();
        for (_, table) in observed.tables.range_mut(first..).take_while(|(id, _)| id.as_str().starts_with(&prefix)) {
            let (destination, target) = (block(to), RouteTarget::Peering(peering.clone()));
            table.routes.push(Route { destination, target, is_static: true, blackhole: false });
        }
    }
}
