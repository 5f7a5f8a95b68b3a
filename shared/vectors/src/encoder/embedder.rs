//! The encoder as an [`Embedder`], alone or beside hashed words.

use std::{
    panic::resume_unwind,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use async_trait::async_trait;
use millrace_events::{Failure, reason};
use tokio::sync::Semaphore;

use super::{Encoder, network::WIDE, parallel::in_parallel};
use crate::{
    embedder::Embedder,
    embedding::{DIMENSIONS, Embedding, ModelId},
    hashed,
};

/// Each changes with anything that changes a vector by more than rounding.
const ALONE: &str = "millrace-encoder-1";
const COMBINED: &str = "millrace-combined-1";

/// How much the encoder and the hashed words have to say. The squares add up to one.
const ENCODER_WEIGHT: f32 = 0.8;
const HASHED_WEIGHT: f32 = 0.6;

/// For so many bytes of text another thread is worth its while.
const BYTES_A_THREAD: usize = 1_000;

/// Where the weights are. They are read at the first embedding: most functions of a product embed nothing.
pub struct EncoderFolder {
    folder: PathBuf,
    encoder: Mutex<Option<Arc<Encoder>>>,
    threads: usize,
    /// One for each thread, so that concurrent calls do not take more threads than there are processors.
    turns: Arc<Semaphore>,
}

impl EncoderFolder {
    /// With `sp.model` and `weights.npz`.
    ///
    /// # Errors
    /// When one of them is missing or has another size; the message says where they come from.
    pub fn find(folder: &Path) -> Result<Self, Failure> {
        super::find(folder)?;
        let threads = thread::available_parallelism().map_or(1, usize::from);
        Ok(Self {
            folder: folder.to_owned(),
            encoder: Mutex::new(None),
            threads,
            turns: Arc::new(Semaphore::new(threads)),
        })
    }

    /// Blocks while it is read.
    fn encoder(&self) -> Result<Arc<Encoder>, Failure> {
        let mut opened = self.encoder.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(encoder) = &*opened {
            return Ok(Arc::clone(encoder));
        }
        let encoder = Arc::new(Encoder::open(&self.folder)?);
        *opened = Some(Arc::clone(&encoder));
        Ok(encoder)
    }
}

/// Vectors of an [`Encoder`]: what a text means, in any of its languages.
pub struct EncoderEmbedder {
    folder: Arc<EncoderFolder>,
    is_combined: bool,
    model: ModelId,
}

impl EncoderEmbedder {
    /// The encoder's 512 numbers.
    pub fn alone(folder: Arc<EncoderFolder>) -> Self {
        Self {
            folder,
            is_combined: false,
            model: ModelId::new(ALONE),
        }
    }

    /// 1,536 numbers: the encoder's 512, and words hashed to 1,024 places, which know names and numbers better.
    pub fn combined(folder: Arc<EncoderFolder>) -> Self {
        Self {
            folder,
            is_combined: true,
            model: ModelId::new(COMBINED),
        }
    }
}

#[async_trait]
impl Embedder for EncoderEmbedder {
    fn model(&self) -> &ModelId {
        &self.model
    }

    fn dimensions(&self) -> usize {
        if self.is_combined { DIMENSIONS } else { WIDE }
    }

    async fn embed(&self, texts: &[String]) -> Result<Vec<Embedding>, Failure> {
        let ended = || Failure::transient(reason::EMBEDDER_UNAVAILABLE, "the encoder was ended");
        let bytes: usize = texts.iter().map(String::len).sum();
        let threads = self.folder.threads.min(1 + bytes / BYTES_A_THREAD);
        let turns = Arc::clone(&self.folder.turns);
        let turn = turns
            .acquire_many_owned(threads as u32)
            .await
            .map_err(|_| ended())?;
        let (folder, texts, is_combined) =
            (Arc::clone(&self.folder), texts.to_vec(), self.is_combined);
        let work = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let encoder = folder.encoder()?;
            if is_combined {
                combined(&encoder, threads, &texts)
            } else {
                let vectors = encoder.encode_on(threads, &texts).into_iter();
                vectors
                    .map(|vector| Ok(Embedding::try_new(vector, WIDE)?))
                    .collect()
            }
        });
        match work.await {
            Ok(embeddings) => embeddings,
            // Isolated where every panic of a worker is.
            Err(error) => match error.try_into_panic() {
                Ok(panic) => resume_unwind(panic),
                Err(error) => Err(ended().caused_by(error)),
            },
        }
    }
}

fn combined(
    encoder: &Encoder,
    threads: usize,
    texts: &[String],
) -> Result<Vec<Embedding>, Failure> {
    let words = in_parallel(threads, texts.len(), |_: &mut (), text| {
        Embedding::try_new(
            hashed::numbers(&texts[text], DIMENSIONS - WIDE),
            DIMENSIONS - WIDE,
        )
    });
    let vectors = encoder.encode_on(threads, texts).into_iter().zip(words);
    let join = |(vector, words): (Vec<f32>, Result<Embedding, _>)| {
        let words = words?;
        let meaning = vector.into_iter().map(|number| number * ENCODER_WEIGHT);
        let words = words.values().iter().map(|number| number * HASHED_WEIGHT);
        Ok(Embedding::try_new(
            meaning.chain(words).collect(),
            DIMENSIONS,
        )?)
    };
    vectors.map(join).collect()
}
