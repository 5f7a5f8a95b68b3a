//! What is left to a confined child: its pipes, its threads, and the memory that it may use.

use std::fs::{self, File};
use std::io::{Read, Seek};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::Command;

use millrace_text::{Limits, confine_for_tests};

use crate::Test;

pub(crate) const TESTS: &[Test] = &[(
    "a_confined_child_can_do_nothing",
    a_confined_child_can_do_nothing,
)];

const PROBE_ARGUMENT: &str = "__probe";

/// In the probe: confines itself, tries everything, prints what worked, and exits.
pub(crate) fn probe_if_asked() {
    let mut arguments = std::env::args().skip(1);
    if arguments.next().as_deref() != Some(PROBE_ARGUMENT) {
        return;
    }
    let confined = arguments.next().as_deref() == Some("confined");
    let address = arguments.next().unwrap().parse().unwrap();
    let folder = PathBuf::from(arguments.next().unwrap());
    // Opened before, as the standard streams are: what was open stays open.
    let mut status = File::open("/proc/self/stat").unwrap();
    if confined {
        confine_for_tests(&Limits::default()).unwrap();
    }
    for (what, worked) in files(&folder)
        .into_iter()
        .chain(connections(address, &folder))
    {
        if worked {
            println!("{what}");
        }
    }
    for (what, worked) in processes(&mut status) {
        if worked {
            println!("{what}");
        }
    }
    std::process::exit(0);
}

fn files(folder: &Path) -> Vec<(&'static str, bool)> {
    let at = |name: &str| folder.join(name);
    let own_path = std::env::current_exe().unwrap_or_default();
    vec![
        ("read a file", File::open(at("file")).is_ok()),
        ("read its own program", File::open(own_path).is_ok()),
        ("read the users", File::open("/etc/passwd").is_ok()),
        (
            "read its environment",
            File::open("/proc/self/environ").is_ok(),
        ),
        ("list a folder", fs::read_dir(folder).is_ok()),
        (
            "write a file",
            File::options().write(true).open(at("file")).is_ok(),
        ),
        ("make a file", File::create(at("new")).is_ok()),
        ("make a folder", fs::create_dir(at("folder")).is_ok()),
        ("make a link", symlink("file", at("link")).is_ok()),
        (
            "make a second name",
            fs::hard_link(at("file"), at("name")).is_ok(),
        ),
        (
            "rename a file",
            fs::rename(at("file"), at("renamed")).is_ok(),
        ),
        (
            "open a file to all",
            fs::set_permissions(at("other"), fs::Permissions::from_mode(0o777)).is_ok(),
        ),
        ("remove a file", fs::remove_file(at("other")).is_ok()),
    ]
}

fn connections(address: SocketAddr, folder: &Path) -> Vec<(&'static str, bool)> {
    vec![
        ("connect", TcpStream::connect(address).is_ok()),
        ("listen", TcpListener::bind("127.0.0.1:0").is_ok()),
        (
            "send a datagram",
            UdpSocket::bind("127.0.0.1:0")
                .and_then(|socket| socket.send_to(b"x", address))
                .is_ok(),
        ),
        (
            "connect on this machine",
            UnixStream::connect(folder.join("socket")).is_ok(),
        ),
        ("talk to itself", UnixStream::pair().is_ok()),
    ]
}

fn processes(status: &mut File) -> Vec<(&'static str, bool)> {
    let program = Command::new("/bin/true").status().is_ok();
    // Another way to the same, by another call.
    let changed = Command::new("/bin/true")
        .current_dir("/")
        .env("A", "b")
        .status()
        .is_ok();
    vec![
        ("start a program", program || changed),
        ("start a process", had_children(status)),
        (
            "start a thread",
            std::thread::Builder::new().spawn(|| ()).is_ok(),
        ),
        (
            "allocate two gigabytes",
            Vec::<u8>::new().try_reserve_exact(2 << 30).is_ok(),
        ),
    ]
}

/// Whether this process had a child that ended, even one that only failed to become a program:
/// its page faults are counted here.
fn had_children(status: &mut File) -> bool {
    let mut text = String::new();
    status.rewind().unwrap();
    status.read_to_string(&mut text).unwrap();
    // Behind the name, which may have blanks in it: the ninth number.
    let numbers = text.rsplit(')').next().unwrap_or_default();
    let faults: u64 = numbers
        .split_ascii_whitespace()
        .nth(8)
        .unwrap()
        .parse()
        .unwrap();
    faults > 0
}

fn a_confined_child_can_do_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let probe = |kind: &str| {
        let folder =
            std::env::temp_dir().join(format!("millrace-probe-{}-{kind}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        for name in ["file", "other"] {
            fs::write(folder.join(name), "x").unwrap();
        }
        let _socket = UnixListener::bind(folder.join("socket")).unwrap();
        let program = std::env::current_exe().unwrap();
        let output = Command::new(program)
            .args([PROBE_ARGUMENT, kind, &address])
            .arg(&folder)
            .output()
            .unwrap();
        let left = fs::read_dir(&folder).unwrap().count();
        fs::remove_dir_all(&folder).unwrap();
        assert!(output.status.success(), "{output:?}");
        (String::from_utf8(output.stdout).unwrap(), left)
    };
    // The probe sees what works where nothing is taken away: all of it.
    let (free, _) = probe("free");
    assert_eq!(free.lines().count(), 22, "{free}");
    assert_eq!(probe("confined"), ("start a thread\n".to_owned(), 3));
}
