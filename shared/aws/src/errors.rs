//! What kind of answer an SDK error is.
//!
//! Codes: <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html>. Several mean different things by
//! call and message; the calls that know better look first.

use std::error::Error;

use aws_sdk_ec2::config::http::HttpResponse;
use aws_sdk_ec2::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sts::operation::assume_role::AssumeRoleError;
use peerd_engine::{CloudError, ErrorKind, PortError};

/// The error code of an answer, or nothing where there was no answer.
pub fn code<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> &str {
    error.as_service_error().and_then(ProvideErrorMetadata::code).unwrap_or_default()
}

/// An SDK error with its kind, the call, and its causes.
pub fn cloud<E>(call: impl std::fmt::Display, error: SdkError<E, HttpResponse>) -> CloudError
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    let kind = kind(&error);
    let context = context(call, &error);
    CloudError { kind, context, source: Some(Box::new(error)) }
}

/// An SDK error of the store or the queue.
pub fn port<E>(call: impl std::fmt::Display, error: SdkError<E, HttpResponse>) -> PortError
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    PortError { context: context(call, &error), source: Some(Box::new(error)) }
}

/// The call, AWS's code and its sentence: the SDK's own text leaves the latter two out.
fn context<E: ProvideErrorMetadata>(call: impl std::fmt::Display, error: &SdkError<E, HttpResponse>) -> String {
    match error.as_service_error() {
        Some(said) => {
            let (code, message) = (said.code().unwrap_or("no code"), said.message().unwrap_or("no message"));
            format!("{call} ({code}: {message})")
        }
        None => call.to_string(),
    }
}

fn kind<E>(error: &SdkError<E, HttpResponse>) -> ErrorKind
where
    E: ProvideErrorMetadata + Error + 'static,
{
    let Some(said) = error.as_service_error() else {
        return if role_is_denied(error) { ErrorKind::Denied } else { ErrorKind::Unavailable };
    };
    let status = error.raw_response().map_or(0, |response| response.status().as_u16());
    of_code(said.code().unwrap_or_default(), said.message().unwrap_or_default(), status)
}

/// Whether the call never left because the account's role cannot be assumed.
fn role_is_denied(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(current) = cause {
        if let Some(assume) = current.downcast_ref::<AssumeRoleError>() {
            return of_code(assume.code().unwrap_or_default(), "", 0) == ErrorKind::Denied;
        }
        cause = current.source();
    }
    false
}

fn of_code(code: &str, message: &str, status: u16) -> ErrorKind {
    match code {
        "UnauthorizedOperation"
        | "AuthFailure"
        | "AccessDenied"
        | "AccessDeniedException"
        | "OptInRequired"
        | "InvalidClientTokenId"
        | "UnrecognizedClientException"
        | "Blocked"
        | "PendingVerification" => ErrorKind::Denied,
        "RequestLimitExceeded" | "Throttling" | "ThrottlingException" | "EC2ThrottledException" => ErrorKind::Throttled,
        "ConcurrentTagAccess" | "IncorrectState" | "InvalidStateTransition" => ErrorKind::NotReady,
        "OperationNotPermitted" if message.contains("is not active") => ErrorKind::NotReady,
        "RouteAlreadyExists" | "VpcPeeringConnectionAlreadyExists" => ErrorKind::Conflict,
        "InternalError"
        | "InternalFailure"
        | "ServiceUnavailable"
        | "Unavailable"
        | "RequestExpired"
        | "ExpiredToken"
        | "ExpiredTokenException"
        | "RequestTimeout" => ErrorKind::Unavailable,
        _ if code.ends_with("LimitExceeded") => ErrorKind::Limit,
        _ if code.ends_with(".NotFound") => ErrorKind::NotReady, // not visible yet, or gone: the next read tells
        _ if status >= 500 => ErrorKind::Unavailable,
        _ => ErrorKind::Invalid,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_four_spellings_of_the_peering_limit_are_one_kind_and_no_throttle() {
        for code in [
            "ActiveVpcPeeringConnectionPerVpcLimitExceeded",
            "OutstandingVpcPeeringConnectionLimitExceeded",
            "PendingVpcPeeringConnectionLimitExceeded",
            "VpcPeeringConnectionsPerVpcLimitExceeded",
            "RouteLimitExceeded",
            "ResourceCountLimitExceeded",
        ] {
            assert_eq!(of_code(code, "", 400), ErrorKind::Limit, "{code}");
        }
        assert_eq!(of_code("RequestLimitExceeded", "", 503), ErrorKind::Throttled);
    }

    #[test]
    fn not_permitted_means_wait_only_when_the_peering_is_not_active() {
        let not_active = "Peering pcx-1 is not active. Peering options can be added only to active peerings.";
        assert_eq!(of_code("OperationNotPermitted", not_active, 400), ErrorKind::NotReady);
        assert_eq!(of_code("OperationNotPermitted", "User 1 cannot accept peering pcx-1", 400), ErrorKind::Invalid);
    }

    #[test]
    fn an_unknown_code_passes_only_with_a_server_fault() {
        assert_eq!(of_code("Whatever", "", 500), ErrorKind::Unavailable);
        assert_eq!(of_code("Whatever", "", 400), ErrorKind::Invalid);
    }
}
