//! The recorded events: which there are, and how a world becomes what one begins with.

use std::path::{Path, PathBuf};

use millrace_ops::fixture::{self, Fixture};

use crate::{World, workers};

/// A recorded event.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// `documents/extract-text/s3-direct`.
    pub name: String,
    /// The worker it is delivered to.
    pub worker: &'static str,
    /// The event, what is given, what is expected.
    pub fixture: Fixture,
    /// The product's folder, to which the files that are given are relative.
    folder: PathBuf,
}

/// Every fixture of every worker of the template, by name.
pub fn fixtures() -> Vec<Recorded> {
    let home = Path::new(env!("CARGO_MANIFEST_DIR")).join("../events-fixtures");
    let mut found = Vec::new();
    for product in entries(&home).into_iter().filter(|path| path.is_dir()) {
        for worker in workers() {
            for file in entries(&product.join(worker)) {
                if file
                    .extension()
                    .is_some_and(|extension| extension == "json")
                {
                    found.push(read(&file, &product, worker));
                }
            }
        }
    }
    found
}

/// What lies in a folder, by name; nothing if there is none.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    let mut entries: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    entries
}

fn read(file: &Path, product: &Path, worker: &'static str) -> Recorded {
    let name = |path: &Path| path.file_stem().unwrap().to_string_lossy().into_owned();
    let fixture = fixture::load(file).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(
        fixture.worker,
        worker,
        "{} lies in the folder of another worker",
        file.display()
    );
    Recorded {
        name: format!("{}/{worker}/{}", name(product), name(file)),
        worker,
        fixture,
        folder: product.to_owned(),
    }
}

impl Recorded {
    /// Makes a world what the fixture begins with.
    pub async fn set_up(&self, world: &World) {
        let bucket = &world.names.documents.bucket;
        let put = fixture::put(&self.fixture.given, &self.folder, &world.clients, bucket).await;
        put.unwrap_or_else(|error| panic!("{}: {error}", self.name));
    }
}
