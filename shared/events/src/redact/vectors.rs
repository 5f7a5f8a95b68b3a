//! Vectors: they tell of the text that they were made from, so each becomes one that points along an axis.
//!
//! It has as many numbers and length 1, so a worker takes it for a vector all the same, and the same vector becomes the same one.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

use super::shape::Maker;

/// A list of fewer numbers is none: hours of a day, counts of ratings.
const SHORTEST: usize = 32;
/// Bytes of a number.
const WIDTH: usize = 4;

/// The number in an entry of a list, as JSON or as DynamoDB writes it.
fn number(entry: &Value) -> Option<f64> {
    match entry {
        Value::Number(number) => number.as_f64(),
        Value::Object(fields) if fields.len() == 1 => fields.get("N")?.as_str()?.parse().ok(),
        _ => None,
    }
}

/// Whether a list is a vector: many numbers, and nothing else.
pub(super) fn is_vector(entries: &[Value]) -> bool {
    entries.len() >= SHORTEST && entries.iter().all(|entry| number(entry).is_some())
}

/// A vector in its place, in the same form.
pub(super) fn along_an_axis(entries: &[Value], maker: &Maker) -> Vec<Value> {
    let original = Value::from(entries).to_string();
    let axis = maker.place(&original, entries.len());
    let numbers = entries.iter().enumerate().map(|(position, entry)| {
        let along = u8::from(position == axis);
        match entry {
            Value::Number(_) => json!(along),
            _ => json!({"N": along.to_string()}),
        }
    });
    numbers.collect()
}

/// The same for base64 of as many bytes as a vector may have; `None` for anything else.
pub(super) fn bytes_along_an_axis(text: &str, maker: &Maker) -> Option<String> {
    let bytes = BASE64_STANDARD.decode(text).ok()?;
    if bytes.len() < SHORTEST * WIDTH || !bytes.len().is_multiple_of(WIDTH) {
        return None;
    }
    let count = bytes.len() / WIDTH;
    let axis = maker.place(text, count);
    let numbers = (0..count).flat_map(|position| {
        let along: f32 = if position == axis { 1.0 } else { 0.0 };
        along.to_le_bytes()
    });
    Some(BASE64_STANDARD.encode(numbers.collect::<Vec<u8>>()))
}
