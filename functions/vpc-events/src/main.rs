//! Runs when a VPC is created, deleted or tagged, or its CIDR blocks, DNS attributes or route tables change: scans the
//! VPC and reconciles its meshes.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    peerd_aws::function::serve().await
}
