//! What is said of objects in answers, in the types of the interface.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, UNIX_EPOCH};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use s3s::dto::*;
use s3s::{S3Error, S3ErrorCode};

use super::index::{Headers, ObjectRow};
use crate::error::ServiceError;

impl From<ServiceError> for S3Error {
    fn from(error: ServiceError) -> Self {
        let known = S3ErrorCode::from_bytes(error.code.as_bytes());
        let mut answer = match known {
            Some(code) => Self::with_message(code, error.message),
            None => Self::with_message(S3ErrorCode::InternalError, error.to_string()),
        };
        if let Ok(status) = http::StatusCode::from_u16(error.status) {
            answer.set_status_code(status);
        }
        answer
    }
}

pub(super) fn timestamp(millis: i64) -> Timestamp {
    let since_epoch = Duration::from_millis(millis.unsigned_abs());
    Timestamp::from(UNIX_EPOCH + since_epoch)
}
pub(super) fn strong(etag: &str) -> ETag {
    ETag::Strong(etag.to_owned())
}

/// Metadata as S3 shows it: nothing at all if there is none.
pub(super) fn shown_metadata(headers: &Headers) -> Option<Metadata> {
    let metadata: HashMap<String, String> = headers.metadata.clone().into_iter().collect();
    (!metadata.is_empty()).then_some(metadata)
}

pub(super) fn metadata_of(metadata: Option<Metadata>) -> BTreeMap<String, String> {
    metadata.unwrap_or_default().into_iter().collect()
}

const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'*')
    .remove(b'/');

/// Keys as a listing shows them: percent-encoded if that was asked for, since
/// XML cannot carry every key.
pub(super) struct KeyEncoding {
    is_url: bool,
}

impl KeyEncoding {
    pub(super) fn of(encoding_type: Option<&EncodingType>) -> Self {
        Self {
            is_url: encoding_type.is_some_and(|encoding| encoding.as_str() == EncodingType::URL),
        }
    }

    pub(super) fn apply(&self, key: String) -> String {
        if self.is_url {
            return utf8_percent_encode(&key, ENCODED).to_string();
        }
        key
    }

    pub(super) fn objects(&self, rows: Vec<ObjectRow>) -> Vec<Object> {
        let object = |row: ObjectRow| Object {
            e_tag: Some(strong(&row.etag)),
            key: Some(self.apply(row.key)),
            last_modified: Some(timestamp(row.modified)),
            size: Some(row.size as i64),
            storage_class: Some(ObjectStorageClass::from_static(
                ObjectStorageClass::STANDARD,
            )),
            ..Object::default()
        };
        rows.into_iter().map(object).collect()
    }

    pub(super) fn prefixes(&self, prefixes: Vec<String>) -> Vec<CommonPrefix> {
        let common_prefix = |prefix| CommonPrefix {
            prefix: Some(self.apply(prefix)),
        };
        prefixes.into_iter().map(common_prefix).collect()
    }
}
