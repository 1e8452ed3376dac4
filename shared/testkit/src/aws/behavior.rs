//! What AWS takes its time for, how much of what it grants, and which reading of its documentation holds.

use std::ops::RangeInclusive;

use peerd_core::Quotas;

/// Seconds, minutes, hours and days in milliseconds.
pub const SECOND: u64 = 1_000;
/// A minute.
pub const MINUTE: u64 = 60 * SECOND;
/// An hour.
pub const HOUR: u64 = 60 * MINUTE;
/// A day.
pub const DAY: u64 = 24 * HOUR;

/// The nature of an AWS. Times are in milliseconds; the default takes no time and grants AWS's default quotas.
#[derive(Debug, Clone)]
pub struct AwsBehavior {
    /// From the create call until the request is pending, or has failed.
    pub initiating: RangeInclusive<u64>,
    /// From pending until the accepter sees it.
    pub crossing: RangeInclusive<u64>,
    /// From the accept call until the peering is active.
    pub provisioning: RangeInclusive<u64>,
    /// From active until the options of the peering can be set: right after, AWS may still say that it is not active
    /// (<https://github.com/hashicorp/terraform-provider-aws/issues/28705>).
    pub opening: RangeInclusive<u64>,
    /// How long a peering between Regions is `deleting`.
    pub deleting: RangeInclusive<u64>,
    /// How long a block is `associating` or `disassociating`.
    pub associating: RangeInclusive<u64>,
    /// The greatest time by which describes are behind: what is older is forgotten.
    pub memory: u64,
    /// What every account is granted in every Region. Of a VPC's peerings, active and requested ones count together.
    pub quotas: Quotas,
    /// Whether the role may read the quotas.
    pub tells_quotas: bool,
    /// Size and refill per second of the token bucket of each writing API, per account and Region; none for no throttle.
    pub write_bucket: Option<(u32, u32)>,
    /// Whether DeleteVpc takes active peerings along, or is refused because of them. AWS's documentation says the one,
    /// users report the other.
    pub delete_takes_peerings: bool,
    /// Whether a repeated create call, which answers with the request that stands, sets its tags on it. Not documented.
    pub repeated_create_tags: bool,
    /// Whether CreateRoute for a route that is there already, to the same target, succeeds. Not documented.
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
