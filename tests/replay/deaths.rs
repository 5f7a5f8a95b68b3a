//! Real death: `kill -9` of the running platform in mid-ingest, over and over.

use std::{
    fmt,
    path::PathBuf,
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
use millrace_tests::running::{kill, up, wait_for_endpoint};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};

/// The command under test.
const PROGRAM: &str = env!("CARGO_BIN_EXE_millrace-under-test");

/// Files that are uploaded between two deaths, about.
const FILES_PER_DEATH: usize = 20;

/// What was survived.
#[derive(Debug, Clone, Copy)]
pub struct Summary {
    pub deaths: usize,
    pub files: usize,
    pub seconds: f64,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "real death: {} times kill -9, {} files uploaded meanwhile, all ready, each chunk indexed once, no dead letters, {:.0} s",
            self.deaths, self.files, self.seconds
        )
    }
}

/// Uploads every file, each until the platform has acknowledged it: what is acknowledged must not be lost.
async fn upload_all(data: PathBuf, names: Names, files: usize) {
    let user = UserId::parse("ada").unwrap();
    for number in 0..files {
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

/// Kills the platform so many times, at moments that follow from a seed, while files are uploaded. Nothing is lost and
/// nothing is double.
pub async fn run(deaths: usize, seed: u64) -> Summary {
    let begun = Instant::now();
    let files = deaths * FILES_PER_DEATH;
    let mut chance = StdRng::seed_from_u64(seed);
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("data");
    let names = Platform::open_owned(&data)
        .await
        .unwrap()
        .names()
        .documents
        .clone();
    let mut platform = up(PROGRAM, &data);
    let uploads = tokio::spawn(upload_all(data.clone(), names.clone(), files));
    for _ in 0..deaths {
        wait_for_endpoint(&data).await;
        // Somewhere else in the work each time.
        let alive = Duration::from_millis(chance.random_range(50..900));
        tokio::time::sleep(alive).await;
        kill(&mut platform, &data);
        platform = up(PROGRAM, &data);
    }
    uploads.await.unwrap();
    wait_for_endpoint(&data).await;
    let endpoint = std::fs::read_to_string(data.join("endpoint")).unwrap();
    let clients = Clients::at_endpoint(endpoint.trim(), REGION, CREDENTIAL).await;
    let waiting_since = Instant::now();
    loop {
        let ready = ready(&clients, &names).await;
        if ready == files {
            break;
        }
        assert!(
            waiting_since.elapsed() < Duration::from_secs(120),
            "only {ready} of {files} documents are ready"
        );
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    kill(&mut platform, &data);

    let platform = Platform::open_owned(&data).await.unwrap();
    let user = UserId::parse("ada").unwrap();
    for number in 0..files {
        let document = document_of(&user, &format!("report-{number}")).unwrap();
        let list = platform
            .products()
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
            .products()
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
    let seconds = begun.elapsed().as_secs_f64();
    Summary {
        deaths,
        files,
        seconds,
    }
}
