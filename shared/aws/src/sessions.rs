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
use peerd_core::{AccountId, Scope};

/// Attempts of one call, with the SDK's exponential back-off. They cover throttling and faults of a few seconds; a
/// follow-up message covers longer ones.
const ATTEMPTS: u32 = 4;

/// The process's own configuration, and the clients of the scopes used so far.
pub struct Sessions {
    base: SdkConfig,
    spoke_role: String,
    external_id: Option<String>,
    accounts: Mutex<HashMap<AccountId, SdkConfig>>,
    clients: Mutex<HashMap<Scope, aws_sdk_ec2::Client>>,
}

impl Sessions {
    /// Loads the configuration of the process: its Region, credentials and endpoints. `spoke_role` is the ARN of the
    /// role, with `{account}` in place of the account id.
    pub async fn load(spoke_role: String, external_id: Option<String>) -> Self {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(Duration::from_secs(3))
            .operation_attempt_timeout(Duration::from_secs(20))
            .build();
        let base = aws_config::defaults(BehaviorVersion::latest())
            .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS))
            .timeout_config(timeouts)
            .load()
            .await;
        Self { base, spoke_role, external_id, accounts: Mutex::default(), clients: Mutex::default() }
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

    async fn account(&self, account: &AccountId) -> SdkConfig {
        if let Some(config) = lock(&self.accounts).get(account) {
            return config.clone();
        }
        let role = AssumeRoleProvider::builder(self.spoke_role.replace("{account}", account.as_str()));
        let mut provider = role.session_name("peerd").configure(&self.base);
        if let Some(external_id) = &self.external_id {
            provider = provider.external_id(external_id);
        }
        let provider = provider.build().await;
        let provider = aws_sdk_ec2::config::SharedCredentialsProvider::new(provider);
        let cache = aws_config::identity::IdentityCache::lazy().build();
        let config = self.base.clone().into_builder().credentials_provider(provider).identity_cache(cache).build();
        lock(&self.accounts).entry(account.clone()).or_insert(config).clone()
    }
}

/// Locks a cache. It stays usable after a thread panicked while it held the lock: its entries are written as a whole.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
