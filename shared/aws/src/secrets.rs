//! The keys of the seals, from the deployment's secret in Secrets Manager.

use aws_config::SdkConfig;
use peerd_core::{SealKeyError, SealKeys};
use peerd_engine::InfraError;

use crate::errors;

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// Secrets Manager did not return the secret.
    #[error("the seal keys cannot be read; the caller needs secretsmanager:GetSecretValue")]
    Unread(#[source] InfraError),
    /// The secret does not contain keys.
    #[error("the secret {secret} is invalid")]
    Invalid {
        /// The ARN of the secret.
        secret: String,
        /// The reason.
        #[source]
        source: SealKeyError,
    },
}

/// Reads the keys: the secret's text, in which white space separates the keys and the first one seals.
///
/// # Errors
/// When the secret cannot be read, or contains no valid keys.
pub async fn seal_keys(config: &SdkConfig, secret: &str) -> Result<SealKeys, SecretError> {
    let answer = aws_sdk_secretsmanager::Client::new(config).get_secret_value().secret_id(secret).send().await;
    let answer =
        answer.map_err(|error| SecretError::Unread(errors::port(format!("GetSecretValue of {secret}"), error)))?;
    SealKeys::parse(answer.secret_string().unwrap_or_default())
        .map_err(|source| SecretError::Invalid { secret: secret.to_owned(), source })
}
