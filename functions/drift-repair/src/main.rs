//! Wakes by schedule: surveys every account and reconciles every mesh, so that a lost event costs minutes and not a mesh.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    peerd_aws::function::serve().await
}
