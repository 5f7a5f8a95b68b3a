//! `millrace show`: one document with its row, artefacts and chunks.

use millrace_documents::Document;

use crate::{
    cli::Show,
    output::{self, Ended, Error, line},
    platform::Platform,
    subjects::document_state,
};

pub(crate) async fn run(asked: Show) -> Result<Ended, Error> {
    let document = Document::parse(&asked.user, &asked.document)
        .map_err(|failure| Error::usage(failure.message()))?;
    let platform = Platform::open_existing(&asked.place.data).await?;
    let documents = platform.products().documents();
    if asked.text {
        let Some(text) = documents.bucket().get(&document.text()).await? else {
            return Err(Error::failed(format!(
                "there is no text of document {document}"
            )));
        };
        use std::io::Write as _;
        let mut out = std::io::stdout().lock();
        let _ = out.write_all(&text.bytes).and_then(|()| out.flush());
        return Ok(Ended::Done);
    }
    let shown = document_state(documents, &document).await?;
    if shown["row"].is_null() && shown["progress"].is_null() {
        return Err(Error::failed(format!(
            "there is no document {document} in {}",
            asked.place.data.display()
        )));
    }
    if asked.place.json {
        output::json(&shown);
        return Ok(Ended::Done);
    }
    for part in ["row", "progress"] {
        line(&format!("{part}:"));
        line(&serde_json::to_string_pretty(&shown[part]).unwrap_or_default());
    }
    line("artefacts:");
    for artefact in shown["artefacts"].as_array().into_iter().flatten() {
        let field = |name: &str| artefact[name].as_str().unwrap_or("-").to_owned();
        line(&format!(
            "  {:>9}  {}  generation {}",
            artefact["size"],
            field("key"),
            field("generation")
        ));
    }
    line("chunks:");
    for chunk in shown["chunks"].as_array().into_iter().flatten() {
        let page = |name: &str| chunk["metadata"][name].as_u64();
        let place = match (page("pageNumber"), page("pageEnd")) {
            (Some(page), Some(end)) => format!("page {page}–{end}"),
            (Some(page), None) => format!("page {page}"),
            _ => String::new(),
        };
        let section = chunk["metadata"]["section"].as_str().unwrap_or_default();
        line(&format!(
            "  {:>4}  {:>7}–{:<7} {place:10} {}",
            chunk["chunkIndex"],
            chunk["startPosition"],
            chunk["endPosition"],
            output::short(section, 60)
        ));
    }
    Ok(Ended::Done)
}
