//! Whether Regions are switched on (<https://docs.aws.amazon.com/accounts/latest/reference/manage-acct-regions.html>).

use peerd_core::Scope;
use peerd_engine::CloudError;

use crate::errors;
use crate::sessions::Sessions;

/// What DescribeRegions says of a Region that an account has not switched on
/// (<https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_Region.html>).
const OFF: &str = "not-opted-in";

/// Whether the scope's account has its Region switched off. Asked in the hub's own Region, since nothing answers in one that
/// is off.
///
/// # Errors
/// AWS's.
pub async fn is_off(sessions: &Sessions, scope: &Scope) -> Result<bool, CloudError> {
    let client = sessions.ec2(&sessions.at_home(scope)).await;
    let request = client.describe_regions().all_regions(true).region_names(scope.region.as_str());
    let answer = request.send().await.map_err(|error| errors::cloud(format!("DescribeRegions for {scope}"), error))?;
    Ok(answer.regions().iter().any(|region| region.opt_in_status() == Some(OFF)))
}
