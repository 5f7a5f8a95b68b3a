//! The `millrace` command, for tests.

use std::process::ExitCode;

fn main() -> ExitCode {
    millrace_text::run_child_if_asked();
    millrace_ops::main()
}
