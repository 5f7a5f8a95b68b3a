//! `millrace search`: the chunks nearest to a question.

use millrace_documents::{UserId, search::search};
use millrace_vectors::Hit;
use serde::Serialize;

use crate::{
    cli::Search,
    output::{Ended, Error, json, line, short},
    platform::Platform,
};

/// One line of the answer.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Found {
    score: f32,
    document_id: String,
    pub(crate) file_name: String,
    page_number: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    page_end: Option<u32>,
    section: Option<String>,
    chunk_index: u32,
    content: String,
}

impl From<Hit> for Found {
    fn from(hit: Hit) -> Self {
        Self {
            score: hit.score,
            document_id: hit.document_id,
            file_name: hit.file_name,
            page_number: hit.page_number,
            page_end: hit.page_end,
            section: hit.section,
            chunk_index: hit.chunk_index,
            content: hit.content,
        }
    }
}

impl Found {
    /// `0.512  mill.pdf, page 2, "The wheel": The wheel turns …`
    pub(crate) fn sentence(&self, characters: usize) -> String {
        let page = match (self.page_number, self.page_end) {
            (Some(page), Some(end)) => format!(", pages {page}–{end}"),
            (Some(page), None) => format!(", page {page}"),
            _ => String::new(),
        };
        let section = self
            .section
            .as_ref()
            .map(|section| format!(", “{}”", short(section, 40)))
            .unwrap_or_default();
        format!(
            "{:.3}  {}{page}{section}: {}",
            self.score,
            self.file_name,
            short(&self.content, characters)
        )
    }
}

pub(crate) async fn run(asked: Search) -> Result<Ended, Error> {
    let user = UserId::parse(&asked.user).map_err(|failure| Error::usage(failure.message()))?;
    if asked.query.trim().is_empty() {
        return Err(Error::usage("the question is empty"));
    }
    let platform = if asked.aws {
        Platform::on_aws(&asked.place.data).await?
    } else {
        Platform::open_existing(&asked.place.data).await?
    };
    let hits = search(
        platform.products().documents(),
        &user,
        &asked.query,
        asked.limit as usize,
    )
    .await?;
    if hits.is_empty() {
        eprintln!(
            "nothing found: user {} has no indexed documents in {}",
            user.as_str(),
            if asked.aws {
                "the index on AWS".to_owned()
            } else {
                asked.place.data.display().to_string()
            }
        );
    }
    for hit in hits {
        let found = Found::from(hit);
        if asked.place.json {
            json(&found);
        } else {
            line(&found.sentence(300));
        }
    }
    Ok(Ended::Done)
}
