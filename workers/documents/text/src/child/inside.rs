//! The child's side: give up all rights, read the file, answer, exit.

use std::io::{Read, Write};
use std::process::exit;

use rlimit::Resource;

use super::{CHILD_ARGUMENT, EXIT_NOT_SET_UP, EXIT_PANICKED, GREETING, Request};
use crate::error::ExtractError;
use crate::extraction::{Extraction, extract_owned};
use crate::limits::Limits;

/// Parsers recurse: with this much stack their own limits come before ours.
const STACK_BYTES: usize = 64 * 1024 * 1024;
/// A request is a name and some numbers.
const LONGEST_REQUEST: u32 = 64 * 1024;
/// Standard streams, and some for the runtime.
const OPEN_FILES: u64 = 16;

/// Does the work and exits, if this process was started as the extraction child; returns at
/// once if not.
///
/// The first line of every `main` in a program that extracts: before any thread is started,
/// any file opened and any credential read.
pub fn run_child_if_asked() {
    let mut arguments = std::env::args_os().skip(1);
    let asked = arguments
        .next()
        .is_some_and(|argument| argument == CHILD_ARGUMENT);
    if !asked || arguments.next().is_some() {
        return;
    }
    let code = match serve() {
        Ok(()) => 0,
        Err(Failure::Panicked) => EXIT_PANICKED,
        Err(Failure::NotSetUp(detail)) => {
            let _ = writeln!(std::io::stderr(), "{detail}");
            EXIT_NOT_SET_UP
        }
    };
    exit(i32::from(code));
}

enum Failure {
    /// The request, the limits, the thread or the pipes; with what was attempted.
    NotSetUp(String),
    /// The panic's message is on standard error already.
    Panicked,
}

fn attempt<T, E: std::fmt::Display>(what: &str, result: Result<T, E>) -> Result<T, Failure> {
    result.map_err(|error| Failure::NotSetUp(format!("{what}: {error}")))
}

fn serve() -> Result<(), Failure> {
    let mut input = std::io::stdin().lock();
    let request = read_request(&mut input)?;
    lower_limits(&request.limits)?;
    // From here on the parent knows that it has its child.
    attempt("writing the greeting", say(GREETING.as_bytes()))?;

    let Request {
        file_name,
        file_bytes,
        limits,
    } = request;
    let file_bytes = attempt("making room for the file", usize::try_from(file_bytes))?;
    let mut file = Vec::with_capacity(file_bytes);
    attempt("reading the file", input.read_to_end(&mut file))?;
    if file.len() != file_bytes {
        let detail = format!("the file has {} bytes of {file_bytes}", file.len());
        return Err(Failure::NotSetUp(detail));
    }
    drop(input);
    #[cfg(target_os = "linux")]
    super::sandbox::enter();

    let worker = std::thread::Builder::new()
        .name("extract".to_owned())
        .stack_size(STACK_BYTES)
        .spawn(move || {
            let result = extract_owned(file, &file_name, &limits);
            encode(&result)
        });
    let answer = attempt("starting the thread", worker)?
        .join()
        .map_err(|_| Failure::Panicked)?;
    attempt(
        "writing the answer",
        say(&attempt("encoding the answer", answer)?),
    )
}

/// Takes from this process what the child gives up, for a test that looks at what is left.
#[doc(hidden)]
pub fn confine_for_tests(limits: &Limits) -> Result<(), String> {
    match lower_limits(limits) {
        Err(Failure::NotSetUp(detail)) => return Err(detail),
        Err(Failure::Panicked) => return Err("panicked".to_owned()),
        Ok(()) => {}
    }
    #[cfg(target_os = "linux")]
    super::sandbox::enter();
    Ok(())
}

fn encode(result: &Result<Extraction, ExtractError>) -> serde_json::Result<Vec<u8>> {
    serde_json::to_vec(result)
}

fn say(bytes: &[u8]) -> std::io::Result<()> {
    let mut output = std::io::stdout().lock();
    output.write_all(bytes)?;
    output.flush()
}

fn read_request(input: &mut impl Read) -> Result<Request, Failure> {
    let mut length = [0; 4];
    attempt(
        "reading the length of the request",
        input.read_exact(&mut length),
    )?;
    let length = u32::from_le_bytes(length);
    if length > LONGEST_REQUEST {
        return Err(Failure::NotSetUp(format!("a request of {length} bytes")));
    }
    let mut request = Vec::new();
    let read = input.take(u64::from(length)).read_to_end(&mut request);
    attempt("reading the request", read)?;
    attempt("decoding the request", serde_json::from_slice(&request))
}

/// None of this needs a privilege, and none of it can be taken back.
fn lower_limits(limits: &Limits) -> Result<(), Failure> {
    let seconds = limits.cpu.as_secs().max(1);
    let lower = |resource: Resource, soft: u64, hard: u64| {
        // Where the limit is lower already, it stays.
        let (_, present) = attempt("reading a limit", resource.get())?;
        let set = resource.set(soft.min(present), hard.min(present));
        attempt(&format!("lowering {}", resource.as_name()), set)
    };
    lower(Resource::CORE, 0, 0)?;
    lower(Resource::FSIZE, 0, 0)?;
    lower(Resource::NOFILE, OPEN_FILES, OPEN_FILES)?;
    // The soft limit ends the child by SIGXCPU, the hard one by SIGKILL, which says less.
    lower(Resource::CPU, seconds, seconds + 1)?;
    lower(Resource::AS, limits.memory_bytes, limits.memory_bytes)
}
