//! An embedder whose vectors a test prescribes: a text that says `[0.6 0.8 0 …]` means that, any other what its letters make of
//! it. It can be switched off.

use std::sync::{
    Mutex,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use async_trait::async_trait;
use millrace_events::{Failure, reason};
use millrace_vectors::{Embedder, Embedding, ModelId};

use super::people::DIMENSIONS;

/// See the module.
#[derive(Debug)]
pub struct Prescribed {
    model: ModelId,
    down: AtomicBool,
    asked: AtomicUsize,
    texts: Mutex<Vec<String>>,
}

impl Default for Prescribed {
    fn default() -> Self {
        Self {
            model: ModelId::new("prescribed-8"),
            down: AtomicBool::new(false),
            asked: AtomicUsize::new(0),
            texts: Mutex::default(),
        }
    }
}

impl Prescribed {
    /// From now on every request fails, or none any more.
    pub fn set_down(&self, down: bool) {
        self.down.store(down, Ordering::SeqCst);
    }

    /// Whether it is switched off.
    pub fn is_down(&self) -> bool {
        self.down.load(Ordering::SeqCst)
    }

    /// How often it was asked, also while it was down.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    /// Every text that it made a vector of.
    pub fn texts(&self) -> Vec<String> {
        self.texts.lock().unwrap().clone()
    }
}

/// The vector of a text.
pub fn vector_of(text: &str) -> Vec<f32> {
    let said = text
        .split_once('[')
        .and_then(|(_, rest)| rest.split_once(']'));
    let said: Option<Vec<f32>> = said.and_then(|(numbers, _)| {
        let numbers = numbers.split_whitespace().map(str::parse);
        numbers.collect::<Result<_, _>>().ok()
    });
    match said {
        Some(numbers) if numbers.len() == DIMENSIONS => numbers,
        _ => {
            let mut numbers = vec![0.0; DIMENSIONS];
            numbers[0] = 1.0;
            for letter in text.chars() {
                numbers[letter as usize % DIMENSIONS] += 0.01;
            }
            numbers
        }
    }
}

#[async_trait]
impl Embedder for Prescribed {
    fn model(&self) -> &ModelId {
        &self.model
    }

    fn dimensions(&self) -> usize {
        DIMENSIONS
    }

    async fn embed(&self, texts: &[String]) -> Result<Vec<Embedding>, Failure> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        if self.down.load(Ordering::SeqCst) {
            let message = "the embedder of the test is switched off";
            return Err(Failure::transient(reason::EMBEDDER_UNAVAILABLE, message));
        }
        self.texts.lock().unwrap().extend_from_slice(texts);
        let made = texts
            .iter()
            .map(|text| Embedding::try_new(vector_of(text), DIMENSIONS));
        Ok(made.collect::<Result<_, _>>()?)
    }
}
