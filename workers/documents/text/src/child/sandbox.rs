//! Rights that the child gives up for good: network, programs, files, privileges.
//!
//! The limits of [`super::inside`] are required; this is a second wall. Containers and old
//! kernels forbid parts of it, so each part is attempted and a refusal is accepted.

use std::collections::BTreeMap;

use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, Ruleset, RulesetAttr,
    RulesetCreatedAttr, RulesetError,
};
use rustix::process::{Signal, set_parent_process_death_signal};
use rustix::thread::set_no_new_privs;
use seccompiler::{BackendError, BpfProgram, SeccompAction, SeccompFilter, apply_filter};

/// Called while the process has a single thread: threads started later inherit all of it.
pub(super) fn enter() {
    // A parent that was killed must not leave a child behind that computes for nobody.
    let _ = set_parent_process_death_signal(Some(Signal::KILL));
    let _ = set_no_new_privs(true);
    let _ = forbid_files_and_network();
    if let Ok(filter) = forbidden_calls() {
        let _ = apply_filter(&filter);
    }
}

/// Landlock: no rule is added, so nothing is allowed.
fn forbid_files_and_network() -> Result<(), RulesetError> {
    let abi = ABI::V5;
    Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(abi))?
        .handle_access(AccessNet::from_all(abi))?
        .create()?
        .no_new_privs(true)
        .restrict_self()?;
    Ok(())
}

/// Calls that have no business in a parser.
const CALLS: &[libc::c_long] = &[
    libc::SYS_socket,
    libc::SYS_socketpair,
    libc::SYS_connect,
    libc::SYS_bind,
    libc::SYS_listen,
    libc::SYS_accept4,
    libc::SYS_sendto,
    libc::SYS_sendmsg,
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_kill,
    libc::SYS_openat,
    libc::SYS_openat2,
    libc::SYS_unlinkat,
    libc::SYS_mount,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_io_uring_setup,
    libc::SYS_userfaultfd,
    libc::SYS_keyctl,
];

/// Older forms of them, which newer architectures never had.
#[cfg(target_arch = "x86_64")]
const OLDER_CALLS: &[libc::c_long] = &[
    libc::SYS_open,
    libc::SYS_creat,
    libc::SYS_fork,
    libc::SYS_vfork,
    libc::SYS_unlink,
];
#[cfg(not(target_arch = "x86_64"))]
const OLDER_CALLS: &[libc::c_long] = &[];

/// Seccomp: these calls fail with `EPERM`. Everything else is left to the limits: a list of
/// what is allowed would break with the next version of libc.
fn forbidden_calls() -> Result<BpfProgram, BackendError> {
    let calls = CALLS.iter().chain(OLDER_CALLS);
    let rules: BTreeMap<_, _> = calls.map(|call| (*call, Vec::new())).collect();
    let filter = SeccompFilter::new(
        rules,
        SeccompAction::Allow,
        SeccompAction::Errno(libc::EPERM.unsigned_abs()),
        std::env::consts::ARCH.try_into()?,
    )?;
    filter.try_into()
}
