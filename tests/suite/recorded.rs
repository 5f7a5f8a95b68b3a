//! What is recorded, or made of dead letters, tells nothing of anybody and comes out again as it did.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

use millrace_delivery::recorder::{BucketStore, RecordStore as _};
use millrace_ops::fixture::{self, Content, DeadLetter, Fixture, from_letter};
use millrace_tests::World;
use millrace_text::Child;
use serde_json::Value;

use crate::PROGRAM;

/// Of the recorded events.
const USER: &str = "7d3b8c52-4e0f-4a86-9b1e-2f60c5a1d934";

fn product_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../events-fixtures/documents")
}

fn millrace(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(PROGRAM);
    command.args(arguments).envs(environment.iter().copied());
    command.output().unwrap()
}

fn json_files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files
}

/// Makes a fixture of a fixture's event, as if it had become a dead letter in the world that the fixture describes.
async fn as_letter(name: &str) -> (Fixture, Fixture) {
    let original = fixture::load(&product_folder().join(name)).unwrap();
    let world = World::new(PROGRAM).await;
    let bucket = &world.names.documents.bucket;
    fixture::put(&original.given, &product_folder(), &world.clients, bucket)
        .await
        .unwrap();
    let current = fixture::current(&world.clients, &world.names, &original.event)
        .await
        .unwrap();
    let letter = DeadLetter {
        worker: &original.worker,
        event: &original.event,
        reason: original
            .expect
            .records
            .first()
            .and_then(|record| record.reason),
        day: original.recorded,
    };
    let child = Child::program(Path::new(PROGRAM));
    let made = from_letter(&letter, current, child).await.unwrap();
    (original, made)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_becomes_a_fixture_that_comes_out_as_the_letter_did() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("saved")).unwrap();
    std::os::unix::fs::symlink(
        product_folder().join("samples"),
        folder.path().join("samples"),
    )
    .unwrap();
    for name in [
        "extract-text/s3-through-sqs.json",
        "extract-text/eventbridge-through-sqs.json",
        "extract-text/s3-through-sns-through-sqs.json",
        "extract-text/lambda-on-failure-through-sqs.json",
        "extract-text/parked-record-replayed.json",
        "extract-text/password-protected.json",
        "extract-text/truncated.json",
        "extract-text/scanned.json",
        "extract-text/empty.json",
        "extract-text/postscript.json",
        "extract-text/nothing-but-white-space.json",
        "extract-text/user-id-of-an-identity-pool.json",
        "extract-text/newer-generation-known.json",
        "extract-text/e-tag-of-an-older-upload.json",
        "extract-text/document-id-in-braces.json",
        "extract-text/malformed-bodies-among-good-ones.json",
        "keep-progress/row-overwritten-by-the-upload.json",
        "keep-progress/row-that-says-so-already.json",
        "remove-document/row-removed-by-time-to-live.json",
        "remove-document/object-deleted-through-eventbridge.json",
        "chunk-text/artefact-of-another-maker.json",
    ] {
        let (original, made) = as_letter(name).await;
        assert_eq!(
            made.expect.records, original.expect.records,
            "{name}: {}",
            made.description
        );
        let text = made.to_text();
        for secret in [
            USER,
            "5f0f8a1c-7a0e-4b5e-9d63-0c2be1a4f7d8",
            "AIDAEXAMPLEEXAMPLE",
            "192.0.2.17\"",
        ] {
            assert!(!text.contains(secret), "{secret} is left of {name}: {text}");
        }
        // Only samples are named: nothing that somebody uploaded is in it.
        for object in &made.given.objects {
            if let Content::File(file) = &object.content {
                assert!(file.starts_with("samples/"), "{file}");
            }
        }
        let file = folder.path().join("saved").join(name.replace('/', "-"));
        std::fs::write(&file, text).unwrap();
    }
    let saved = folder.path().join("saved");
    let fed = millrace(&["feed", saved.to_str().unwrap()], &[]);
    assert!(
        fed.status.success(),
        "{}",
        String::from_utf8_lossy(&fed.stdout)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fail_by_itself_says_so() {
    let original = fixture::load(&product_folder().join("extract-text/s3-direct.json")).unwrap();
    let letter = DeadLetter {
        worker: &original.worker,
        event: &original.event,
        reason: Some("throttled"),
        day: original.recorded,
    };
    let child = Child::program(Path::new(PROGRAM));
    let made = from_letter(&letter, fixture::Current::default(), child)
        .await
        .unwrap();
    assert!(
        made.description.contains("(throttled)") && made.description.contains("fresh world"),
        "{}",
        made.description
    );
}

#[tokio::test]
async fn a_bucket_keeps_the_first_of_a_name() {
    let world = World::new(PROGRAM).await;
    let store = BucketStore::new(
        world.clients.s3.clone(),
        &world.names.documents.bucket,
        "fixtures",
    );
    assert_eq!(
        store.subjects(),
        Some("s3://ai-assistant-documents-dev/fixtures/")
    );
    for text in ["first", "second"] {
        store.keep("w/1.json", text.into()).await.unwrap();
    }
    let kept = world
        .products
        .documents()
        .bucket()
        .get("fixtures/w/1.json")
        .await;
    assert_eq!(kept.unwrap().unwrap().bytes, "first");
    let nowhere = BucketStore::new(world.clients.s3.clone(), "no-such-bucket", "");
    assert!(nowhere.keep("w/1.json", Vec::new()).await.is_err());
}

#[test]
fn an_ingest_is_recorded_redacted_and_can_be_fed_again() {
    let folder = tempfile::tempdir().unwrap();
    let (data, recorded) = (folder.path().join("data"), folder.path().join("recorded"));
    let (data, to) = (data.to_str().unwrap(), recorded.to_str().unwrap());
    let uploads = folder.path().join("Lovelace");
    std::fs::create_dir(&uploads).unwrap();
    let sample = product_folder().join("samples/alderwick-mill-handbook.pdf");
    std::fs::copy(sample, uploads.join("lovelace-letters.pdf")).unwrap();
    let sample = product_folder().join("samples/broken/truncated.pdf");
    std::fs::copy(sample, uploads.join("lovelace-torn.pdf")).unwrap();
    let arguments = [
        "ingest",
        uploads.to_str().unwrap(),
        "--user",
        "lovelace@mill.org",
        "--data",
        data,
    ];
    let ingested = millrace(
        &arguments,
        &[("MILLRACE_RECORD", "all"), ("MILLRACE_RECORD_TO", to)],
    );
    assert_eq!(
        ingested.status.code(),
        Some(1),
        "{}",
        String::from_utf8_lossy(&ingested.stderr)
    );
    let said = String::from_utf8_lossy(&ingested.stdout).into_owned();
    assert!(said.contains("[docs/reasons.md#damaged-file]"), "{said}");
    let mut seen = 0;
    for worker in [
        "extract-text",
        "chunk-text",
        "embed-chunks",
        "index-chunks",
        "keep-progress",
    ] {
        for file in json_files(&recorded.join(worker)) {
            let text = std::fs::read_to_string(&file).unwrap();
            for secret in [
                "ovelace",
                "mill.org",
                "000000000000",
                "alderwick",
                "Alderwick",
            ] {
                assert!(
                    !text.contains(secret),
                    "{secret} in {}: {text}",
                    file.display()
                );
            }
            let fixture = fixture::load(&file).unwrap();
            assert_eq!(fixture.worker, worker);
            seen += 1;
        }
    }
    assert!(seen >= 6, "{seen}");
    // Without what was given, nothing is found; but every event is read and answered.
    let fed = millrace(&["feed", to, "--json"], &[]);
    let lines = String::from_utf8(fed.stdout).unwrap();
    assert_eq!(lines.lines().count(), seen);
    for line in lines.lines() {
        let tried: Value = serde_json::from_str(line).unwrap();
        assert!(
            ["same", "different"].contains(&tried["verdict"].as_str().unwrap()),
            "{line}"
        );
        assert!(!tried["records"].as_array().unwrap().is_empty(), "{line}");
    }
}

#[test]
fn a_folder_is_fed_file_by_file_and_differences_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    let same =
        std::fs::read_to_string(product_folder().join("extract-text/test-event.json")).unwrap();
    put("a-same.json", &same);
    let mut other: Value = serde_json::from_str(&same).unwrap();
    other["expect"]["records"] = serde_json::json!([{"outcome": "parked", "reason": "encrypted"}]);
    put("b-different.json", &other.to_string());
    put("c-event.json", &other["event"].to_string());
    let folder = folder.path().to_str().unwrap();
    let fed = millrace(&["feed", folder, "--to", "extract-text"], &[]);
    assert_eq!(fed.status.code(), Some(1));
    let said = String::from_utf8(fed.stdout).unwrap();
    let lines: Vec<&str> = said.lines().collect();
    assert!(
        lines[0].starts_with("same ") && lines[0].contains("a-same.json"),
        "{said}"
    );
    assert!(
        lines[1].starts_with("different ")
            && lines[1].contains("expected parked (encrypted), got ignored"),
        "{said}"
    );
    assert!(
        lines[2].starts_with("delivered ") && lines[2].ends_with("ignored"),
        "{said}"
    );
    let counted = String::from_utf8(fed.stderr).unwrap();
    assert_eq!(counted.trim(), "3 files: 1 same, 1 different, 1 delivered");
    // Without a worker the event cannot be delivered.
    let fed = millrace(&["feed", folder, "--json"], &[]);
    let said = String::from_utf8(fed.stdout).unwrap();
    let last: Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
    assert_eq!(last["verdict"], "broken");
    assert!(
        last["problems"][0].as_str().unwrap().contains("--to"),
        "{last}"
    );
    assert_eq!(
        millrace(&["feed", "no/such/file.json"], &[]).status.code(),
        Some(2)
    );
}
