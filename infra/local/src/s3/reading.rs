//! Reading objects: conditions, ranges, and bytes that are too many to hold.

use std::io;
use std::ops::Range;

use bytes::Bytes;
use futures::stream;
use s3s::dto::{ETagCondition, StreamingBlob, Timestamp};
use s3s::{S3Result, s3_error};

use super::answers::timestamp;
use super::blobs::OpenBlob;
use super::index::{self, ObjectRow};

/// The size of a piece of a streamed object.
const PIECE: u64 = 512 * 1024;
/// HTTP dates have no fractions of a second.
fn seconds(millis: i64) -> i64 {
    millis / 1_000
}

fn is_after(modified: i64, moment: &Timestamp) -> bool {
    timestamp(seconds(modified) * 1_000) > *moment
}
/// The conditions of a read.
#[derive(Debug, Default)]
pub(super) struct ReadConditions {
    pub(super) if_match: Option<ETagCondition>,
    pub(super) if_none_match: Option<ETagCondition>,
    pub(super) if_modified_since: Option<Timestamp>,
    pub(super) if_unmodified_since: Option<Timestamp>,
}

impl ReadConditions {
    /// In the order of RFC 9110, section 13.2.2: an ETag condition that holds
    /// makes the date of the same kind irrelevant.
    pub(super) fn check(&self, row: &ObjectRow) -> S3Result<()> {
        let matches = |condition: &ETagCondition| index::condition_matches(condition, &row.etag);
        let precondition_failed = match (&self.if_match, &self.if_unmodified_since) {
            (Some(condition), _) => !matches(condition),
            (None, Some(moment)) => is_after(row.modified, moment),
            (None, None) => false,
        };
        if precondition_failed {
            return Err(s3_error!(
                PreconditionFailed,
                "At least one of the pre-conditions you specified did not hold"
            ));
        }
        let not_modified = match (&self.if_none_match, &self.if_modified_since) {
            (Some(condition), _) => matches(condition),
            (None, Some(moment)) => !is_after(row.modified, moment),
            (None, None) => false,
        };
        if not_modified {
            return Err(s3_error!(NotModified));
        }
        Ok(())
    }
}

/// The part of the object that was asked for, and how to call it.
pub(super) fn resolve_range(
    row: &ObjectRow,
    range: Option<s3s::dto::Range>,
) -> S3Result<(Range<u64>, Option<String>)> {
    let Some(range) = range else {
        return Ok((0..row.size, None));
    };
    let resolved = range
        .check(row.size)
        .map_err(|_| s3_error!(InvalidRange, "The requested range is not satisfiable"))?;
    let content_range = format!(
        "bytes {}-{}/{}",
        resolved.start,
        resolved.end.saturating_sub(1),
        row.size
    );
    Ok((resolved, Some(content_range)))
}

/// The bytes in pieces, each read when the receiver is ready for it.
pub(super) fn stream_of(blob: OpenBlob, range: Range<u64>) -> StreamingBlob {
    let pieces = stream::try_unfold((blob, range), |(mut blob, range)| async move {
        if range.is_empty() {
            return Ok::<_, io::Error>(None);
        }
        let end = range.end.min(range.start + PIECE);
        let read = tokio::task::spawn_blocking(move || {
            let bytes = blob.read(range.start..end);
            bytes.map(|bytes| (bytes, (blob, end..range.end)))
        });
        read.await.map_err(io::Error::other)?.map(Some)
    });
    // The pieces are made by one receiver at a time; the body type wants more.
    StreamingBlob::wrap(SyncStream(std::sync::Mutex::new(Box::pin(pieces))))
}

/// A stream behind a lock, for a body that must be `Sync`.
struct SyncStream<S>(std::sync::Mutex<S>);

impl<S: futures::Stream + Unpin> futures::Stream for SyncStream<S> {
    type Item = S::Item;

    fn poll_next(
        self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<S::Item>> {
        let stream = self.get_mut().0.get_mut();
        let stream = stream.unwrap_or_else(std::sync::PoisonError::into_inner);
        std::pin::Pin::new(stream).poll_next(context)
    }
}

pub(super) fn body_of_bytes(bytes: Bytes) -> StreamingBlob {
    StreamingBlob::from(s3s::Body::from(bytes))
}
