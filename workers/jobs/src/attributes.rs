//! Values as attributes of a row, in the SDK's types.

use aws_sdk_dynamodb::{primitives::Blob, types::AttributeValue};
use millrace_events::{Failure, reason};
use millrace_vectors::Embedding;
use serde::{Serialize, de::DeserializeOwned};
use time::OffsetDateTime;

/// Text.
pub fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

/// A number.
pub fn number(value: impl Into<f64>) -> AttributeValue {
    AttributeValue::N(decimal(value.into()))
}

/// A count.
pub fn count(value: u64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

/// Bytes of an embedding: 32-bit floats, little-endian.
pub fn bytes(embedding: &Embedding) -> AttributeValue {
    AttributeValue::B(Blob::new(embedding.to_le_bytes()))
}

/// Milliseconds since 1970.
pub fn millis(time: OffsetDateTime) -> i64 {
    let millis = time.unix_timestamp_nanos().div_euclid(1_000_000);
    i64::try_from(millis).unwrap_or(i64::MAX)
}

/// The shortest decimal that reads back the same. Tables know no numbers below 1e-130; what is so small is nothing.
pub fn decimal(value: f64) -> String {
    if value.abs() < 1e-100 {
        return "0".to_owned();
    }
    value.to_string()
}

/// A value with its own attributes, as a map.
///
/// # Errors
/// `malformed-row`: it cannot be written as an attribute.
pub fn map<T: Serialize>(value: &T) -> Result<AttributeValue, Failure> {
    serde_dynamo::to_attribute_value(value).map_err(|error| {
        Failure::permanent(
            reason::MALFORMED_ROW,
            "could not write a value as an attribute",
        )
        .caused_by(error)
    })
}

/// What [`map`] wrote.
///
/// # Errors
/// `malformed-row`: it is not what a worker writes.
pub fn read<T: DeserializeOwned>(what: &str, value: AttributeValue) -> Result<T, Failure> {
    serde_dynamo::from_attribute_value(value).map_err(|error| {
        Failure::permanent(
            reason::MALFORMED_ROW,
            format!("{what} is not what a worker writes"),
        )
        .caused_by(error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_read_back_the_same() {
        for value in [0.0, 120.0, 0.1 + 0.2, 77.549_999_999_999_99, 1e-90, 1e20] {
            assert_eq!(
                decimal(value).parse::<f64>().unwrap().to_bits(),
                f64::to_bits(value)
            );
        }
        assert_eq!(decimal(1e-200), "0");
        assert_eq!(decimal(-0.0), "0");
    }
}
