//! Rows of numbers, laid out as the memory moves them.

/// Numbers on a line.
pub(crate) const LANES: usize = 16;

/// 64 bytes that begin where the memory's lines do: a register's load never touches two of them.
#[derive(Debug, Clone, Copy, Default)]
#[repr(C, align(64))]
pub(crate) struct Line(pub(crate) [f32; LANES]);

/// How many lines so many numbers take: an even number, so that half as many do in half precision.
pub(crate) fn lines_for(dimensions: usize) -> usize {
    dimensions.div_ceil(2 * LANES) * 2
}

/// Numbers as lines; what is left of the last ones is zero, and adds nothing to a dot product.
pub(crate) fn lines_of(numbers: &[f32]) -> impl Iterator<Item = Line> {
    let lines = numbers.chunks(LANES).map(|numbers| {
        let mut line = Line::default();
        line.0[..numbers.len()].copy_from_slice(numbers);
        line
    });
    let width = lines_for(numbers.len());
    lines.chain(std::iter::repeat(Line::default())).take(width)
}

/// Some rows of a matrix, one after the other. Each comes with the one after it, which can be fetched meanwhile.
pub(super) struct Rows<'a, L> {
    /// Row after row.
    pub(super) matrix: &'a [L],
    /// Which rows.
    pub(super) places: &'a [u32],
    /// Lines of a row.
    pub(super) width: usize,
}

impl<'a, L> Rows<'a, L> {
    /// What `dot` says of each row. Inlined into its callers, to be compiled for their registers.
    #[inline(always)]
    pub(super) fn write(&self, out: &mut [f32], dot: impl Fn(&'a [L], &'a [L]) -> f32) {
        let row = |place: u32| &self.matrix[place as usize * self.width..][..self.width];
        let after = self.places.iter().skip(1).chain(self.places.last());
        for ((place, after), out) in self.places.iter().zip(after).zip(out) {
            *out = dot(row(*place), row(*after));
        }
    }
}

/// Where nothing is known of the processor.
pub(super) fn portable(row: &[Line], query: &[Line]) -> f32 {
    let mut sums = [0.0_f32; LANES];
    for (Line(other), Line(numbers)) in row.iter().zip(query) {
        for lane in 0..LANES {
            sums[lane] += other[lane] * numbers[lane];
        }
    }
    sums.iter().sum()
}

/// The dot product of two rows in double precision, in the order of their numbers: the same on every machine. The
/// product of two 32-bit floats is exact in 64 bits.
pub(crate) fn exact<const ROWS: usize>(rows: [&[Line]; ROWS], query: &[Line]) -> [f64; ROWS] {
    let mut sums = [0.0_f64; ROWS];
    for (position, Line(numbers)) in query.iter().enumerate() {
        for lane in 0..LANES {
            for row in 0..ROWS {
                let Line(other) = &rows[row][position];
                sums[row] += f64::from(other[lane]) * f64::from(numbers[lane]);
            }
        }
    }
    sums
}

/// Reads lines in as many places at a time as there are `STREAMS`, and does next to nothing with them: the sum of their bits.
pub(super) fn read<const STREAMS: usize>(lines: &[Line]) -> u32 {
    let mut sum = [0_u32; LANES];
    for line in streams::<STREAMS>(lines).into_iter().flatten() {
        for (sum, number) in sum.iter_mut().zip(line.0) {
            *sum = sum.wrapping_add(number.to_bits());
        }
    }
    sum.iter().fold(0, |sum, number| sum.wrapping_add(*number))
}

/// As many parts of equal length.
fn streams<const STREAMS: usize>(lines: &[Line]) -> [&[Line]; STREAMS] {
    let length = lines.len() / STREAMS;
    std::array::from_fn(|stream| &lines[stream * length..][..length])
}

/// In the processor's own instructions.
#[cfg(target_arch = "x86_64")]
pub(super) mod x86 {
    use std::arch::x86_64::*;

    use super::{Line, streams};

    /// Sums that are kept apart, so that an addition need not wait for the one before it.
    const SUMS: usize = 4;

    #[inline]
    #[target_feature(enable = "avx512f")]
    pub(in crate::kernel) fn avx512(row: &[Line], query: &[Line]) -> f32 {
        let mut sums = [_mm512_setzero_ps(); SUMS];
        let (rows, row_rest) = row.as_chunks::<SUMS>();
        let (queries, query_rest) = query.as_chunks::<SUMS>();
        for (lines, numbers) in rows.iter().zip(queries) {
            for sum in 0..SUMS {
                sums[sum] = add_avx512(&lines[sum], &numbers[sum], sums[sum]);
            }
        }
        for (line, numbers) in row_rest.iter().zip(query_rest) {
            sums[0] = add_avx512(line, numbers, sums[0]);
        }
        let [first, second, third, fourth] = sums;
        let sum = _mm512_add_ps(_mm512_add_ps(first, second), _mm512_add_ps(third, fourth));
        _mm512_reduce_add_ps(sum)
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn add_avx512(line: &Line, numbers: &Line, sum: __m512) -> __m512 {
        // SAFETY: a line is 64 bytes at an address that is a multiple of 64.
        let (line, numbers) = unsafe {
            (
                _mm512_load_ps(line.0.as_ptr()),
                _mm512_load_ps(numbers.0.as_ptr()),
            )
        };
        _mm512_fmadd_ps(line, numbers, sum)
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    pub(in crate::kernel) fn avx2(row: &[Line], query: &[Line]) -> f32 {
        let mut sums = [_mm256_setzero_ps(); SUMS];
        for (lines, numbers) in row.as_chunks::<2>().0.iter().zip(query.as_chunks::<2>().0) {
            for (quarter, sum) in sums.iter_mut().enumerate() {
                let (line, begin) = (quarter / 2, quarter % 2 * 8);
                // SAFETY: eight of sixteen numbers that begin at a multiple of 64 bytes.
                let (line, numbers) = unsafe {
                    (
                        _mm256_load_ps(lines[line].0.as_ptr().add(begin)),
                        _mm256_load_ps(numbers[line].0.as_ptr().add(begin)),
                    )
                };
                *sum = _mm256_fmadd_ps(line, numbers, *sum);
            }
        }
        let [first, second, third, fourth] = sums;
        let sum = _mm256_add_ps(_mm256_add_ps(first, second), _mm256_add_ps(third, fourth));
        let mut lanes = [0.0_f32; 8];
        // SAFETY: there is room for eight numbers.
        unsafe { _mm256_storeu_ps(lanes.as_mut_ptr(), sum) };
        lanes.iter().sum()
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    pub(in crate::kernel) fn read_avx512<const STREAMS: usize>(lines: &[Line]) -> u32 {
        let streams = streams::<STREAMS>(lines).map(|stream| stream.as_chunks::<SUMS>().0);
        let length = streams.iter().map(|stream| stream.len()).min();
        let mut sums = [[_mm512_setzero_si512(); SUMS]; STREAMS];
        for position in 0..length.unwrap_or_default() {
            for (stream, sums) in streams.iter().zip(&mut sums) {
                for (line, sum) in stream[position].iter().zip(sums) {
                    // SAFETY: a line is 64 bytes at an address that is a multiple of 64.
                    let line = unsafe { _mm512_load_si512(line.0.as_ptr().cast()) };
                    *sum = _mm512_add_epi32(*sum, line);
                }
            }
        }
        let sums = sums.as_flattened().iter();
        let sums = sums.map(|sum| _mm512_reduce_add_epi32(*sum) as u32);
        sums.fold(0, u32::wrapping_add)
    }
}
