//! The marketing product as a Lambda function: `_HANDLER` names the worker.

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    millrace_delivery::lambda::run(millrace_marketing::registry::lambda()).await
}
