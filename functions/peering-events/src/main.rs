//! Runs when a peering, a route or a security group rule changes: reconciles the affected meshes.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    peerd_aws::function::serve().await
}
