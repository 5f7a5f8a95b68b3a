//! The marketing product as a Lambda function: `_HANDLER` names the worker.

// A batch is thousands of small maps and texts: a third of the processor time goes into allocating them with libc's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    millrace_delivery::lambda::run(millrace_marketing::registry::lambda()).await
}
