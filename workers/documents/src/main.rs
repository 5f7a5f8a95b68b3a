//! The documents product as a Lambda function: `_HANDLER` names the worker.

#[tokio::main]
async fn lambda() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    millrace_delivery::lambda::run(millrace_documents::registry::lambda()).await
}

fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    // The same program is the child in which files are parsed, under limits.
    millrace_text::run_child_if_asked();
    lambda()
}
