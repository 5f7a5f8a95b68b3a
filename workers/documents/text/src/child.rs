//! The limited child process in which files are read, and its parent's side.
//!
//! Protocol: the parent writes a request (a length, then JSON: name and limits) and the file
//! to the child's standard input, and closes it. The child answers on its standard output with
//! a line that says who it is, then one JSON value: the extraction, or why there is none. What
//! it cannot say itself, because it was killed, its exit status and its last words on standard
//! error tell the parent.

mod inside;
mod parent;
#[cfg(target_os = "linux")]
mod sandbox;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::ExtractError;
use crate::limits::Limits;

pub use inside::{confine_for_tests, run_child_if_asked};
pub use parent::Extractor;

/// The argument that makes a program the extraction child.
const CHILD_ARGUMENT: &str = "__extract";
/// The child's first line. Without it the program that was started is not one of ours.
const GREETING: &str = "millrace-extract 1\n";
/// Exit status after a panic in a parser.
const EXIT_PANICKED: u8 = 101;
/// Exit status when the child could not be set up.
const EXIT_NOT_SET_UP: u8 = 120;

/// How to start the child.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Child {
    program: Option<PathBuf>,
}

impl Child {
    /// This same program, whose `main` calls [`run_child_if_asked`] first.
    pub fn this_program() -> Self {
        Self { program: None }
    }

    /// Another program whose `main` calls [`run_child_if_asked`] first: for tests, whose own
    /// `main` belongs to the test harness.
    pub fn program(path: impl Into<PathBuf>) -> Self {
        Self {
            program: Some(path.into()),
        }
    }

    fn path(&self) -> Result<PathBuf, ExtractError> {
        if let Some(program) = &self.program {
            return Ok(program.clone());
        }
        // The running program itself, even if another version now lies under its name.
        let running = Path::new("/proc/self/exe");
        if running.exists() {
            return Ok(running.to_owned());
        }
        std::env::current_exe().map_err(|error| ExtractError::ChildUnavailable {
            detail: format!("finding the path of the running program: {error}"),
        })
    }
}

/// What the child is told before it gets the file.
#[derive(Debug, Serialize, Deserialize)]
struct Request {
    file_name: String,
    /// A parent that died while it wrote leaves a shorter file behind.
    file_bytes: u64,
    limits: Limits,
}
