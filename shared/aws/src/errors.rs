//! From the SDK's errors to the engine's.

use std::error::Error;

use aws_sdk_ec2::config::http::HttpResponse;
use aws_sdk_ec2::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sts::operation::assume_role::AssumeRoleError;
use peerd_engine::{CloudError, ErrorKind, PortError};

/// An SDK error with its kind, the call, and its causes.
pub fn cloud<E>(call: impl std::fmt::Display, error: SdkError<E, HttpResponse>) -> CloudError
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    let kind = kind(&error);
    let code = error.as_service_error().and_then(ProvideErrorMetadata::code).unwrap_or_default().to_owned();
    let context = context(call, &error);
    CloudError { kind, code, context, source: Some(Box::new(error)) }
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
    ErrorKind::of(said.code().unwrap_or_default(), said.message().unwrap_or_default(), status)
}

/// Whether the call never left because the account's role cannot be assumed.
fn role_is_denied(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(current) = cause {
        if let Some(assume) = current.downcast_ref::<AssumeRoleError>() {
            return ErrorKind::of(assume.code().unwrap_or_default(), "", 0) == ErrorKind::Denied;
        }
        cause = current.source();
    }
    false
}
