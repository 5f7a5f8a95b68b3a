//! The `millrace` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    // The same program is the child in which files are parsed, under limits.
    millrace_text::run_child_if_asked();
    millrace_ops::main()
}
