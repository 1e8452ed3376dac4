//! The quota values of accounts, from Service Quotas.

use std::time::Duration;

use aws_sdk_servicequotas::types::ServiceQuota;
use peerd_core::{Quota, Quotas, Scope};
use peerd_engine::{CloudError, ErrorKind};

use crate::errors;
use crate::sessions::Sessions;

/// The service code of Amazon VPC.
const SERVICE: &str = "vpc";
/// The timeout of the read: a run can continue without quotas.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Reads the quotas of a scope. Quotas that Service Quotas does not list have their default values
/// (<https://docs.aws.amazon.com/servicequotas/2019-06-24/apireference/API_ListServiceQuotas.html>).
///
/// # Errors
/// AWS's error, or a timeout.
pub async fn read(sessions: &Sessions, scope: &Scope) -> Result<Quotas, CloudError> {
    let call = format!("ListServiceQuotas of {SERVICE} in {scope}");
    let client = aws_sdk_servicequotas::Client::new(&sessions.of(scope).await);
    let all = client.list_service_quotas().service_code(SERVICE).into_paginator().items().send().try_collect();
    match tokio::time::timeout(TIMEOUT, all).await {
        Ok(Ok(listed)) => Ok(listed.iter().filter_map(quota_value).collect()),
        Ok(Err(error)) => Err(errors::cloud(call, error)),
        Err(late) => {
            let error = CloudError::new(ErrorKind::Unavailable, call);
            Err(CloudError { source: Some(Box::new(late)), ..error })
        }
    }
}

/// Converts a quota that peerd uses, and its value, which AWS returns as a floating-point number.
fn quota_value(listed: &ServiceQuota) -> Option<(Quota, usize)> {
    let quota = Quota::ALL.into_iter().find(|quota| listed.quota_code() == Some(quota.code()))?;
    let value = listed.value().filter(|value| *value >= 0.0)?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a count, not negative; `as` saturates"
    )]
    Some((quota, value as usize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotas_are_identified_by_code_and_invalid_values_are_ignored() {
        let listed = |code: &str, value| ServiceQuota::builder().quota_code(code).value(value).build();
        assert_eq!(quota_value(&listed("L-7E9ECCDB", 125.0)), Some((Quota::Peerings, 125)));
        assert_eq!(quota_value(&listed("L-93826ACB", -1.0)), None);
        assert_eq!(quota_value(&listed("L-93826ACB", f64::NAN)), None);
        assert_eq!(quota_value(&listed("L-F678F1CE", 5.0)), None, "VPCs per Region");
    }
}
