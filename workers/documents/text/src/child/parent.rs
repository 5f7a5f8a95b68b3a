//! The parent's side: start the child, feed it, bound it, understand how it ended.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::process::{ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Scope, ScopedJoinHandle};
use std::time::{Duration, Instant};

use super::{CHILD_ARGUMENT, Child, EXIT_NOT_SET_UP, GREETING, Request};
use crate::error::ExtractError;
use crate::extraction::{Extraction, extract_here, too_large};
use crate::limits::Limits;

/// JSON escapes line ends, quotes and backslashes: in the worst case twice the text, and the
/// pages, sections and numbers beside it.
const ANSWER_PER_OUTPUT: u64 = 3;
const ANSWER_BEYOND_OUTPUT: u64 = 8 * 1024 * 1024;
/// The end of what the child says on standard error is enough to know why it ended.
const LAST_WORDS: u64 = 16 * 1024;
/// How much of a file's name the child is told, in bytes.
const LONGEST_NAME: usize = 1024;
/// The kernel's clock of processor time may be this much behind.
const CPU_SLACK: Duration = Duration::from_millis(500);

/// Reads files in a child process with limits.
#[derive(Debug, Clone)]
pub struct Extractor {
    place: ReadIn,
    limits: Limits,
}

#[derive(Debug, Clone)]
enum ReadIn {
    Child(Child),
    /// What was read before is known.
    ThisProcess(Arc<Mutex<Known>>),
}

/// By content and name, of which an extraction is a function.
type Known = HashMap<(Vec<u8>, String), Result<Extraction, ExtractError>>;

impl Extractor {
    /// An extractor that starts this program for each file.
    pub fn new(program: Child, limits: Limits) -> Self {
        Self {
            place: ReadIn::Child(program),
            limits,
        }
    }

    /// An extractor that starts no child, and reads no file twice: for tests of what comes after extraction, thousands
    /// of which would otherwise start thousands of processes. Clones share what they know.
    ///
    /// **Without protection**: of the limits only sizes and pages hold. Memory, processor time and the stack are
    /// not bounded, and a file that kills its parser kills this process. Never for files of others.
    pub fn in_this_process(limits: Limits) -> Self {
        Self {
            place: ReadIn::ThisProcess(Arc::default()),
            limits,
        }
    }

    /// The limits that hold for each file.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The same with other limits.
    #[must_use]
    pub fn with_limits(&self, limits: Limits) -> Self {
        let place = match &self.place {
            ReadIn::Child(program) => ReadIn::Child(program.clone()),
            // What was read under other limits is not known under these.
            ReadIn::ThisProcess(_) if limits != self.limits => ReadIn::ThisProcess(Arc::default()),
            ReadIn::ThisProcess(known) => ReadIn::ThisProcess(Arc::clone(known)),
        };
        Self { place, limits }
    }

    /// Whether a file of so many bytes would be read: to be asked before its bytes are fetched.
    pub fn accepts(&self, size: u64) -> Result<(), ExtractError> {
        if size > self.limits.input_bytes {
            return Err(too_large(size, &self.limits));
        }
        Ok(())
    }

    /// Reads one file. Blocks until the child has ended, at most as long as
    /// [`Limits::wall`] allows; the child is gone when this returns.
    pub fn extract(&self, bytes: &[u8], file_name: &str) -> Result<Extraction, ExtractError> {
        let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.check(size)?;
        match &self.place {
            ReadIn::Child(program) => self.ask_child(program, bytes, size, file_name),
            ReadIn::ThisProcess(known) => {
                read_in_this_process(known, bytes.to_vec(), file_name, &self.limits)
            }
        }
    }

    /// As [`Self::extract`], of an open file, from its beginning: its bytes go to the child
    /// piece by piece and are never in this process's memory.
    pub fn extract_file(
        &self,
        mut file: File,
        file_name: &str,
    ) -> Result<Extraction, ExtractError> {
        let unreadable = |error| unavailable("reading the file that was put aside", &error);
        let size = file.metadata().map_err(unreadable)?.len();
        self.check(size)?;
        file.rewind().map_err(unreadable)?;
        match &self.place {
            ReadIn::Child(program) => self.ask_child(program, file, size, file_name),
            ReadIn::ThisProcess(known) => {
                let mut bytes = Vec::new();
                file.read_to_end(&mut bytes).map_err(unreadable)?;
                read_in_this_process(known, bytes, file_name, &self.limits)
            }
        }
    }

    fn check(&self, size: u64) -> Result<(), ExtractError> {
        if size == 0 {
            return Err(ExtractError::EmptyFile);
        }
        self.accepts(size)
    }

    fn ask_child(
        &self,
        program: &Child,
        file: impl Read + Send,
        size: u64,
        file_name: &str,
    ) -> Result<Extraction, ExtractError> {
        let deadline = Instant::now() + self.limits.wall;
        let request = Request {
            file_name: end_of_name(file_name),
            file_bytes: size,
            limits: self.limits.clone(),
        };
        let request = serde_json::to_vec(&request)
            .map_err(|error| unavailable("encoding the request", &error))?;
        let running = Running::start(program)?;
        let ended = running.attend(&request, file, deadline, &self.limits)?;
        ended.understand(&self.limits)
    }
}

/// A parser that panics is told as the child's end would be.
fn read_in_this_process(
    known: &Mutex<Known>,
    bytes: Vec<u8>,
    file_name: &str,
    limits: &Limits,
) -> Result<Extraction, ExtractError> {
    let lock = || known.lock().unwrap_or_else(PoisonError::into_inner);
    let file = (bytes, file_name.to_owned());
    if let Some(result) = lock().get(&file) {
        return result.clone();
    }
    let read = || extract_here(&file.0, file_name, limits);
    let result = std::panic::catch_unwind(read)
        .unwrap_or_else(|_| Err(crashed("its reader gave up unexpectedly")));
    lock().insert(file, result.clone());
    result
}

/// The name only tells kinds of text from each other, by its end; it may be of any length.
fn end_of_name(name: &str) -> String {
    let start = name.ceil_char_boundary(name.len().saturating_sub(LONGEST_NAME));
    name[start..].to_owned()
}

fn unavailable(what: &str, error: &dyn std::fmt::Display) -> ExtractError {
    ExtractError::ChildUnavailable {
        detail: format!("{what}: {error}"),
    }
}

/// A child that is killed and reaped whatever happens to its parent's function.
struct Running {
    child: std::process::Child,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How a child ended, and all that it said.
struct Ended {
    status: Option<ExitStatus>,
    answer: Vec<u8>,
    last_words: String,
    answer_limit: u64,
}

impl Running {
    fn start(program: &Child) -> Result<Self, ExtractError> {
        let path = program.path()?;
        // The child gets no variable of the environment: there may be credentials in it.
        let child = Command::new(&path)
            .arg(CHILD_ARGUMENT)
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| unavailable(&format!("starting {}", path.display()), &error))?;
        Ok(Self { child })
    }

    /// Feeds the child and listens to it until it has ended or the deadline has passed.
    fn attend(
        mut self,
        request: &[u8],
        file: impl Read + Send,
        deadline: Instant,
        limits: &Limits,
    ) -> Result<Ended, ExtractError> {
        let pipes = (
            self.child.stdin.take(),
            self.child.stdout.take(),
            self.child.stderr.take(),
        );
        let (Some(input), Some(output), Some(error)) = pipes else {
            return Err(unavailable("starting the child", &"it has no pipes"));
        };
        let answer_limit = limits.output_bytes * ANSWER_PER_OUTPUT + ANSWER_BEYOND_OUTPUT;
        let (finished, on_finish) = channel::<()>();
        std::thread::scope(|scope| {
            let started = start_thread(scope, "feed", move || feed(input, request, file))
                .and_then(|_| {
                    start_thread(scope, "listen", move || {
                        let answer = read_at_most(output, answer_limit + 1);
                        drop(finished);
                        answer
                    })
                })
                .and_then(|answer| {
                    let listen = move || read_last_words(error);
                    start_thread(scope, "listen", listen).map(|last_words| (answer, last_words))
                });
            let (answer, last_words) = match started {
                Ok(threads) => threads,
                Err(error) => {
                    // The threads that did start end when the child's pipes close.
                    drop(self);
                    return Err(unavailable("starting a thread", &error));
                }
            };
            let status = self.wait(&on_finish, deadline);
            drop(self);
            Ok(Ended {
                status,
                answer: answer.join().unwrap_or_default(),
                last_words: last_words.join().unwrap_or_default(),
                answer_limit,
            })
        })
    }

    /// The exit status, or none if the child had to be killed at the deadline.
    fn wait(&mut self, on_finish: &Receiver<()>, deadline: Instant) -> Option<ExitStatus> {
        let left = deadline.saturating_duration_since(Instant::now());
        // The answer's end comes first; nothing is ever sent, the channel only closes.
        if on_finish.recv_timeout(left) == Err(RecvTimeoutError::Timeout) {
            return None;
        }
        // Between the end of its output and its own end a child has nothing to do.
        let mut pause = Duration::from_micros(100);
        loop {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Some(status);
            }
            if Instant::now() >= deadline {
                return None;
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(20));
        }
    }
}

fn start_thread<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    name: &str,
    work: impl FnOnce() -> T + Send + 'scope,
) -> std::io::Result<ScopedJoinHandle<'scope, T>> {
    std::thread::Builder::new()
        .name(format!("extract-{name}"))
        .stack_size(256 * 1024)
        .spawn_scoped(scope, work)
}

/// A child that ends before it has read everything closes the pipe: that is no failure here. A
/// file that breaks off is shorter than the request says, which the child sees.
fn feed(mut input: ChildStdin, request: &[u8], mut file: impl Read) {
    let length = u32::try_from(request.len()).unwrap_or(u32::MAX);
    let parts: [&[u8]; 2] = [&length.to_le_bytes(), request];
    for part in parts {
        if input.write_all(part).is_err() {
            return;
        }
    }
    let _ = std::io::copy(&mut file, &mut input);
}

fn read_at_most(output: impl Read, limit: u64) -> Vec<u8> {
    let mut answer = Vec::new();
    // What arrived before an error tells as much as the error.
    let _ = output.take(limit).read_to_end(&mut answer);
    answer
}

/// The first part is kept, the rest read and dropped, so that the child never blocks on it.
fn read_last_words(mut error: impl Read) -> String {
    let mut words = Vec::new();
    let _ = error.by_ref().take(LAST_WORDS).read_to_end(&mut words);
    let _ = std::io::copy(&mut error, &mut std::io::sink());
    String::from_utf8_lossy(&words).into_owned()
}

impl Ended {
    fn understand(self, limits: &Limits) -> Result<Extraction, ExtractError> {
        let answered = u64::try_from(self.answer.len()).unwrap_or(u64::MAX);
        if answered > self.answer_limit {
            return Err(ExtractError::OutputLimit {
                megabytes: limits.output_bytes >> 20,
            });
        }
        let Some(status) = self.status else {
            return Err(ExtractError::TimeLimit {
                seconds: limits.wall.as_secs(),
            });
        };
        let Some(answer) = self.answer.strip_prefix(GREETING.as_bytes()) else {
            return Err(self.not_our_child(status));
        };
        if status.success() {
            let crashed = |_| crashed("the answer of its reader cannot be understood");
            return serde_json::from_slice::<Result<_, _>>(answer).map_err(crashed)?;
        }
        Err(self.why(status, limits))
    }

    fn not_our_child(&self, status: ExitStatus) -> ExtractError {
        let words = self.last_words.lines().last().unwrap_or_default();
        let words: String = words.chars().take(200).collect();
        unavailable(&format!("the child ended at once with {status}"), &words)
    }

    /// Out of memory and out of stack both end in SIGABRT: standard error tells which.
    fn why(&self, status: ExitStatus, limits: &Limits) -> ExtractError {
        let memory = ExtractError::MemoryLimit {
            megabytes: limits.memory_bytes >> 20,
        };
        let said = |words: &str| self.last_words.contains(words);
        if said("has overflowed its stack") {
            return crashed("its parts are nested too deeply");
        }
        if said("memory allocation of")
            || said("capacity overflow")
            || said("Cannot allocate memory")
        {
            return memory;
        }
        match ending(status) {
            Ending::Signal(libc_signal::XCPU) => ExtractError::TimeLimit {
                seconds: (limits.cpu + CPU_SLACK).as_secs().max(1),
            },
            // Not by us: by the hard limit of processor time, or by a kernel out of memory.
            Ending::Signal(libc_signal::KILL) => memory,
            Ending::Signal(libc_signal::SEGV | libc_signal::BUS) => {
                crashed("its reader stopped in the middle, as when parts are nested too deeply")
            }
            Ending::Code(code) if code == i32::from(EXIT_NOT_SET_UP) => {
                let words = self.last_words.lines().last().unwrap_or_default();
                unavailable("setting up the child", &words)
            }
            _ => crashed("its reader gave up unexpectedly"),
        }
    }
}

fn crashed(detail: &str) -> ExtractError {
    ExtractError::Crashed {
        detail: detail.to_owned(),
    }
}

enum Ending {
    Code(i32),
    Signal(i32),
}

#[cfg(unix)]
fn ending(status: ExitStatus) -> Ending {
    use std::os::unix::process::ExitStatusExt;
    status
        .signal()
        .map_or(Ending::Code(status.code().unwrap_or(-1)), Ending::Signal)
}

/// Numbers that are the same on every Linux and macOS.
mod libc_signal {
    pub(super) const KILL: i32 = 9;
    #[cfg(target_os = "linux")]
    pub(super) const BUS: i32 = 7;
    #[cfg(not(target_os = "linux"))]
    pub(super) const BUS: i32 = 10;
    pub(super) const SEGV: i32 = 11;
    pub(super) const XCPU: i32 = 24;
}
