//! Every recorded event comes out as its fixture says.

use std::path::{Path, PathBuf};

use millrace_ops::fixture::{self, FixtureError};
use millrace_tests::World;

use crate::PROGRAM;

pub(crate) fn product_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../events-fixtures/documents")
}

pub(crate) fn fixtures() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for worker in millrace_documents::WORKERS {
        let folder = product_folder().join(worker);
        let entries =
            std::fs::read_dir(&folder).unwrap_or_else(|_| panic!("{worker} has no fixtures"));
        found.extend(
            entries
                .map(|entry| entry.unwrap().path())
                .filter(|path| path.extension().is_some_and(|e| e == "json")),
        );
    }
    found.sort();
    found
}

async fn run(path: &Path) -> Result<(), String> {
    let fixture = fixture::load(path).map_err(|error| error.to_string())?;
    let world = World::new(PROGRAM).await;
    let bucket = &world.names.bucket;
    let set_up = fixture::put(&fixture.given, &product_folder(), &world.clients, bucket).await;
    set_up.map_err(|error: FixtureError| error.to_string())?;
    let report = world.deliver(&fixture.worker, &fixture.event).await;
    match fixture.expect.difference(&report) {
        None => Ok(()),
        Some(difference) => Err(difference.to_string()),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fixture_comes_out_as_it_says() {
    let paths = fixtures();
    assert!(
        paths.len() >= 60,
        "only {} fixtures were found",
        paths.len()
    );
    let mut wrong = Vec::new();
    for path in paths {
        if let Err(message) = run(&path).await {
            wrong.push(format!(
                "{}: {message}",
                path.strip_prefix(product_folder()).unwrap().display()
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} fixtures are wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}
