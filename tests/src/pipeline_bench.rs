//! Pages per second through the whole pipeline, and the share of time per stage.
//!
//! Many copies of the sample PDFs are uploaded to an embedded platform on disk. The share of a stage is its
//! handlers' time over that of all handlers; they run side by side, so shares and wall time are two things.

#![allow(clippy::unwrap_used)]

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Instant,
};

use millrace_cloud::{Clock as _, SystemClock};
use millrace_documents::{
    UserId,
    progress::Status,
    upload::{NewFile, document_of, upload},
};
use millrace_ops::platform::{Home, Platform};
use millrace_text::{Child, Limits};

const SAMPLES: [&str; 3] = [
    "alderwick-mill-handbook.pdf",
    "yuxi-river-survey-zh.pdf",
    "beodeulnae-mill-guide-ko.pdf",
];

/// Pages of the three together.
const PAGES: usize = 9;

fn main() {
    millrace_text::run_child_if_asked();
    let copies: usize = std::env::args()
        .nth(1)
        .and_then(|n| n.parse().ok())
        .unwrap_or(40);
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(run(copies));
}

async fn run(copies: usize) {
    let home = tempfile::tempdir().unwrap();
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../events-fixtures/documents/samples");
    let data = Home::Folder(home.path().join("data"));
    let mut platform = Platform::embedded(data, Limits::default(), Child::this_program())
        .await
        .unwrap();
    let spent: Arc<Mutex<BTreeMap<String, u64>>> = Arc::default();
    let heard = spent.clone();
    platform.on_outcome(move |said| {
        *heard
            .lock()
            .unwrap()
            .entry(said.worker.clone())
            .or_default() += said.milliseconds;
    });
    let user = UserId::parse("bench").unwrap();
    let mut documents = Vec::new();
    let begun = Instant::now();
    platform.start();
    for copy in 0..copies {
        for sample in SAMPLES {
            let document = document_of(&user, &format!("{copy}/{sample}")).unwrap();
            let bytes = std::fs::read(folder.join(sample)).unwrap().into();
            let file_type = "application/pdf".to_owned();
            let file = NewFile {
                document: document.clone(),
                file_name: sample.to_owned(),
                file_type,
                bytes,
            };
            upload(
                platform.clients(),
                &platform.names().documents,
                file,
                SystemClock.now(),
            )
            .await
            .unwrap();
            documents.push(document);
        }
    }
    platform.wait_idle().await;
    let seconds = begun.elapsed().as_secs_f64();
    let mut pages = 0;
    for document in &documents {
        let progress = platform
            .products()
            .documents()
            .progress()
            .read(document)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(
            progress.status,
            Status::Ready,
            "{document}: {:?}",
            progress.error
        );
        pages += progress
            .derived
            .and_then(|derived| derived.page_count)
            .unwrap_or_default();
    }
    platform.stop().await;
    assert_eq!(
        pages as usize,
        copies * PAGES,
        "every copy of a file has the same pages"
    );
    println!(
        "{} documents, {pages} pages, {seconds:.1} s: {:.1} pages per second",
        documents.len(),
        f64::from(pages) / seconds
    );
    let spent = spent.lock().unwrap();
    let all: u64 = spent.values().sum();
    println!("share of the handlers' time by stage");
    for (worker, milliseconds) in spent.iter() {
        println!(
            "  {worker:16} {:5.1} %  {milliseconds} ms",
            100.0 * *milliseconds as f64 / all as f64
        );
    }
}
