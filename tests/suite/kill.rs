//! Real death: `kill -9` of the running platform in mid-ingest, ten times over.

use std::{
    collections::BTreeMap,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::PROGRAM;

const FILES: usize = 200;
const DEATHS: u32 = 10;

/// A file that says something of its own, so that its chunk is its own.
fn write_files(folder: &Path) {
    std::fs::create_dir_all(folder).unwrap();
    for number in 0..FILES {
        let text = format!(
            "Report {number}. Wheel number {number} turned {} times and ground {} sacks of flour.",
            number * 7,
            number * 3
        );
        std::fs::write(folder.join(format!("report-{number:03}.txt")), text).unwrap();
    }
}

fn up(data: &Path) -> Child {
    let mut command = Command::new(PROGRAM);
    command
        .args(["up", "--listen", "127.0.0.1:0", "--json", "--data"])
        .arg(data);
    command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn wait_for_endpoint(data: &Path) {
    let begun = Instant::now();
    while !data.join("endpoint").exists() {
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "the platform did not come up"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn forget_endpoint(data: &Path) {
    let _ = std::fs::remove_file(data.join("endpoint"));
}

fn run(arguments: &[&str], data: &Path) -> (bool, String) {
    let output = Command::new(PROGRAM)
        .args(arguments)
        .arg("--data")
        .arg(data)
        .output()
        .unwrap();
    (
        output.status.success(),
        String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr),
    )
}

#[test]
fn ten_deaths_in_mid_ingest_lose_nothing_and_double_nothing() {
    let home = tempfile::tempdir().unwrap();
    let (data, files) = (home.path().join("data"), home.path().join("files"));
    write_files(&files);
    // Objects and rows are written; nothing is processed yet when the first death comes.
    let mut platform = up(&data);
    wait_for_endpoint(&data);
    let mut ingest = Command::new(PROGRAM)
        .args(["ingest", "--user", "ada", "--json", "--data"])
        .arg(&data)
        .arg(&files)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut uploads_done = false;
    for death in 0..DEATHS {
        // Somewhere else in the work each time.
        std::thread::sleep(Duration::from_millis(150 + u64::from(death * 97 % 400)));
        platform.kill().unwrap();
        platform.wait().unwrap();
        if !uploads_done {
            let _ = ingest.kill();
            let _ = ingest.wait();
            uploads_done = true;
        }
        forget_endpoint(&data);
        platform = up(&data);
        wait_for_endpoint(&data);
    }
    platform.kill().unwrap();
    platform.wait().unwrap();
    forget_endpoint(&data);
    // What had not been uploaded when the first death came is uploaded now; the rest is only finished.
    let (_, said) = run(
        &["ingest", files.to_str().unwrap(), "--user", "ada", "--json"],
        &data,
    );
    let results: Vec<Value> = said
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect();
    assert_eq!(results.len(), FILES, "{said}");
    let mut chunks = BTreeMap::new();
    for result in &results {
        assert_eq!(result["status"], "ready", "{result}");
        let id = result["documentId"].as_str().unwrap();
        let (worked, shown) = run(&["show", id, "--user", "ada", "--json"], &data);
        assert!(worked, "{shown}");
        let shown: Value = serde_json::from_str(shown.lines().next().unwrap()).unwrap();
        assert_eq!(shown["indexedChunks"], result["chunks"], "{result}");
        chunks.insert(id.to_owned(), result["chunks"].clone());
    }
    assert_eq!(chunks.len(), FILES);
    let (_, letters) = run(&["dlq", "list", "--json"], &data);
    assert_eq!(
        letters.lines().filter(|line| line.starts_with('{')).count(),
        0,
        "{letters}"
    );
}
