//! Wakes when a VPC is made, deleted, tagged or given blocks or route tables: surveys it and reconciles its meshes.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    peerd_aws::function::serve().await
}
