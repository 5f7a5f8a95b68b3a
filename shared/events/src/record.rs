//! A record: one thing that happened, out of its envelope.

use time::OffsetDateTime;

use crate::{Failure, reason};

/// Digits of a padded S3 sequencer.
const SEQUENCER_DIGITS: usize = 32;
/// Digits of a padded sequence number: DynamoDB Streams' longest.
const SEQUENCE_NUMBER_DIGITS: usize = 40;

/// A DynamoDB item as stream records and rows carry it.
pub type Item = serde_dynamo::Item;

/// One thing that happened to one subject.
#[derive(Debug, Clone)]
pub struct Record {
    /// The record's business identity: the same for every delivery of it, by whatever way.
    pub id: String,
    /// What it happened to: `s3://bucket/key`, `table/primary key`, `schedule/rule`, or the message's own id.
    pub subject: String,
    /// Where it stands in the subject's history.
    pub version: Version,
    /// When it happened, as its source says.
    pub occurred_at: Option<OffsetDateTime>,
    /// What happened.
    pub payload: Payload,
}

/// A place within one subject's history; compares as the source orders it.
///
/// The text is padded so that it compares as text: an S3 sequencer is right-padded with zeros to 32
/// upper-case hexadecimal digits; a stream's sequence number is left-padded to 40 digits behind the
/// stream's label and `/`. Versions of different sources do not compare.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Version(String);

impl Version {
    /// The version that an S3 sequencer stands for: hexadecimal of varying length, as if it were a
    /// fraction.
    ///
    /// # Errors
    /// `malformed-event` if it is not 1 to 32 hexadecimal digits.
    pub fn of_sequencer(sequencer: &str) -> Result<Self, Failure> {
        let is_hexadecimal = sequencer.bytes().all(|byte| byte.is_ascii_hexdigit());
        if sequencer.is_empty() || sequencer.len() > SEQUENCER_DIGITS || !is_hexadecimal {
            return Err(Failure::permanent(
                reason::MALFORMED_EVENT,
                format!(
                    "a sequencer has 1 to {SEQUENCER_DIGITS} hexadecimal digits, this is `{sequencer}`"
                ),
            ));
        }
        let upper = sequencer.to_ascii_uppercase();
        Ok(Self(format!("{upper:0<SEQUENCER_DIGITS$}")))
    }

    /// The version that a stream's sequence number stands for, behind the stream's label: a label is
    /// the time at which the stream was made, so that a later stream's records are newer.
    ///
    /// # Errors
    /// `malformed-event` if it is not 1 to 40 decimal digits.
    pub fn of_sequence_number(stream_label: &str, number: &str) -> Result<Self, Failure> {
        let is_decimal = number.bytes().all(|byte| byte.is_ascii_digit());
        if number.is_empty() || number.len() > SEQUENCE_NUMBER_DIGITS || !is_decimal {
            return Err(Failure::permanent(
                reason::MALFORMED_EVENT,
                format!(
                    "a sequence number has 1 to {SEQUENCE_NUMBER_DIGITS} digits, this is `{number}`"
                ),
            ));
        }
        Ok(Self(format!(
            "{stream_label}/{number:0>SEQUENCE_NUMBER_DIGITS$}"
        )))
    }

    /// A version from text that is padded already (read back from a row).
    pub fn from_padded(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text that compares.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the source gave no version.
    pub fn is_none(&self) -> bool {
        self.0.is_empty()
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// What happened.
#[derive(Debug, Clone)]
pub enum Payload {
    /// An object was created or removed.
    Object(ObjectChange),
    /// A row was inserted, modified or removed.
    Row(RowChange),
    /// A time of a schedule has come.
    Schedule(ScheduledTime),
    /// Anything else that is JSON: a message of the platform.
    Message(serde_json::Value),
    /// `s3:TestEvent`, which S3 sends when a notification is configured.
    Test,
}

/// A time at which an EventBridge rule with a schedule runs.
///
/// EventBridge may run a rule more than once for a time, each time with another event id. So the record is known by the
/// rule and the time: its subject is the rule, its version the time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduledTime {
    /// The rule's name.
    pub rule: String,
    /// The time, in UTC.
    pub at: OffsetDateTime,
}

/// Whether an object came or went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObjectChangeKind {
    /// `ObjectCreated:*`, `Object Created`.
    Created,
    /// `ObjectRemoved:*`, `Object Deleted`, delete markers included.
    Removed,
}

/// An object was created or removed.
#[derive(Debug, Clone)]
pub struct ObjectChange {
    /// Whether it came or went.
    pub kind: ObjectChangeKind,
    /// The bucket's name.
    pub bucket: String,
    /// The key, decoded.
    pub key: String,
    /// In bytes; not known for removals.
    pub size: Option<u64>,
    /// Without quotes.
    pub e_tag: Option<String>,
    /// On versioned buckets.
    pub version_id: Option<String>,
}

/// What happened to a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowChangeKind {
    /// `INSERT`.
    Inserted,
    /// `MODIFY`.
    Modified,
    /// `REMOVE`.
    Removed,
}

/// A change of a row, with what the stream's view type gives of its images.
#[derive(Debug, Clone)]
pub struct RowChange<T = Item> {
    /// What happened.
    pub kind: RowChangeKind,
    /// The table's name, from the stream's ARN.
    pub table: String,
    /// The primary key.
    pub keys: Item,
    /// The row afterwards.
    pub new: Option<T>,
    /// The row before.
    pub old: Option<T>,
    /// Whether the table's time-to-live removed it (the stream's `userIdentity` says so).
    pub by_ttl: bool,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use proptest::prelude::*;

    use super::*;

    fn of_number(number: &str) -> Version {
        Version::of_sequence_number("2026-11-21T00:00:00.000", number).unwrap()
    }

    #[test]
    fn sequencers_are_padded_on_the_right() {
        let version = Version::of_sequencer("0055aed6dcd90281e5").unwrap();
        assert_eq!(version.as_str(), "0055AED6DCD90281E500000000000000");
    }

    #[test]
    fn sequence_numbers_are_padded_on_the_left() {
        assert_eq!(
            of_number("111").as_str(),
            "2026-11-21T00:00:00.000/0000000000000000000000000000000000000111"
        );
    }

    #[test]
    fn a_later_stream_of_the_table_is_newer() {
        let later = Version::of_sequence_number("2026-11-22T00:00:00.000", "1").unwrap();
        assert!(of_number("99999") < later);
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in ["", "12x", "-1", "1e5", &"9".repeat(41)] {
            assert!(
                Version::of_sequence_number("label", text).is_err(),
                "{text}"
            );
        }
        for text in ["", "Happy Sequencer", &"A".repeat(33)] {
            assert!(Version::of_sequencer(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn sequence_numbers_compare_as_numbers(one in any::<u128>(), other in any::<u128>()) {
            let (one, other) = (one / 3, other);
            prop_assert_eq!(of_number(&one.to_string()).cmp(&of_number(&other.to_string())), one.cmp(&other));
        }

        #[test]
        fn sequencers_compare_as_fractions(one in "[0-9A-F]{1,32}", other in "[0-9a-f]{1,32}") {
            let value = |digits: &str| {
                let number = u128::from_str_radix(digits, 16).unwrap();
                // Shifting by all 128 bits is undefined for no digits; there is always one.
                number << (4 * (32 - digits.len()))
            };
            let versions = Version::of_sequencer(&one).unwrap().cmp(&Version::of_sequencer(&other).unwrap());
            prop_assert_eq!(versions, value(&one).cmp(&value(&other)));
        }
    }
}
