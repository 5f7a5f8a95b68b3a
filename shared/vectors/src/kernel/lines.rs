//! Rows of numbers, laid out as the memory moves them.

/// Numbers on a line.
pub(crate) const LANES: usize = 16;

/// 64 bytes that begin where the memory's lines do: a register's load never touches two of them.
#[derive(Debug, Clone, Copy, Default)]
#[repr(C, align(64))]
pub(crate) struct Line(pub(crate) [f32; LANES]);

/// How many lines so many numbers take.
pub(crate) fn lines_for(dimensions: usize) -> usize {
    dimensions.div_ceil(LANES)
}

/// Numbers as lines; what is left of the last one is zero, and adds nothing to a dot product.
pub(crate) fn lines_of(numbers: &[f32]) -> impl Iterator<Item = Line> {
    numbers.chunks(LANES).map(|numbers| {
        let mut line = Line::default();
        line.0[..numbers.len()].copy_from_slice(numbers);
        line
    })
}

/// The dot products of rows with a query, each as long as it.
pub(super) struct Dots<'a> {
    /// Row after row.
    pub(super) matrix: &'a [Line],
    /// Which rows.
    pub(super) places: &'a [u32],
    pub(super) query: &'a [Line],
}

impl<'a> Dots<'a> {
    /// `ROWS` rows at a time, then the rest one by one. Inlined into its callers, to be compiled for their registers.
    #[inline(always)]
    pub(super) fn write<const ROWS: usize>(
        &self,
        out: &mut [f32],
        step: impl Fn(f32, f32, f32) -> f32 + Copy,
    ) {
        let (blocks, rest) = self.places.as_chunks::<ROWS>();
        let (many, single) = out.split_at_mut(blocks.len() * ROWS);
        for (places, sums) in blocks.iter().zip(many.as_chunks_mut::<ROWS>().0) {
            *sums = block(self.rows(places), self.query, step);
        }
        for (place, sum) in rest.iter().zip(single) {
            [*sum] = block(self.rows(&[*place]), self.query, step);
        }
    }

    #[inline(always)]
    fn rows<const ROWS: usize>(&self, places: &[u32; ROWS]) -> [&'a [Line]; ROWS] {
        let width = self.query.len();
        places.map(|place| &self.matrix[place as usize * width..][..width])
    }
}

#[inline(always)]
fn block<const ROWS: usize>(
    rows: [&[Line]; ROWS],
    query: &[Line],
    step: impl Fn(f32, f32, f32) -> f32 + Copy,
) -> [f32; ROWS] {
    let mut sums = [[0.0_f32; LANES]; ROWS];
    for (position, Line(numbers)) in query.iter().enumerate() {
        for row in 0..ROWS {
            let Line(other) = &rows[row][position];
            for lane in 0..LANES {
                sums[row][lane] = step(other[lane], numbers[lane], sums[row][lane]);
            }
        }
    }
    sums.map(|lanes| lanes.iter().sum())
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
