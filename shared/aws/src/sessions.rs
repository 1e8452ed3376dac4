//! One EC2 client per scope, each with the credentials of its account's spoke role.
//!
//! The role is assumed once per account; the SDK's identity cache renews the credentials before they expire.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::sts::AssumeRoleProvider;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, future};
use peerd_core::{AccountId, Scope};
use peerd_engine::{Caller, InfraError, role_name};

use crate::errors::{self, WrongAccount};

/// Attempts of one call, with the SDK's exponential back-off. They cover throttling and faults of a few seconds; a
/// follow-up message covers longer ones.
const ATTEMPTS: u32 = 4;

/// The process's own configuration, and the clients of the scopes used so far.
pub struct Sessions {
    base: SdkConfig,
    spoke_role: String,
    external_id: Option<String>,
    session_name: String,
    accounts: Mutex<HashMap<AccountId, SdkConfig>>,
    clients: Mutex<HashMap<Scope, aws_sdk_ec2::Client>>,
}

impl Sessions {
    /// Loads the configuration of the process: its Region, credentials and endpoints. `spoke_role` is the ARN of the
    /// role, with `{account}` in place of the account id; `session_name` names the process in CloudTrail's records of its calls.
    pub async fn load(spoke_role: String, external_id: Option<String>, session_name: String) -> Self {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(Duration::from_secs(3))
            .operation_attempt_timeout(Duration::from_secs(20))
            .build();
        let base = aws_config::defaults(BehaviorVersion::latest())
            .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS))
            .timeout_config(timeouts)
            .load()
            .await;
        let (accounts, clients) = Default::default();
        Self { base, spoke_role, external_id, session_name, accounts, clients }
    }

    /// Returns the process's own configuration, for the hub's table and queue.
    pub fn base(&self) -> &SdkConfig {
        &self.base
    }

    /// Returns the client of a scope. It sends nothing yet: if the role cannot be assumed, the first call fails.
    pub async fn ec2(&self, scope: &Scope) -> aws_sdk_ec2::Client {
        if let Some(client) = lock(&self.clients).get(scope) {
            return client.clone();
        }
        let config = self.of(scope).await;
        lock(&self.clients).entry(scope.clone()).or_insert_with(|| aws_sdk_ec2::Client::new(&config)).clone()
    }

    /// Returns the scope of the same account in the process's own Region.
    pub fn at_home(&self, scope: &Scope) -> Scope {
        let home = self.base.region().and_then(|region| region.as_ref().parse().ok());
        Scope::new(scope.account.clone(), home.unwrap_or_else(|| scope.region.clone()))
    }

    /// Returns the configuration of a scope: its Region, and the credentials of its account's role.
    pub async fn of(&self, scope: &Scope) -> SdkConfig {
        let config = self.account(&scope.account).await;
        config.into_builder().region(Region::new(scope.region.to_string())).build()
    }

    /// The name of the role, if it lets itself be assumed in an account without the external id that this process gives.
    pub async fn opens_without_external_id(&self, account: &AccountId) -> Option<&str> {
        self.external_id.as_ref()?;
        let arn = self.spoke_role.replace("{account}", account.as_str());
        let request = aws_sdk_sts::Client::new(&self.base).assume_role().role_arn(arn);
        let opened = request.role_session_name(&self.session_name).send().await.is_ok();
        opened.then(|| role_name(&self.spoke_role))
    }

    async fn account(&self, account: &AccountId) -> SdkConfig {
        if let Some(config) = lock(&self.accounts).get(account) {
            return config.clone();
        }
        let role = AssumeRoleProvider::builder(self.spoke_role.replace("{account}", account.as_str()));
        let mut provider = role.session_name(&self.session_name).configure(&self.base);
        if let Some(external_id) = &self.external_id {
            provider = provider.external_id(external_id);
        }
        let provider = OfAccount { provider: provider.build().await, account: account.clone() };
        let provider = aws_sdk_ec2::config::SharedCredentialsProvider::new(provider);
        let cache = aws_config::identity::IdentityCache::lazy().build();
        let config = self.base.clone().into_builder().credentials_provider(provider).identity_cache(cache).build();
        lock(&self.accounts).entry(account.clone()).or_insert(config).clone()
    }
}

/// The client that tells whose credentials the process has.
pub struct CallerClient(aws_sdk_sts::Client);

impl CallerClient {
    /// Creates a client with the credentials of this configuration.
    pub fn new(config: &SdkConfig) -> Self {
        Self(aws_sdk_sts::Client::new(config))
    }

    /// Returns the caller (GetCallerIdentity).
    ///
    /// # Errors
    /// When there are no valid credentials, or STS does not respond.
    pub async fn identity(&self) -> Result<Caller, InfraError> {
        let call = "GetCallerIdentity";
        let answer = self.0.get_caller_identity().send().await.map_err(|error| errors::port(call, error))?;
        let account = answer.account().and_then(|account| account.parse().ok());
        let account = account.ok_or_else(|| InfraError::new(format!("{call}: the answer has no account")))?;
        Ok(Caller { account, arn: answer.arn().unwrap_or_default().to_owned() })
    }
}

/// Credentials of a role that must be in one account. With those of another account, every VPC of this account would
/// appear to be deleted.
#[derive(Debug)]
struct OfAccount {
    provider: AssumeRoleProvider,
    account: AccountId,
}

impl ProvideCredentials for OfAccount {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async move {
            let credentials = self.provider.provide_credentials().await?;
            // The account of the role's session, from the ARN in the answer of AssumeRole.
            let found = credentials.account_id().map(|account| account.as_str().to_owned());
            if found.as_deref() == Some(self.account.as_str()) {
                return Ok(credentials);
            }
            Err(CredentialsError::provider_error(WrongAccount { expected: self.account.clone(), found }))
        })
    }
}

/// Locks a cache. It stays usable after a thread panicked while it held the lock: its entries are written as a whole.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
