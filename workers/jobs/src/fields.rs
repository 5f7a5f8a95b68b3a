//! What rows of this product have besides: rates and embeddings.

use millrace_events::{Failure, fields::number, reason};
use millrace_vectors::Embedding;
use serde_dynamo::AttributeValue;

pub use millrace_events::fields::{Fields, malformed};

/// Attributes that only this product's rows have.
pub trait JobFields {
    /// A rate: a finite number of 0 or more.
    ///
    /// # Errors
    /// `invalid-rate` when it is text, negative or anything else.
    fn rate(&self, name: &str) -> Result<Option<f64>, Failure>;

    /// An embedding of these dimensions, as bytes or as a list of numbers. One that is of another length or kind is none: it
    /// is made again.
    fn embedding(&self, name: &str, dimensions: usize) -> Option<Embedding>;
}

impl JobFields for Fields<'_> {
    fn rate(&self, name: &str) -> Result<Option<f64>, Failure> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        let rate = number(value).filter(|rate| *rate >= 0.0);
        let rate = rate.ok_or_else(|| {
            invalid_rate(format!(
                "`{name}` of the {} is not a number of 0 or more",
                self.what()
            ))
        })?;
        Ok(Some(rate))
    }

    fn embedding(&self, name: &str, dimensions: usize) -> Option<Embedding> {
        match self.get(name)? {
            AttributeValue::B(bytes) => Embedding::from_le_bytes(bytes, dimensions).ok(),
            AttributeValue::L(numbers) if numbers.len() == dimensions => {
                let values = numbers.iter().map(|value| number(value).map(|n| n as f32));
                let values: Option<Vec<f32>> = values.collect();
                Embedding::try_new(values?, dimensions).ok()
            }
            _ => None,
        }
    }
}

/// A permanent failure: an hourly rate that is none.
pub fn invalid_rate(message: impl Into<String>) -> Failure {
    Failure::permanent(reason::INVALID_RATE, message)
}

#[cfg(test)]
mod tests {
    use millrace_events::Item;
    use serde_json::{Value, json};

    use super::*;

    fn item(value: Value) -> Item {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn rates_are_finite_and_not_negative() {
        for value in [
            json!({"S": "80"}),
            json!({"S": "NaN"}),
            json!({"N": "-1"}),
            json!({"N": "-0.01"}),
            json!({"L": []}),
        ] {
            let item = item(json!({"hourlyRate": value}));
            let failure = Fields::of("jobs row", &item)
                .rate("hourlyRate")
                .unwrap_err();
            assert_eq!(failure.reason(), reason::INVALID_RATE, "{value}");
        }
        let item = item(json!({"hourlyRate": {"N": "0"}}));
        let fields = Fields::of("jobs row", &item);
        assert_eq!(fields.rate("hourlyRate").unwrap(), Some(0.0));
    }

    #[test]
    fn an_embedding_of_another_length_or_kind_is_none() {
        let bytes = "AACAPwAAAAA="; // 1, 0
        let row = json!({
            "right": {"B": bytes},
            "list": {"L": [{"N": "3"}, {"N": "4"}]},
            "text": {"S": bytes},
            "long": {"L": [{"N": "3"}, {"N": "4"}, {"N": "5"}]},
            "words": {"L": [{"S": "3"}, {"N": "4"}]},
            "zero": {"L": [{"N": "0"}, {"N": "0"}]},
            "torn": {"B": "AACA"},
        });
        let item = item(row);
        let fields = Fields::of("row", &item);
        assert_eq!(fields.embedding("right", 2).unwrap().values(), [1.0, 0.0]);
        assert_eq!(fields.embedding("list", 2).unwrap().values(), [0.6, 0.8]);
        for name in ["text", "long", "words", "zero", "torn", "missing"] {
            assert!(fields.embedding(name, 2).is_none(), "{name}");
        }
    }
}
