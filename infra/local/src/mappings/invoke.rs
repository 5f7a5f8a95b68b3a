//! Invokes a function as the Lambda service does: with a deadline, and alive after a panic.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::template::FunctionConfig;

/// What runs the functions: in one process, the workers themselves.
#[async_trait]
pub trait Functions: Send + Sync {
    /// Invokes a function with an event. The future is dropped when the deadline has passed.
    async fn invoke(
        &self,
        function: &FunctionConfig,
        event: Value,
        request_id: &str,
        deadline: Instant,
    ) -> Result<Value, FunctionError>;
}

/// The function answered with an error, or died, or took too long.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the function failed: {message}")]
pub struct FunctionError {
    /// What it said, or what was seen of its end.
    pub message: String,
}

impl FunctionError {
    /// An error with a message.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
        }
    }
}

/// A function with what runs it.
#[derive(Clone)]
pub(crate) struct Invoker {
    functions: Arc<dyn Functions>,
    function: Arc<FunctionConfig>,
}

impl Invoker {
    pub(crate) fn new(functions: Arc<dyn Functions>, function: FunctionConfig) -> Self {
        Self {
            functions,
            function: Arc::new(function),
        }
    }

    pub(crate) fn function(&self) -> &FunctionConfig {
        &self.function
    }

    /// Invokes the function. Whatever it does, this ends by the deadline with an answer or an error.
    pub(crate) async fn invoke(
        &self,
        event: Value,
        request_id: &str,
    ) -> Result<Value, FunctionError> {
        let deadline = Instant::now() + self.function.timeout;
        let functions = Arc::clone(&self.functions);
        let function = Arc::clone(&self.function);
        let id = request_id.to_owned();
        // A task of its own: a panic ends that task alone. In a set, because dropping the set ends it.
        let mut running = JoinSet::new();
        running.spawn(async move { functions.invoke(&function, event, &id, deadline).await });
        let answer = match tokio::time::timeout_at(deadline, running.join_next()).await {
            Ok(Some(Ok(answer))) => answer,
            Ok(Some(Err(ended))) if ended.is_panic() => {
                Err(FunctionError::new(panic_message(ended)))
            }
            Ok(_) => Err(FunctionError::new("the invocation was cancelled")),
            Err(_) => {
                let seconds = self.function.timeout.as_secs();
                Err(FunctionError::new(format!("timed out after {seconds} s")))
            }
        };
        if let Err(error) = &answer {
            tracing::warn!(
                function = %self.function.name,
                request_id,
                error = %error.message,
                "invocation failed"
            );
        }
        answer
    }
}

fn panic_message(ended: tokio::task::JoinError) -> String {
    let panic = ended.into_panic();
    let text = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned());
    format!(
        "panicked: {}",
        text.as_deref().unwrap_or("without a message")
    )
}
