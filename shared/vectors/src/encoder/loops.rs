//! The loops between the products, compiled for the registers that there are.

use super::network::{BESIDE, BRANCH, Branch, FEATURES, Stretch, WIDE};
use crate::kernel::Loops;

/// Added to a variance before it is divided by.
const EPSILON: f32 = 1e-12;

/// Sums that are kept apart, so that an addition need not wait for the one before it.
const LANES: usize = 32;

/// A token's row of the table: steps of one size from the least number of its part.
#[derive(Clone, Copy)]
pub(super) struct Row<'a> {
    /// How many steps.
    pub(super) steps: &'a [u8],
    /// The size of one.
    pub(super) scale: f32,
    /// Where they begin.
    pub(super) least: f32,
}

impl Row<'_> {
    /// Its numbers.
    #[inline(always)]
    pub(super) fn write(&self, out: &mut [f32]) {
        for (out, steps) in out.iter_mut().zip(self.steps) {
            *out = f32::from(*steps) * self.scale + self.least;
        }
    }
}

/// Brings rows to mean zero and variance one, then to each place's own gain and shift.
pub(super) struct Normalised<'a> {
    /// As long as the gain, one after the other.
    pub(super) rows: &'a mut [f32],
    /// A factor a place.
    pub(super) gain: &'a [f32],
    /// What is added there.
    pub(super) shift: &'a [f32],
}

impl Loops for Normalised<'_> {
    #[inline(always)]
    fn run(self) {
        for row in self.rows.chunks_exact_mut(self.gain.len()) {
            normalise(row, self.gain, self.shift);
        }
    }
}

#[inline(always)]
fn normalise(row: &mut [f32], gain: &[f32], shift: &[f32]) {
    let count = row.len() as f32;
    let mean = sum_of(row, |number| number) / count;
    let variance = sum_of(row, |number| (number - mean) * (number - mean)) / count;
    let factor = 1.0 / (variance + EPSILON).sqrt();
    for ((number, gain), shift) in row.iter_mut().zip(gain).zip(shift) {
        *number = (*number - mean) * factor * gain + shift;
    }
}

/// Always in the same order, whatever the registers.
#[inline(always)]
fn sum_of(numbers: &[f32], term: impl Fn(f32) -> f32) -> f32 {
    let mut lanes = [0.0_f32; LANES];
    for numbers in numbers.as_chunks::<LANES>().0 {
        for lane in 0..LANES {
            lanes[lane] += term(numbers[lane]);
        }
    }
    let mut width = LANES / 2;
    while width > 0 {
        for lane in 0..width {
            lanes[lane] += lanes[lane + width];
        }
        width /= 2;
    }
    lanes[0]
}

/// The first convolution of a branch over a stretch, with two rows on either side of its own: they are zero where the text has none.
pub(super) struct Hidden<'a> {
    /// The branch.
    pub(super) weights: &'a Branch,
    /// Where its input stands in what is known of a token.
    pub(super) input: usize,
    /// The tokens.
    pub(super) stretch: &'a Stretch<'a>,
    /// What is made: a row for each own token, and two before and after.
    pub(super) rows: &'a mut [f32],
}

impl Loops for Hidden<'_> {
    #[inline(always)]
    fn run(self) {
        const NOTHING: &[f32] = &[0.0; BRANCH];
        let known = self.stretch.known;
        let (bias, _) = self.weights.first_bias.as_chunks::<LANES>();
        // Places of tokens are counted from `BESIDE` before the first own one on.
        for (place, row) in self.rows.chunks_exact_mut(BRANCH).enumerate() {
            let Some(token) = (self.stretch.own.start + place).checked_sub(BESIDE) else {
                row.fill(0.0);
                continue;
            };
            let Some(own) = known.get(token) else {
                row.fill(0.0);
                continue;
            };
            let mut parts = [NOTHING; 5];
            for (part, numbers) in parts.iter_mut().enumerate().take(self.weights.span) {
                let neighbour = (token + part).checked_sub(self.weights.before);
                if let Some(neighbour) = neighbour.and_then(|neighbour| known.get(neighbour)) {
                    *numbers = &neighbour[self.weights.place + part * BRANCH..][..BRANCH];
                }
            }
            let parts = parts.map(|part| part.as_chunks::<LANES>().0);
            let (own, _) = own[self.input..][..BRANCH].as_chunks::<LANES>();
            let (row, _) = row.as_chunks_mut::<LANES>();
            for (block, row) in row.iter_mut().enumerate() {
                let mut sums = bias[block];
                for part in &parts[..self.weights.span] {
                    for lane in 0..LANES {
                        sums[lane] += part[block][lane];
                    }
                }
                for lane in 0..LANES {
                    row[lane] = sums[lane].max(0.0) + own[block][lane];
                }
            }
        }
    }
}

/// Ends the branches of one token, normalises its features, and adds them to the text's.
pub(super) struct Summed<'a> {
    /// The token's row of the table.
    pub(super) row: Row<'a>,
    /// What each branch's second convolution was made of.
    pub(super) hidden: [&'a [f32]; 3],
    /// Room for the row, then what the second convolutions made.
    pub(super) features: &'a mut [f32],
    /// A factor a place.
    pub(super) gain: &'a [f32],
    /// What is added there.
    pub(super) shift: &'a [f32],
    /// What it is added to.
    pub(super) sum: &'a mut [f32],
}

impl Loops for Summed<'_> {
    #[inline(always)]
    fn run(self) {
        let (row, branches) = self.features.split_at_mut(WIDE);
        self.row.write(row);
        for (branch, hidden) in branches.chunks_exact_mut(BRANCH).zip(self.hidden) {
            for (number, hidden) in branch.iter_mut().zip(hidden) {
                *number = number.max(0.0) + hidden;
            }
        }
        normalise(&mut self.features[..FEATURES], self.gain, self.shift);
        for (sum, number) in self.sum.iter_mut().zip(self.features) {
            *sum += *number;
        }
    }
}
