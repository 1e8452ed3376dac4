//! The domain of peerd, and nothing else: what a mesh is, what was seen in AWS, and what follows from the two.
//!
//! [`plan`] compares [`Desired`] with [`Observed`] and answers with a [`Plan`] (what to do) and a [`Report`] (why, and
//! why not more). It is total, deterministic and pure. This crate does no I/O and knows no clock, no randomness, no
//! async and no AWS SDK; `engine` observes and applies, `aws` speaks to AWS.

pub mod acl;
pub mod action;
pub mod cidr;
pub mod contest;
pub mod desired;
pub mod finding;
pub mod finding_text;
pub mod forecast;
pub mod ids;
pub mod ingress;
pub mod lint;
pub mod map;
pub mod observed;
pub mod organization;
pub mod planner;
pub mod policy;
pub mod quotas;
pub mod rates;
pub mod report;
pub mod rules;
pub mod status;
pub mod tags;

pub use acl::{Acl, AclRule};
pub use action::{Action, Effect, Plan};
pub use cidr::CidrSet;
pub use contest::{Cause, Contest, Deeds, Past, Thing};
pub use desired::{Desired, Leave, Member};
pub use finding::{Disagreement, Expected, Finding, FindingKind, Limit, Severity};
pub use finding_text::Rendered;
pub use forecast::{Forecast, Step, forecast};
pub use ids::{
    AccountId, Deployment, MeshName, Pair, PeeringId, PrefixListId, Region, RouteTableId, RuleId, Scope,
    SecurityGroupId, UnitId, VpcId, VpcRef,
};
pub use ingress::{Ingress, IngressRule, Permission, SecurityGroup, Traffic};
pub use map::Map;
pub use observed::{
    DnsSupport, ListRoute, Observed, Peering, PeeringStatus, PeeringView, Route, RouteTable, RouteTarget, Vpc,
};
pub use organization::{Organization, Placement};
pub use planner::{Check, Doors, Holds, explain, plan};
pub use policy::{DeleteLimits, Denial, Policy, PolicyError};
pub use quotas::{Quota, Quotas};
pub use report::{Question, Report, Wait};
pub use rules::Rule;
pub use tags::Tags;
