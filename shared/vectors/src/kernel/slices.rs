//! Dot products of vectors as they come, row after row.

/// Computes for every row in `rows` (row after row, each as long as `query`) its dot product with `query`.
pub(crate) fn dots(rows: &[f32], query: &[f32]) -> Vec<f32> {
    if query.is_empty() {
        return Vec::new();
    }
    let mut out = vec![0.0; rows.len() / query.len()];
    #[cfg(target_arch = "x86_64")]
    {
        if std::arch::is_x86_feature_detected!("avx512f") {
            // SAFETY: the processor has the feature that `dots_avx512` is compiled for.
            unsafe { dots_avx512(rows, query, &mut out) };
            return out;
        }
        if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma")
        {
            // SAFETY: the processor has both features that `dots_avx2` is compiled for.
            unsafe { dots_avx2(rows, query, &mut out) };
            return out;
        }
    }
    dots_portable(rows, query, &mut out);
    out
}

/// The dot product of two vectors of equal length.
pub(crate) fn dot(left: &[f32], right: &[f32]) -> f32 {
    dots(left, right).first().copied().unwrap_or_default()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn dots_avx512(rows: &[f32], query: &[f32], out: &mut [f32]) {
    blocks::<8, 16>(rows, query, out, f32::mul_add);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn dots_avx2(rows: &[f32], query: &[f32], out: &mut [f32]) {
    blocks::<4, 16>(rows, query, out, f32::mul_add);
}

/// Without fused multiply-add in the processor, `mul_add` would be a slow library call. On aarch64
/// the baseline has NEON, and this is compiled to it.
fn dots_portable(rows: &[f32], query: &[f32], out: &mut [f32]) {
    blocks::<4, 8>(rows, query, out, |x, y, sum| x * y + sum);
}

/// `ROWS` rows at a time, then the rest one by one. Inlined into its callers, to be compiled for
/// their registers.
#[inline(always)]
fn blocks<const ROWS: usize, const LANES: usize>(
    rows: &[f32],
    query: &[f32],
    out: &mut [f32],
    step: impl Fn(f32, f32, f32) -> f32 + Copy,
) {
    let dimensions = query.len();
    let whole = out.len() / ROWS * ROWS;
    let (many, single) = out.split_at_mut(whole);
    let (many_rows, single_rows) = rows.split_at(whole * dimensions);
    for (block, sums) in many_rows
        .chunks_exact(ROWS * dimensions)
        .zip(many.chunks_exact_mut(ROWS))
    {
        sums.copy_from_slice(&block_of::<ROWS, LANES>(block, query, step));
    }
    for (row, sum) in single_rows.chunks_exact(dimensions).zip(single) {
        [*sum] = block_of::<1, LANES>(row, query, step);
    }
}

#[inline(always)]
fn block_of<const ROWS: usize, const LANES: usize>(
    block: &[f32],
    query: &[f32],
    step: impl Fn(f32, f32, f32) -> f32 + Copy,
) -> [f32; ROWS] {
    let dimensions = query.len();
    let (query_lanes, query_rest) = query.as_chunks::<LANES>();
    let count = query_lanes.len();
    let mut lanes: [&[[f32; LANES]]; ROWS] = [&[]; ROWS];
    let mut rests: [&[f32]; ROWS] = [&[]; ROWS];
    for row in 0..ROWS {
        let (whole, rest) = block[row * dimensions..(row + 1) * dimensions].as_chunks::<LANES>();
        lanes[row] = &whole[..count];
        rests[row] = rest;
    }
    let mut sums = [[0.0_f32; LANES]; ROWS];
    for (position, numbers) in query_lanes.iter().enumerate() {
        for row in 0..ROWS {
            let other = &lanes[row][position];
            for lane in 0..LANES {
                sums[row][lane] = step(other[lane], numbers[lane], sums[row][lane]);
            }
        }
    }
    let mut out = [0.0; ROWS];
    for row in 0..ROWS {
        let rest: f32 = rests[row].iter().zip(query_rest).map(|(x, y)| x * y).sum();
        out[row] = sums[row].iter().sum::<f32>() + rest;
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn naive(rows: &[f32], query: &[f32]) -> Vec<f64> {
        rows.chunks_exact(query.len())
            .map(|row| {
                row.iter()
                    .zip(query)
                    .map(|(x, y)| f64::from(*x) * f64::from(*y))
                    .sum()
            })
            .collect()
    }

    proptest! {
        #[test]
        fn agrees_with_the_definition(
            (query, rows) in (1_usize..70).prop_flat_map(|dimensions| (
                prop::collection::vec(-0.2_f32..0.2, dimensions),
                (0_usize..20).prop_flat_map(move |count| prop::collection::vec(-0.2_f32..0.2, dimensions * count)),
            )),
        ) {
            let expected = naive(&rows, &query);
            let mut portable = vec![0.0; expected.len()];
            dots_portable(&rows, &query, &mut portable);
            let detected = dots(&rows, &query);
            prop_assert_eq!(detected.len(), expected.len());
            for (row, expected) in expected.iter().enumerate() {
                prop_assert!((f64::from(detected[row]) - expected).abs() < 1e-5);
                prop_assert!((f64::from(portable[row]) - expected).abs() < 1e-5);
            }
        }
    }

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn every_kernel_that_this_processor_has_agrees_at_full_width() {
        let numbers = |seed: u32, count: usize| -> Vec<f32> {
            (0..count as u32)
                .map(|i| {
                    ((i.wrapping_add(seed).wrapping_mul(2_654_435_761) >> 16) as f32 / 65_536.0
                        - 0.5)
                        * 0.1
                })
                .collect()
        };
        let (query, rows) = (numbers(1, 1536), numbers(99, 1536 * 21));
        let expected = naive(&rows, &query);
        let mut wide = vec![0.0; 21];
        if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma")
        {
            // SAFETY: checked in the line above.
            unsafe { dots_avx2(&rows, &query, &mut wide) };
            assert!(
                wide.iter()
                    .zip(&expected)
                    .all(|(x, y)| (f64::from(*x) - y).abs() < 1e-5)
            );
        }
        assert!(
            dots(&rows, &query)
                .iter()
                .zip(&expected)
                .all(|(x, y)| (f64::from(*x) - y).abs() < 1e-5)
        );
    }
}
