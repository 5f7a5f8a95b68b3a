//! Times as AWS writes them.

use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

const MILLISECONDS: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
const SECONDS: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");

/// `2026-11-21T05:00:00.000Z`, as S3 and SNS write it.
pub(crate) fn with_milliseconds(millis: i64) -> String {
    format(millis, MILLISECONDS)
}

/// `2026-11-21T05:00:00Z`, as EventBridge writes it.
pub(crate) fn with_seconds(millis: i64) -> String {
    format(millis, SECONDS)
}

/// The moment, or the epoch for one that no calendar has.
pub(crate) fn moment(millis: i64) -> OffsetDateTime {
    let nanos = i128::from(millis) * 1_000_000;
    OffsetDateTime::from_unix_timestamp_nanos(nanos).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

fn format(millis: i64, description: &[BorrowedFormatItem<'_>]) -> String {
    // Every field of the description is a field of the moment.
    moment(millis).format(description).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_aws_writes_them() {
        assert_eq!(
            with_milliseconds(1_700_000_000_123),
            "2023-11-14T22:13:20.123Z"
        );
        assert_eq!(with_seconds(1_700_000_000_123), "2023-11-14T22:13:20Z");
    }
}
