//! Errors of the engine's ports, and whether a retry may succeed.
//!
//! Codes: <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html>.

use std::error::Error;
use std::fmt;

/// The kind of error of a failed call to the cloud. It determines whether a retry may succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// Credentials or permissions do not allow it.
    Denied,
    /// Too many calls; later ones succeed.
    Throttled,
    /// A resource is not visible or not ready yet: eventual consistency after a create or an accept.
    NotReady,
    /// A foreign resource is in the way.
    Conflict,
    /// A quota is exhausted.
    Limit,
    /// No response, or an error of the service itself.
    Unavailable,
    /// AWS rejected the call itself.
    Invalid,
}

impl ErrorKind {
    /// Classifies EC2's error code, with the message or the HTTP status if the code alone is ambiguous. Several codes
    /// have different meanings for different calls; [`crate::ensure`] checks those first.
    pub fn of(code: &str, message: &str, status: u16) -> Self {
        match code {
            "UnauthorizedOperation"
            | "AuthFailure"
            | "AccessDenied"
            | "AccessDeniedException"
            | "OptInRequired"
            | "InvalidClientTokenId"
            | "UnrecognizedClientException"
            | "Blocked"
            | "PendingVerification" => Self::Denied,
            "RequestLimitExceeded"
            | "Throttling"
            | "ThrottlingException"
            | "EC2ThrottledException"
            | "TooManyRequestsException" => Self::Throttled,
            "ConcurrentTagAccess" | "IncorrectState" | "InvalidStateTransition" => Self::NotReady,
            "InvalidVpcPeeringConnectionState.DnsHostnamesDisabled" => Self::NotReady, // peerd read them as enabled
            "OperationNotPermitted" if message.contains("is not active") => Self::NotReady,
            "RouteAlreadyExists" | "VpcPeeringConnectionAlreadyExists" => Self::Conflict,
            "InternalError"
            | "InternalFailure"
            | "ServiceUnavailable"
            | "Unavailable"
            | "RequestExpired"
            | "ExpiredToken"
            | "ExpiredTokenException"
            | "RequestTimeout" => Self::Unavailable,
            _ if code.ends_with("LimitExceeded") => Self::Limit,
            _ if code.ends_with(".NotFound") => Self::NotReady, // not visible yet, or deleted: the next read decides
            _ if status >= 500 => Self::Unavailable,
            _ => Self::Invalid,
        }
    }

    /// Whether the error is transient: the same call may succeed in seconds or minutes without any action.
    pub fn is_transient(self) -> bool {
        matches!(self, Self::Throttled | Self::NotReady | Self::Unavailable)
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Denied => "denied",
            Self::Throttled => "throttled",
            Self::NotReady => "not ready",
            Self::Conflict => "conflict",
            Self::Limit => "limit",
            Self::Unavailable => "unavailable",
            Self::Invalid => "invalid",
        })
    }
}

/// A failed call to the cloud.
#[derive(Debug, thiserror::Error)]
#[error("{context}: {kind}")]
pub struct CloudError {
    /// The kind of error.
    pub kind: ErrorKind,
    /// AWS's error code; empty if AWS did not respond.
    pub code: String,
    /// The call, its resource and AWS's error code.
    pub context: String,
    /// Why AWS did not respond; a response is in the context.
    #[source]
    pub source: Option<Box<dyn Error + Send + Sync>>,
}

impl CloudError {
    /// Creates an error that is not from AWS.
    pub fn new(kind: ErrorKind, context: impl Into<String>) -> Self {
        Self { kind, code: String::new(), context: context.into(), source: None }
    }
}

/// A failed call to the store or the queue. It is transient: the queue delivers the message that led to it again.
#[derive(Debug, thiserror::Error)]
#[error("{context}")]
pub struct InfraError {
    /// The call and its resource.
    pub context: String,
    /// Why AWS did not respond; a response is in the context.
    #[source]
    pub source: Option<Box<dyn Error + Send + Sync>>,
}

impl InfraError {
    /// Creates an error without a cause.
    pub fn new(context: impl Into<String>) -> Self {
        Self { context: context.into(), source: None }
    }
}

/// Formats an error with all its causes in one line, for logs and reports.
pub fn chain(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        line.push_str(": ");
        line.push_str(&cause.to_string());
        source = cause.source();
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quota_error_codes_are_limits_and_not_throttling() {
        for code in [
            "ActiveVpcPeeringConnectionPerVpcLimitExceeded",
            "OutstandingVpcPeeringConnectionLimitExceeded",
            "PendingVpcPeeringConnectionLimitExceeded",
            "VpcPeeringConnectionsPerVpcLimitExceeded",
            "RouteLimitExceeded",
            "ResourceCountLimitExceeded",
        ] {
            assert_eq!(ErrorKind::of(code, "", 400), ErrorKind::Limit, "{code}");
        }
        assert_eq!(ErrorKind::of("RequestLimitExceeded", "", 503), ErrorKind::Throttled);
    }

    #[test]
    fn each_code_is_of_one_kind() {
        for (code, kind) in [
            ("UnauthorizedOperation", ErrorKind::Denied),
            ("AccessDenied", ErrorKind::Denied),
            ("OptInRequired", ErrorKind::Denied),
            ("ConcurrentTagAccess", ErrorKind::NotReady),
            ("InvalidStateTransition", ErrorKind::NotReady),
            ("InvalidVpcPeeringConnectionID.NotFound", ErrorKind::NotReady),
            ("InvalidVpcPeeringConnectionState.DnsHostnamesDisabled", ErrorKind::NotReady),
            ("RouteAlreadyExists", ErrorKind::Conflict),
            ("ServiceUnavailable", ErrorKind::Unavailable),
            ("ExpiredToken", ErrorKind::Unavailable),
            ("InvalidParameterValue", ErrorKind::Invalid),
        ] {
            assert_eq!(ErrorKind::of(code, "", 400), kind, "{code}");
        }
    }

    #[test]
    fn operation_not_permitted_means_not_ready_only_for_an_inactive_peering() {
        let not_active = "Peering pcx-1 is not active. Peering options can be added only to active peerings.";
        assert_eq!(ErrorKind::of("OperationNotPermitted", not_active, 400), ErrorKind::NotReady);
        assert_eq!(
            ErrorKind::of("OperationNotPermitted", "User 1 cannot accept peering pcx-1", 400),
            ErrorKind::Invalid
        );
    }

    #[test]
    fn an_unknown_code_is_transient_only_with_a_server_error() {
        assert_eq!(ErrorKind::of("Whatever", "", 500), ErrorKind::Unavailable);
        assert_eq!(ErrorKind::of("Whatever", "", 400), ErrorKind::Invalid);
    }

    #[test]
    fn an_error_chain_lists_all_causes() {
        let deepest = InfraError::new("connection reset");
        let middle =
            CloudError { source: Some(Box::new(deepest)), ..CloudError::new(ErrorKind::Unavailable, "CreateRoute") };
        let error = InfraError { context: "index not read".to_owned(), source: Some(Box::new(middle)) };
        assert_eq!(chain(&error), "index not read: CreateRoute: unavailable: connection reset");
    }
}
