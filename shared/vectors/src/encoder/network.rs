//! The forward pass: a sentence encoder of n-gram convolutions and averaging.
//!
//! A token's row of the table is projected and normalised three times, for pieces of two, three and five tokens. In each of these
//! branches two convolutions follow, each added to what it is made of. Rows and branches are normalised together, summed over the text,
//! and four dense layers make its vector.
//!
//! What comes before the first convolution's sum depends on the token alone: its own part for each place in a window. So that is
//! computed once a token ([`Network::first`]) and kept ([`super::recent`]); a convolution's windows are overlapping rows of one
//! buffer, so nothing is copied for them.

use super::{
    loops::{Hidden, Normalised, Row, Summed},
    weights::{Weights, Wrong},
};
use crate::kernel::{Factor, Strided, add_product, widely};

/// Numbers in a row of the table, and in a vector.
pub(super) const WIDE: usize = 512;
/// Numbers of a branch.
pub(super) const BRANCH: usize = 256;
/// All branches.
pub(super) const BRANCHES: usize = 3 * BRANCH;
/// What is normalised together: the token's row of the table, and the branches.
pub(super) const FEATURES: usize = WIDE + BRANCHES;
/// Of each branch, how many tokens a window has and how many of them come before its own.
const WINDOWS: [(usize, usize); 3] = [(2, 0), (3, 1), (5, 2)];
/// The most tokens that a window has on one side.
pub(super) const BESIDE: usize = 2;
/// What is known of a token by itself: the branches' input, then its parts of each branch's windows.
pub(super) const KNOWN: usize = BRANCHES + (2 + 3 + 5) * BRANCH;
/// Token `n` stands in part `n % PARTS` of the table.
const PARTS: usize = 17;
/// Below this, a vector's length is taken for this.
const LEAST: f32 = 1e-12;
/// Inner width of the dense layers.
const DENSE: usize = 320;

/// One width of pieces.
pub(super) struct Branch {
    /// Tokens in a window.
    pub(super) span: usize,
    /// Those before its own.
    pub(super) before: usize,
    /// Where its parts stand in what is known of a token.
    pub(super) place: usize,
    first: Factor,
    pub(super) first_bias: Vec<f32>,
    second: Factor,
    second_bias: Vec<f32>,
}

/// All weights, in the order in which they are used.
pub(super) struct Network {
    table: Vec<Vec<u8>>,
    scale: Vec<f32>,
    least: Vec<f32>,
    entry: Factor,
    entry_bias: Vec<f32>,
    entry_gain: Vec<f32>,
    entry_shift: Vec<f32>,
    branches: [Branch; 3],
    gain: Vec<f32>,
    shift: Vec<f32>,
    mean: Factor,
    mean_bias: Vec<f32>,
    dense: [Factor; 6],
}

/// Memory of a thread, used again and again.
#[derive(Default)]
pub(super) struct Scratch {
    hidden: Vec<f32>,
    features: Vec<f32>,
}

/// Consecutive tokens of one text.
pub(super) struct Stretch<'a> {
    /// What is known of each of the text's tokens around them: up to four before the first and after the last.
    pub(super) known: &'a [&'a [f32]],
    /// Which of those are summed.
    pub(super) own: std::ops::Range<usize>,
}

impl Network {
    /// From the archive, for a table of so many rows a part. `parts` are the table's, read already.
    pub(super) fn new(mut weights: Weights<'_>, table: Vec<Vec<u8>>) -> Result<Self, Wrong> {
        let mut read = Reader(&mut weights);
        let mut entry = vec![0.0; WIDE * BRANCHES];
        let (mut entry_bias, mut entry_gain, mut entry_shift) = (vec![], vec![], vec![]);
        for (branch, (span, _)) in WINDOWS.into_iter().enumerate() {
            let part = read.floats(&format!("proj{span}"), &[WIDE, BRANCH])?;
            let rows = entry.chunks_exact_mut(BRANCHES);
            for (row, part) in rows.zip(part.chunks_exact(BRANCH)) {
                row[branch * BRANCH..][..BRANCH].copy_from_slice(part);
            }
            entry_bias.extend(read.floats(&format!("proj_b{span}"), &[BRANCH])?);
            entry_gain.extend(read.floats(&format!("ln_g{span}"), &[BRANCH])?);
            entry_shift.extend(read.floats(&format!("ln_b{span}"), &[BRANCH])?);
        }
        let mut place = BRANCHES;
        let mut branch = |(span, before): (usize, usize)| {
            let first = read.floats(&format!("w1_{span}"), &[span * BRANCH, BRANCH])?;
            let second = read.floats(&format!("w2_{span}"), &[span * BRANCH, BRANCH])?;
            let branch = Branch {
                span,
                before,
                place,
                first: factor("w1", BRANCH, span * BRANCH, &side_by_side(&first, span))?,
                first_bias: read.floats(&format!("b1_{span}"), &[BRANCH])?,
                second: factor("w2", span * BRANCH, BRANCH, &second)?,
                second_bias: read.floats(&format!("b2_{span}"), &[BRANCH])?,
            };
            place += span * BRANCH;
            Ok(branch)
        };
        let branches = [
            branch(WINDOWS[0])?,
            branch(WINDOWS[1])?,
            branch(WINDOWS[2])?,
        ];
        Ok(Self {
            table,
            scale: read.floats("scale", &[PARTS])?,
            least: read.floats("lo", &[PARTS])?,
            entry: factor("proj", WIDE, BRANCHES, &entry)?,
            entry_bias,
            entry_gain,
            entry_shift,
            branches,
            gain: read.floats("ln_g", &[FEATURES])?,
            shift: read.floats("ln_b", &[FEATURES])?,
            mean: read.factor("cnn_W", FEATURES, WIDE)?,
            mean_bias: read.floats("cnn_b", &[WIDE])?,
            dense: [
                read.factor("d0", WIDE, DENSE)?,
                read.factor("p1", WIDE, DENSE)?,
                read.factor("d1", DENSE, DENSE)?,
                read.factor("d2", DENSE, WIDE)?,
                read.factor("p3", DENSE, WIDE)?,
                read.factor("d3", WIDE, WIDE)?,
            ],
        })
    }

    /// One of the [`PARTS`] of the table.
    pub(super) fn table_part(
        weights: &mut Weights<'_>,
        part: usize,
        rows: usize,
    ) -> Result<Vec<u8>, Wrong> {
        weights.bytes(&format!("q{}", part + 1), &[rows, WIDE])
    }

    /// How many parts the table has.
    pub(super) const fn parts() -> usize {
        PARTS
    }

    /// How many tokens the table has rows for.
    pub(super) fn tokens(&self) -> usize {
        self.table.iter().map(|part| part.len() / WIDE).sum()
    }

    /// A token's row of the table.
    fn row(&self, token: u32) -> Row<'_> {
        let token = token as usize;
        Row {
            steps: &self.table[token % PARTS][token / PARTS * WIDE..][..WIDE],
            scale: self.scale[token % PARTS],
            least: self.least[token % PARTS],
        }
    }

    /// What is known of tokens by themselves: [`KNOWN`] numbers each.
    pub(super) fn first(&self, tokens: &[u32]) -> Vec<f32> {
        let mut rows = vec![0.0; tokens.len() * WIDE];
        for (row, token) in rows.chunks_exact_mut(WIDE).zip(tokens) {
            self.row(*token).write(row);
        }
        let mut known = vec![0.0; tokens.len() * KNOWN];
        let mut inputs = self.entry_bias.repeat(tokens.len());
        let rows = Strided {
            numbers: &rows,
            stride: WIDE,
        };
        add_product(rows, &self.entry, &mut inputs, BRANCHES);
        widely(Normalised {
            rows: &mut inputs,
            gain: &self.entry_gain,
            shift: &self.entry_shift,
        });
        for (branch, weights) in self.branches.iter().enumerate() {
            if tokens.is_empty() {
                break;
            }
            let rows = Strided {
                numbers: &inputs[branch * BRANCH..],
                stride: BRANCHES,
            };
            add_product(rows, &weights.first, &mut known[weights.place..], KNOWN);
        }
        for (known, inputs) in known
            .chunks_exact_mut(KNOWN)
            .zip(inputs.chunks_exact(BRANCHES))
        {
            known[..BRANCHES].copy_from_slice(inputs);
        }
        known
    }

    /// The sums of the features of some stretches' own tokens, [`FEATURES`] numbers each. `tokens` are the own tokens of all of them.
    pub(super) fn sums(
        &self,
        stretches: &[Stretch<'_>],
        tokens: &[&[u32]],
        scratch: &mut Scratch,
    ) -> Vec<f32> {
        // Each stretch stands between two rows on either side: of its text, or zeros.
        let own: usize = stretches.iter().map(|stretch| stretch.own.len()).sum();
        let rows = own + 2 * BESIDE * stretches.len();
        scratch.features.resize(rows * FEATURES, 0.0);
        scratch.hidden.resize(rows * BRANCHES, 0.0);
        let features = &mut scratch.features[..rows * FEATURES];
        let hidden = &mut scratch.hidden[..rows * BRANCHES];
        for (branch, weights) in self.branches.iter().enumerate() {
            let hidden = &mut hidden[branch * rows * BRANCH..][..rows * BRANCH];
            let column = WIDE + branch * BRANCH;
            let mut row = 0;
            for stretch in stretches {
                let end = row + stretch.own.len() + 2 * BESIDE;
                widely(Hidden {
                    weights,
                    input: branch * BRANCH,
                    stretch,
                    rows: &mut hidden[row * BRANCH..end * BRANCH],
                });
                row = end;
            }
            for row in features.chunks_exact_mut(FEATURES) {
                row[column..][..BRANCH].copy_from_slice(&weights.second_bias);
            }
            let windows = Strided {
                numbers: &hidden[(BESIDE - weights.before) * BRANCH..],
                stride: BRANCH,
            };
            let out = &mut features[BESIDE * FEATURES + column..];
            add_product(windows, &weights.second, out, FEATURES);
        }
        let mut sums = vec![0.0; stretches.len() * FEATURES];
        let mut row = BESIDE;
        for ((stretch, tokens), sum) in stretches
            .iter()
            .zip(tokens)
            .zip(sums.chunks_exact_mut(FEATURES))
        {
            for (token, row) in tokens.iter().zip(row..) {
                let inputs = std::array::from_fn(|branch| {
                    &hidden[(branch * rows + row) * BRANCH..][..BRANCH]
                });
                widely(Summed {
                    row: self.row(*token),
                    hidden: inputs,
                    features: &mut features[row * FEATURES..][..FEATURES],
                    gain: &self.gain,
                    shift: &self.shift,
                    sum,
                });
            }
            row += stretch.own.len() + 2 * BESIDE;
        }
        sums
    }

    /// The vectors of texts from the sums of their features and how many tokens they have.
    pub(super) fn vectors(&self, sums: &[f32], tokens: &[usize]) -> Vec<Vec<f32>> {
        let count = tokens.len();
        let product = |rows: &[f32], factor: &Factor, out: &mut Vec<f32>| {
            let stride = rows.len() / count.max(1);
            let width = factor.width();
            out.resize(count * width, 0.0);
            let rows = Strided {
                numbers: rows,
                stride,
            };
            add_product(rows, factor, out, width);
        };
        let positive = |numbers: &mut [f32]| {
            for number in numbers {
                *number = number.max(0.0);
            }
        };
        let [d0, p1, d1, d2, p3, d3] = &self.dense;
        let mut mean = Vec::new();
        product(sums, &self.mean, &mut mean);
        for (mean, tokens) in mean.chunks_exact_mut(WIDE).zip(tokens) {
            let tokens = *tokens as f32;
            for (number, bias) in mean.iter_mut().zip(&self.mean_bias) {
                *number = (*number + tokens * bias) * (1.0 / tokens.sqrt());
            }
        }
        let (mut inner, mut outer) = (Vec::new(), Vec::new());
        product(&mean, d0, &mut inner);
        positive(&mut inner);
        product(&mean, p1, &mut outer);
        product(&inner, d1, &mut outer);
        positive(&mut outer);
        let (mut last, mut vectors) = (Vec::new(), Vec::new());
        product(&outer, d2, &mut last);
        positive(&mut last);
        product(&outer, p3, &mut vectors);
        product(&last, d3, &mut vectors);
        let vectors = vectors.chunks_exact(WIDE).map(|vector| {
            let bent: Vec<f32> = vector.iter().map(|number| number.tanh()).collect();
            let squares: f32 = bent.iter().map(|number| number * number).sum();
            let length = squares.max(LEAST).sqrt();
            bent.into_iter().map(|number| number / length).collect()
        });
        vectors.collect()
    }
}

/// A window's weights, token under token, as a token's weights, side by side.
fn side_by_side(weights: &[f32], span: usize) -> Vec<f32> {
    let row = |depth: usize| {
        (0..span).flat_map(move |place| &weights[(place * BRANCH + depth) * BRANCH..][..BRANCH])
    };
    (0..BRANCH).flat_map(row).copied().collect()
}

fn factor(name: &str, depth: usize, width: usize, numbers: &[f32]) -> Result<Factor, Wrong> {
    Factor::new(depth, width, numbers).ok_or_else(|| Wrong::Array {
        name: name.to_owned(),
        expected: format!("matrix of {depth} by {width}"),
    })
}

struct Reader<'r, 'a>(&'r mut Weights<'a>);

impl Reader<'_, '_> {
    fn floats(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>, Wrong> {
        self.0.floats(name, shape)
    }

    fn factor(&mut self, name: &str, depth: usize, width: usize) -> Result<Factor, Wrong> {
        factor(name, depth, width, &self.floats(name, &[depth, width])?)
    }
}
