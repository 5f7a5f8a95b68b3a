//! Rows in half precision: half the memory to read, and a bound on what that costs.
//!
//! IEEE 754 binary16, as bits: stable Rust has no type for it. The processor widens it where it can.

use super::lines::Line;

/// Numbers on a line of halves.
pub(crate) const HALVES: usize = 32;

/// 64 bytes of halves; they take part with two lines of a query.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
pub(crate) struct HalfLine(pub(super) [u16; HALVES]);

/// Lines of an even number as half as many lines of halves, each number the nearest.
pub(crate) fn halves_of(lines: &[Line]) -> impl Iterator<Item = HalfLine> {
    let (pairs, _) = lines.as_chunks::<2>();
    pairs.iter().map(|[Line(first), Line(second)]| {
        let mut halves = [0; HALVES];
        let numbers = first.iter().chain(second);
        halves
            .iter_mut()
            .zip(numbers)
            .for_each(|(half, number)| *half = narrow(*number));
        HalfLine(halves)
    })
}

/// How far a dot product of a row in half precision can be from that of the row itself, for vectors of about length one.
///
/// The nearest half is off by at most 2⁻¹¹ of the number, or by 2⁻²⁵ where it is below the least normal one, 2⁻¹⁴. Multiplied
/// with a query, and summed: at most 2⁻¹¹ times the product of the lengths, and 2⁻²⁵ times the sum of the query's sizes, which is
/// at most √n times its length (Cauchy and Schwarz).
pub(super) fn narrowing(dimensions: usize) -> f64 {
    super::LENGTHS * (0.5_f64.powi(11) + 0.5_f64.powi(25) * (dimensions as f64).sqrt())
}

/// The half nearest to a number of at most a few thousands; of two equally near ones, the even one.
fn narrow(number: f32) -> u16 {
    const LEAST_NORMAL: u32 = 0x3880_0000; // 2⁻¹⁴
    const REBIAS: u32 = (127 - 15) << 23;
    let bits = number.to_bits();
    let sign = (bits >> 16) as u16 & 0x8000;
    let size = bits & 0x7fff_ffff;
    let half = if size >= LEAST_NORMAL {
        let is_odd = (size >> 13) & 1;
        (size + 0x0fff + is_odd - REBIAS) >> 13
    } else {
        // Neighbours of a half are 2⁻²⁴ apart, as the halves below the least normal one are: adding it rounds.
        (f32::from_bits(size) + 0.5).to_bits() - 0.5_f32.to_bits()
    };
    sign | half as u16
}

/// The number that a half stands for; exact. Not for infinities.
#[inline(always)]
fn widen(half: u16) -> f32 {
    const REBIAS: f32 = f32::from_bits((127 + 127 - 15) << 23); // 2¹¹²
    let size = f32::from_bits(u32::from(half & 0x7fff) << 13) * REBIAS;
    f32::from_bits(size.to_bits() | u32::from(half & 0x8000) << 16)
}

/// Where the processor does not widen halves itself.
pub(super) fn portable(row: &[HalfLine], query: &[Line]) -> f32 {
    let mut sums = [0.0_f32; 16];
    for (HalfLine(halves), pair) in row.iter().zip(query.as_chunks::<2>().0) {
        for (halves, Line(numbers)) in halves.as_chunks::<16>().0.iter().zip(pair) {
            for lane in 0..16 {
                sums[lane] += widen(halves[lane]) * numbers[lane];
            }
        }
    }
    sums.iter().sum()
}

/// In the processor's own instructions.
#[cfg(target_arch = "x86_64")]
pub(super) mod x86 {
    use std::arch::x86_64::*;

    use super::{HalfLine, Line};

    #[inline]
    #[target_feature(enable = "avx512f")]
    pub(in crate::kernel) fn avx512(row: &[HalfLine], after: &[HalfLine], query: &[Line]) -> f32 {
        // Sums that are kept apart, so that an addition need not wait for the one before it.
        let mut sums = [_mm512_setzero_ps(); 4];
        let (rows, row_rest) = row.as_chunks::<2>();
        let (queries, query_rest) = query.as_chunks::<4>();
        for ((lines, after), numbers) in rows.iter().zip(after.as_chunks::<2>().0).zip(queries) {
            let ([line, next], [first, second, third, fourth]) = (lines, numbers);
            prefetch(&after[0]);
            prefetch(&after[1]);
            sums[0] = add_avx512(&line.0[..16], first, sums[0]);
            sums[1] = add_avx512(&line.0[16..], second, sums[1]);
            sums[2] = add_avx512(&next.0[..16], third, sums[2]);
            sums[3] = add_avx512(&next.0[16..], fourth, sums[3]);
        }
        for (line, [first, second]) in row_rest.iter().zip(query_rest.as_chunks::<2>().0) {
            sums[0] = add_avx512(&line.0[..16], first, sums[0]);
            sums[1] = add_avx512(&line.0[16..], second, sums[1]);
        }
        let [first, second, third, fourth] = sums;
        let sum = _mm512_add_ps(_mm512_add_ps(first, second), _mm512_add_ps(third, fourth));
        _mm512_reduce_add_ps(sum)
    }

    /// The row after this one: the processor does not see by itself that it is going to be read so soon.
    #[inline]
    fn prefetch(line: &HalfLine) {
        // SAFETY: every processor of this family has the instruction, and it changes nothing.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(line.0.as_ptr().cast()) };
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn add_avx512(halves: &[u16], numbers: &Line, sum: __m512) -> __m512 {
        // SAFETY: sixteen halves at a multiple of 32 bytes, and a line.
        let (halves, numbers) = unsafe {
            (
                _mm256_load_si256(halves.as_ptr().cast()),
                _mm512_load_ps(numbers.0.as_ptr()),
            )
        };
        _mm512_fmadd_ps(_mm512_cvtph_ps(halves), numbers, sum)
    }

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    pub(in crate::kernel) fn avx2(row: &[HalfLine], after: &[HalfLine], query: &[Line]) -> f32 {
        let mut sums = [_mm256_setzero_ps(); 4];
        let queries = query.as_chunks::<2>().0;
        for ((line, after), pair) in row.iter().zip(after).zip(queries) {
            prefetch(after);
            for (eighth, sum) in sums.iter_mut().enumerate() {
                let numbers = &pair[eighth / 2].0[eighth % 2 * 8..][..8];
                let halves = &line.0[eighth * 8..][..8];
                // SAFETY: eight numbers at a multiple of 32 bytes, eight halves at one of 16.
                let (numbers, halves) = unsafe {
                    (
                        _mm256_load_ps(numbers.as_ptr()),
                        _mm_load_si128(halves.as_ptr().cast()),
                    )
                };
                *sum = _mm256_fmadd_ps(_mm256_cvtph_ps(halves), numbers, *sum);
            }
        }
        let [first, second, third, fourth] = sums;
        let sum = _mm256_add_ps(_mm256_add_ps(first, second), _mm256_add_ps(third, fourth));
        let mut lanes = [0.0_f32; 8];
        // SAFETY: there is room for eight numbers.
        unsafe { _mm256_storeu_ps(lanes.as_mut_ptr(), sum) };
        lanes.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;
    use crate::kernel::{half_dots_at, lines::Rows, lines_of};

    #[test]
    fn every_half_of_use_is_kept_as_it_is() {
        for half in (0..0x7c00_u16).flat_map(|half| [half, half | 0x8000]) {
            assert_eq!(narrow(widen(half)), half, "{half:#x}");
        }
        assert_eq!(widen(0x3c00), 1.0);
        assert_eq!(widen(0xb800), -0.5);
        assert_eq!(widen(1), 0.5_f32.powi(24));
    }

    #[test]
    fn the_nearest_half_is_taken_and_of_two_the_even_one() {
        for half in 0..0x7bff_u16 {
            let (low, high) = (f64::from(widen(half)), f64::from(widen(half + 1)));
            let middle = ((low + high) / 2.0) as f32;
            assert_eq!(f64::from(middle), (low + high) / 2.0);
            assert_eq!(narrow(middle), half + (half & 1), "{half:#x}");
            assert_eq!(narrow(middle.next_down()), half);
            assert_eq!(narrow(middle.next_up()), half + 1);
        }
    }

    fn unit(numbers: &[f32]) -> Vec<f32> {
        let squares: f64 = numbers.iter().map(|x| f64::from(*x).powi(2)).sum();
        let scale = 1.0 / squares.sqrt();
        numbers
            .iter()
            .map(|x| (f64::from(*x) * scale) as f32)
            .collect()
    }

    proptest! {
        #[test]
        fn a_dot_product_is_within_its_bound(
            (query, rows) in (1_usize..130).prop_flat_map(|dimensions| {
                // Also numbers so small that halves have few bits left for them.
                let number = (-1.0_f32..1.0, 0_i32..30).prop_map(|(x, e)| x * 0.5_f32.powi(e));
                let vector = prop::collection::vec(number, dimensions);
                (vector.clone(), prop::collection::vec(vector, 1..20))
            }),
        ) {
            prop_assume!(query.iter().chain(rows.iter().flatten()).all(|x| *x != 0.0));
            let (query, rows) = (unit(&query), rows.iter().map(|row| unit(row)).collect::<Vec<_>>());
            let dimensions = query.len();
            let matrix: Vec<HalfLine> = rows.iter().flat_map(|row| halves_of(&lines_of(row).collect::<Vec<_>>()).collect::<Vec<_>>()).collect();
            let lines: Vec<Line> = lines_of(&query).collect();
            let places: Vec<u32> = (0..rows.len() as u32).collect();
            let bound = narrowing(dimensions) + crate::kernel::rounding(dimensions);
            let mut found = vec![0.0; rows.len()];
            half_dots_at(&matrix, &places, &lines, &mut found);
            let dots = Rows { matrix: &matrix, places: &places, width: lines.len() / 2 };
            let mut portably = vec![0.0; rows.len()];
            dots.write(&mut portably, |row, _| portable(row, &lines));
            let mut all = vec![found, portably];
            #[cfg(target_arch = "x86_64")]
            if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma") && std::arch::is_x86_feature_detected!("f16c") {
                let mut narrower = vec![0.0; rows.len()];
                // SAFETY: checked in the line above.
                unsafe { crate::kernel::halves_avx2(&dots, &lines, &mut narrower) };
                all.push(narrower);
            }
            for found in all {
                for (row, found) in rows.iter().zip(found) {
                    let exact: f64 = row.iter().zip(&query).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum();
                    prop_assert!((f64::from(found) - exact).abs() <= bound, "{found} is not {exact}");
                }
            }
        }
    }
}
