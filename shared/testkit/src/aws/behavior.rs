//! The behavior of the simulated AWS: delays, quotas, and choices where AWS's documentation is ambiguous.

use std::ops::RangeInclusive;

use peerd_core::Quotas;

/// A second, in milliseconds.
pub const SECOND: u64 = 1_000;
/// A minute, in milliseconds.
pub const MINUTE: u64 = 60 * SECOND;
/// An hour, in milliseconds.
pub const HOUR: u64 = 60 * MINUTE;
/// A day, in milliseconds.
pub const DAY: u64 = 24 * HOUR;

/// The behavior of a simulated AWS. Times are in milliseconds; the default has no delays and AWS's default quotas.
#[derive(Debug, Clone)]
pub struct AwsBehavior {
    /// From the create call until the request is pending, or has failed.
    pub initiating: RangeInclusive<u64>,
    /// From pending until the accepter can see the request.
    pub crossing: RangeInclusive<u64>,
    /// From the accept call until the peering is active.
    pub provisioning: RangeInclusive<u64>,
    /// From active until the options of the peering can be set: until then, AWS can report that it is not active
    /// (<https://github.com/hashicorp/terraform-provider-aws/issues/28705>).
    pub opening: RangeInclusive<u64>,
    /// The time for which a peering between Regions is `deleting`.
    pub deleting: RangeInclusive<u64>,
    /// The time for which a CIDR block is `associating`.
    pub associating: RangeInclusive<u64>,
    /// The maximum staleness of describe calls; older values are dropped.
    pub memory: u64,
    /// The quotas of every account in every Region. Active and requested peerings of a VPC count together.
    pub quotas: Quotas,
    /// Whether the role may read the quotas.
    pub tells_quotas: bool,
    /// Size and refill per second of the token bucket of each write API, per account and Region; none disables
    /// throttling.
    pub write_bucket: Option<(u32, u32)>,
    /// Whether DeleteVpc deletes active peerings, or is refused because of them. AWS's documentation and user reports
    /// differ.
    pub delete_takes_peerings: bool,
    /// Whether a repeated create call, which returns the existing request, sets its tags on that request. Not
    /// documented.
    pub repeated_create_tags: bool,
    /// Whether CreateRoute succeeds for a route that already exists with the same target. Not documented.
    pub same_route_twice: bool,
}

impl Default for AwsBehavior {
    fn default() -> Self {
        Self {
            initiating: 0..=0,
            crossing: 0..=0,
            provisioning: 0..=0,
            opening: 0..=0,
            deleting: 0..=0,
            associating: 0..=0,
            memory: 60 * SECOND,
            quotas: Quotas::default(),
            tells_quotas: true,
            write_bucket: None,
            delete_takes_peerings: false,
            repeated_create_tags: false,
            same_route_twice: false,
        }
    }
}
