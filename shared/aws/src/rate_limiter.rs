//! Token buckets for calls of EC2, one per scope and API, with EC2's published limits, so that a large mesh neither
//! causes throttling nor starves the account's other users
//! (<https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html>).

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use peerd_core::Scope;
use peerd_core::api_rate_limits::{self, Rate};

/// An EC2 API, by the size of its token bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Bucket {
    /// A paginated or filtered describe. Each API has its own bucket.
    Read(&'static str),
    /// A write of a route, a peering or a security group rule. Each API has its own bucket.
    Write(&'static str),
    /// CreateTags or DeleteTags. Each API has its own bucket.
    Tag(&'static str),
}

impl Bucket {
    fn quota(self) -> Quota {
        let Rate { burst, per_second } = match self {
            Self::Read(_) => api_rate_limits::READ,
            Self::Write(_) => api_rate_limits::WRITE,
            Self::Tag(_) => api_rate_limits::TAG,
        };
        let positive = |number| NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN);
        Quota::per_second(positive(per_second)).allow_burst(positive(burst))
    }
}

/// The token buckets of the scopes used so far.
#[derive(Default)]
pub struct ApiRateLimiter {
    buckets: Mutex<HashMap<(Scope, Bucket), Arc<DefaultDirectRateLimiter>>>,
}

impl ApiRateLimiter {
    /// Waits until the scope's limit permits one more call of this API.
    pub async fn take(&self, scope: &Scope, bucket: Bucket) {
        let limiter = {
            let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
            let fresh = || Arc::new(RateLimiter::direct(bucket.quota()));
            Arc::clone(buckets.entry((scope.clone(), bucket)).or_insert_with(fresh))
        };
        limiter.until_ready().await;
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[test]
    fn each_scope_and_api_has_its_own_bucket() {
        let limiter = ApiRateLimiter::default();
        let scope = |account: &str| Scope::new(account.parse().unwrap(), "us-east-1".parse().unwrap());
        let at_once = |scope: &Scope, bucket| limiter.take(scope, bucket).now_or_never().is_some();
        let (ours, theirs) = (scope("111111111111"), scope("222222222222"));
        assert!((0..50).all(|_| at_once(&ours, Bucket::Write("CreateRoute"))));
        assert!(!at_once(&ours, Bucket::Write("CreateRoute")));
        assert!(at_once(&ours, Bucket::Write("DeleteRoute")));
        assert!(at_once(&theirs, Bucket::Write("CreateRoute")));
    }
}
