//! Plans that the linter must refuse. The planner makes none of them, so the tests build them.

use super::world::{World, joined, scope};
use crate::action::{Action, Plan};
use crate::cidr;
use crate::lint::lint;
use crate::observed::{PeeringStatus, RouteTarget};
use crate::tags::Tags;
use crate::*;

const MADE: &str = "pcx-new1";

/// The violations that the linter reports for a plan of these actions.
fn said(world: &World, actions: impl IntoIterator<Item = Action>) -> Vec<String> {
    let plan = Plan { work: actions.into_iter().collect(), labels: Vec::new() };
    lint(&plan, &world.desired, &world.observed)
}

fn assert_refused(world: &World, action: Action, why: &str) {
    let text = format!("{action}: {why}");
    assert_eq!(said(world, [action]), [text]);
}

fn assert_sound(world: &World, action: Action) {
    assert_eq!(said(world, [action]), Vec::<String>::new());
}

fn create(a: &VpcRef, b: &VpcRef) -> Action {
    Action::CreatePeering { pair: Pair::of(a, b).unwrap(), tags: Tags::new(), dead: Vec::new() }
}

fn accept(id: &str, vpc: &VpcRef) -> Action {
    Action::AcceptPeering { peering: id.parse().unwrap(), scope: vpc.scope.clone() }
}

fn add(table: &str, vpc: &VpcRef, cidr: &str, id: &str) -> Action {
    let (table, destination, peering) = (table.parse().unwrap(), cidr::parse(cidr).unwrap(), id.parse().unwrap());
    Action::AddRoute { scope: vpc.scope.clone(), table, destination, peering }
}

fn remove(table: &str, vpc: &VpcRef, cidr: &str, id: &str) -> Action {
    let (table, destination, peering) = (table.parse().unwrap(), cidr::parse(cidr).unwrap(), id.parse().unwrap());
    Action::RemoveRoute { scope: vpc.scope.clone(), table, destination, peering }
}

fn replace(table: &str, vpc: &VpcRef, cidr: &str, from: &str, id: &str) -> Action {
    let (table, destination, from) = (table.parse().unwrap(), cidr::parse(cidr).unwrap(), from.parse().unwrap());
    let peering = id.parse().unwrap();
    Action::ReplaceRoute { scope: vpc.scope.clone(), table, destination, from, peering }
}

fn delete(id: &str, a: &VpcRef, b: &VpcRef) -> Action {
    Action::DeletePeering { peering: id.parse().unwrap(), scope: a.scope.clone(), pair: Pair::of(a, b).unwrap() }
}

#[test]
fn no_action_is_allowed_in_an_unreadable_scope() {
    let (mut world, a, _) = joined();
    world.observed.scopes.insert(a.scope.clone(), Err("denied".to_owned()));
    assert_refused(&world, Action::SetStatus { vpc: a, line: None }, "its scope was not read");
}

#[test]
fn a_request_needs_two_observed_members_without_a_live_peering() {
    let (mut world, a, b) = joined();
    assert_refused(&world, create(&a, &b), "the pair has a live peering");
    let unknown = world.vpc("c", scope(3, 0), "10.3.0.0/16", "staging");
    assert_refused(&world, create(&a, &unknown), "no mesh connects the pair");
    let member = world.vpc("d", scope(3, 0), "10.4.0.0/16", "prod");
    assert_sound(&world, create(&a, &member));
    assert_eq!(said(&world, [create(&a, &member), create(&a, &member)]).len(), 1, "the second request is a violation");
    world.close(&scope(3, 0));
    assert_refused(&world, create(&a, &member), "one of the VPCs was not read");
}

#[test]
fn an_acceptance_needs_an_owned_request_between_two_readable_members() {
    let mut world = World::new();
    let a = world.vpc("a", scope(1, 0), "10.1.0.0/16", "prod");
    let b = world.vpc("b", scope(2, 1), "10.2.0.0/16", "prod");
    assert_refused(&world, accept("pcx-none", &b), "the peering was not read");
    world.peering("pcx-hand", &a, &b, PeeringStatus::PendingAcceptance, &Tags::new());
    assert_refused(&world, accept("pcx-hand", &b), "the peering is foreign");
    let tags = world.managed([&a, &b], "prod");
    world.peering("pcx-ours", &a, &b, PeeringStatus::PendingAcceptance, &tags);
    assert_sound(&world, accept("pcx-ours", &b));
    world.set_meshes(&a, "staging");
    assert_refused(&world, accept("pcx-ours", &b), "no mesh connects the pair");
    world.set_meshes(&a, "prod");
    world.close(&a.scope);
    assert_refused(&world, accept("pcx-ours", &b), "a side could not be read");
}

#[test]
fn only_owned_peerings_are_tagged() {
    let (mut world, a, b) = joined();
    world.peering("pcx-hand", &a, &b, PeeringStatus::Active, &Tags::new());
    let tag = |id: &str| Action::TagPeering { peering: id.parse().unwrap(), scope: a.scope.clone(), tags: Tags::new() };
    assert_refused(&world, tag("pcx-hand"), "the peering is foreign");
    assert_sound(&world, tag(MADE));
}

#[test]
fn a_route_needs_a_table_of_either_vpc_an_active_peering_and_an_unrouted_cidr() {
    let (mut world, a, b) = joined();
    let c = world.vpc("c", scope(3, 0), "10.3.0.0/16", "prod");
    world.observed.tables.get_mut(&"rtb-a".parse().unwrap()).unwrap().routes.clear();
    assert_sound(&world, add("rtb-a", &a, "10.2.0.0/16", MADE));
    let twice = [add("rtb-a", &a, "10.2.0.0/16", MADE), remove("rtb-a", &a, "10.2.0.0/16", MADE)];
    assert!(said(&world, twice).iter().any(|line| line.ends_with("changed twice")));
    assert_refused(&world, add("rtb-b", &b, "10.1.0.0/16", MADE), "the CIDR block has a route already");
    assert_refused(&world, add("rtb-none", &a, "10.2.0.0/16", MADE), "the table was not read");
    assert_refused(&world, add("rtb-c", &c, "10.2.0.0/16", MADE), "the table is of neither VPC");
    assert_refused(&world, add("rtb-a", &a, "10.1.1.0/24", MADE), "the CIDR block overlaps one of the VPC's own");
    world.observed.tables.get_mut(&"rtb-a".parse().unwrap()).unwrap().is_edge_associated = true;
    assert_refused(
        &world,
        add("rtb-a", &a, "10.2.0.0/16", MADE),
        "an edge-associated table cannot have peering routes",
    );
    world.observed.peerings.get_mut(&MADE.parse().unwrap()).unwrap().status = PeeringStatus::Provisioning;
    assert_refused(&world, add("rtb-a", &a, "10.2.0.0/16", MADE), "the peering is not active");
}

#[test]
fn a_route_is_replaced_or_removed_only_if_it_targets_the_given_owned_peering() {
    let (mut world, a, b) = joined();
    let elsewhere = "the route does not target that peering";
    let tags = world.managed([&a, &b], "prod");
    world.peering("pcx-old", &a, &b, PeeringStatus::Deleted, &tags);
    world.peering("pcx-hand", &a, &b, PeeringStatus::Active, &Tags::new());
    assert_refused(&world, remove("rtb-a", &a, "10.2.0.0/16", "pcx-old"), elsewhere);
    assert_refused(&world, replace("rtb-a", &a, "10.2.0.0/16", "pcx-old", MADE), elsewhere);
    assert_sound(&world, remove("rtb-a", &a, "10.2.0.0/16", MADE));
    world.observed.vpcs.get_mut(&b).unwrap().cidrs.insert(cidr::parse("10.7.0.0/16").unwrap());
    world.route("rtb-a", "10.7.0.0/16", RouteTarget::Peering("pcx-old".parse().unwrap()));
    assert_sound(&world, replace("rtb-a", &a, "10.7.0.0/16", "pcx-old", MADE));
    world.route("rtb-a", "10.8.0.0/16", RouteTarget::Peering("pcx-hand".parse().unwrap()));
    assert_refused(&world, remove("rtb-a", &a, "10.8.0.0/16", "pcx-hand"), "the peering is foreign");
    world.route("rtb-a", "10.9.0.0/16", RouteTarget::Other("tgw-1".to_owned()));
    assert_refused(&world, remove("rtb-a", &a, "10.9.0.0/16", MADE), elsewhere);
    world.observed.vpcs.get_mut(&b).unwrap().cidrs = CidrSet::default();
    assert_refused(&world, replace("rtb-a", &a, "10.7.0.0/16", "pcx-old", MADE), "neither VPC has the CIDR block");
}

#[test]
fn a_peering_is_deleted_only_without_routes_and_with_proof_that_it_is_unwanted() {
    let (mut world, a, b) = joined();
    assert_refused(&world, delete(MADE, &a, &b), "routes still target it");
    for table in world.observed.tables.values_mut() {
        table.routes.clear();
    }
    assert_refused(&world, delete(MADE, &a, &b), "a mesh still protects the pair");
    world.set_meshes(&b, "");
    assert_sound(&world, delete(MADE, &a, &b));
    world.peering("pcx-hand", &a, &b, PeeringStatus::Active, &Tags::new());
    assert_refused(&world, delete("pcx-hand", &a, &b), "the peering is foreign");
    world.set_meshes(&b, "prod");
    assert_sound(&world, delete(MADE, &a, &b));
    world.close(&b.scope);
    assert_refused(&world, delete(MADE, &a, &b), "a side could not be read");
}

#[test]
fn a_peering_of_members_that_now_overlap_may_be_deleted() {
    let (mut world, a, b) = joined();
    for table in world.observed.tables.values_mut() {
        table.routes.clear();
    }
    world.observed.vpcs.get_mut(&b).unwrap().cidrs = [cidr::parse("10.1.0.0/17").unwrap()].into_iter().collect();
    assert_sound(&world, delete(MADE, &a, &b));
}

#[test]
fn only_an_observed_vpc_gets_a_status() {
    let (world, a, _) = joined();
    let missing = VpcRef::new(a.scope.clone(), "vpc-missing".parse().unwrap());
    assert_sound(&world, Action::SetStatus { vpc: a, line: None });
    assert_refused(&world, Action::SetStatus { vpc: missing, line: None }, "the VPC was not read");
}

#[test]
fn a_route_that_overrides_a_propagated_one_or_that_no_mesh_of_the_pair_admits_is_refused() {
    let (mut world, a, b) = joined();
    world.observed.tables.get_mut(&"rtb-a".parse().unwrap()).unwrap().routes.clear();
    world.propagate("rtb-a", "10.2.0.0/16", "vgw-1");
    let to_b = add("rtb-a", &a, "10.2.0.0/16", MADE);
    assert_refused(&world, to_b, "a gateway propagates a route to the CIDR block");
    world.observed.vpcs.get_mut(&b).unwrap().cidrs.insert(cidr::parse("8.8.0.0/16").unwrap());
    world.set_meshes(&b, "prod staging");
    world.declare("staging", r#"{"admit":{"cidrs":["8.8.0.0/16"]}}"#);
    let public = add("rtb-a", &a, "8.8.0.0/16", MADE);
    assert_refused(&world, public.clone(), "no mesh that connects the pair admits these addresses");
    world.set_meshes(&a, "prod staging");
    assert_sound(&world, public);
}
