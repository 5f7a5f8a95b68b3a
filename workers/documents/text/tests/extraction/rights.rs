//! What is left to a confined child: nothing but its pipes.

use std::fs::File;
use std::net::TcpListener;
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
    if std::env::args().nth(1).as_deref() != Some(PROBE_ARGUMENT) {
        return;
    }
    let confined = std::env::args().nth(2).as_deref() == Some("confined");
    if confined {
        confine_for_tests(&Limits::default()).unwrap();
    }
    let own_path = std::env::args().next().unwrap();
    let temporary = std::env::temp_dir().join(format!("millrace-probe-{}", std::process::id()));
    let attempts = [
        ("read a file", File::open(own_path).is_ok()),
        ("write a file", File::create(&temporary).is_ok()),
        ("listen", TcpListener::bind("127.0.0.1:0").is_ok()),
        (
            "start a program",
            Command::new("/bin/true").status().is_ok(),
        ),
        (
            "start a thread",
            std::thread::Builder::new().spawn(|| ()).is_ok(),
        ),
        (
            "allocate two gigabytes",
            Vec::<u8>::new().try_reserve_exact(2 << 30).is_ok(),
        ),
    ];
    let _ = std::fs::remove_file(&temporary);
    for (what, worked) in attempts {
        if worked {
            println!("{what}");
        }
    }
    std::process::exit(0);
}

fn a_confined_child_can_do_nothing() {
    let probe = |kind: &str| {
        let program = std::env::current_exe().unwrap();
        let output = Command::new(program)
            .args([PROBE_ARGUMENT, kind])
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    // The probe sees what works where nothing is taken away.
    let free = probe("free");
    assert!(
        free.contains("read a file") && free.contains("start a program"),
        "{free}"
    );
    assert_eq!(probe("confined"), "start a thread\n");
}
