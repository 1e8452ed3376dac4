//! Converts the SDK's errors into the engine's.

use std::error::Error;

use aws_sdk_ec2::config::http::HttpResponse;
use aws_sdk_ec2::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sts::operation::assume_role::AssumeRoleError;
use peerd_core::AccountId;
use peerd_engine::error::chain;
use peerd_engine::{CloudError, ErrorKind, InfraError};

/// STS returned credentials of another account than the one whose role was to be assumed.
#[derive(Debug, thiserror::Error)]
#[error("the role of account {expected} was assumed in account {}", .found.as_deref().unwrap_or("unknown"))]
pub(crate) struct WrongAccount {
    /// The account whose role was to be assumed.
    pub expected: AccountId,
    /// The account that the answer names.
    pub found: Option<String>,
}

/// Converts an SDK error of the cloud: its kind, the call, and AWS's error or the reason why AWS did not respond.
pub fn cloud<E>(call: impl std::fmt::Display, error: SdkError<E, HttpResponse>) -> CloudError
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    let kind = kind(&error);
    let code = error.as_service_error().and_then(ProvideErrorMetadata::code).unwrap_or_default().to_owned();
    let InfraError { context, source } = port(call, error);
    CloudError { kind, code, context, source }
}

/// Converts an SDK error of the store, the queue or another service of the hub.
pub fn port<E>(call: impl std::fmt::Display, error: SdkError<E, HttpResponse>) -> InfraError
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    match (error.as_service_error(), refused_role(&error)) {
        (Some(answer), _) => InfraError::new(format!("{call} ({})", said(answer))),
        (None, Some(refusal)) => InfraError::new(format!("{call}: its role cannot be assumed ({})", said(refusal))),
        (None, None) => InfraError { context: call.to_string(), source: Some(Box::new(error)) },
    }
}

/// Formats AWS's error code and message; the chain of causes if AWS did not respond.
pub fn said(error: &(impl ProvideErrorMetadata + Error)) -> String {
    match error.code() {
        Some(code) => format!("{code}: {}", error.message().unwrap_or("no message")),
        None => chain(error),
    }
}

fn kind<E>(error: &SdkError<E, HttpResponse>) -> ErrorKind
where
    E: ProvideErrorMetadata + Error + 'static,
{
    let Some(said) = error.as_service_error() else {
        let is_denied = refused_role(error).is_some() || causes(error).any(|cause| cause.is::<WrongAccount>());
        return if is_denied { ErrorKind::Denied } else { ErrorKind::Unavailable };
    };
    let status = error.raw_response().map_or(0, |response| response.status().as_u16());
    ErrorKind::of(said.code().unwrap_or_default(), said.message().unwrap_or_default(), status)
}

/// Returns an error and its causes.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&cause| cause.source())
}

/// Returns the error of STS if the call was not sent because the account's role cannot be assumed.
fn refused_role<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a AssumeRoleError> {
    let refusal = causes(error).find_map(|cause| cause.downcast_ref::<AssumeRoleError>())?;
    let kind = ErrorKind::of(refusal.code().unwrap_or_default(), "", 0);
    (kind == ErrorKind::Denied).then_some(refusal)
}
