//! Whether a Region is enabled in an account
//! (<https://docs.aws.amazon.com/accounts/latest/reference/manage-acct-regions.html>).

use peerd_core::Scope;
use peerd_engine::CloudError;

use crate::errors;
use crate::sessions::Sessions;

/// The opt-in status of a Region that is not enabled in an account
/// (<https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_Region.html>).
const OFF: &str = "not-opted-in";

/// Whether the Region is disabled in the scope's account. Calls EC2 in the hub's own Region, because a disabled Region
/// does not respond.
///
/// # Errors
/// AWS's error.
pub async fn is_off(sessions: &Sessions, scope: &Scope) -> Result<bool, CloudError> {
    let client = sessions.ec2(&sessions.at_home(scope)).await;
    let request = client.describe_regions().all_regions(true).region_names(scope.region.as_str());
    let answer = request.send().await.map_err(|error| errors::cloud(format!("DescribeRegions for {scope}"), error))?;
    Ok(answer.regions().iter().any(|region| region.opt_in_status() == Some(OFF)))
}
