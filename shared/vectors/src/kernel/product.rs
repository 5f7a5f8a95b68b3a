//! Products of matrices: many short rows with one matrix that stays.

use super::{
    Registers,
    lines::{LANES, Line},
};

/// Columns that are computed together.
const COLUMNS: usize = 2 * LANES;

/// One row of some columns that are computed together.
type Pair = [Line; 2];

/// A matrix that rows are multiplied with, kept in the order in which its numbers are read: 32 columns, row by row, then the next 32.
pub(crate) struct Factor {
    depth: usize,
    width: usize,
    pairs: Vec<Pair>,
}

impl Factor {
    /// From numbers row by row: `depth` rows of `width`, which is a multiple of 32.
    pub(crate) fn new(depth: usize, width: usize, numbers: &[f32]) -> Option<Self> {
        let is_whole = depth > 0 && width > 0 && width.is_multiple_of(COLUMNS);
        if !is_whole || numbers.len() != depth * width {
            return None;
        }
        let panels = (0..width).step_by(COLUMNS).flat_map(|first| {
            let rows = numbers.chunks_exact(width);
            rows.map(move |row| {
                let mut pair = Pair::default();
                for (line, numbers) in pair.iter_mut().zip(row[first..].as_chunks::<LANES>().0) {
                    line.0 = *numbers;
                }
                pair
            })
        });
        Some(Self {
            depth,
            width,
            pairs: panels.collect(),
        })
    }

    /// Numbers in a row of what it makes.
    pub(crate) fn width(&self) -> usize {
        self.width
    }

    fn panels(&self) -> impl Iterator<Item = (usize, &[Pair])> {
        let panels = self.pairs.chunks_exact(self.depth).enumerate();
        panels.map(|(panel, pairs)| (panel * COLUMNS, pairs))
    }
}

/// Rows that begin so many numbers apart; they may overlap.
#[derive(Clone, Copy)]
pub(crate) struct Strided<'a> {
    /// From the first row's first number on.
    pub(crate) numbers: &'a [f32],
    /// From the beginning of a row to that of the next.
    pub(crate) stride: usize,
}

/// As many rows as there can be.
fn rows_in(numbers: usize, width: usize, stride: usize) -> usize {
    match numbers.checked_sub(width) {
        Some(after) => after / stride.max(1) + 1,
        None => 0,
    }
}

/// Adds to each row of `out`, as many as both have, the product of that row of `rows` with the matrix.
///
/// Each number is summed up in the order of the row's numbers, whatever is computed beside it: a row gives the same bits
/// wherever it stands.
pub(crate) fn add_product(rows: Strided<'_>, factor: &Factor, out: &mut [f32], stride: usize) {
    let there = rows_in(rows.numbers.len(), factor.depth, rows.stride);
    let count = there.min(rows_in(out.len(), factor.width, stride));
    let work = Work {
        rows,
        factor,
        count,
        stride,
    };
    match Registers::detected() {
        // SAFETY: the processor has what these functions are compiled for.
        #[cfg(target_arch = "x86_64")]
        Registers::Avx512 => unsafe { x86::avx512(&work, out) },
        #[cfg(target_arch = "x86_64")]
        Registers::Avx2 => unsafe { x86::avx2(&work, out) },
        Registers::Baseline => work.portable(out),
    }
}

/// One call. `rows` has `count` rows as long as the factor is deep, and `out` as many as it is wide, `stride` apart.
struct Work<'a> {
    rows: Strided<'a>,
    factor: &'a Factor,
    count: usize,
    stride: usize,
}

impl Work<'_> {
    fn portable(&self, out: &mut [f32]) {
        const ROWS: usize = 4;
        for (column, panel) in self.factor.panels() {
            let mut row = 0;
            while row + ROWS <= self.count {
                self.block::<ROWS>(row, column, panel, out);
                row += ROWS;
            }
            for row in row..self.count {
                self.block::<1>(row, column, panel, out);
            }
        }
    }

    /// Some rows' numbers in some columns, line by line.
    #[inline(always)]
    fn block<const ROWS: usize>(&self, row: usize, column: usize, panel: &[Pair], out: &mut [f32]) {
        let rows: [&[f32]; ROWS] = std::array::from_fn(|next| {
            &self.rows.numbers[(row + next) * self.rows.stride..][..panel.len()]
        });
        for half in 0..2 {
            let place = |next: usize| (row + next) * self.stride + column + half * LANES;
            let mut sums = [[0.0_f32; LANES]; ROWS];
            for (next, sums) in sums.iter_mut().enumerate() {
                sums.copy_from_slice(&out[place(next)..][..LANES]);
            }
            for (position, pair) in panel.iter().enumerate() {
                let Line(numbers) = &pair[half];
                for next in 0..ROWS {
                    let number = rows[next][position];
                    for lane in 0..LANES {
                        sums[next][lane] = fused(number, numbers[lane], sums[next][lane]);
                    }
                }
            }
            for (next, sums) in sums.iter().enumerate() {
                out[place(next)..][..LANES].copy_from_slice(sums);
            }
        }
    }
}

/// In one step where the processor has one: elsewhere `mul_add` is a slow library call.
#[inline(always)]
fn fused(left: f32, right: f32, sum: f32) -> f32 {
    if cfg!(any(target_arch = "aarch64", target_feature = "fma")) {
        left.mul_add(right, sum)
    } else {
        left * right + sum
    }
}

/// In the processor's own instructions. The sums of a block stay in registers.
#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::{LANES, Pair, Work};

    /// Calls blocks of so many rows for as many of them as are left, the largest first.
    macro_rules! in_blocks {
        ($work:ident, $out:ident: $($rows:literal $block:ident)+) => {
            for (column, panel) in $work.factor.panels() {
                let mut row = 0;
                $(
                    while $work.count - row >= $rows {
                        // SAFETY: that many rows are left, in both.
                        unsafe {
                            let rows = $work.rows.numbers.as_ptr().add(row * $work.rows.stride);
                            let out = $out.as_mut_ptr().add(row * $work.stride + column);
                            $block(rows, $work.rows.stride, panel, out, $work.stride);
                        }
                        row += $rows;
                    }
                )+
            }
        };
    }

    #[target_feature(enable = "avx512f")]
    pub(super) fn avx512(work: &Work<'_>, out: &mut [f32]) {
        in_blocks!(work, out: 12 twelve 4 four 1 one);
    }

    #[target_feature(enable = "avx2,fma")]
    pub(super) fn avx2(work: &Work<'_>, out: &mut [f32]) {
        in_blocks!(work, out: 6 narrow_six 2 narrow_two 1 narrow_one);
    }

    /// A block of rows whose sums each have a name, so that they stay in registers at every level of optimisation.
    ///
    /// # Safety
    /// There are that many rows as long as the panel from `rows` on, and as many of 32 numbers from `out` on.
    macro_rules! block_avx512 {
        ($name:ident: $($row:literal $left:ident $right:ident)+) => {
            #[inline]
            #[target_feature(enable = "avx512f")]
            unsafe fn $name(rows: *const f32, stride: usize, panel: &[Pair], out: *mut f32, out_stride: usize) {
                $(
                    let place = out.wrapping_add(out_stride.wrapping_mul($row));
                    // SAFETY: the caller's promise; a pair is two lines.
                    let (mut $left, mut $right) =
                        unsafe { (_mm512_loadu_ps(place), _mm512_loadu_ps(place.wrapping_add(LANES))) };
                )+
                let mut rows = rows;
                for [first, second] in panel {
                    // SAFETY: lines begin at a multiple of 64 bytes.
                    let (first, second) =
                        unsafe { (_mm512_load_ps(first.0.as_ptr()), _mm512_load_ps(second.0.as_ptr())) };
                    $(
                        // SAFETY: the caller's promise.
                        let number = unsafe { _mm_load_ss(rows.wrapping_add(stride.wrapping_mul($row))) };
                        let number = _mm512_broadcastss_ps(number);
                        $left = _mm512_fmadd_ps(number, first, $left);
                        $right = _mm512_fmadd_ps(number, second, $right);
                    )+
                    rows = rows.wrapping_add(1);
                }
                $(
                    let place = out.wrapping_add(out_stride.wrapping_mul($row));
                    // SAFETY: the caller's promise.
                    unsafe {
                        _mm512_storeu_ps(place, $left);
                        _mm512_storeu_ps(place.wrapping_add(LANES), $right);
                    }
                )+
            }
        };
    }

    block_avx512!(twelve: 0 a0 b0 1 a1 b1 2 a2 b2 3 a3 b3 4 a4 b4 5 a5 b5 6 a6 b6 7 a7 b7 8 a8 b8 9 a9 b9 10 a10 b10 11 a11 b11);
    block_avx512!(four: 0 a0 b0 1 a1 b1 2 a2 b2 3 a3 b3);
    block_avx512!(one: 0 a0 b0);

    /// As above, in two halves, since there are half as many registers of half the width.
    ///
    /// # Safety
    /// There are that many rows as long as the panel from `rows` on, and as many of 32 numbers from `out` on.
    macro_rules! block_avx2 {
        ($name:ident: $($row:literal $left:ident $right:ident)+) => {
            #[inline]
            #[target_feature(enable = "avx2,fma")]
            unsafe fn $name(rows: *const f32, stride: usize, panel: &[Pair], out: *mut f32, out_stride: usize) {
                for half in 0..2 {
                    let out = out.wrapping_add(half * LANES);
                    $(
                        let place = out.wrapping_add(out_stride.wrapping_mul($row));
                        // SAFETY: a half of the caller's 32 numbers.
                        let (mut $left, mut $right) =
                            unsafe { (_mm256_loadu_ps(place), _mm256_loadu_ps(place.wrapping_add(8))) };
                    )+
                    let mut rows = rows;
                    for pair in panel {
                        let line = pair[half].0.as_ptr();
                        // SAFETY: a line is sixteen numbers, and begins at a multiple of 64 bytes.
                        let (first, second) =
                            unsafe { (_mm256_load_ps(line), _mm256_load_ps(line.wrapping_add(8))) };
                        $(
                            // SAFETY: the caller's promise.
                            let number = unsafe { _mm_load_ss(rows.wrapping_add(stride.wrapping_mul($row))) };
                            let number = _mm256_broadcastss_ps(number);
                            $left = _mm256_fmadd_ps(number, first, $left);
                            $right = _mm256_fmadd_ps(number, second, $right);
                        )+
                        rows = rows.wrapping_add(1);
                    }
                    $(
                        let place = out.wrapping_add(out_stride.wrapping_mul($row));
                        // SAFETY: the caller's promise.
                        unsafe {
                            _mm256_storeu_ps(place, $left);
                            _mm256_storeu_ps(place.wrapping_add(8), $right);
                        }
                    )+
                }
            }
        };
    }

    block_avx2!(narrow_six: 0 a0 b0 1 a1 b1 2 a2 b2 3 a3 b3 4 a4 b4 5 a5 b5);
    block_avx2!(narrow_two: 0 a0 b0 1 a1 b1);
    block_avx2!(narrow_one: 0 a0 b0);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn number(seed: usize) -> f32 {
        (seed.wrapping_mul(2_654_435_761) >> 7 & 0xffff) as f32 / 65_536.0 - 0.5
    }

    proptest! {
        /// With every kernel that this processor has; rows overlap where the stride is less than the depth.
        #[test]
        fn products_agree_with_the_definition(
            depth in 1_usize..40,
            panels in 1_usize..4,
            count in 0_usize..30,
            stride in 1_usize..50,
            gap in 0_usize..5,
        ) {
            let width = panels * COLUMNS;
            let matrix: Vec<f32> = (0..depth * width).map(number).collect();
            let numbers: Vec<f32> = (0..depth + count.saturating_sub(1) * stride).map(|place| number(place + 77)).collect();
            let rows = Strided { numbers: if count == 0 { &[] } else { &numbers }, stride };
            let factor = Factor::new(depth, width, &matrix).unwrap();
            let before: Vec<f32> = (0..count * (width + gap)).map(|place| number(place + 999)).collect();
            let work = Work { rows, factor: &factor, count, stride: width + gap };
            let mut portably = before.clone();
            work.portable(&mut portably);
            let mut detected = before.clone();
            add_product(rows, &factor, &mut detected, width + gap);
            let mut all = vec![portably, detected];
            #[cfg(target_arch = "x86_64")]
            if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma") {
                let mut narrower = before.clone();
                // SAFETY: checked in the line above.
                unsafe { x86::avx2(&work, &mut narrower) };
                all.push(narrower);
            }
            for found in all {
                for row in 0..count {
                    for column in 0..width + gap {
                        let place = row * (width + gap) + column;
                        let mut expected = f64::from(before[place]);
                        if column < width {
                            for position in 0..depth {
                                expected += f64::from(numbers[row * stride + position]) * f64::from(matrix[position * width + column]);
                            }
                        }
                        prop_assert!((f64::from(found[place]) - expected).abs() < 1e-5);
                    }
                }
            }
        }
    }

    #[test]
    fn a_matrix_of_another_size_is_none() {
        assert!(Factor::new(3, 33, &[0.0; 99]).is_none());
        assert!(Factor::new(3, 32, &[0.0; 95]).is_none());
        assert!(Factor::new(0, 32, &[]).is_none());
    }
}
