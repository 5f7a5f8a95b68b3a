//! Dot products of one vector with many, at the speed of the memory.
//!
//! Rows that lie one after the other are read as one stream, in registers as wide as the processor has; that is faster than several
//! rows at a time, since the query stays in the nearest memory anyway. Which kernel runs is decided by the processor that it runs on.
//!
//! The only module with `unsafe`: a function compiled for AVX may only run where there is AVX, its instructions read by
//! address, and the operating system is told where large pages are of use.
#![allow(unsafe_code)]

mod half;
mod lines;
mod pages;
mod product;
mod slices;

use self::lines::Rows;
pub(crate) use self::{
    half::{HalfLine, halves_of},
    lines::{LANES, Line, exact, lines_for, lines_of},
    pages::prefer_large_pages,
    product::{Factor, Strided, add_product},
    slices::{dot, dots},
};

/// More than the product of the lengths of two embeddings, each of length one up to its rounding.
const LENGTHS: f64 = 1.001;

/// How far a dot product of [`dots_at`] can be from the exact one, for vectors of about length one.
///
/// Summing n products in any order in floating point is wrong by at most nu / (1 − nu) times the sum of their sizes, u being half the
/// distance between neighbouring numbers around one, 2⁻²⁴ (Higham, *Accuracy and Stability of Numerical Algorithms*, 3.1);
/// and that sum is at most the product of the lengths (Cauchy and Schwarz).
pub(crate) fn rounding(dimensions: usize) -> f64 {
    let additions = (lines_for(dimensions) + 1) * LANES;
    let nu = additions as f64 * f64::from(f32::EPSILON) / 2.0;
    LENGTHS * nu / (1.0 - nu)
}

/// As [`rounding`], of [`half_dots_at`].
pub(crate) fn half_rounding(dimensions: usize) -> f64 {
    half::narrowing(dimensions) + rounding(dimensions)
}

/// What of the processor is made use of.
#[derive(Clone, Copy)]
enum Registers {
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// With fused multiply-add and widening of halves.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// Without fused multiply-add in the processor, `mul_add` would be a slow library call. On aarch64
    /// the baseline has NEON, and this is compiled to it.
    Baseline,
}

impl Registers {
    fn detected() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            if std::arch::is_x86_feature_detected!("avx512f") {
                return Self::Avx512;
            }
            if std::arch::is_x86_feature_detected!("avx2")
                && std::arch::is_x86_feature_detected!("fma")
                && std::arch::is_x86_feature_detected!("f16c")
            {
                return Self::Avx2;
            }
        }
        Self::Baseline
    }
}

/// Computes for some rows of a matrix, whose rows are as long as `query`, their dot products with it.
pub(crate) fn dots_at(matrix: &[Line], places: &[u32], query: &[Line], out: &mut [f32]) {
    let rows = Rows {
        matrix,
        places,
        width: query.len(),
    };
    match Registers::detected() {
        // SAFETY: the processor has what these functions are compiled for.
        #[cfg(target_arch = "x86_64")]
        Registers::Avx512 => unsafe { lines_avx512(&rows, query, out) },
        #[cfg(target_arch = "x86_64")]
        Registers::Avx2 => unsafe { lines_avx2(&rows, query, out) },
        Registers::Baseline => rows.write(out, |row, _| lines::portable(row, query)),
    }
}

/// As [`dots_at`], of a matrix in half precision.
pub(crate) fn half_dots_at(matrix: &[HalfLine], places: &[u32], query: &[Line], out: &mut [f32]) {
    let rows = Rows {
        matrix,
        places,
        width: query.len() / 2,
    };
    match Registers::detected() {
        // SAFETY: the processor has what these functions are compiled for.
        #[cfg(target_arch = "x86_64")]
        Registers::Avx512 => unsafe { halves_avx512(&rows, query, out) },
        #[cfg(target_arch = "x86_64")]
        Registers::Avx2 => unsafe { halves_avx2(&rows, query, out) },
        Registers::Baseline => rows.write(out, |row, _| half::portable(row, query)),
    }
}

/// Reads lines in so many places at a time, and does next to nothing with them: what a scan could be at best.
pub(crate) fn read(lines: &[Line], streams: usize) -> u32 {
    match Registers::detected() {
        // SAFETY: the processor has what this function is compiled for.
        #[cfg(target_arch = "x86_64")]
        Registers::Avx512 => unsafe { read_avx512(lines, streams) },
        _ => match streams {
            0..2 => lines::read::<1>(lines),
            2..4 => lines::read::<2>(lines),
            4..8 => lines::read::<4>(lines),
            _ => lines::read::<8>(lines),
        },
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn read_avx512(lines: &[Line], streams: usize) -> u32 {
    match streams {
        0..2 => lines::x86::read_avx512::<1>(lines),
        2..4 => lines::x86::read_avx512::<2>(lines),
        4..8 => lines::x86::read_avx512::<4>(lines),
        8..16 => lines::x86::read_avx512::<8>(lines),
        _ => lines::x86::read_avx512::<16>(lines),
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn lines_avx512(rows: &Rows<'_, Line>, query: &[Line], out: &mut [f32]) {
    rows.write(out, |row, _| lines::x86::avx512(row, query));
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn lines_avx2(rows: &Rows<'_, Line>, query: &[Line], out: &mut [f32]) {
    rows.write(out, |row, _| lines::x86::avx2(row, query));
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn halves_avx512(rows: &Rows<'_, HalfLine>, query: &[Line], out: &mut [f32]) {
    rows.write(out, |row, after| half::x86::avx512(row, after, query));
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,f16c")]
fn halves_avx2(rows: &Rows<'_, HalfLine>, query: &[Line], out: &mut [f32]) {
    rows.write(out, |row, after| half::x86::avx2(row, after, query));
}

/// Loops over numbers that are worth being compiled for the registers that there are. For that, `run` has to be `#[inline(always)]`.
pub(crate) trait Loops {
    /// All of it.
    fn run(self);
}

/// Runs loops in the widest registers.
pub(crate) fn widely(loops: impl Loops) {
    match Registers::detected() {
        // SAFETY: the processor has what these functions are compiled for.
        #[cfg(target_arch = "x86_64")]
        Registers::Avx512 => unsafe { loops_avx512(loops) },
        #[cfg(target_arch = "x86_64")]
        Registers::Avx2 => unsafe { loops_avx2(loops) },
        Registers::Baseline => loops.run(),
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn loops_avx512(loops: impl Loops) {
    loops.run();
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn loops_avx2(loops: impl Loops) {
    loops.run();
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// With every kernel that this processor has, of any rows in any order.
        #[test]
        fn rows_of_lines_agree_with_the_definition(
            (query, rows) in (1_usize..130).prop_flat_map(|dimensions| {
                let vector = prop::collection::vec(-0.1_f32..0.1, dimensions);
                (vector.clone(), prop::collection::vec(vector, 1..20))
            }),
            places in prop::collection::vec(0_u32..20, 0..30),
        ) {
            let matrix: Vec<Line> = rows.iter().flat_map(|row| lines_of(row)).collect();
            let lines: Vec<Line> = lines_of(&query).collect();
            let places: Vec<u32> = places.into_iter().filter(|place| (*place as usize) < rows.len()).collect();
            let dots = Rows { matrix: &matrix, places: &places, width: lines.len() };
            let mut portably = vec![0.0; places.len()];
            dots.write(&mut portably, |row, _| lines::portable(row, &lines));
            let mut detected = vec![0.0; places.len()];
            dots_at(&matrix, &places, &lines, &mut detected);
            let mut all = vec![portably, detected];
            #[cfg(target_arch = "x86_64")]
            if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma") {
                let mut narrower = vec![0.0; places.len()];
                // SAFETY: checked in the line above.
                unsafe { lines_avx2(&dots, &lines, &mut narrower) };
                all.push(narrower);
            }
            let width = lines_for(query.len());
            for (position, place) in places.iter().enumerate() {
                let row = &rows[*place as usize];
                let pairs = row.iter().zip(&query);
                let expected: f64 = pairs.map(|(x, y)| f64::from(*x) * f64::from(*y)).sum();
                for found in &all {
                    prop_assert!((f64::from(found[position]) - expected).abs() < 1e-5);
                }
                let [same] = exact([&matrix[*place as usize * width..][..width]], &lines);
                prop_assert_eq!(same.to_bits(), (expected + 0.0).to_bits());
            }
        }
    }
}
