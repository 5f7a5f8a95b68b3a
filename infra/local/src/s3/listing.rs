//! Listing the keys of a bucket, page by page.

use rusqlite::Connection;
use s3s::{S3Result, s3_error};

use super::index::{self, ObjectRow};
use crate::error::ServiceError;

/// Sorts after everything that begins with what it is appended to.
const LAST_CHARACTER: char = '\u{10FFFF}';

/// What to list.
#[derive(Debug, Clone, Default)]
pub(super) struct Query {
    pub(super) bucket: String,
    pub(super) prefix: String,
    pub(super) delimiter: String,
    /// Only what comes after this key.
    pub(super) after: String,
    pub(super) limit: usize,
}

/// A page of a listing, in the order of keys.
#[derive(Debug, Default)]
pub(super) struct Page {
    pub(super) objects: Vec<ObjectRow>,
    pub(super) common_prefixes: Vec<String>,
    /// Where the next page begins, if there is one.
    pub(super) next_after: Option<String>,
}

impl Page {
    fn len(&self) -> usize {
        self.objects.len() + self.common_prefixes.len()
    }
}

/// Reads one page.
pub(super) fn page(connection: &Connection, query: &Query) -> Result<Page, ServiceError> {
    index::check_bucket(connection, &query.bucket)?;
    let mut page = Page::default();
    let mut after = query.after.clone();
    if query.limit == 0 {
        return Ok(page);
    }
    loop {
        // One more than fits tells whether there is another page.
        let wanted = query.limit - page.len() + 1;
        let rows = index::after(connection, &query.bucket, &after, &query.prefix, wanted)?;
        let is_end = rows.len() < wanted;
        let mut skipped = false;
        for row in rows {
            if !row.key.starts_with(&query.prefix) {
                return Ok(page);
            }
            if page.len() == query.limit {
                page.next_after = Some(after);
                return Ok(page);
            }
            match common_prefix(query, &row.key) {
                Some(common_prefix) => {
                    // Everything else below it is of no interest: go on behind it.
                    after = format!("{common_prefix}{LAST_CHARACTER}");
                    page.common_prefixes.push(common_prefix);
                    skipped = true;
                    break;
                }
                None => {
                    after.clone_from(&row.key);
                    page.objects.push(row);
                }
            }
        }
        if is_end && !skipped {
            return Ok(page);
        }
    }
}

fn common_prefix(query: &Query, key: &str) -> Option<String> {
    if query.delimiter.is_empty() {
        return None;
    }
    let rest = &key[query.prefix.len()..];
    let end = rest.find(&query.delimiter)? + query.delimiter.len();
    Some(format!("{}{}", query.prefix, &rest[..end]))
}

/// A continuation token: opaque to clients.
pub(super) fn token(after: &str) -> String {
    hex::encode(after)
}

/// Where a continuation token says to go on.
pub(super) fn after_of_token(token: &str) -> S3Result<String> {
    let decoded = hex::decode(token).ok();
    let after = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
    after.ok_or_else(|| {
        s3_error!(
            InvalidArgument,
            "The continuation token provided is incorrect"
        )
    })
}
