//! The encoder with its real weights, against its own package. `MILLRACE_ENCODER_WEIGHTS` says where the weights are;
//! `tests/real/encoder.sh` in the repository fetches them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    env, fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use millrace_vectors::{Embedder as _, Encoder, EncoderEmbedder, EncoderFolder, HashedEmbedder};
use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};
use serde::Deserialize;

/// How far a number may be from the package's; what is stored is within 8e-6 of it.
const TOLERANCE: f32 = 2e-5;

/// Where the weights are; `None`, said so, where there are none.
fn folder() -> Option<PathBuf> {
    let Ok(folder) = env::var("MILLRACE_ENCODER_WEIGHTS") else {
        let is_required = env::var("CI").is_ok()
            && env::var("MILLRACE_REQUIRE_REAL").is_ok_and(|value| value == "1");
        assert!(
            !is_required,
            "MILLRACE_REQUIRE_REAL is set, and MILLRACE_ENCODER_WEIGHTS is not"
        );
        eprintln!("skipped: MILLRACE_ENCODER_WEIGHTS is not set");
        return None;
    };
    Some(folder.into())
}

fn encoder() -> Option<Encoder> {
    Some(Encoder::open(&folder()?).unwrap())
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Text {
    Whole(String),
    Repeated { repeated: String, times: usize },
}

#[derive(Deserialize)]
struct Expected {
    tokens: Vec<u32>,
    vector: String,
}

fn fixture<T: serde::de::DeserializeOwned>(name: &str) -> Vec<T> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/encoder");
    serde_json::from_slice(&fs::read(folder.join(name)).unwrap()).unwrap()
}

fn texts() -> Vec<String> {
    let texts = fixture::<Text>("texts.json")
        .into_iter()
        .map(|text| match text {
            Text::Whole(text) => text,
            Text::Repeated { repeated, times } => repeated.repeat(times),
        });
    texts.collect()
}

fn bits(vectors: &[Vec<f32>]) -> Vec<Vec<u32>> {
    let bits = |vector: &Vec<f32>| vector.iter().map(|number| number.to_bits()).collect();
    vectors.iter().map(bits).collect()
}

#[test]
fn tokens_and_vectors_are_the_packages_own() {
    let Some(encoder) = encoder() else { return };
    let texts = texts();
    let expected: Vec<Expected> = fixture("vectors.json");
    assert_eq!(texts.len(), expected.len());
    let vectors = encoder.encode(&texts);
    for ((text, vector), expected) in texts.iter().zip(&vectors).zip(&expected) {
        assert_eq!(encoder.tokens(text), expected.tokens, "{text:?}");
        let bytes = STANDARD.decode(&expected.vector).unwrap();
        let steps = bytes.as_chunks::<2>().0.iter();
        let numbers: Vec<f32> = steps
            .map(|step| f32::from(i16::from_le_bytes(*step)) / 65_536.0)
            .collect();
        assert_eq!(vector.len(), numbers.len());
        for (place, (found, expected)) in vector.iter().zip(&numbers).enumerate() {
            let is_near = (found - expected).abs() <= TOLERANCE;
            assert!(is_near, "{text:?}, {place}: {found}, not {expected}");
        }
    }
}

/// Alone or with others, on one thread or several, for the first time or again: to the bit.
#[test]
fn a_text_has_one_vector() {
    let Some(encoder) = encoder() else { return };
    let encoder = encoder.with_threads(1);
    let texts = texts();
    let alone: Vec<Vec<f32>> = texts
        .iter()
        .flat_map(|text| encoder.encode(std::slice::from_ref(text)))
        .collect();
    let encoder = encoder.with_threads(3);
    assert_eq!(bits(&encoder.encode(&texts)), bits(&alone));
    let mut backwards = texts.clone();
    backwards.reverse();
    let mut vectors = encoder.encode(&backwards);
    vectors.reverse();
    assert_eq!(bits(&vectors), bits(&alone));
}

#[test]
fn no_text_is_too_odd() {
    let Some(encoder) = encoder() else { return };
    let check = |vectors: &[Vec<f32>]| {
        for vector in vectors {
            let length: f64 = vector.iter().map(|number| f64::from(*number).powi(2)).sum();
            assert!((length - 1.0).abs() < 1e-4);
        }
    };
    let megabyte = "The mill 水車 물레방아 \u{0} 🙂 ".repeat(36_000);
    assert!(megabyte.len() > 1_000_000);
    check(&encoder.encode(&[megabyte]));
    // One piece after the other of which none is known.
    check(&encoder.encode(&["\u{e000}".repeat(30_000), String::new()]));
    let any = prop::collection::vec(prop_oneof!["\\PC{0,60}", any::<String>()], 0..6);
    let mut runner = TestRunner::new(Config::with_cases(64));
    runner
        .run(&any, |texts| {
            let vectors = encoder.encode(&texts);
            prop_assert_eq!(vectors.len(), texts.len());
            check(&vectors);
            Ok(())
        })
        .unwrap();
}

#[tokio::test]
async fn hashed_words_stand_beside_the_encoders_numbers() {
    let Some(folder) = folder() else { return };
    let folder = Arc::new(EncoderFolder::find(&folder).unwrap());
    let alone = EncoderEmbedder::alone(Arc::clone(&folder));
    let combined = EncoderEmbedder::combined(folder);
    assert_eq!((alone.dimensions(), combined.dimensions()), (512, 1536));
    assert_ne!(alone.model(), combined.model());
    assert_ne!(combined.model(), HashedEmbedder::new().model());
    let texts = [
        "How long is the warranty of the pump?",
        "泵浦的保固期是多久？",
        "Yesterday it rained in the valley.",
    ]
    .map(String::from);
    let meaning = alone.embed(&texts).await.unwrap();
    let both = combined.embed(&texts).await.unwrap();
    for (meaning, both) in meaning.iter().zip(&both) {
        let (encoded, words) = both.values().split_at(512);
        let length: f32 = words.iter().map(|number| number * number).sum();
        assert!((length - 0.36).abs() < 1e-4);
        for (number, same) in encoded.iter().zip(meaning.values()) {
            assert!((number - same * 0.8).abs() < 1e-6);
        }
    }
    assert!(meaning[0].cosine(&meaning[1]) > meaning[0].cosine(&meaning[2]) + 0.2);
    assert!(both[0].cosine(&both[1]) > both[0].cosine(&both[2]) + 0.1);
}
