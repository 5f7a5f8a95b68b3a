//! The platform as a process of its own: started, waited for, killed.

use std::{
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// Starts `PROGRAM up` on a data folder, on a free port.
pub fn up(program: &str, data: &Path) -> Child {
    let mut command = Command::new(program);
    command
        .args(["up", "--listen", "127.0.0.1:0", "--data"])
        .arg(data);
    command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Returns once it can be reached.
pub async fn wait_for_endpoint(data: &Path) {
    let begun = Instant::now();
    while !data.join("endpoint").exists() {
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "the platform did not come up"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Ends the platform without a warning.
pub fn kill(platform: &mut Child, data: &Path) {
    platform.kill().unwrap();
    platform.wait().unwrap();
    let _ = std::fs::remove_file(data.join("endpoint"));
}
