//! Texts in the form that the vocabulary is of.

/// Stands for a space.
const SPACE: &[u8] = "\u{2581}".as_bytes();

/// This bit of a unit says that it is a value.
const VALUE: u32 = 1 << 31;
/// This one says that a key ends here.
const ENDS: u32 = 1 << 8;

/// Which characters become which, as SentencePiece compiles it: a double array (that of darts-clone) from keys to places among
/// replacements that end with a zero.
pub(super) struct Normal {
    units: Vec<u32>,
    replacements: Vec<u8>,
}

impl Normal {
    /// From the table in a model.
    pub(super) fn parse(table: &[u8]) -> Option<Self> {
        let (size, rest) = table.split_first_chunk::<4>()?;
        let size = usize::try_from(u32::from_le_bytes(*size)).ok()?;
        let (units, replacements) = rest.split_at_checked(size)?;
        let (units, none) = units.as_chunks::<4>();
        if units.is_empty() || !none.is_empty() {
            return None;
        }
        Some(Self {
            units: units.iter().map(|unit| u32::from_le_bytes(*unit)).collect(),
            replacements: replacements.to_vec(),
        })
    }

    /// The text with its characters replaced, each run of spaces one sign, one at its beginning and none at its end.
    pub(super) fn of(&self, text: &str) -> Vec<u8> {
        let mut normal = Vec::with_capacity(text.len() + text.len() / 2 + SPACE.len());
        normal.extend_from_slice(SPACE);
        let mut rest = text;
        let mut is_after_space = true;
        while let Some(first) = rest.chars().next() {
            let (length, replacement) = match self.longest(rest.as_bytes()) {
                Some(found) => found,
                None => (first.len_utf8(), &rest.as_bytes()[..first.len_utf8()]),
            };
            let spaces = replacement.iter().take_while(|byte| **byte == b' ').count();
            let kept = &replacement[if is_after_space { spaces } else { 0 }..];
            for byte in kept {
                match byte {
                    b' ' => normal.extend_from_slice(SPACE),
                    _ => normal.push(*byte),
                }
            }
            if let Some(last) = kept.last() {
                is_after_space = *last == b' ';
            }
            // Keys are whole characters; where a table had others, what is left of the character goes.
            rest = rest.get(length..).unwrap_or_else(|| {
                let boundary = rest.ceil_char_boundary(length);
                &rest[boundary..]
            });
        }
        while normal.ends_with(SPACE) {
            normal.truncate(normal.len() - SPACE.len());
        }
        normal
    }

    /// The longest key that the text begins with: its length, and what it becomes.
    fn longest(&self, text: &[u8]) -> Option<(usize, &[u8])> {
        let mut place = offset(*self.units.first()?);
        let mut found = None;
        for (position, byte) in text.iter().enumerate() {
            place ^= u32::from(*byte);
            let Some(unit) = self.units.get(place as usize) else {
                break;
            };
            if unit & (VALUE | 0xff) != u32::from(*byte) {
                break;
            }
            place ^= offset(*unit);
            if unit & ENDS != 0 {
                found = Some((position + 1, place));
            }
        }
        let (length, place) = found?;
        let value = self.units.get(place as usize)? & !VALUE;
        let replacement = self.replacements.get(value as usize..)?;
        if replacement.is_empty() {
            return None;
        }
        let end = replacement.iter().position(|byte| *byte == 0);
        Some((length, &replacement[..end.unwrap_or(replacement.len())]))
    }
}

/// How far the children of a unit are from it.
fn offset(unit: u32) -> u32 {
    (unit >> 10) << ((unit & (1 << 9)) >> 6)
}
