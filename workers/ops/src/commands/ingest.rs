//! `millrace ingest`: uploads files as the platform does, and waits for what becomes of them.

use std::{
    collections::BTreeMap,
    io::IsTerminal as _,
    path::{Path, PathBuf},
    time::Duration,
};

use futures::{StreamExt as _, stream};
use indicatif::{ProgressBar, ProgressStyle};
use millrace_cloud::{Clock as _, SystemClock};
use millrace_documents::{
    Document, UserId,
    artefacts::ProcessedMetadata,
    progress::{Progress, Status},
    upload::{NewFile, document_of, upload},
};
use serde::Serialize;

use crate::{
    cli::Ingest,
    output::{Ended, Error, docs_link, json, line},
    platform::{Platform, Standing},
};

/// Files that are uploaded at once.
const UPLOADS: usize = 4;
/// How often rows are looked at.
const LOOK: Duration = Duration::from_millis(50);
/// The same where each look is paid for.
const LOOK_ON_AWS: Duration = Duration::from_secs(2);

/// What became of a file.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Ingested {
    pub(crate) file: String,
    pub(crate) document_id: Option<String>,
    pub(crate) status: &'static str,
    pub(crate) pages: Option<u32>,
    pub(crate) words: Option<u64>,
    pub(crate) chunks: Option<u32>,
    pub(crate) language: Option<String>,
    pub(crate) error: Option<Said>,
}

/// Why a file failed.
#[derive(Debug, Serialize)]
pub(crate) struct Said {
    pub(crate) code: String,
    pub(crate) message: String,
    /// Where it is said what to do about it.
    pub(crate) docs: Option<String>,
}

impl Said {
    fn new(code: &str, message: String) -> Self {
        Self {
            code: code.to_owned(),
            message,
            docs: docs_link(code),
        }
    }
}

impl Ingested {
    fn failed(file: &Path, code: &str, message: String) -> Self {
        Self {
            file: file.display().to_string(),
            document_id: None,
            status: "error",
            pages: None,
            words: None,
            chunks: None,
            language: None,
            error: Some(Said::new(code, message)),
        }
    }

    /// `ready   mill.pdf   3 pages, 812 words, 4 chunks, en`, `error   lost.pdf   the file … [docs/reasons.md#damaged-file]`
    pub(crate) fn sentence(&self) -> String {
        let name = Path::new(&self.file)
            .file_name()
            .map_or(self.file.clone(), |name| {
                name.to_string_lossy().into_owned()
            });
        if let Some(said) = &self.error {
            let link = said.docs.as_ref().unwrap_or(&said.code);
            return format!("{:6} {name}  {} [{link}]", self.status, said.message);
        }
        let mut facts = Vec::new();
        facts.extend(self.pages.map(|n| format!("{n} pages")));
        facts.extend(self.words.map(|n| format!("{n} words")));
        facts.extend(self.chunks.map(|n| format!("{n} chunks")));
        facts.extend(self.language.clone());
        format!("{:6} {name}  {}", self.status, facts.join(", "))
    }
}

pub(crate) async fn run(asked: Ingest) -> Result<Ended, Error> {
    let user = UserId::parse(&asked.user).map_err(|failure| Error::usage(failure.message()))?;
    let files = collect(&asked.paths)?;
    if files.is_empty() {
        return Err(Error::usage("there are no files in the paths given"));
    }
    let mut platform = if asked.aws {
        Platform::on_aws(&asked.place.data).await?
    } else {
        Platform::open(&asked.place.data).await?
    };
    platform.start();
    let results = ingest(&platform, &user, files).await?;
    platform.stop().await;
    let mut ended = Ended::Done;
    for result in &results {
        if result.error.is_some() {
            ended = Ended::SomeFailed;
        }
        if asked.place.json {
            json(result);
        } else {
            line(&format!(
                "{}  {}",
                result.sentence(),
                result.document_id.as_deref().unwrap_or("-")
            ));
        }
    }
    Ok(ended)
}

/// Every file below these paths, in the order of the paths and then of the names.
pub(crate) fn collect(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Error> {
    let mut files = Vec::new();
    for path in paths {
        if !path.exists() {
            return Err(Error::usage(format!(
                "there is no file or folder {}",
                path.display()
            )));
        }
        walk(path, &mut files);
    }
    Ok(files)
}

fn walk(path: &Path, files: &mut Vec<PathBuf>) {
    if !path.is_dir() {
        files.push(path.to_owned());
        return;
    }
    let Ok(entries) = std::fs::read_dir(path) else {
        // Listed as itself, so that reading it fails by name.
        files.push(path.to_owned());
        return;
    };
    let mut entries: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    entries.sort();
    for entry in entries {
        let hidden = entry
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with('.'));
        // A link to a folder could lead back here.
        let links_to_folder = entry.is_symlink() && entry.is_dir();
        if !hidden && !links_to_folder {
            walk(&entry, files);
        }
    }
}

struct Uploaded {
    file: PathBuf,
    document: Document,
    before: Option<String>,
}

/// Uploads the files and waits until each is ready or failed.
pub(crate) async fn ingest(
    platform: &Platform,
    user: &UserId,
    files: Vec<PathBuf>,
) -> Result<Vec<Ingested>, Error> {
    let bar = progress_bar(files.len());
    let order: Vec<PathBuf> = files.clone();
    let uploads: Vec<Result<Uploaded, Ingested>> = stream::iter(
        files
            .into_iter()
            .map(|file| upload_one(platform, user, file)),
    )
    .buffer_unordered(UPLOADS)
    .collect()
    .await;
    let mut waiting = Vec::new();
    let mut done: BTreeMap<PathBuf, Ingested> = BTreeMap::new();
    for result in uploads {
        match result {
            Ok(uploaded) => waiting.push(uploaded),
            Err(failed) => {
                bar.inc(1);
                done.insert(PathBuf::from(&failed.file), failed);
            }
        }
    }
    while !waiting.is_empty() {
        let mut still = Vec::new();
        for uploaded in waiting {
            let progress = platform
                .products()
                .documents()
                .progress()
                .read(&uploaded.document)
                .await?;
            match progress.filter(|progress| is_over(progress, uploaded.before.as_deref())) {
                None => still.push(uploaded),
                Some(progress) => {
                    bar.inc(1);
                    let result = describe(platform, &uploaded, &progress).await?;
                    done.insert(uploaded.file, result);
                }
            }
        }
        waiting = still;
        if !waiting.is_empty() {
            tokio::time::sleep(match platform.standing() {
                Standing::Aws => LOOK_ON_AWS,
                _ => LOOK,
            })
            .await;
        }
    }
    // What goes on on AWS is not this command's business.
    if platform.standing() != Standing::Aws {
        platform.wait_idle().await;
    }
    bar.finish_and_clear();
    Ok(order.iter().filter_map(|file| done.remove(file)).collect())
}

fn progress_bar(files: usize) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(files as u64);
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} documents  {elapsed}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

async fn upload_one(
    platform: &Platform,
    user: &UserId,
    file: PathBuf,
) -> Result<Uploaded, Ingested> {
    // A pipe or a device would be waited for, perhaps for ever.
    if std::fs::metadata(&file).is_ok_and(|file| !file.is_file()) {
        let message = "it is not a regular file".to_owned();
        return Err(Ingested::failed(&file, "unreadable-file", message));
    }
    let bytes = match tokio::fs::read(&file).await {
        Ok(bytes) => bytes,
        Err(error) => {
            return Err(Ingested::failed(
                &file,
                "unreadable-file",
                format!("the file cannot be read: {error}"),
            ));
        }
    };
    let whole_path = std::fs::canonicalize(&file).unwrap_or_else(|_| file.clone());
    let failed = |failure: millrace_events::Failure| {
        Ingested::failed(&file, failure.reason().code(), failure.chain())
    };
    let document = document_of(user, &whole_path.to_string_lossy()).map_err(failed)?;
    let before = platform
        .products()
        .documents()
        .progress()
        .read(&document)
        .await
        .map_err(failed)?;
    let file_name = file.file_name().map_or_else(
        || "document".to_owned(),
        |name| name.to_string_lossy().into_owned(),
    );
    let new = NewFile {
        document: document.clone(),
        file_type: file_type(&file_name).to_owned(),
        file_name,
        bytes: bytes.into(),
    };
    upload(
        platform.clients(),
        &platform.names().documents,
        new,
        SystemClock.now(),
    )
    .await
    .map_err(failed)?;
    Ok(Uploaded {
        file,
        document,
        before: before.and_then(|progress| progress.generation),
    })
}

/// The MIME type that a browser would send with the upload; the pipeline looks at the content itself.
fn file_type(name: &str) -> &'static str {
    match name
        .rsplit('.')
        .next()
        .unwrap_or_default()
        .to_ascii_lowercase()
        .as_str()
    {
        "pdf" => "application/pdf",
        "docx" => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "xlsx" => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "pptx" => "application/vnd.openxmlformats-officedocument.presentationml.presentation",
        "odt" => "application/vnd.oasis.opendocument.text",
        "ods" => "application/vnd.oasis.opendocument.spreadsheet",
        "odp" => "application/vnd.oasis.opendocument.presentation",
        "epub" => "application/epub+zip",
        "html" | "htm" => "text/html",
        "md" | "markdown" => "text/markdown",
        "txt" => "text/plain",
        _ => "application/octet-stream",
    }
}

/// Whether a generation newer than the one before the upload is ready or failed.
fn is_over(progress: &Progress, before: Option<&str>) -> bool {
    progress.generation.as_deref() > before
        && matches!(progress.status, Status::Ready | Status::Error)
}

async fn describe(
    platform: &Platform,
    uploaded: &Uploaded,
    progress: &Progress,
) -> Result<Ingested, Error> {
    let ready = progress.status == Status::Ready;
    let list = if ready {
        platform
            .products()
            .documents()
            .bucket()
            .get(&uploaded.document.metadata())
            .await?
    } else {
        None
    };
    let list: Option<ProcessedMetadata> =
        list.and_then(|object| serde_json::from_slice(&object.bytes).ok());
    let derived = progress.derived.as_ref().filter(|_| ready);
    Ok(Ingested {
        file: uploaded.file.display().to_string(),
        document_id: Some(uploaded.document.id.as_str().to_owned()),
        status: progress.status.word(),
        pages: derived.and_then(|derived| derived.page_count),
        words: derived.map(|derived| derived.word_count),
        chunks: list.map(|list| list.chunk_count),
        language: derived.and_then(|derived| derived.language.clone()),
        error: progress
            .error
            .as_ref()
            .map(|said| Said::new(&said.code, said.message.clone())),
    })
}
