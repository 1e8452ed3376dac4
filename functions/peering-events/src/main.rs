//! Wakes when somebody touches a peering or a route: reconciles the meshes that it concerns.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    peerd_aws::function::serve().await
}
