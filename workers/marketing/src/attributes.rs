//! Values as attributes of a row, in the SDK's types.

use aws_sdk_dynamodb::types::AttributeValue;

/// Text.
pub fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

/// A count.
pub fn count(value: u64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}
