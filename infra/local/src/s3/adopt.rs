//! Objects of another place, for rehearsals: they keep their entity tags and times, and nobody is told of them.

use std::collections::BTreeMap;

use bytes::Bytes;
use rusqlite::params;

use super::ObjectStore;
use super::blobs::Blobs;
use super::index::{self, Headers};
use crate::error::ServiceError;

/// An object as another place knows it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Adopted {
    pub(crate) size: u64,
    pub(crate) etag: String,
    /// Milliseconds since the Unix epoch.
    pub(crate) modified: i64,
    pub(crate) content_type: Option<String>,
    pub(crate) content_encoding: Option<String>,
    pub(crate) content_language: Option<String>,
    pub(crate) content_disposition: Option<String>,
    pub(crate) cache_control: Option<String>,
    pub(crate) metadata: BTreeMap<String, String>,
}

impl ObjectStore {
    /// Puts an object into the index, without its bytes: those have to be given by [`ObjectStore::fill`] before
    /// somebody reads them. Blocks for a moment.
    pub(crate) fn adopt(
        &self,
        bucket: &str,
        key: &str,
        object: Adopted,
    ) -> Result<(), ServiceError> {
        let headers = Headers {
            content_type: object.content_type,
            content_encoding: object.content_encoding,
            content_language: object.content_language,
            content_disposition: object.content_disposition,
            cache_control: object.cache_control,
            metadata: object.metadata,
        };
        let headers = serde_json::to_string(&headers)?;
        self.store.write(|write| {
            index::check_bucket(&write.transaction, bucket)?;
            write.transaction.execute(
                "INSERT OR REPLACE INTO object (bucket, key, blob, size, etag, sequencer, modified, headers)
                 VALUES (?, ?, ?, ?, ?, '', ?, ?)",
                params![
                    bucket,
                    key,
                    Blobs::new_name(),
                    object.size as i64,
                    object.etag,
                    object.modified,
                    headers,
                ],
            )?;
            Ok(())
        })
    }

    /// Takes an object out of the index without telling anybody. Blocks for a moment.
    pub(crate) fn disown(&self, bucket: &str, key: &str) -> Result<(), ServiceError> {
        self.store.write(|write| {
            write.transaction.execute(
                "DELETE FROM object WHERE bucket = ? AND key = ?",
                [bucket, key],
            )?;
            Ok(())
        })
    }

    /// Gives an adopted object its bytes. Blocks for a moment.
    pub(crate) fn fill(&self, bucket: &str, key: &str, bytes: Bytes) -> Result<(), ServiceError> {
        let row = self
            .store
            .read(|connection| index::get(connection, bucket, key))?;
        self.blobs
            .put(&row.blob, bytes)
            .map_err(|error| ServiceError::internal(error.to_string()))
    }

    /// Size and entity tag of an object, if there is one. Blocks for a moment.
    pub(crate) fn glance(
        &self,
        bucket: &str,
        key: &str,
    ) -> Result<Option<(u64, String)>, ServiceError> {
        let row = self
            .store
            .read(|connection| index::find(connection, bucket, key))?;
        Ok(row.map(|row| (row.size, row.etag)))
    }
}
