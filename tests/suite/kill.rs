//! Real death: `kill -9` of the running platform in mid-ingest, ten times over.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use millrace_cloud::{Clients, Clock as _, SystemClock};
use millrace_documents::{
    Names, UserId,
    artefacts::ProcessedMetadata,
    upload::{NewFile, document_of, upload},
};
use millrace_local::names::{CREDENTIAL, REGION};
use millrace_ops::platform::Platform;

use crate::PROGRAM;

const FILES: usize = 200;
const DEATHS: u64 = 10;

pub(crate) fn up(data: &Path) -> Child {
    let mut command = Command::new(PROGRAM);
    command
        .args(["up", "--listen", "127.0.0.1:0", "--data"])
        .arg(data);
    command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

pub(crate) async fn wait_for_endpoint(data: &Path) {
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
pub(crate) fn kill(platform: &mut Child, data: &Path) {
    platform.kill().unwrap();
    platform.wait().unwrap();
    let _ = std::fs::remove_file(data.join("endpoint"));
}

/// Uploads every file, each until the platform has acknowledged it: what is acknowledged must not be lost.
async fn upload_all(data: PathBuf, names: Names) {
    let user = UserId::parse("ada").unwrap();
    for number in 0..FILES {
        let document = document_of(&user, &format!("report-{number}")).unwrap();
        let text = format!(
            "Report {number}. Wheel {number} turned {} times and ground {} sacks.",
            number * 7,
            number * 3
        );
        let file = NewFile {
            document,
            file_name: format!("report-{number:03}.txt"),
            file_type: "text/plain".to_owned(),
            bytes: text.into_bytes().into(),
        };
        loop {
            if let Ok(endpoint) = std::fs::read_to_string(data.join("endpoint")) {
                let clients = Clients::at_endpoint(endpoint.trim(), REGION, CREDENTIAL).await;
                let sent = upload(&clients, &names, file.clone(), SystemClock.now());
                if let Ok(Ok(_)) = tokio::time::timeout(Duration::from_secs(2), sent).await {
                    break;
                }
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        // Slow enough that every death meets uploads and events under way.
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
}

async fn ready(clients: &Clients, names: &Names) -> usize {
    let mut ready = 0;
    let mut from = None;
    loop {
        let scan = clients
            .dynamodb
            .scan()
            .table_name(&names.documents_table)
            .set_exclusive_start_key(from);
        let page = scan.send().await.unwrap();
        ready += page
            .items()
            .iter()
            .filter(|row| row["status"].as_s().is_ok_and(|status| status == "ready"))
            .count();
        from = page.last_evaluated_key;
        if from.is_none() {
            return ready;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_deaths_in_mid_ingest_lose_nothing_and_double_nothing() {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("data");
    let names = Platform::open_owned(&data).await.unwrap().names().clone();
    let mut platform = up(&data);
    let uploads = tokio::spawn(upload_all(data.clone(), names.clone()));
    for death in 0..DEATHS {
        wait_for_endpoint(&data).await;
        // Somewhere else in the work each time.
        tokio::time::sleep(Duration::from_millis(300 + death * 97 % 500)).await;
        kill(&mut platform, &data);
        platform = up(&data);
    }
    uploads.await.unwrap();
    wait_for_endpoint(&data).await;
    let endpoint = std::fs::read_to_string(data.join("endpoint")).unwrap();
    let clients = Clients::at_endpoint(endpoint.trim(), REGION, CREDENTIAL).await;
    let begun = Instant::now();
    loop {
        let ready = ready(&clients, &names).await;
        if ready == FILES {
            break;
        }
        assert!(
            begun.elapsed() < Duration::from_secs(120),
            "only {ready} of {FILES} documents are ready"
        );
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    kill(&mut platform, &data);

    let platform = Platform::open_owned(&data).await.unwrap();
    let user = UserId::parse("ada").unwrap();
    for number in 0..FILES {
        let document = document_of(&user, &format!("report-{number}")).unwrap();
        let list = platform
            .documents()
            .bucket()
            .get(&document.metadata())
            .await
            .unwrap()
            .unwrap();
        let list: ProcessedMetadata = serde_json::from_slice(&list.bytes).unwrap();
        let mut expected: Vec<_> = list
            .chunks
            .iter()
            .map(|chunk| (chunk.chunk_id.clone(), list.generation.clone()))
            .collect();
        expected.sort();
        let mut indexed = platform
            .documents()
            .index()
            .document_chunks("ada", document.id.as_str())
            .await
            .unwrap();
        indexed.sort();
        assert_eq!(
            indexed, expected,
            "report {number}: each chunk is in the index once"
        );
    }
    let services = platform.cloud().unwrap().services();
    for worker in platform.workers() {
        let letters = services
            .queues
            .counts(&format!("millrace-{worker}-dlq"))
            .await
            .unwrap();
        assert_eq!(letters.total(), 0, "{worker} has dead letters");
    }
}
