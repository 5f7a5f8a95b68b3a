//! The product's binary as Lambda starts it. Standard library only: what matters here is that the binary is made and looked at.

#![allow(clippy::unwrap_used, missing_docs)]

use std::process::Command;

/// What the template's functions of this product name as their handler.
fn handlers() -> Vec<&'static str> {
    let template = include_str!("../../../infra/template.yaml");
    let functions = template.split("Type: AWS::Serverless::Function");
    let of_product = functions.filter(|it| it.contains("CodeUri: ../target/lambda/jobs/"));
    let handlers = of_product.filter_map(|it| it.split("Handler: ").nth(1)?.lines().next());
    handlers.collect()
}

#[test]
fn a_handler_that_is_no_worker_ends_the_start_and_names_those_of_the_template() {
    let run = Command::new(env!("CARGO_BIN_EXE_jobs"))
        .env_clear()
        .env("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:9")
        .env("AWS_LAMBDA_FUNCTION_NAME", "f")
        .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512")
        .env("AWS_LAMBDA_FUNCTION_VERSION", "1")
        .env("_HANDLER", "nobody")
        .output()
        .unwrap();
    assert!(!run.status.success());
    let said = String::from_utf8_lossy(&run.stderr);
    let handlers = handlers();
    assert_eq!(handlers.len(), 6, "{handlers:?}");
    for name in handlers {
        assert!(said.contains(name), "{name} is not in: {said}");
    }
}
