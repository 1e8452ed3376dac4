//! Runs on a schedule: scans every account and reconciles every mesh, so that a lost event delays a mesh by minutes
//! only.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    peerd_aws::function::serve().await
}
