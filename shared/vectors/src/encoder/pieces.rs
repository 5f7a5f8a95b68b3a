//! Texts as pieces of a vocabulary: what SentencePiece does with a unigram model.
//!
//! Follows the model's own package step by step, in double precision as well, so that every text gets the same pieces.

use super::{normal::Normal, trie::Trie, wire};

const UNKNOWN: u32 = 0;
const BEGIN: u32 = 1;
const END: u32 = 2;

/// How much less likely than the least likely piece a character is that is in no piece.
const UNKNOWN_PENALTY: f64 = 10.0;

/// No way leads here yet.
const NO_WAY: f64 = -1e38;

/// The vocabulary, and how texts are brought into the form that it is of.
pub(super) struct Pieces {
    normal: Normal,
    trie: Trie,
    scores: Vec<f32>,
    unknown: f64,
}

/// The best way to a place in a text: what it scores, and its last piece with where that begins.
#[derive(Clone, Copy)]
struct Way {
    score: f64,
    start: u32,
    piece: u32,
}

impl Pieces {
    /// From the bytes of a model's file; `None` when they are not those of one.
    pub(super) fn parse(model: &[u8]) -> Option<Self> {
        let mut pieces: Vec<(&[u8], u32)> = Vec::new();
        let mut scores = Vec::new();
        let mut normal = None;
        for field in wire::fields(model) {
            match field? {
                (1, piece) => {
                    let mut text = None;
                    let mut score = 0.0;
                    for field in wire::fields(piece) {
                        match field? {
                            (1, value) => text = Some(value),
                            (2, value) => score = f32::from_le_bytes(value.try_into().ok()?),
                            _ => {}
                        }
                    }
                    pieces.push((text?, u32::try_from(scores.len()).ok()?));
                    scores.push(score);
                }
                // The package's model keeps its table of characters here.
                (3, trainer) => {
                    for field in wire::fields(trainer) {
                        if let (2, table) = field? {
                            normal = Some(Normal::parse(table)?);
                        }
                    }
                }
                _ => {}
            }
        }
        let least = scores.iter().copied().reduce(f32::min)?;
        Some(Self {
            normal: normal?,
            trie: Trie::new(pieces),
            scores,
            unknown: f64::from(least) - UNKNOWN_PENALTY,
        })
    }

    /// How many pieces there are.
    pub(super) fn len(&self) -> usize {
        self.scores.len()
    }

    /// The pieces of a text, between one that begins and one that ends it.
    pub(super) fn of(&self, text: &str) -> Vec<u32> {
        let mut pieces = vec![END];
        self.backwards(&self.normal.of(text), &mut pieces);
        if pieces.len() == 1 {
            pieces.push(UNKNOWN);
        }
        pieces.push(BEGIN);
        pieces.reverse();
        pieces
    }

    /// The likeliest sequence of pieces, its last one first.
    fn backwards(&self, text: &[u8], pieces: &mut Vec<u32>) {
        let nowhere = Way {
            score: NO_WAY,
            start: 0,
            piece: UNKNOWN,
        };
        let mut ways = vec![nowhere; text.len() + 1];
        ways[0].score = 0.0;
        let mut start = 0;
        while start < text.len() {
            let base = ways[start].score;
            let after = start + character(&text[start..]);
            let mut is_known = false;
            let mut reach = |end: usize, score: f64, piece: u32| {
                if score > ways[end].score {
                    ways[end] = Way {
                        score,
                        start: start as u32,
                        piece,
                    };
                }
            };
            for (length, piece) in self.trie.prefixes(&text[start..]) {
                let score = base + f64::from(self.scores[piece as usize]);
                reach(start + length, score, piece);
                is_known |= start + length == after;
            }
            if !is_known {
                reach(after, base + self.unknown, UNKNOWN);
            }
            start = after;
        }
        let mut end = text.len();
        while end > 0 {
            pieces.push(ways[end].piece);
            end = ways[end].start as usize;
        }
    }
}

/// How many bytes the first character has.
fn character(text: &[u8]) -> usize {
    let others = text.iter().skip(1);
    1 + others.take_while(|byte| **byte & 0xc0 == 0x80).count()
}
