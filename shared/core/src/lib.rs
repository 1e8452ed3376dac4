//! The domain of peerd, and nothing else: the desired state of a mesh, the observed state of AWS, and the plan that
//! follows.
//!
//! [`plan`] compares [`DesiredState`] with [`ObservedState`] and returns a [`Plan`] (what to do) and a [`Report`] (why,
//! and why not more). It is total, deterministic and pure. This crate does no I/O and uses no clock, no randomness, no
//! async and no AWS SDK; `engine` observes and applies, `aws` calls AWS.

pub mod action;
pub mod admission;
pub mod admitted_ranges;
pub mod api_rate_limits;
pub mod aws_error;
pub mod check;
pub mod cidr;
pub mod contention;
pub mod delete_limits;
pub mod desired;
pub mod dry_run;
pub mod effect;
pub mod finding;
mod finding_remedy;
pub mod finding_text;
pub mod hubs;
pub mod ids;
pub mod ingress;
pub mod invariants;
pub mod lint;
pub mod map;
pub mod network_acl;
pub mod network_filters;
pub mod observed;
pub mod operator;
pub mod organization;
pub mod path_check;
mod path_check_text;
pub mod path_query;
pub mod permission;
pub mod planned_map;
pub mod planner;
pub mod plural;
pub mod policy;
pub mod printable;
pub mod quotas;
pub mod report;
pub mod route_table;
pub mod run_history;
pub mod seal;
pub mod status;
mod strict;
pub mod tags;
pub mod time;
pub mod widening;

pub use action::{Action, Plan, RuleTagChange};
pub use check::{Check, CheckResult, Examination, Examined, VERSION};
pub use cidr::CidrSet;
pub use contention::{Contention, ManagedResource};
pub use desired::{Accounts, DeleteApproval, DesiredState, Member};
pub use dry_run::{PlannedRun, Step, forecast};
pub use effect::Effect;
pub use finding::{Disagreement, Expected, Finding, FindingKind, Limit, MissingRole, Severity};
pub use finding_text::Rendered;
pub use ids::{
    AccountId, Deployment, MeshName, OrganizationalUnitId, Pair, PeeringId, PrefixListId, Region, RouteTableId, Scope,
    SecurityGroupId, SecurityGroupRuleId, VpcId, VpcRef,
};
pub use ingress::{Ingress, IngressRule, SecurityGroup};
pub use invariants::Invariant;
pub use map::Map;
pub use network_acl::{NetworkAcl, NetworkAclRule};
pub use network_filters::{GroupRule, GroupRulePeer, GroupRules, InterfaceAddress, NetworkFilters, Subnet};
pub use observed::{
    DnsSupport, ObservedState, Peering, PeeringStatus, PeeringView, PlannerInputs, PrefixListRoute, Route, RouteTable,
    RouteTarget, RunEffects, Vpc,
};
pub use operator::Operator;
pub use organization::{Organization, Placement};
pub use path_check::PathCheck;
pub use path_query::{Host, NetworkInterface, PathEnd, PathQuery};
pub use permission::{Permission, Traffic};
pub use planner::{ObservedIndex, explain, plan, plan_on};
pub use policy::{DeleteLimits, Denial, Policy, PolicyError};
pub use quotas::{Quota, Quotas};
pub use report::{InputRequest, Report, Wait};
pub use run_history::{Cause, RunChanges, RunHistory};
pub use seal::{SealKeyError, SealKeys, Seals};
pub use tags::Tags;
pub use time::{Timestamp, rfc3339};
