//! The platform's row says what the progress row says.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use millrace_cloud::retry::Retry;
use millrace_effects::{Committed, Row, Update, When};
use millrace_events::{Failure, Outcome, mutation, reason};

use super::{
    Derived, ErrorSaid, Progress, ProgressStore, Step,
    store::{soon, text},
};
use crate::keys::Document;

impl ProgressStore {
    /// Writes the progress into the platform's row again. [`Outcome::Already`] when it says so.
    pub async fn project(&self, document: &Document) -> Result<Outcome, Failure> {
        Retry::default()
            .run(soon(), || self.try_project(document))
            .await
    }

    async fn try_project(&self, document: &Document) -> Result<Outcome, Failure> {
        let Some(before) = self.read(document).await? else {
            return Ok(Outcome::Ignored("nothing is processed yet"));
        };
        if before.is_removed() {
            return Ok(Outcome::Ignored("the document was removed"));
        }
        let Some(row) = self.read_row(document).await? else {
            return Ok(Outcome::Superseded);
        };
        if says(&row, &before) || mutation::on(mutation::OVERWRITTEN_ROW_IGNORED) {
            return Ok(Outcome::Already);
        }
        let attempted = "write the progress into the document's row";
        let after = before.clone();
        match self
            .write(attempted, document, &row, &before, after)
            .await?
        {
            Committed::Done => Ok(Outcome::Applied),
            Committed::Refused { .. } => Err(Failure::transient(
                reason::CONFLICT,
                "the document's row was changed at the same time",
            )),
        }
    }

    /// The update that makes the platform's row say what the progress says. What users and the upload wrote
    /// (names, tags, description, a title of their own) stays.
    pub(super) async fn projection(
        &self,
        document: &Document,
        row: &Row,
        after: &mut Progress,
    ) -> Result<Update, Failure> {
        let key = Self::progress_key(document);
        let metadata = row.get("metadata").and_then(|value| value.as_m().ok());
        if metadata.is_none() {
            let ensure = Update::of(&self.names.documents_table, key.clone())
                .set_if_absent("metadata", no_metadata())
                .when(When::Present("userId"));
            self.table
                .commit("give the document's row its metadata", vec![ensure.into()])
                .await?;
        }
        let mut update = Update::of(&self.names.documents_table, key)
            .set("status", text(after.status.word()))
            .set(
                "processingStatus",
                processing_status(after.reached, after.error.as_ref()),
            )
            .set("updatedAt", text(&*after.updated_at))
            .when(When::Present("userId"));
        let Some(derived) = shown(after) else {
            return Ok(update);
        };
        update = update.set("searchableContent", searchable(&derived));
        update = match word_count(after, &derived) {
            Some(words) => update.set("metadata.wordCount", words),
            None => update.remove("metadata.wordCount"),
        };
        update = match &derived.language {
            Some(language) => update.set("metadata.language", text(language)),
            None => update.remove("metadata.language"),
        };
        update = match derived.page_count {
            Some(pages) => update.set("metadata.pageCount", AttributeValue::N(pages.to_string())),
            None => update.remove("metadata.pageCount"),
        };
        let held = metadata
            .and_then(|map| map.get("title"))
            .and_then(|title| title.as_s().ok())
            .cloned();
        let users_own = held.is_some() && held != after.written_title;
        if !users_own {
            update = update.when(match &held {
                Some(held) => When::Equal("metadata.title", text(held)),
                None => When::Absent("metadata.title"),
            });
            update = match &derived.title {
                Some(title) => update.set("metadata.title", text(title)),
                None => update.remove("metadata.title"),
            };
            after.written_title = derived.title;
        }
        Ok(update)
    }
}

pub(super) fn processing_status(reached: u8, error: Option<&ErrorSaid>) -> AttributeValue {
    let flag = |step: Step| AttributeValue::Bool(reached >= step as u8);
    let mut map = HashMap::from([
        ("textExtracted".to_owned(), flag(Step::TextExtracted)),
        ("chunksCreated".to_owned(), flag(Step::ChunksCreated)),
        ("vectorsGenerated".to_owned(), flag(Step::VectorsGenerated)),
        ("indexed".to_owned(), flag(Step::Indexed)),
    ]);
    if let Some(error) = error {
        map.insert("errorMessage".to_owned(), text(&*error.message));
        map.insert("errorCode".to_owned(), text(&*error.code));
    }
    AttributeValue::M(map)
}

pub(super) fn searchable(derived: &Derived) -> AttributeValue {
    let keywords = derived.keywords.iter().map(|word| text(&**word)).collect();
    AttributeValue::M(HashMap::from([
        ("preview".to_owned(), text(&*derived.preview)),
        ("keywords".to_owned(), AttributeValue::L(keywords)),
    ]))
}

/// The metadata of a row about which nothing is known yet.
pub(super) fn no_metadata() -> AttributeValue {
    AttributeValue::M(HashMap::from([(
        "tags".to_owned(),
        AttributeValue::L(Vec::new()),
    )]))
}

pub(super) fn no_access() -> AttributeValue {
    AttributeValue::M(HashMap::from([
        ("isPublic".to_owned(), AttributeValue::Bool(false)),
        ("sharedWith".to_owned(), AttributeValue::L(Vec::new())),
    ]))
}

/// What the platform's row shows of the file: what was found out, or nothing when it cannot be read. `None` while that is not
/// known: the row keeps what it says of the former one.
fn shown(progress: &Progress) -> Option<Derived> {
    if progress.is_unreadable() {
        return Some(Derived::default());
    }
    let derived = progress.derived.clone();
    derived.filter(|_| progress.has_reached(Step::TextExtracted))
}

/// Nobody has counted the words of a file that cannot be read.
fn word_count(progress: &Progress, derived: &Derived) -> Option<AttributeValue> {
    let count = || AttributeValue::N(derived.word_count.to_string());
    (!progress.is_unreadable()).then(count)
}

/// Whether the platform's row says what the progress says.
pub(crate) fn says(row: &Row, progress: &Progress) -> bool {
    let same = |name: &str, value: &AttributeValue| row.get(name) == Some(value);
    let status = same("status", &text(progress.status.word()))
        && same(
            "processingStatus",
            &processing_status(progress.reached, progress.error.as_ref()),
        );
    let Some(derived) = shown(progress) else {
        return status;
    };
    let metadata = row.get("metadata").and_then(|value| value.as_m().ok());
    let language = metadata
        .and_then(|map| map.get("language"))
        .and_then(|value| value.as_s().ok());
    let words = metadata.and_then(|map| map.get("wordCount"));
    let titled = derived.title.is_none() || metadata.is_some_and(|map| map.contains_key("title"));
    status
        && titled
        && same("searchableContent", &searchable(&derived))
        && language == derived.language.as_ref()
        && words == word_count(progress, &derived).as_ref()
}
