//! One vector, and the name of the model that made it.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use millrace_events::{Failure, reason};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Numbers in each vector of the platform's index.
pub const DIMENSIONS: usize = 1536;

/// A vector whose length is this close to one is left as it is, so that what was written reads back bit by bit.
const UNIT_TOLERANCE: f64 = 1e-5;

/// The name of an embedding model. Vectors of different models never meet in one index.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ModelId(String);

impl ModelId {
    /// A model by its name.
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ModelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why numbers are not an embedding.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EmbeddingError {
    /// Another number of dimensions.
    #[error("the vector has {found} dimensions, expected {expected}")]
    Dimensions {
        /// What the vector has.
        found: usize,
        /// What it should have.
        expected: usize,
    },
    /// A number is infinite or not a number.
    #[error("number {position} of the vector is not finite")]
    NotFinite {
        /// Where it stands, from zero.
        position: usize,
    },
    /// All numbers are zero: there is no direction, and no cosine.
    #[error("all numbers of the vector are zero")]
    Zero,
    /// The bytes are not a whole number of 32-bit floats.
    #[error("{0} bytes are not a whole number of 32-bit floats")]
    Bytes(usize),
}

impl From<EmbeddingError> for Failure {
    fn from(error: EmbeddingError) -> Self {
        Failure::permanent(reason::MODEL_MISMATCH, "the embedding cannot be used").caused_by(error)
    }
}

/// A direction in the model's space: finite numbers, of length one.
#[derive(Clone, PartialEq)]
pub struct Embedding(Vec<f32>);

impl Embedding {
    /// Checks the dimensions and the numbers, and scales the vector to length one.
    pub fn try_new(values: Vec<f32>, dimensions: usize) -> Result<Self, EmbeddingError> {
        if values.len() != dimensions {
            return Err(EmbeddingError::Dimensions {
                found: values.len(),
                expected: dimensions,
            });
        }
        Self::normalised(values)
    }

    fn normalised(mut values: Vec<f32>) -> Result<Self, EmbeddingError> {
        if let Some(position) = values.iter().position(|value| !value.is_finite()) {
            return Err(EmbeddingError::NotFinite { position });
        }
        let squares: f64 = values
            .iter()
            .map(|value| f64::from(*value) * f64::from(*value))
            .sum();
        let length = squares.sqrt();
        if length == 0.0 {
            return Err(EmbeddingError::Zero);
        }
        if (length - 1.0).abs() > UNIT_TOLERANCE {
            for value in &mut values {
                *value = (f64::from(*value) / length) as f32;
            }
        }
        Ok(Self(values))
    }

    /// Numbers that were an embedding's before.
    pub(crate) fn from_unit(values: Vec<f32>) -> Self {
        Self(values)
    }

    /// The numbers.
    pub fn values(&self) -> &[f32] {
        &self.0
    }

    /// How many numbers there are.
    pub fn dimensions(&self) -> usize {
        self.0.len()
    }

    /// The cosine of the angle between two vectors of equal dimensions, −1 to 1.
    pub fn cosine(&self, other: &Embedding) -> f32 {
        crate::kernel::dot(&self.0, &other.0)
    }

    /// 32-bit floats, little-endian, one after the other.
    pub fn to_le_bytes(&self) -> Vec<u8> {
        self.0
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect()
    }

    /// What [`Embedding::to_le_bytes`] gave.
    pub fn from_le_bytes(bytes: &[u8], dimensions: usize) -> Result<Self, EmbeddingError> {
        Self::try_new(floats(bytes)?, dimensions)
    }
}

fn floats(bytes: &[u8]) -> Result<Vec<f32>, EmbeddingError> {
    let (words, rest) = bytes.as_chunks::<4>();
    if !rest.is_empty() {
        return Err(EmbeddingError::Bytes(bytes.len()));
    }
    Ok(words.iter().map(|word| f32::from_le_bytes(*word)).collect())
}

impl fmt::Debug for Embedding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let beginning = &self.0[..self.0.len().min(3)];
        write!(f, "Embedding({beginning:?}… of {})", self.0.len())
    }
}

/// Base64 of the little-endian bytes: 8 KB for 1,536 numbers instead of 30.
impl Serialize for Embedding {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(self.to_le_bytes()))
    }
}

/// Reads base64, and the list of numbers that other parts of the platform write. The dimensions are
/// whatever was written: compare [`Embedding::dimensions`] with what is expected.
impl<'de> Deserialize<'de> for Embedding {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Embedding;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("base64 of 32-bit floats, or a list of numbers")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Embedding, E> {
                let bytes = STANDARD.decode(text).map_err(E::custom)?;
                Embedding::normalised(floats(&bytes).map_err(E::custom)?).map_err(E::custom)
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, mut list: A) -> Result<Embedding, A::Error> {
                let mut values =
                    Vec::with_capacity(list.size_hint().unwrap_or(DIMENSIONS).min(1 << 16));
                while let Some(value) = list.next_element()? {
                    values.push(value);
                }
                Embedding::normalised(values).map_err(de::Error::custom)
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn refuses_what_is_not_a_direction() {
        let wrong = EmbeddingError::Dimensions {
            found: 2,
            expected: 3,
        };
        assert_eq!(Embedding::try_new(vec![1.0, 0.0], 3), Err(wrong));
        assert_eq!(
            Embedding::try_new(vec![0.0, 0.0], 2),
            Err(EmbeddingError::Zero)
        );
        assert_eq!(
            Embedding::try_new(vec![1.0, f32::NAN], 2),
            Err(EmbeddingError::NotFinite { position: 1 })
        );
        assert_eq!(
            Embedding::from_le_bytes(&[0; 7], 2),
            Err(EmbeddingError::Bytes(7))
        );
        assert!(serde_json::from_str::<Embedding>("\"AAAAAA==\"").is_err());
        assert!(serde_json::from_str::<Embedding>("[]").is_err());
    }

    #[test]
    fn reads_a_list_of_numbers() {
        let read: Embedding = serde_json::from_str("[3, 4.0]").unwrap();
        assert_eq!(read.values(), [0.6, 0.8]);
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back_bit_by_bit(values in prop::collection::vec(-1e20_f32..1e20, 1..64)) {
            prop_assume!(values.iter().any(|value| value.abs() > 1e-3));
            let dimensions = values.len();
            let embedding = Embedding::try_new(values, dimensions).unwrap();
            prop_assert!((embedding.cosine(&embedding) - 1.0).abs() < 1e-5);
            prop_assert_eq!(&Embedding::from_le_bytes(&embedding.to_le_bytes(), dimensions).unwrap(), &embedding);
            let json = serde_json::to_string(&embedding).unwrap();
            prop_assert_eq!(&serde_json::from_str::<Embedding>(&json).unwrap(), &embedding);
        }
    }
}
